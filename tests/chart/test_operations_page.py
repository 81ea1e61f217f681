"""The page on operations and the README: Helm takes their commands, and the chart takes their values."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.chart.helm import CHART, Values, helm, needs_helm, rendered
from tests.docs import blocks
from tests.places import ROOT

PAGE = ROOT / "docs/operations.md"
PAGES = (ROOT / "README.md", PAGE, CHART / "README.md")
COMMANDS = [
    (page.name, " ".join(found.split("\\\n")))
    for page in PAGES
    for found in re.findall(r"^helm (?:install|upgrade) (?:.*\\\n)*.*$", page.read_text(), re.MULTILINE)
]


@needs_helm
@pytest.mark.parametrize("values", blocks(PAGE), ids=lambda values: "-".join(values))
def test_values_on_the_page_are_taken(values: Values) -> None:
    assert rendered({**values, "crds": {"enabled": False}})


@needs_helm
@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[page for page, _ in COMMANDS])
def test_helm_takes_the_commands(page: str, command: str) -> None:
    """As a rendering: what needs a cluster, and what is kept there, does not count."""
    _, _, release, chart, *options = shlex.split(command)
    known = [one for one in options if one != "--reuse-values"]
    made = helm("template", release, str(ROOT / chart), *known, "--kube-version", "1.31.0")
    assert made.returncode == 0, made.stderr


def test_there_is_a_command_on_each_page() -> None:
    assert {page for page, _ in COMMANDS} == {page.name for page in PAGES}
