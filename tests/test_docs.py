"""The documentation's YAML, as the operator reads it; tests/contract has it applied to API servers.

Every block of every page is of a sort that one of these tests reads, or one about the chart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.api.base import KIND as ROLLOUT
from modelrollout.api.metric_templates import CLUSTER_KIND, KIND, MetricTemplateSpec
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.delivery.standing import TargetsFile
from modelrollout.objects.manifests import Manifest, Owner, outcome, ref_of
from modelrollout.rollout.expansion import TemplateKey, expanded
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages.way import fault
from modelrollout.traffic.router import Backend, Routing
from modelrollout.traffic.router_table import ROUTERS, presumed
from tests.builders import deployment, small, spec
from tests.docs import blocks, document
from tests.places import ROOT
from tests.site.blocks import BLOCKS, NUMBERED, has_metrics, of_sort, sort_of

ROLLOUTS: dict[str, Manifest] = {path.name: document(path) for path in ROOT.glob("examples/*.yaml")}
TEMPLATES = {
    TemplateKey(block["kind"], block["metadata"]["name"]): block
    for _, block in BLOCKS
    if sort_of(block) in (KIND, CLUSTER_KIND)
}
METRICS = {"presets": [], "templates": [], "readinessOnly": False, "metrics": spec()["analysis"]["metrics"]}
ROUTES = blocks(ROOT / "docs/routes.md")
TRAFFIC = [block["traffic"] for block in ROUTES if "traffic" in block and "service" not in block["traffic"]]


@pytest.mark.parametrize(("page", "block"), NUMBERED)
def test_every_block_is_of_a_sort_that_is_read(page: str, block: Any) -> None:
    """A block for another tool needs a kind, or a key in OTHER_TOOLS."""
    assert sort_of(block), f"{page}: {block}"


@pytest.mark.parametrize(("page", "block"), of_sort("foreign"))
def test_an_object_of_another_kind_has_a_name(page: str, block: Manifest) -> None:
    is_file = block["apiVersion"].startswith("kustomize.config.k8s.io/")  # read by a tool, and never applied
    assert is_file or block["metadata"]["name"], page


@pytest.mark.parametrize("key", TEMPLATES, ids=lambda key: f"{key.kind}-{key.name}")
def test_a_template_in_the_docs_is_valid(key: TemplateKey) -> None:
    MetricTemplateSpec.model_validate(TEMPLATES[key]["spec"])


@pytest.mark.parametrize(("page", "block"), [one for one in of_sort("part") if has_metrics(one.values[1])])
def test_an_analysis_in_the_docs_leads_to_metrics(page: str, block: dict[str, Any]) -> None:
    found = expanded(ModelRolloutSpec.model_validate(small(analysis=block["analysis"])), TEMPLATES)
    assert isinstance(found, ModelRolloutSpec), found
    assert found.analysis.metrics or found.analysis.readiness_only


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
def test_an_example_can_be_carried_out(name: str) -> None:
    assert route_of(ROLLOUTS[name])["spec"]


@pytest.mark.parametrize(("page", "block"), of_sort(ROLLOUT))
def test_a_rollout_in_the_docs_can_be_carried_out(page: str, block: Manifest) -> None:
    found = expanded(ModelRolloutSpec.model_validate(block["spec"]), TEMPLATES)
    assert isinstance(found, ModelRolloutSpec), found
    assert route_of(block)["spec"]


@pytest.mark.parametrize(("page", "block"), of_sort("part"))
def test_parts_of_a_spec_in_the_docs_can_be_carried_out(page: str, block: dict[str, Any]) -> None:
    """Of analyses the metrics are read above; here they are those of the builder, unless a stage names one."""
    has_goal = any("abTest" in stage for stage in block.get("stages", ()))
    usual = {} if has_goal else {"analysis": {**block.get("analysis", {}), **METRICS}}
    assert route_of({"metadata": {"name": "fraud"}, "spec": spec(**{**block, **usual})})["spec"]


@pytest.mark.parametrize("traffic", TRAFFIC, ids=lambda traffic: "-".join(traffic))
def test_traffic_on_the_page_on_routes_leads_to_a_route_with_its_matches(traffic: dict[str, Any]) -> None:
    spec = route_of({"metadata": {"name": "fraud"}, "spec": small(traffic=traffic)})["spec"]
    if "routeRef" in traffic:
        assert [ref["name"] for ref in spec["rules"][0]["backendRefs"]] == ["stable"]  # its matches are the user's
    else:
        (rule,) = spec.get("rules") or spec["http"]
        assert len(rule.get("matches") or rule["match"]) == 1


def test_two_models_of_the_examples_share_a_host_name_and_no_match() -> None:
    one, other = (route_of(ROLLOUTS[name])["spec"] for name in ("shared-host.yaml", "shared-host-second.yaml"))
    assert one["hostnames"] == other["hostnames"]
    assert not [match for match in one["rules"][0]["matches"] if match in other["rules"][0]["matches"]]


@pytest.mark.parametrize(("page", "block"), of_sort("targets"))
def test_a_file_of_targets_in_the_docs_can_be_used(page: str, block: dict[str, Any]) -> None:
    assert TargetsFile.model_validate(block).targets, page


@pytest.mark.parametrize(("page", "block"), of_sort("verdicts"))
def test_verdicts_in_the_docs_are_those_of_a_status(page: str, block: dict[str, Any]) -> None:
    assert ModelRolloutStatus.model_validate(block).to_wire()["verdicts"] == block["verdicts"]


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


def test_the_page_on_routes_has_a_line_for_every_router_and_takes_the_rules_out_of_argo_cds_hands() -> None:
    text = (ROOT / "docs/routes.md").read_text()
    assert all(f"| `{field}` |" in text for field in ROUTERS)
    (application,) = (block for block in ROUTES if block.get("kind") == "Application")
    (ignored,) = application["spec"]["ignoreDifferences"]
    assert ignored["jqPathExpressions"] == [".spec.rules"]
    assert application["spec"]["syncPolicy"]["syncOptions"] == ["RespectIgnoreDifferences=true"]
