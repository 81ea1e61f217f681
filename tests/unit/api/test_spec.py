"""Specs as pydantic reads them: the operator's own voice, for when the API server had none."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase as Generation
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from modelrollout.api.crd import structural
from modelrollout.api.errors import MOST_SENTENCES, name_error, spec_error
from modelrollout.api.spec import ModelRolloutSpec, Promotion
from modelrollout.api.stages import Canary, CanaryStep, default_stages
from modelrollout.api.status import QUERY_REJECTED, ModelRolloutStatus, Phase, StageStatus
from modelrollout.api.workload import Workload, WorkloadRef
from tests.broken import Broken
from tests.broken_specs import BROKEN, ONLY_THE_OPERATOR
from tests.builders import Spec, canary, edited, metric, small, stepwise, workload_ref
from tests.places import ROOT
from tests.valid_compares import compares
from tests.valid_routes import routers
from tests.valid_specs import stages_of_specs, valid_specs

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def refusal(spec: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        ModelRolloutSpec.model_validate(spec)
    return spec_error(refused.value)


@pytest.mark.parametrize("broken", [*BROKEN, *ONLY_THE_OPERATOR], ids=lambda broken: broken.mistake)
def test_a_mistake_is_told_with_its_field_and_mend(broken: Broken) -> None:
    told = refusal(edited(broken.edits))
    assert re.match(rf"{re.escape(broken.path)}(?![\w.\[])", told), told
    assert broken.sentence in told


def test_the_value_stands_beside_the_field() -> None:
    told = refusal(small(stages=[canary(5, 3)]))
    assert told == (
        "spec.stages[0].canary.weights is [5, 3]: weights must rise from one to the next, such as [5, 25, 50, 100]"
    )


def test_a_metric_is_named_as_well_as_counted() -> None:
    assert refusal(small(analysis={"metrics": [metric(name="errors", max="2")]})).startswith(
        "spec.analysis.metrics[0] (errors): a ratio lies between 0% and 100%"
    )


def test_a_long_value_is_left_out() -> None:
    told = refusal(edited({"analysis.prometheus": {"url": "x" * 200}}))
    assert told.startswith("spec.analysis.prometheus.url: this is not an address")


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        (
            {"stages": [canary(5, wieghts=[5])]},
            "spec.stages[0].canary.wieghts is not a known field: did you mean weights?",
        ),
        ({"traffic.gatewayApi": {}}, "spec.traffic.gatewayApi is not a known field: did you mean gatewayAPI?"),
        ({"promotions": {}}, "spec.promotions is not a known field: did you mean promotion?"),
        (
            {"promotion": {"undo": True}},
            "spec.promotion.undo is not a known field: remove it; known here: bake, keepOld",
        ),
        (
            {"traffic.gatewayAPI": None, "traffic.service": {"x": 1}},
            "spec.traffic.service.x is not a known field: remove it",
        ),
    ],
)
def test_an_unknown_field_is_refused_with_what_may_have_been_meant(edits: dict[str, Any], told: str) -> None:
    assert refusal(edited(edits)) == told


def test_no_more_errors_are_told_than_one_reads() -> None:
    told = refusal({})
    assert told.count("is missing") == MOST_SENTENCES
    assert told.endswith("; and 1 more")


@pytest.mark.parametrize("spec", [None, [], "text", 12])
def test_a_spec_that_is_no_block_of_fields_is_told_so(spec: Any) -> None:
    assert refusal(spec).endswith("this must be a block of fields")


@pytest.mark.parametrize("name", ["fraud", "f", "a-1", "a" * 46])
def test_a_name_that_services_can_carry_is_fine(name: str) -> None:
    assert name_error(name) is None


@pytest.mark.parametrize("name", ["a" * 47, "1st", "a.b", "-a", "a-", "A", "", "fraud\n"])
def test_a_name_that_no_service_could_carry_is_refused(name: str) -> None:
    assert "at most 46 characters: Services and pods are named after it" in str(name_error(name))


def test_what_is_left_out_has_its_default() -> None:
    spec = ModelRolloutSpec.model_validate(small())
    assert spec.stages == default_stages()
    assert [step.weight for step in spec.stages[0].canary.all_steps] == [5, 25, 50, 100]
    assert spec.promotion == Promotion(bake="30m", keep_old="1h")
    assert spec.analysis.interval.timedelta == timedelta(seconds=15)
    assert spec.analysis.false_rollback_rate.value == 0.01


def test_defaults_keep_the_rules_themselves() -> None:
    spec = ModelRolloutSpec.model_validate(small())
    assert ModelRolloutSpec.model_validate(spec.to_wire()) == spec


def test_steps_are_the_same_however_they_are_written() -> None:
    weights = ModelRolloutSpec.model_validate(small(stages=[canary(5, 50)])).stages[0]
    assert weights.canary.all_steps == (CanaryStep(weight=5), CanaryStep(weight=50))


@pytest.mark.parametrize(
    "stages",
    [
        [canary(5, 50, name="a"), stepwise(25, 100, name="b")],
        [canary(50, 100, name="a"), canary(5, 25, name="b")],
        [canary(5, 25, name="a"), canary(5, 25, name="b")],
        [canary(5, 25, name="a"), canary(25, 50, name="b")],
    ],
)
def test_stages_may_come_in_any_order(stages: list[Spec]) -> None:
    assert [stage.to_wire()["name"] for stage in ModelRolloutSpec.model_validate(small(stages=stages)).stages] == [
        "a",
        "b",
    ]


def test_a_stage_does_what_is_set() -> None:
    [stage] = ModelRolloutSpec.model_validate(small(stages=[canary(5, 25)])).stages
    assert stage.kind == Canary(weights=(5, 25))


def test_a_workload_that_is_there_already_is_kept_unless_said_otherwise() -> None:
    spec = ModelRolloutSpec.model_validate(small(workload={"workloadRef": workload_ref()}))
    assert spec.workload == Workload(workload_ref=WorkloadRef(kind="Deployment", name="fraud", when_managed="Keep"))


def test_a_long_hold_needs_no_deadline_where_no_evidence_is_awaited() -> None:
    spec = small(stages=[canary(5, hold="3d")], analysis={"readinessOnly": True})
    assert ModelRolloutSpec.model_validate(spec).stages[0].canary.hold == "3d"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid(path: Path) -> None:
    manifest = yaml.safe_load(path.read_text())
    ModelRolloutSpec.model_validate(manifest["spec"])
    assert name_error(manifest["metadata"]["name"]) is None


@settings(deadline=None)
@given(valid_specs)
def test_a_spec_comes_back_as_it_was_written(spec: Spec) -> None:
    parsed = ModelRolloutSpec.model_validate(spec)
    assert ModelRolloutSpec.model_validate(parsed.to_wire()) == parsed
    assert _covers(parsed.to_wire(), spec)


def test_the_valid_specs_of_these_tests_use_every_field_there_is() -> None:
    """Or a field that is added later would be tested by nobody."""
    # Routes, stages and comparisons have more fields than all the rest: whole specs alone would have to be many.
    parts = {
        ".traffic": routers.map(lambda router: {"traffic": router}),
        ".stages": stages_of_specs().map(lambda stages: {"stages": stages}),
        ".stages.": compares.map(
            lambda one: {"stages": [{"shadow": {"compare": one}, "blueGreen": {"mirror": {"compare": one}}}]}
        ),
        "": valid_specs,
    }
    left = set(_paths(structural(ModelRolloutSpec)))
    for number in range(1, 25):
        for root, part in parts.items():
            if any(path.startswith(root) if root else not path.startswith((".traffic", ".stages")) for path in left):
                left -= _used_by(part, number)
    assert left == set()


def test_status_fields_of_a_newer_operator_are_ignored() -> None:
    status = ModelRolloutStatus.model_validate(
        {"phase": "Healthy", "shadow": {"agreement": "99%"}, "stable": {**_ARM, "warmth": "hot"}}
    )
    assert status.phase is Phase.HEALTHY
    assert status.to_wire()["stable"] == _ARM


def test_a_mirror_and_who_asks_are_told_where_there_are_any() -> None:
    stage = {"index": 0, "name": "a", "step": 0, "weight": 0, "entered": _NOON, "since": _NOON}
    assert StageStatus.model_validate(stage).to_wire() == stage
    shadow = {**stage, "mirror": 10, "asked": ["x-audience=beta"]}
    assert StageStatus.model_validate(shadow).to_wire() == shadow


def test_a_verdict_written_before_there_were_reasons_is_read_with_its_reason() -> None:
    told = {"metric": "errors", "verdict": "NoData", "message": "errors asks wrongly: bad has to be a part of total."}
    seen = {"metric": "errors", "verdict": "NoData", "message": "errors: total has no samples of the candidate."}
    status = ModelRolloutStatus.model_validate({"verdicts": [told, seen]})
    assert [verdict.reason for verdict in status.verdicts] == [QUERY_REJECTED, None]


def test_what_is_unknown_in_a_status_is_absent_and_never_null() -> None:
    assert ModelRolloutStatus(phase=Phase.PENDING).to_wire() == {
        "phase": "Pending",
        "verdicts": [],
        "retired": [],
        "history": [],
        "rejected": [],
        "conditions": [],
    }


_NOON = "2026-01-01T12:00:00Z"
_ARM = {"revision": "0123456789", "model": {"name": "fraud", "version": "12"}, "workload": "fraud-0123456789"}


def _covers(whole: Any, part: Any) -> bool:
    """Whether all that is in `part` is in `whole`."""
    if isinstance(part, dict):
        return all(key in whole and _covers(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_covers, whole, part))
    return bool(whole == part)


def _paths(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _paths(field.get("items", field), f"{path}.{name}")


def _used_by(specs: st.SearchStrategy[Spec], number: int) -> set[str]:
    used: set[str] = set()

    @seed(number)
    @settings(deadline=None, database=None, derandomize=False, max_examples=50, phases=[Generation.generate])
    @given(specs)
    def collect(spec: Spec) -> None:
        used.update(_paths_of(spec))

    collect()
    return used


def _paths_of(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return {found for item in value for found in _paths_of(item, path)}
    if not isinstance(value, dict):
        return {path}
    return {path}.union(*(_paths_of(item, f"{path}.{name}") for name, item in value.items()))
