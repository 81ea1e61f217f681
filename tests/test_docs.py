"""The documentation's YAML, as the operator reads it; tests/contract has it applied to API servers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.base import KIND as ROLLOUT
from modelrollout.api.metric_templates import CLUSTER_KIND, KIND, MetricTemplateSpec
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.manifests import Manifest, Owner, outcome, ref_of
from modelrollout.rollout.expansion import TemplateKey, expanded
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages.way import fault
from modelrollout.traffic.router import Backend, Routing
from modelrollout.traffic.router_table import ROUTERS, presumed
from tests.builders import deployment, small, spec
from tests.docs import blocks, document
from tests.places import ROOT

README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "docs/presets.md",
    ROOT / "docs/metric-templates.md",
    ROOT / "docs/verdicts.md",
]
TEMPLATES = {
    TemplateKey(block["kind"], block["metadata"]["name"]): block
    for page in PAGES
    for block in blocks(page)
    if block.get("kind") in (KIND, CLUSTER_KIND)
}
EXAMPLES: dict[str, Manifest] = {path.name: document(path) for path in ROOT.glob("examples/*.yaml")}
(FIRST,) = (block for block in blocks(README) if block.get("kind") == ROLLOUT)
ROLLOUTS = EXAMPLES | {README.name: FIRST}
ROUTES = blocks(ROOT / "docs/routes.md")
TRAFFIC = [block["traffic"] for block in (*blocks(README), *ROUTES) if "traffic" in block]
FRAGMENTS = [(page.name, block) for page in PAGES for block in blocks(page) if "analysis" in block]


@pytest.mark.parametrize("key", TEMPLATES, ids=lambda key: f"{key.kind}-{key.name}")
def test_a_template_in_the_docs_is_valid(key: TemplateKey) -> None:
    MetricTemplateSpec.model_validate(TEMPLATES[key]["spec"])


@pytest.mark.parametrize(("page", "block"), FRAGMENTS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(FRAGMENTS)])
def test_an_analysis_in_the_docs_leads_to_metrics(page: str, block: dict[str, Any]) -> None:
    found = expanded(ModelRolloutSpec.model_validate(small(analysis=block["analysis"])), TEMPLATES)
    assert isinstance(found, ModelRolloutSpec), found
    assert found.analysis.metrics


def route_of(manifest: Manifest) -> Manifest:
    """What its router writes once the first version serves; workloads that it refers to are there."""
    reference = manifest["spec"]["workload"].get("workloadRef") or {}
    there = {**deployment("default"), "metadata": {"namespace": "default", "name": reference.get("name", "none")}}
    wish = read_wish(manifest["spec"], objects={ref_of(there): there}, namespace="default")
    assert isinstance(wish, Wish), wish
    wish = replace(wish, comparer_image="modelrollout")
    assert fault(wish) is None
    owner, objects = presumed(Owner("default", manifest["metadata"]["name"], "uid"), wish.spec.traffic)
    stable = Backend("stable", wish.revision, wish.spec.traffic.port)
    (write,) = wish.router.render(owner, wish.spec.traffic, Routing(stable), objects)
    return outcome(write, objects.get(write.ref))


@pytest.mark.parametrize("name", sorted(ROLLOUTS))
def test_a_rollout_in_the_docs_can_be_carried_out(name: str) -> None:
    assert route_of(ROLLOUTS[name])["spec"]


@pytest.mark.parametrize("traffic", TRAFFIC, ids=lambda traffic: "-".join(traffic))
def test_traffic_in_the_readme_leads_to_a_route_with_its_matches(traffic: dict[str, Any]) -> None:
    spec = route_of({"metadata": {"name": "fraud"}, "spec": small(traffic=traffic)})["spec"]
    if "routeRef" in traffic:
        assert [ref["name"] for ref in spec["rules"][0]["backendRefs"]] == ["stable"]  # its matches are the user's
    else:
        (rule,) = spec.get("rules") or spec["http"]
        assert len(rule.get("matches") or rule["match"]) == 1


def test_two_models_of_the_examples_share_a_host_name_and_no_match() -> None:
    one, other = (route_of(EXAMPLES[name])["spec"] for name in ("shared-host.yaml", "shared-host-second.yaml"))
    assert one["hostnames"] == other["hostnames"]
    assert not [match for match in one["rules"][0]["matches"] if match in other["rules"][0]["matches"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_stages_on_a_page_can_be_carried_out(page: Path) -> None:
    for block in blocks(page):
        if "kind" not in block and "stages" in block:
            assert route_of({"metadata": {"name": "fraud"}, "spec": small(**block)})["spec"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verdicts_in_the_docs_are_those_of_a_status(page: Path) -> None:
    for block in blocks(page):
        if "verdicts" in block:
            assert ModelRolloutStatus.model_validate(block).to_wire()["verdicts"] == block["verdicts"]


def test_every_block_is_one_that_these_tests_read() -> None:
    for page in PAGES:
        known = {"kind", "analysis", "stages", "verdicts"} | ({"traffic"} if page == README else set())
        assert all(known & block.keys() for block in blocks(page)), page.name


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


AUTOSCALING = blocks(ROOT / "docs/autoscaling.md")


@pytest.mark.parametrize("block", AUTOSCALING, ids=lambda block: "-".join(block["workload"]["autoscaling"]))
def test_workloads_on_the_page_on_autoscaling_can_be_carried_out(block: dict[str, Any]) -> None:
    wish = read_wish(spec(**block))
    assert isinstance(wish, Wish), wish
    assert wish.size is None


STAGES = [*blocks(ROOT / "docs/strategies.md"), *blocks(ROOT / "docs/comparing-answers.md")]


@pytest.mark.parametrize("block", STAGES, ids=lambda block: "-".join(stage["name"] for stage in block["stages"]))
def test_stages_on_their_own_pages_can_be_carried_out(block: dict[str, Any]) -> None:
    assert route_of({"metadata": {"name": "fraud"}, "spec": spec(**block)})["spec"]


def test_the_page_on_routes_has_a_line_for_every_router_and_takes_the_rules_out_of_argo_cds_hands() -> None:
    text = (ROOT / "docs/routes.md").read_text()
    assert all(f"| `{field}` |" in text for field in ROUTERS)
    (application,) = (block for block in ROUTES if block.get("kind") == "Application")
    (ignored,) = application["spec"]["ignoreDifferences"]
    assert ignored["jqPathExpressions"] == [".spec.rules"]
    assert application["spec"]["syncPolicy"]["syncOptions"] == ["RespectIgnoreDifferences=true"]
