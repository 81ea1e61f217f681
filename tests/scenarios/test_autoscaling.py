"""An autoscaler and a disruption budget for each version: made with it, sized by what it has to carry, gone with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Failed, KubeError, Refused, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    POD_DISRUPTION_BUDGETS,
    SCALED_OBJECTS,
    Resource,
)
from modelrollout.workloads.companions import COMPANIONS
from tests import builders
from tests.fakes.cluster import Killed, merged
from tests.fakes.town import Town
from tests.fakes.witness import Witness

HPA = {"minReplicas": 2, "maxReplicas": 20, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}
BUDGET = {"maxUnavailable": "25%"}
SOON: dict[str, Any] = {
    "stages": [builders.canary(50, hold="30s")],
    "promotion": {"bake": "30s", "keepOld": "10s"},
}
"""A release that takes two minutes."""


def workload(version: str, **beside: Any) -> dict[str, Manifest]:
    template = builders.spec(version)["workload"]["template"]
    del template["spec"]["replicas"]
    return {"workload": {"template": template, **beside}}


def scaled(version: str, **hpa: Any) -> dict[str, Manifest]:
    return workload(version, autoscaling={"horizontalPodAutoscaler": {**HPA, **hpa}}, podDisruptionBudget=BUDGET)


def numbered(version: str, replicas: int) -> dict[str, Manifest]:
    template = builders.spec(version)["workload"]["template"]
    return {"workload": {"template": merged(template, {"spec": {"replicas": replicas}})}}


def scale(town: Town, revision: str, replicas: int) -> None:
    town.cluster.scale(DEPLOYMENTS, f"fraud-{revision}", replicas)


def crowded(**changes: Any) -> Town:
    """Version 1 has been scaled to ten pods, and version 2 has just been applied."""
    town = Town()
    town.old = town.wish("1", **scaled("1"), **changes)
    town.go(Phase.HEALTHY, minutes=2)
    scale(town, town.old, 10)
    town.run(seconds=10)
    town.new = town.wish("2", **scaled("2"), **changes)
    return town


def fewest(town: Town, revision: str) -> int | None:
    found = town.cluster.get(HORIZONTAL_POD_AUTOSCALERS, f"fraud-{revision}")
    return found["spec"]["minReplicas"] if found is not None else None


def replicas(town: Town, revision: str) -> int:
    found = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    assert found is not None
    return int(found["spec"]["replicas"])


def names(town: Town, resource: Resource) -> list[str]:
    return [one["metadata"]["name"] for one in town.cluster.all(resource)]


def test_each_version_has_its_own_and_they_go_with_it() -> None:
    town = crowded(**SOON)
    town.go(Phase.PROGRESSING, 50)
    both = sorted([f"fraud-{town.old}", f"fraud-{town.new}"])
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == names(town, POD_DISRUPTION_BUDGETS) == both
    for revision in (town.old, town.new):
        scaler = town.cluster.get(HORIZONTAL_POD_AUTOSCALERS, f"fraud-{revision}")
        budget = town.cluster.get(POD_DISRUPTION_BUDGETS, f"fraud-{revision}")
        deployment = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
        assert scaler is not None
        assert budget is not None
        assert deployment is not None
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"fraud-{revision}"}
        assert (scaler["spec"]["scaleTargetRef"], scaler["spec"]["behavior"]) == (target, HPA["behavior"])
        assert budget["spec"] == {**BUDGET, "selector": deployment["spec"]["selector"]}
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == names(town, POD_DISRUPTION_BUDGETS) == [f"fraud-{town.new}"]


def test_neither_is_scaled_below_what_its_users_may_need() -> None:
    town = crowded()
    assert fewest(town, town.old) == 2
    seen: dict[float, tuple[int | None, int | None]] = {}
    town.cluster.witnesses.append(
        lambda *_: seen.setdefault(town.share(town.new), (fewest(town, town.old), fewest(town, town.new)))
    )
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert {share: seen[share] for share in (5, 25, 50, 100)} == {5: (10, 2), 25: (10, 3), 50: (10, 5), 100: (10, 10)}
    assert fewest(town, town.new) == 2


def test_the_floor_is_never_above_the_most_that_is_allowed() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 50)
    town.wish("2", **scaled("2", maxReplicas=4))
    town.run(seconds=10)
    assert (fewest(town, town.old), fewest(town, town.new)) == (4, 4)


def test_an_edit_is_no_new_version_and_counts_for_both() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 5)
    assert town.wish("2", **scaled("2", maxReplicas=30)) == town.new
    town.run(seconds=10)
    found = town.cluster.all(HORIZONTAL_POD_AUTOSCALERS)
    assert [one["spec"]["maxReplicas"] for one in found] == [30, 30]


def test_what_a_spec_no_longer_has_is_taken_away_at_once() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 5)
    town.wish("2", **workload("2"))
    town.run(seconds=10)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == names(town, POD_DISRUPTION_BUDGETS) == []
    town.go(Phase.HEALTHY)


def test_those_of_a_version_that_was_given_up_stay_while_it_serves_for_want_of_anybody_else() -> None:
    town = crowded(**SOON)
    town.go(Phase.BAKING)
    town.cluster.broken = {"1"}
    town.run(seconds=5)
    town.wish("1", **scaled("1"), **SOON)
    town.run(minutes=2)
    both = sorted([f"fraud-{town.old}", f"fraud-{town.new}"])
    assert (town.status.candidate, town.share(town.new)) == (None, 100)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == names(town, POD_DISRUPTION_BUDGETS) == both
    town.cluster.broken = set()
    town.run(minutes=2)
    assert town.share(town.old) == 100
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == names(town, POD_DISRUPTION_BUDGETS) == [f"fraud-{town.old}"]


def test_those_of_a_rejected_version_go_with_it_and_stables_are_as_their_author_wrote_them() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 25)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    town.run(minutes=6)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == [f"fraud-{town.old}"]
    assert fewest(town, town.old) == 2


def test_an_operator_that_dies_before_and_after_each_write_of_them_ends_as_one_that_lives() -> None:
    def ended(town: Town) -> list[Any]:
        town.go(Phase.HEALTHY)
        town.run(minutes=1)
        kinds = (HORIZONTAL_POD_AUTOSCALERS, POD_DISRUPTION_BUDGETS)
        return [(one["metadata"]["name"], one["spec"]) for kind in kinds for one in town.cluster.all(kind)]

    town, deaths = crowded(**SOON), set[Any]()

    def die_once(moment: str, verb: str, plural: str, name: str) -> None:
        is_theirs = plural in (HORIZONTAL_POD_AUTOSCALERS.plural, POD_DISRUPTION_BUDGETS.plural)
        when = (moment, verb, plural, name, town.phase, town.share(town.new))
        if is_theirs and verb in ("apply", "delete") and when not in deaths:
            deaths.add(when)
            raise Killed

    town.cluster.hook = die_once
    witness = Witness(town)
    assert ended(town) == ended(crowded(**SOON))
    assert {(moment, verb) for moment, verb, *_ in deaths} == {
        (moment, verb) for moment in ("before", "after") for verb in ("apply", "delete")
    }
    assert [shares.get(town.new, 0) for shares in witness.history] == sorted(
        shares.get(town.new, 0) for shares in witness.history
    )


def test_keda_may_be_the_one_that_scales() -> None:
    town, keda = Town(), {"scaledObject": {"triggers": [{"type": "prometheus"}], "idleReplicaCount": 0}}
    town.old = town.wish("1", **workload("1", autoscaling=keda))
    town.go(Phase.HEALTHY, minutes=2)
    (before,) = town.cluster.all(SCALED_OBJECTS)
    assert before["spec"]["idleReplicaCount"] == 0
    town.new = town.wish("2", **workload("2", autoscaling=keda))
    town.go(Phase.PROGRESSING, 5)
    found = town.cluster.all(SCALED_OBJECTS)
    assert [one["spec"].get("minReplicaCount") for one in found] == [1, 1]
    assert all("idleReplicaCount" not in one["spec"] for one in found)
    town.go(Phase.HEALTHY)


def test_an_autoscaler_that_may_not_be_written_stops_nobody_and_is_told() -> None:
    town = crowded()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", HORIZONTAL_POD_AUTOSCALERS.plural):
            raise Refused(403, "horizontalpodautoscalers is forbidden", name)

    town.cluster.hook = refuse
    town.run(minutes=1)
    assert town.condition("Applied") == "False"
    town.go(Phase.PROGRESSING, 100)


def test_an_autoscaler_that_the_api_server_does_not_take_is_told_before_the_release_begins() -> None:
    town = crowded()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "rehearse", HORIZONTAL_POD_AUTOSCALERS.plural):
            raise Refused(422, "spec.metrics[0].type: Required value", name)

    town.cluster.hook = refuse
    town.run(minutes=1)
    assert (town.phase, town.status.candidate) == (Phase.HEALTHY, None)
    said = f"HorizontalPodAutoscaler 'fraud-{town.new}': spec.metrics[0].type: Required value (422)."
    assert town.status.message == f"The API server refuses {said} It is made from spec.workload."
    town.cluster.hook = lambda *_: None
    town.go(Phase.HEALTHY)


def test_an_operator_that_may_not_even_see_autoscalers_serves_all_who_have_none() -> None:
    town = Town()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "list" and plural in (HORIZONTAL_POD_AUTOSCALERS.plural, POD_DISRUPTION_BUDGETS.plural):
            raise Refused(403, f"{plural} is forbidden", name)

    town.cluster.hook = refuse
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)


def test_a_number_of_pods_beside_an_autoscaler_is_refused() -> None:
    town = Town()
    both = builders.spec("1")["workload"] | {"autoscaling": {"horizontalPodAutoscaler": HPA}}
    town.wish("1", workload=both)
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert str(town.status.message).startswith("spec.workload.template.spec.replicas must be left out where")


def test_a_number_that_somebody_elses_autoscaler_sets_is_left_to_it_and_told() -> None:
    town = Town()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    scale(town, town.old, 7)
    town.run(minutes=1)
    deployment = town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}")
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 7
    (told,) = (one for one in town.status.conditions if one.type == "ScaledByOthers")
    assert told.message == (
        f"Deployment 'fraud-{town.old}' is scaled by kube-controller-manager: its number of pods is left to it and "
        "spec.workload.template.spec.replicas (4) does not count. An autoscaler made for this name stays behind at the "
        "next release: declare it in spec.workload.autoscaling, and each version has one of its own."
    )
    town.new = town.wish("2")
    town.go(Phase.HEALTHY)
    assert town.condition("ScaledByOthers") is None


def scaled_from_a_number() -> Town:
    """Version 1 had a number of pods in its spec, and was given an autoscaler, which has set another since."""
    town = Town()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    scale(town, town.old, 10)
    town.wish("1", **scaled("1"))
    town.run(seconds=10)
    return town


def test_a_version_keeps_its_pods_when_their_number_leaves_the_spec_until_its_autoscaler_sets_another() -> None:
    town = Town()
    town.old = town.wish("1", **numbered("1", 10))
    town.go(Phase.HEALTHY, minutes=2)
    assert town.wish("1", **scaled("1")) == town.old
    town.run(seconds=10)
    assert replicas(town, town.old) == 10
    writes = town.cluster.writes
    town.run(minutes=5)
    assert town.cluster.writes == writes
    scale(town, town.old, 4)
    town.run(minutes=1)
    assert (replicas(town, town.old), town.condition("ScaledByOthers")) == (4, None)


@pytest.mark.parametrize("number", [6, 10], ids=["another", "the same"])
def test_the_number_of_the_spec_counts_again_once_our_own_autoscaler_is_no_longer_asked_for(number: int) -> None:
    town = scaled_from_a_number()
    assert town.wish("1", **numbered("1", number)) == town.old
    town.run(minutes=1)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == []
    assert (replicas(town, town.old), town.condition("ScaledByOthers")) == (number, None)
    town.wish("1", **numbered("1", 5))
    town.run(seconds=10)
    assert replicas(town, town.old) == 5


def test_the_number_of_the_spec_counts_for_both_versions_once_our_own_autoscalers_are_gone() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 50)
    scale(town, town.new, 7)
    town.wish("2", **numbered("2", 6))
    town.run(minutes=1)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == []
    assert (replicas(town, town.old), replicas(town, town.new)) == (6, 6)
    town.go(Phase.HEALTHY)
    town.wish("2", **numbered("2", 5))
    town.run(seconds=10)
    assert (replicas(town, town.new), town.condition("ScaledByOthers")) == (5, None)


def test_an_autoscaler_stays_until_the_number_of_the_spec_could_be_written() -> None:
    town = scaled_from_a_number()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", DEPLOYMENTS.plural):
            raise Refused(403, "deployments is forbidden", name)

    town.cluster.hook = refuse
    town.wish("1", **numbered("1", 6))
    town.run(minutes=1)
    assert names(town, HORIZONTAL_POD_AUTOSCALERS) == [f"fraud-{town.old}"]
    town.cluster.hook = lambda *_: None
    town.run(minutes=2)
    assert (replicas(town, town.old), names(town, HORIZONTAL_POD_AUTOSCALERS)) == (6, [])


def test_stable_keeps_its_floor_until_its_autoscaler_has_seen_its_users_again() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 25)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    back = town.now
    scale(town, town.old, 12)  # its users ask for more, which is no reason to keep more than it had
    town.restart()
    town.run(seconds=250)
    assert (town.share(town.old), fewest(town, town.old)) == (100, 10)
    town.run(until=lambda town: fewest(town, town.old) == 2, minutes=2)
    assert timedelta(minutes=4, seconds=59) <= town.now - back <= timedelta(minutes=5, seconds=5)


@pytest.mark.parametrize("next_version", ["1", "3"], ids=["cancelled", "superseded"])
def test_stable_keeps_its_floor_when_its_users_come_back_by_an_edit(next_version: str) -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 50)
    town.cluster.broken = {"3"}
    town.wish(next_version, **scaled(next_version))
    town.run(until=lambda town: town.status.history[0].revision == town.new, seconds=30)
    town.run(minutes=4)
    assert (town.share(town.old), fewest(town, town.old)) == (100, 10)
    town.run(minutes=2)
    assert fewest(town, town.old) == 2


def test_stables_floor_is_what_it_had_when_a_step_began_and_no_ratchet() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 25)
    scale(town, town.old, 14)
    town.run(seconds=30)
    assert fewest(town, town.old) == 10


def test_an_autoscaler_gives_way_before_the_one_that_takes_its_place() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 25)
    town.cluster.log.clear()
    keda = {"scaledObject": {"triggers": [{"type": "prometheus"}]}}
    town.wish("2", **workload("2", autoscaling=keda, podDisruptionBudget=BUDGET))
    town.run(seconds=10)
    kinds = (HORIZONTAL_POD_AUTOSCALERS.plural, SCALED_OBJECTS.plural)
    log = [(verb, plural) for verb, plural, _ in town.cluster.log if plural in kinds]
    assert log == [("delete", kinds[0])] * 2 + [("apply", kinds[1])] * 2
    assert names(town, SCALED_OBJECTS) == sorted([f"fraud-{town.old}", f"fraud-{town.new}"])


@pytest.mark.parametrize(
    "trouble",
    [Refused(403, "forbidden", "x"), Failed(500, "no kind is registered", "x"), Unreachable("timed out")],
    ids=lambda trouble: type(trouble).__name__,
)
@pytest.mark.parametrize("plural", [kind.plural for kind in COMPANIONS])
def test_traffic_is_taken_back_whatever_the_api_server_says_to_a_list_of_autoscalers(
    trouble: KubeError, plural: str
) -> None:
    town = crowded(**SOON)
    town.go(Phase.PROGRESSING, 50)

    def fail(moment: str, verb: str, kind: str, name: str) -> None:
        if verb == "list" and kind == plural:
            raise trouble

    town.cluster.hook = fail
    town.cluster.log.clear()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    town.run(minutes=1)
    assert (town.share(town.old), town.troubles) == (100, [])
    assert [write for write in town.cluster.log if write[1] == plural] == []


def test_an_autoscaler_that_may_not_be_seen_is_told_and_not_written_for_ever() -> None:
    town = Town()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "list" and plural == HORIZONTAL_POD_AUTOSCALERS.plural:
            raise Refused(403, f"{plural} is forbidden", "/apis/autoscaling/v2")

    town.cluster.hook = refuse
    town.old = town.wish("1", **scaled("1"))
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=2)
    assert [verb for verb, plural, _ in town.cluster.log if plural == HORIZONTAL_POD_AUTOSCALERS.plural] == []
    (told,) = (one for one in town.status.conditions if one.type == "Applied")
    assert told.message == (
        "HorizontalPodAutoscalers cannot be listed: /apis/autoscaling/v2: horizontalpodautoscalers is forbidden (403). "
        "Those of spec.workload are neither made nor changed."
    )
    town.cluster.hook = lambda *_: None
    town.run(minutes=6)
    assert (names(town, HORIZONTAL_POD_AUTOSCALERS), town.condition("Applied")) == ([f"fraud-{town.old}"], None)
