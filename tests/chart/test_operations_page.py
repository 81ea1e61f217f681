"""Helm takes its commands on every page, and the chart takes the values that are shown."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.chart.helm import CHART, Values, helm, needs_helm, rendered
from tests.places import ROOT
from tests.site.blocks import of_sort
from tests.site.commands import EVERY
from tests.site.pages import name_of

PAGE = ROOT / "docs/operations.md"
PAGES = (ROOT / "README.md", PAGE, CHART / "README.md")
COMMANDS = [(page, command) for page, command in EVERY if re.match("helm (install|upgrade) ", command)]


@needs_helm
@pytest.mark.parametrize(("page", "values"), of_sort("values"))
def test_values_on_a_page_are_taken(page: str, values: Values) -> None:
    assert rendered({**values, "crds": {"enabled": False}})


@needs_helm
@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[page for page, _ in COMMANDS])
def test_helm_takes_the_commands(page: str, command: str) -> None:
    """As a rendering: what needs a cluster, and what is kept there, does not count."""
    _, _, release, chart, *options = shlex.split(command)
    known = [one for one in options if one not in ("--values", "values.yaml")]
    made = helm("template", release, str(ROOT / chart), *known, "--kube-version", "1.31.0")
    assert made.returncode == 0, made.stderr


def test_there_is_a_command_on_each_page() -> None:
    assert {page for page, _ in COMMANDS} >= {name_of(page) for page in PAGES}
