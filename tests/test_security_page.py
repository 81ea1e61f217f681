"""The page on security: each test that it names is there, and its YAML is taken by chart and operator."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.analysis import Analysis
from tests.chart.helm import needs_helm, rendered
from tests.docs import blocks
from tests.places import ROOT

PAGE = ROOT / "docs/security.md"
NAMED = re.findall(r"`(tests/[^`]*)`", PAGE.read_text())
ROWS = [line for line in PAGE.read_text().partition("## Threats")[2].splitlines() if line.startswith("| ")][1:]
VALUES = [block for block in blocks(PAGE) if "analysis" not in block]
ANALYSES = [block["analysis"] for block in blocks(PAGE) if "analysis" in block]


def names_in(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


def test_each_threat_names_a_test() -> None:
    assert len(ROWS) > 20
    assert [row for row in ROWS if "`tests/" not in row.split("|")[-2]] == []


@pytest.mark.parametrize("named", sorted(set(NAMED)))
def test_each_test_that_is_named_is_there(named: str) -> None:
    path, name = named.split("::")
    assert name in names_in(ROOT / path)


@needs_helm
@pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values))
def test_values_on_the_page_are_taken(values: dict[str, Any]) -> None:
    assert rendered({**values, "crds": {"enabled": False}})
    AllowedAddresses.parse(None, values.get("prometheus", {}).get("allowedAddresses", ()))


@pytest.mark.parametrize("analysis", ANALYSES)
def test_an_analysis_on_the_page_is_taken(analysis: dict[str, Any]) -> None:
    assert Analysis.model_validate(analysis).prometheus is not None
