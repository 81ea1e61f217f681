"""The blocks of YAML on the pages of the documentation, and of what sort each is."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.base import API_VERSION
from modelrollout.api.spec import ModelRolloutSpec
from tests.docs import blocks, documents
from tests.places import ROOT
from tests.site.pages import PAGES, name_of

BLOCKS = [(name_of(page), block) for page in PAGES for block in blocks(page)]
NUMBERED = [pytest.param(page, block, id=f"{page}-{number}") for number, (page, block) in enumerate(BLOCKS)]
PARTS = {str(field.alias) for field in ModelRolloutSpec.model_fields.values()}
VALUES = documents((ROOT / "charts/modelrollout/values.yaml").read_text())[0]
OTHER_TOOLS = {"jobs": "a workflow of GitHub Actions", "groups": "rules of Prometheus"}
"""Keys by which a file of another tool is known, which is no object of Kubernetes."""


def sort_of(block: Any) -> str:
    """Of what sort a block is; an empty text for one that no test reads."""
    if isinstance(block, list):
        return "list"  # of a part whose name the page has said; each has a test of its own
    if not isinstance(block, dict):
        return ""
    if "kind" in block and "apiVersion" in block:
        return block["kind"] if block["apiVersion"] == API_VERSION else "foreign"
    if any(key in block for key in OTHER_TOOLS):
        return "of another tool"
    if all(key in VALUES and isinstance(value, type(VALUES[key])) for key, value in block.items()):
        return "values"
    sorts = (("verdicts", {"verdicts"}), ("targets", {"targets"}), ("part", PARTS))
    return next((sort for sort, keys in sorts if block.keys() <= keys), "")


def of_sort(sort: str) -> list[Any]:
    """All of a sort, as parameters of a test: the page and the block."""
    return [one for one in NUMBERED if sort_of(one.values[1]) == sort]


def has_metrics(part: dict[str, Any]) -> bool:
    """Whether a part of a spec says what is measured, or that nothing is."""
    return bool({"metrics", "presets", "templates", "readinessOnly"} & part.get("analysis", {}).keys())
