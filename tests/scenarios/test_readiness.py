"""What happens to a release when pods come, go, and are counted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.cluster import Killed, merged
from tests.fakes.town import NOON, Town, releasing


def dying_before_the_route_is_written(town: Town) -> None:
    """The operator dies between saving a step and acting on it."""

    def die(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            raise Killed

    town.cluster.hook = die


def test_stable_that_is_not_ready_never_gives_the_candidate_more() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    dying_before_the_route_is_written(town)
    town.run(until=lambda town: town.restarts == 1, minutes=5)
    assert town.status.stage.weight == 25
    town.cluster.limping = {"1": 2}
    town.run(minutes=5)
    assert town.share(town.new) == 5
    assert "the stable version is not ready" in town.status.message
    town.cluster.limping = {}
    town.run(seconds=10)
    assert town.share(town.new) == 25


def test_candidate_of_a_stable_that_is_not_ready_keeps_what_it_has() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.cluster.limping = {"1": 2}
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 25)
    assert town.condition("Healthy") == "False"


def test_candidate_that_baked_gets_its_traffic_back_although_the_old_version_is_gone() -> None:
    """There is nobody else left who could serve."""
    town = releasing()
    town.go(Phase.BAKING, 100)
    town.cluster.broken = {"1", "2"}
    town.run(seconds=10)
    assert town.share(town.new) == 0
    town.cluster.broken = {"1"}
    town.run(seconds=10)
    assert town.share(town.new) == 100


def test_weight_that_waits_for_pods_says_how_many_are_ready() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    town.cluster.limping = {"2": 1}
    town.run(minutes=3)
    assert (town.status.stage.weight, town.share(town.new)) == (25, 5)
    assert "3 of 4 are" in town.status.message
    town.cluster.limping = {}
    town.run(seconds=10)
    assert town.share(town.new) == 25
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}")["status"]["readyReplicas"] == 4


def test_candidate_is_judged_on_the_traffic_it_has_while_more_pods_are_starting() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    town.cluster.limping = {"2": 1}
    town.run(minutes=3)
    assert (town.status.stage.weight, town.share(town.new)) == (25, 5)
    town.metrics.bad = {"2": 0.5}
    town.run(minutes=1)
    assert town.share(town.new) == 0
    assert town.status.rejected[0].reason == "MetricFailed"


def test_evidence_from_before_the_weight_was_in_force_does_not_end_the_step() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    town.cluster.limping = {"2": 1}
    town.run(minutes=10)
    town.cluster.limping = {}
    town.go(Phase.PROGRESSING, 25)
    in_force = town.now
    town.run(seconds=5)
    assert town.status.stage.since > town.status.stage.entered
    assert town.status.evidence.steps == (town.status.stage.since,)
    town.go(Phase.PROGRESSING, 50)
    assert (town.now - in_force).total_seconds() >= 59


def test_pods_get_traffic_once_they_are_available_and_keep_it_while_they_are_ready() -> None:
    """A new pod may be ready and fall over a moment later, which is what minReadySeconds is for."""
    template = builders.spec()["workload"]["template"]
    template["spec"]["minReadySeconds"] = 120
    town = releasing(workload={"template": template})
    applied = town.now
    assert town.status.history[0].at >= NOON + timedelta(seconds=120)
    town.run(seconds=100)
    assert town.share(town.new) == 0
    assert "4 of 4 pods are ready, 0 for long enough (minReadySeconds)" in town.status.message
    town.run(until=lambda town: town.share(town.new) > 0, minutes=1)
    assert town.now - applied >= timedelta(seconds=120)
    town.cluster.limping = {"2": 1}
    town.run(seconds=10)
    town.cluster.limping = {}
    town.step()
    assert town.share(town.new) == 5
    assert town.condition("Healthy") == "True"


def test_readiness_gates_hold_traffic_back_like_probes() -> None:
    """Kubernetes counts a pod as ready when its gates are open, too, so its count is all that is asked for."""
    town = releasing()
    town.cluster.limping = {"2": 1}  # three pods are ready, and the fourth waits for its gate
    town.run(minutes=2)
    assert (town.phase, town.share(town.new)) == (Phase.PENDING, 0)
    town.cluster.limping = {}
    town.run(seconds=10)
    assert town.share(town.new) == 5


def test_paused_template_is_refused_in_words() -> None:
    template = builders.spec()["workload"]["template"]
    template["spec"]["paused"] = True
    town = releasing()
    town.wish("2", workload={"template": template})
    town.run(seconds=5)
    assert town.phase is Phase.INVALID
    assert "spec.workload.template.spec.paused must be left out" in town.status.message


@pytest.mark.parametrize(("least", "is_refused"), [(599, False), (600, True), (10**9, True)])
def test_pods_that_could_never_be_available_in_time_are_refused_in_words(least: int, is_refused: bool) -> None:
    template = builders.spec()["workload"]["template"]
    template["spec"]["minReadySeconds"] = least
    town = Town()
    town.wish("1", workload={"template": template})
    town.run(seconds=5)
    told = f"minReadySeconds must be less than spec.progressDeadline, and {least} s are not less than 10m"
    assert (town.phase is Phase.INVALID, told in str(town.status.message)) == (is_refused, is_refused)


# Autoscalers own the number of pods where spec.replicas is left out


def autoscaled(version: str) -> dict[str, Manifest]:
    template = builders.spec(version)["workload"]["template"]
    del template["spec"]["replicas"]
    return {"workload": {"template": template}}


def scaled(town: Town, revision: str, replicas: int) -> None:
    """What an autoscaler does."""
    deployment = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    town.cluster.put(merged(deployment, {"spec": {"replicas": replicas}}))


@pytest.fixture
def busy() -> Town:
    """Both arms have been scaled to four pods, and version 2 has half of the traffic."""
    town = Town()
    town.old = town.wish("1", **autoscaled("1"))
    town.go(Phase.HEALTHY, minutes=2)
    scaled(town, town.old, 4)
    town.new = town.wish("2", **autoscaled("2"))
    town.run(seconds=10)
    scaled(town, town.new, 4)
    town.go(Phase.PROGRESSING, 50)
    return town


def test_autoscaler_that_asks_for_many_pods_takes_no_traffic_away(busy: Town) -> None:
    busy.cluster.slow = timedelta(minutes=3)
    for replicas in (8, 12):
        scaled(busy, busy.new, replicas)
        busy.step()  # the pods are not even there
        busy.run(seconds=30)
        assert (busy.share(busy.new), busy.pods(busy.new)) == (50, 4)
    scaled(busy, busy.old, 10)
    busy.run(seconds=30)
    assert busy.condition("Healthy") == "True"


def test_number_of_pods_is_the_autoscalers_on_both_arms(busy: Town) -> None:
    busy.go(Phase.HEALTHY)
    counts = {d["metadata"]["name"]: d["spec"]["replicas"] for d in busy.cluster.all(DEPLOYMENTS)}
    assert counts == {f"fraud-{busy.old}": 4, f"fraud-{busy.new}": 4}


def test_pods_that_lost_readiness_count_among_those_that_start(busy: Town) -> None:
    busy.cluster.slow = timedelta(minutes=3)
    scaled(busy, busy.new, 8)
    busy.run(seconds=30)
    busy.cluster.limping = {"2": 2}
    busy.step()
    assert busy.share(busy.new) == 0


def test_candidate_without_a_ready_pod_loses_its_traffic_whatever_starts(busy: Town) -> None:
    busy.cluster.slow = timedelta(minutes=3)
    scaled(busy, busy.new, 8)
    busy.run(seconds=30)
    busy.cluster.broken = {"2"}
    busy.step()
    assert busy.share(busy.new) == 0


def test_more_traffic_waits_for_the_pods_that_an_autoscaler_asked_for(busy: Town) -> None:
    busy.cluster.slow = timedelta(minutes=3)
    scaled(busy, busy.new, 8)
    busy.run(minutes=2)
    assert (busy.status.stage.weight, busy.share(busy.new)) == (100, 50)
    busy.run(minutes=2)
    assert busy.share(busy.new) == 100
