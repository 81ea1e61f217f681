"""The metrics that stages bring which compare answers."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.rollout.agreement_metrics import judged_at, with_agreement_metrics
from tests import builders


def read(*stages: dict[str, Any], **changes: Any) -> ModelRolloutSpec | Finding:
    return with_agreement_metrics(ModelRolloutSpec.model_validate(builders.spec(stages=[*stages], **changes)))


def comparing(name: str = "shadow", least: str = "98%") -> dict[str, Any]:
    return builders.shadow(name, compare={"minAgreement": least})


def spec_of(*stages: dict[str, Any], **changes: Any) -> ModelRolloutSpec:
    spec = read(*stages, **changes)
    assert isinstance(spec, ModelRolloutSpec), spec
    return spec


@pytest.mark.parametrize(("least", "most"), [("98%", "2%"), ("0.995", "0.5%"), ("100%", "0%"), ("1%", "99%")])
def test_what_agreement_leaves_is_the_limit_of_disagreement(least: str, most: str) -> None:
    (_, agreement) = spec_of(comparing(least=least)).analysis.metrics
    assert (agreement.name, agreement.max) == ("shadow-agreement", most)


def test_a_stage_without_a_comparison_brings_nothing() -> None:
    spec = spec_of(builders.shadow(), builders.canary(50))
    assert [metric.name for metric in spec.analysis.metrics] == ["errors"]
    assert judged_at(spec, 0) is None


def test_each_metric_decides_at_its_own_stage() -> None:
    spec = spec_of(comparing("first"), comparing("second"), builders.canary(50))
    found = [judged_at(spec, index) for index in range(4)]
    assert found == [{"errors", "first-agreement"}, {"errors", "second-agreement"}, {"errors"}, {"errors"}]


def test_a_long_name_of_a_stage_is_cut() -> None:
    (_, agreement) = spec_of(comparing("a" * 63)).analysis.metrics
    assert agreement.name == "a" * 53 + "-agreement"


def test_two_stages_whose_metrics_would_have_one_name_are_refused() -> None:
    found = read(comparing("a" * 62), comparing("a" * 63))
    assert isinstance(found, Finding)
    assert "rename yours, or the stage" in found.message


def test_readiness_alone_decides_where_nothing_is_compared() -> None:
    spec = spec_of(comparing(), builders.canary(50), analysis={"readinessOnly": True})
    assert [judged_at(spec, index) for index in range(2)] == [None, frozenset()]
