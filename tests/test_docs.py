"""The documentation's YAML, as the operator reads it; tests/contract has it applied to API servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.metric_templates import CLUSTER_KIND, KIND, MetricTemplateSpec
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.rollout.expansion import TemplateKey, expanded
from tests.builders import small
from tests.docs import blocks
from tests.places import ROOT

PAGES = [ROOT / "docs/presets.md", ROOT / "docs/metric-templates.md", ROOT / "docs/verdicts.md"]
TEMPLATES = {
    TemplateKey(block["kind"], block["metadata"]["name"]): block
    for page in PAGES
    for block in blocks(page)
    if block.get("kind") in (KIND, CLUSTER_KIND)
}
FRAGMENTS = [(page.name, block) for page in PAGES for block in blocks(page) if "analysis" in block]


@pytest.mark.parametrize("key", TEMPLATES, ids=lambda key: f"{key.kind}-{key.name}")
def test_a_template_in_the_docs_is_valid(key: TemplateKey) -> None:
    MetricTemplateSpec.model_validate(TEMPLATES[key]["spec"])


@pytest.mark.parametrize(("page", "block"), FRAGMENTS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(FRAGMENTS)])
def test_an_analysis_in_the_docs_leads_to_metrics(page: str, block: dict[str, Any]) -> None:
    found = expanded(ModelRolloutSpec.model_validate(small(analysis=block["analysis"])), TEMPLATES)
    assert isinstance(found, ModelRolloutSpec), found
    assert found.analysis.metrics


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verdicts_in_the_docs_are_those_of_a_status(page: Path) -> None:
    for block in blocks(page):
        if "verdicts" in block:
            assert ModelRolloutStatus.model_validate(block).to_wire()["verdicts"] == block["verdicts"]


def test_every_block_is_one_that_these_tests_read() -> None:
    for page in PAGES:
        assert all({"kind", "analysis", "verdicts"} & block.keys() for block in blocks(page)), page.name


ADOPTION = blocks(ROOT / "docs/adoption.md")


def test_the_page_on_adoption_has_rollouts_and_parts_of_them_that_are_valid() -> None:
    (whole,) = (block for block in ADOPTION if block.get("kind") == "ModelRollout")
    for part in ({}, *(block for block in ADOPTION if "kind" not in block)):
        spec = ModelRolloutSpec.model_validate({**whole["spec"], **part})
        assert spec.workload.workload_ref is not None


def test_the_page_on_adoption_takes_the_size_out_of_argo_cds_hands() -> None:
    (application,) = (block for block in ADOPTION if block.get("kind") == "Application")
    (ignored,) = application["spec"]["ignoreDifferences"]
    assert ignored["jsonPointers"] == ["/spec/replicas"]
