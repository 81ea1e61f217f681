"""Conditions as kubectl wait, Argo CD and Flux read them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelrollout.api.status import Condition, EvidenceStatus, ModelRolloutStatus, Phase, UsualMetric
from modelrollout.kube import Refused
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.plan.conditions import sensitivity
from tests.fakes.cluster import merged
from tests.fakes.town import Town, releasing


def truths(town: Town) -> dict[str, str]:
    return {condition.type: condition.status for condition in town.status.conditions}


def reason(town: Town, type_: str) -> str:
    return next(condition.reason for condition in town.status.conditions if condition.type == type_)


def healthy() -> Town:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    return town


def progressing() -> Town:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=40)
    return town


def rolled_back() -> Town:
    town = releasing()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    town.run(minutes=1)
    return town


def installing() -> Town:
    town = Town()
    town.cluster.broken = {"1"}
    town.wish("1")
    town.run(seconds=30)
    return town


def invalid() -> Town:
    town = progressing()
    town.wish("2", stages=[])
    town.run(seconds=10)
    return town


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (installing, {"Ready": "False", "Progressing": "True", "Healthy": "Unknown"}),
        (healthy, {"Ready": "True", "Progressing": "False", "Healthy": "True"}),
        (
            progressing,
            {
                "Ready": "False",
                "Progressing": "True",
                "Healthy": "True",
                "AnalysisAvailable": "True",
                "Sensitive": "False",
            },
        ),
        (rolled_back, {"Ready": "False", "Progressing": "False", "Healthy": "True", "Stalled": "True"}),
        (invalid, {"Ready": "False", "Progressing": "False", "Healthy": "True", "Stalled": "True"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_conditions_of_a_rollout_that_is(made: Callable[[], Town], expected: dict[str, str]) -> None:
    assert truths(made()) == expected


def test_stable_version_without_enough_ready_pods_is_not_healthy_and_not_ready() -> None:
    town = healthy()
    town.cluster.limping = {"2": 3}
    town.run(seconds=10)
    assert (truths(town)["Ready"], reason(town, "Healthy")) == ("False", "StableNotReady")
    assert "too few" in next(c.message for c in town.status.conditions if c.type == "Ready")


def test_stable_version_whose_workload_was_deleted_is_missed() -> None:
    town = progressing()
    town.cluster.objects.pop(("deployments", "ml", f"fraud-{town.old}"))
    town.run(seconds=20)
    assert (truths(town)["Healthy"], reason(town, "Healthy")) == ("False", "StableMissing")


def test_route_that_no_gateway_takes_is_told_in_the_gateways_words() -> None:
    town = healthy()
    refusal = {
        "type": "Accepted",
        "status": "False",
        "observedGeneration": 99,
        "reason": "NoHost",
        "message": "no host",
    }
    parents = [{"parentRef": {"name": "inference-gateway"}, "conditions": [refusal]}]
    town.cluster.put(merged(town.cluster.get(HTTP_ROUTES, "fraud"), {"status": {"parents": parents}}))
    town.run(seconds=10)
    assert (truths(town)["Ready"], reason(town, "Ready")) == ("False", "RouteNotAccepted")


def test_write_that_is_refused_is_told_and_ready_is_not_said_meanwhile() -> None:
    town = healthy()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "deployments"):
            raise Refused(422, "spec.replicas: too many", "deployments/fraud")

    town.cluster.hook = refuse
    template = town.manifest["spec"]["workload"]["template"]
    town.wish("2", workload={"template": merged(template, {"spec": {"replicas": 6}})})
    town.run(seconds=30)
    assert (truths(town)["Ready"], truths(town)["Applied"], reason(town, "Applied")) == ("False", "False", "Refused")


def test_time_of_a_condition_moves_with_its_truth_alone() -> None:
    town = progressing()
    before = {condition.type: condition for condition in town.status.conditions}
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    after = {condition.type: condition for condition in town.status.conditions}
    assert after["Healthy"].last_transition_time == before["Healthy"].last_transition_time
    assert after["Ready"].last_transition_time > before["Ready"].last_transition_time


def test_every_condition_says_which_generation_it_is_about() -> None:
    town = progressing()
    town.wish("2", promotion={"bake": "3m"})
    town.run(seconds=20)
    conditions: tuple[Condition, ...] = town.status.conditions
    assert {condition.observed_generation for condition in conditions} == {town.manifest["metadata"]["generation"]}
    assert town.status.observed_generation == town.manifest["metadata"]["generation"]


def test_a_metric_that_sees_nothing_for_want_of_a_history_is_told_of_as_such() -> None:
    usual = UsualMetric(metric="drift", mode="Assumed", basis="", is_blind=True, note="an hour of history is needed")
    seen = sensitivity(ModelRolloutStatus(evidence=EvidenceStatus(usual=(usual,))))
    assert seen is not None
    assert (seen[0], seen[1].reason) == ("False", "PlanSeesLittle")
    assert seen[1].message == "(drift: an hour of history is needed)."
