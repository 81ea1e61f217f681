"""The ModelRollout as API servers see it: what they refuse, fill in, keep and show.

What is refused here is refused by pydantic with the same sentence (tests/unit/test_spec.py holds it to the same table).
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from modelrollout.api.base import API_VERSION, KIND
from modelrollout.api.crd import definitions as our_definitions
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.broken import Broken
from tests.broken_routes import ROUTE_BORDERS
from tests.broken_specs import BROKEN, ONLY_THE_OPERATOR
from tests.builders import (
    GONE,
    Spec,
    canary,
    edited,
    good_metric,
    histogram_metric,
    metric,
    small,
    spec,
    stepwise,
    value_metric,
    workload_ref,
)
from tests.contract.api_server.api_server_client import DEFINITIONS, TABLE, Answer, Api
from tests.contract.conftest import Kubectl
from tests.docs import blocks, document
from tests.places import ROOT
from tests.site.blocks import has_metrics, of_sort
from tests.valid_specs import valid_specs

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = sorted((ROOT / "examples").glob("*.yaml"))
EXAMPLES: dict[str, Any] = {path.name: document(path) for path in FILES}
(EXAMPLES["README.md"],) = (block for block in blocks(ROOT / "README.md") if block.get("kind") == KIND)
for example in EXAMPLES.values():
    del example["metadata"]["namespace"]  # each test has one of its own
THOROUGH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_numbers = count(1)


def rollout(spec: Any, name: str = "") -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name or f"fraud-{next(_numbers)}"},
        "spec": spec,
    }


class Rollouts:
    """The rollouts of one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self._namespace = api, namespace

    def path(self, name: str | None = None, subresource: str | None = None) -> str:
        return MODEL_ROLLOUTS.path(self._namespace, name, subresource)

    async def create(self, manifest: dict[str, Any], **query: str) -> Answer:
        return await self.api.post(self.path(), manifest, fieldValidation="Strict", **query)

    async def tried(self, spec: Any, name: str = "") -> Answer:
        """What creating one would say; nothing is kept."""
        return await self.create(rollout(spec, name), dryRun="All")


@pytest_asyncio.fixture(loop_scope="session")
async def rollouts(api: Api, namespace: str, definitions: None) -> Rollouts:
    return Rollouts(api, namespace)


@pytest.mark.parametrize("definition", our_definitions(), ids=lambda definition: definition["spec"]["names"]["kind"])
async def test_the_definition_is_accepted_as_it_is(rollouts: Rollouts, definition: Any) -> None:
    name = definition["metadata"]["name"]
    stored = (await rollouts.api.get(f"{DEFINITIONS}/{name}")).body
    served = stored["spec"]["versions"][0]
    conditions = {each["type"]: each["status"] for each in stored["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert served == definition["spec"]["versions"][0]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.mistake)
async def test_a_mistake_is_refused_with_its_field_and_mend(rollouts: Rollouts, broken: Broken) -> None:
    answer = await rollouts.tried(edited(broken.edits))
    assert answer.status == 422, answer.body
    assert f"{broken.path}" in answer.message
    assert (broken.server or broken.sentence) in answer.message
    assert "evaluating rule" not in answer.message, "a rule broke down over a mistake that is not its own"


@pytest.mark.parametrize("broken", ONLY_THE_OPERATOR, ids=lambda broken: broken.mistake)
async def test_what_cel_cannot_compare_is_left_to_the_operator(rollouts: Rollouts, broken: Broken) -> None:
    assert (await rollouts.tried(edited(broken.edits))).status == 201


@pytest.mark.parametrize("name", ["a" * 47, "1st", "a.b"])
async def test_a_name_that_no_service_could_carry_is_refused(rollouts: Rollouts, name: str) -> None:
    answer = await rollouts.tried(small(), name)
    assert answer.status == 422
    assert "at most 46 characters: Services and pods are named after it" in answer.message


async def test_the_longest_name_is_fine(rollouts: Rollouts) -> None:
    assert (await rollouts.tried(small(), "a" * 46)).status == 201


async def test_an_unknown_field_is_refused_by_who_asks_for_it(rollouts: Rollouts) -> None:
    answer = await rollouts.tried(small(stages=[canary(5, wieghts=[5])]))
    assert answer.status == 400
    assert 'unknown field "spec.stages[0].canary.wieghts"' in answer.message


async def test_an_edit_is_checked_like_a_new_one(rollouts: Rollouts) -> None:
    made = (await rollouts.create(rollout(small()))).body
    name = made["metadata"]["name"]
    answer = await rollouts.api.patch(rollouts.path(name), {"spec": {"stages": [canary(50, 5)]}})
    assert answer.status == 422
    assert "weights must rise from one to the next" in answer.message


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_is_accepted(rollouts: Rollouts, name: str) -> None:
    manifest = EXAMPLES[name]
    answer = await rollouts.create(manifest)
    assert answer.status == 201, answer.body
    assert ModelRolloutSpec.model_validate(answer.body["spec"]) == ModelRolloutSpec.model_validate(manifest["spec"])


@pytest.mark.parametrize(("page", "block"), of_sort("part"))
async def test_parts_of_a_spec_in_the_docs_are_accepted(rollouts: Rollouts, page: str, block: dict[str, Any]) -> None:
    """Whole objects of the docs are applied in test_metric_templates.py."""
    metrics = {"metrics": spec()["analysis"]["metrics"]}
    lacks = "analysis" in block and not has_metrics(block)
    answer = await rollouts.tried(spec(**block | ({"analysis": block["analysis"] | metrics} if lacks else {})))
    assert answer.status == 201, answer.body


def outside_lists(value: Any) -> Any:
    """The value without what stands in lists: there the operator fills in what is missing, nobody else."""
    match value:
        case dict():
            return {key: outside_lists(item) for key, item in value.items() if item != []}
        case list():
            return len(value)
        case _:
            return value


GAPS = [
    small(),
    small(stages=[canary(5)], promotion={}),
    small(promotion={"bake": "1h"}, analysis={"readinessOnly": True}),
    small(stages=[stepwise(5, 10, hold="1m")]),
    small(analysis={"metrics": [metric(tolerance={}), histogram_metric(name="latency", tolerance={"relative": "9%"})]}),
]


@pytest.mark.parametrize("spec", GAPS)
async def test_what_is_left_out_is_filled_in_by_either_alike(rollouts: Rollouts, spec: Spec) -> None:
    stored = (await rollouts.create(rollout(spec))).body["spec"]
    meant = ModelRolloutSpec.model_validate(spec)
    assert ModelRolloutSpec.model_validate(stored) == meant
    assert outside_lists(stored) == outside_lists(meant.to_wire())


async def test_null_is_as_good_as_left_out(rollouts: Rollouts) -> None:
    spec = small(promotion=None, stages=None, progressDeadline=None)
    stored = (await rollouts.create(rollout(spec))).body["spec"]
    assert ModelRolloutSpec.model_validate(stored) == ModelRolloutSpec.model_validate(small())


@THOROUGH
@given(spec=valid_specs)
async def test_any_valid_spec_is_accepted_and_read_back_as_it_was_meant(rollouts: Rollouts, spec: Spec) -> None:
    answer = await rollouts.tried(spec)
    assert answer.status == 201, answer.body
    meant = ModelRolloutSpec.model_validate(spec)
    assert ModelRolloutSpec.model_validate(answer.body["spec"]) == meant
    assert outside_lists(answer.body["spec"]) == outside_lists(meant.to_wire())


BORDERS: tuple[dict[str, Any], ...] = (
    *ROUTE_BORDERS,
    {"workload.template": GONE, "workload.workloadRef": workload_ref(apiVersion="apps/v1", kind="StatefulSet")},
    {"workload.template": GONE, "workload.workloadRef": workload_ref(name="a" * 254)},
    {"analysis.interval": "1000ms"},
    {"analysis.interval": "999ms"},
    {"analysis.interval": "2h"},
    {"analysis.interval": "2h0.001s"},
    {"analysis.falseRollbackRate": "50%"},
    {"analysis.falseRollbackRate": "50.01%"},
    {"analysis.falseRollbackRate": "0.5"},
    {"analysis.falseRollbackRate": "0.00"},
    {"analysis.stepDeadline": "5m"},
    {"analysis.stepDeadline": "299s"},
    {"analysis.readinessOnly": False},
    {"analysis": {"presets": [{"name": "http"}]}},
    {"analysis": {"templates": [{"name": "ours"}], "metrics": []}},
    {"analysis": {"presets": [], "readinessOnly": True}},
    {"analysis": {"presets": [{"name": "vllm", "arguments": {"maxFirstToken": "x" * 1024}}]}},
    {"analysis": {"presets": [{"name": "vllm", "arguments": {"maxFirstToken": "x" * 1025}}]}},
    {"analysis": {"templates": [{"name": f"t{number}"} for number in range(16)]}},
    {"analysis": {"templates": [{"name": f"t{number}"} for number in range(17)]}},
    {"analysis": {"templates": [{"name": "a.b-c"}, {"name": "a.b-c", "kind": "ClusterMetricTemplate"}]}},
    {"analysis": {"readinessOnly": True}},
    {"analysis": {"readinessOnly": True, "metrics": []}},
    {"traffic.port": 65535},
    {"traffic.port": 65536},
    {"traffic.service": {}, "traffic.gatewayAPI": GONE},
    {"traffic.gatewayAPI.hostnames": ["*.a-b.example"]},
    {"traffic.gatewayAPI.hostnames": ["a..b"]},
    {"traffic.gatewayAPI.hostnames": ["a\n"]},
    {"stages": [canary(*range(1, 33))]},
    {"stages": [canary(*range(1, 34))]},
    {"stages": [canary(100)]},
    {"stages": [canary(0, 1)]},
    {"stages": [canary(50, name=f"s{number}") for number in range(16)]},
    {"stages": [canary(50, name=f"s{number}") for number in range(17)]},
    {"stages": [canary(5, 25, name="a"), stepwise(25, 50, name="b")]},
    {"stages": [canary(5, 25, name="a"), stepwise(25, name="b"), canary(24, name="c")]},
    {"stages": [canary(5, 25, name="a"), canary(25, name="b"), canary(25, 26, name="c")]},
    {"stages": [canary(5, hold="2h")]},
    {"stages": [canary(5, hold="2h1ms")]},
    {"stages": [{"name": "a", "canary": {"steps": [{"weight": 5, "hold": "1s"}], "hold": "3h"}}]},
    {"stages": [stepwise(5, 5)]},
    {"model.version": "v" * 128},
    {"model.version": "v" * 129},
    {"model.uri": ""},
    {"progressDeadline": "1s"},
    {"progressDeadline": "9" * 6 + "s"},
    {"progressDeadline": "9" * 7 + "s"},
    {"promotion.bake": "0s"},
    {"promotion.keepOld": "1.0000000000001s"},
    {"promotion.keepOld": "99999d"},
    {"analysis.metrics": [metric(name=f"m{number}") for number in range(32)]},
    {"analysis.metrics": [metric(name=f"m{number}") for number in range(33)]},
    {"analysis.metrics": [metric(max="100%")]},
    {"analysis.metrics": [metric(max="1e0")]},
    {"analysis.metrics": [metric(max="100.001%")]},
    {"analysis.metrics": [metric(min="1%", max="1.0%")]},
    {"analysis.metrics": [metric(min="1%", max="0.0101")]},
    {"analysis.metrics": [metric(min="-0.0", max="1")]},
    {"analysis.metrics": [metric(tolerance={"absolute": "1.01"})]},
    {"analysis.metrics": [metric(tolerance={"relative": "500%"})]},
    {"analysis.metrics": [good_metric(tolerance={"relative": "99.999%"})]},
    {"analysis.metrics": [good_metric(tolerance={"relative": "1.0"})]},
    {"analysis.metrics": [value_metric(min="-1e99", max="1e99")]},
    {"analysis.metrics": [value_metric(min="1s", max="2s")]},
    {"analysis.metrics": [value_metric(value="up", tolerance=None, min="1")]},
    {"analysis.metrics": [value_metric(betterWhen="sideways")]},
    {"analysis.metrics": [histogram_metric(quantile=".5", max="1d")]},
    {"analysis.metrics": [histogram_metric(quantile="1.0")]},
    {"analysis.metrics": [histogram_metric(quantile="0.9999999")]},
    {"analysis.metrics": [metric(minSamples=0)]},
    {"analysis.metrics": [metric(minSamples=True)]},
)
MISTAKES = [broken.edits for broken in BROKEN]


async def agree(rollouts: Rollouts, spec: Spec) -> None:
    answer = await rollouts.tried(spec)
    assert answer.status in (201, 422), answer.body
    refusal = refusal_of(spec)
    assert (refusal is None) == (answer.status == 201), refusal or answer.body


@pytest.mark.parametrize("edits", BORDERS, ids=lambda edits: ",".join(edits))
async def test_both_voices_agree_at_a_border(rollouts: Rollouts, edits: dict[str, Any]) -> None:
    await agree(rollouts, edited(edits))


@settings(THOROUGH, max_examples=150)
@given(edits=st.lists(st.sampled_from([*BORDERS, *MISTAKES]), min_size=1, max_size=3))
async def test_both_voices_agree_whether_a_spec_is_valid(rollouts: Rollouts, edits: list[dict[str, Any]]) -> None:
    await agree(rollouts, edited({path: value for edit in edits for path, value in edit.items()}))


def refusal_of(spec: Spec) -> ValidationError | None:
    try:
        ModelRolloutSpec.model_validate(spec)
    except ValidationError as refusal:
        return refusal
    return None


STATUS = {
    "observedGeneration": 1,
    "phase": "Progressing",
    "message": "canary 25 %: errors within tolerance.",
    "stable": {"revision": "7d9f000000", "model": {"name": "fraud", "version": "11"}, "workload": "fraud-7d9f000000"},
    "candidate": {
        "revision": "b41c000000",
        "model": {"name": "fraud", "version": "12"},
        "workload": "fraud-b41c000000",
        "since": "2026-01-01T12:00:00Z",
    },
    "stage": {
        "index": 0,
        "name": "canary",
        "step": 1,
        "weight": 25,
        "entered": "2026-01-01T12:00:00Z",
        "since": "2026-01-01T12:00:05Z",
    },
    "verdicts": [
        {"metric": "errors", "verdict": "Pass", "candidate": "0.21%", "samples": 1812, "message": "Within tolerance."}
    ],
    "retired": [],
    "history": [],
    "rejected": [],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": "2026-01-01T12:00:00Z",
            "reason": "Serving",
            "message": "All is well.",
        }
    ],
}


async def with_status(rollouts: Rollouts, name: str, status: dict[str, Any]) -> Answer:
    made = (await rollouts.create(rollout(small(), name))).body
    return await rollouts.api.put(rollouts.path(name, "status"), {**made, "status": status})


async def test_a_status_is_kept_as_it_was_written(rollouts: Rollouts) -> None:
    """A difference would be a write in every pass."""
    wire = ModelRolloutStatus.model_validate(STATUS).to_wire()
    assert wire == STATUS
    answer = await with_status(rollouts, "kept", wire)
    assert answer.status == 200, answer.body
    assert answer.body["status"] == wire


async def test_a_rollout_that_nobody_has_looked_at_is_not_taken_for_done(rollouts: Rollouts) -> None:
    made = await rollouts.create({**rollout(small(), "unseen"), "status": {"phase": "Healthy"}})
    read = await rollouts.api.get(rollouts.path("unseen"))
    assert made.body["status"] == read.body["status"] == {"observedGeneration": 0}
    assert read.body["metadata"]["generation"] == 1


async def test_an_empty_status_stays_empty(rollouts: Rollouts) -> None:
    assert (await with_status(rollouts, "empty", {})).body["status"] == {}


async def test_a_newer_operator_may_say_what_this_definition_does_not_know(rollouts: Rollouts) -> None:
    answer = await with_status(rollouts, "newer", {**STATUS, "phase": "Shadowing", "shadow": {"agreement": "99%"}})
    assert answer.status == 200, answer.body
    assert answer.body["status"] == {**STATUS, "phase": "Shadowing"}


async def test_the_list_shows_where_each_rollout_stands(rollouts: Rollouts) -> None:
    await with_status(rollouts, "shown", STATUS)
    table = (await rollouts.api.get(rollouts.path(), accept=TABLE)).body
    names = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert names == ["Name", "Phase", "Stage", "Weight", "Stable", "Candidate", "Age"]
    cells = dict(zip([column["name"] for column in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True))
    assert (cells["Phase"], cells["Weight"], cells["Stable"], cells["Candidate"]) == ("Progressing", 25, "11", "12")
    assert cells["Message"] == "canary 25 %: errors within tolerance."


async def test_kubectl_applies_an_example_and_then_finds_nothing_to_do(rollouts: Rollouts, kubectl: Kubectl) -> None:
    for manifest in EXAMPLES.values():
        assert "created" in await kubectl("apply", "-f", "-", manifest=manifest)
        assert "unchanged" in await kubectl("apply", "-f", "-", manifest=manifest)
    assert len((await kubectl("get", "mro", "-o", "name")).split()) == len(EXAMPLES)


async def test_kubectl_tells_of_a_typing_error(rollouts: Rollouts, kubectl: Kubectl) -> None:
    told = await kubectl("apply", "-f", "-", manifest=rollout(small(promotions={})), fails=True)
    assert 'unknown field "spec.promotions"' in told


async def test_kubectl_explains_the_analysis(rollouts: Rollouts, kubectl: Kubectl) -> None:
    told = " ".join((await kubectl("explain", "mro.spec.analysis")).split())
    assert "How the candidate is judged." in told
    assert "Time between two looks at the metrics; 1s at least. Default: 15s." in told
    assert "<no description>" not in told
