"""The clock of progressDeadline: it runs where progress is possible, and adds up what is lost."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.status import Condition, Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import PODS
from tests import builders
from tests.fakes.town import Town, releasing

PLAIN = {"port": 8080, "service": {}}
NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
QUOTA = 'pods "fraud-x" is forbidden: exceeded quota: gpus, requested: 1, used: 8, limited: 8'


def sized(replicas: int, version: str = "1") -> dict[str, Manifest]:
    template = builders.spec(version)["workload"]["template"]
    template["spec"]["replicas"] = replicas
    return {"workload": {"template": template}}


def without_place(town: Town) -> None:
    town.cluster.homeless = {"2": NO_GPU}


def over_quota(town: Town) -> None:
    town.cluster.refused = {"2": QUOTA}


def mend(town: Town) -> None:
    town.cluster.homeless, town.cluster.refused = {}, {}


def stalled(town: Town) -> Condition | None:
    return next((one for one in town.status.conditions if one.type == "Stalled"), None)


BLOCKED = pytest.mark.parametrize(
    ("block", "reason", "says"),
    [
        (
            without_place,
            "Unschedulable",
            "cannot be scheduled: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        ),
        (over_quota, "ReplicaFailure", 'cannot make its pods: pods "fraud-x" is forbidden: exceeded quota: gpus'),
    ],
    ids=["unschedulable", "quota"],
)


@BLOCKED
def test_candidate_whose_pods_cannot_come_is_waited_for_and_says_why(block: Any, reason: str, says: str) -> None:
    town = releasing()
    block(town)
    town.run(minutes=9)
    assert says in str(town.status.message)
    assert (town.phase, stalled(town), town.events.count(reason)) == (Phase.PENDING, None, 1)
    town.run(minutes=3)
    told = stalled(town)
    assert told is not None
    assert (told.reason, says in told.message, town.phase) == (reason, True, Phase.PENDING)
    town.run(minutes=12)
    assert town.events.count(reason) == 1
    mend(town)
    town.go(Phase.HEALTHY)
    assert (town.status.stable.revision, stalled(town)) == (town.new, None)


@BLOCKED
def test_first_version_whose_pods_cannot_come_says_why(block: Any, reason: str, says: str) -> None:
    town = Town()
    block(town)
    town.wish("2")
    town.run(minutes=15)
    told = stalled(town)
    assert told is not None
    assert (town.phase, told.reason) == (Phase.PENDING, reason)
    assert says in str(town.status.message)
    mend(town)
    town.go(Phase.HEALTHY, minutes=2)


def test_time_that_was_not_the_candidates_own_does_not_count_and_the_rest_does() -> None:
    town = releasing()
    town.cluster.broken = {"2"}
    town.run(minutes=6)
    without_place(town)
    for pod in [one for one in town.cluster.all(PODS) if town.new in one["metadata"]["name"]]:
        town.cluster.remove(PODS, pod["metadata"]["name"])  # the node went, and no other has room
    town.run(minutes=20)
    assert town.phase is Phase.PENDING
    mend(town)
    town.run(minutes=3)
    assert town.phase is Phase.PENDING
    town.run(minutes=2)
    assert town.status.rejected[0].reason == "ProgressDeadlineExceeded"


@pytest.mark.parametrize("traffic", [builders.spec()["traffic"], PLAIN], ids=["gateway", "service"])
def test_version_that_is_released_at_night_is_judged_in_the_morning(traffic: dict[str, Any]) -> None:
    town = Town()
    town.wish("1", **sized(2), traffic=traffic)
    town.go(Phase.HEALTHY, minutes=2)
    town.wish("1", **sized(0), traffic=traffic)
    town.run(minutes=1)
    assert town.condition("Healthy") == "False"
    town.new = town.wish("2", **sized(0, "2"), traffic=traffic)
    town.run(minutes=20)
    assert (town.phase, stalled(town), town.pods(town.new)) == (Phase.PENDING, None, 0)
    assert "spec.workload.template.spec.replicas is 0" in str(town.status.message)
    town.wish("2", **sized(2, "2"), traffic=traffic)
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


def test_first_version_without_pods_waits_for_them() -> None:
    town = Town()
    town.wish("1", **sized(0))
    town.run(minutes=30)
    assert "spec.workload.template.spec.replicas is 0" in str(town.status.message)
    town.wish("1", **sized(2))
    town.go(Phase.HEALTHY, minutes=1)


def test_release_that_is_scaled_to_zero_at_night_goes_on_in_the_morning() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.wish("2", **sized(0, "2"))
    town.run(minutes=20)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 0)
    town.wish("2")
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


# Pods that come and go


def comes_and_goes(town: Town, *, up: float, down: float, most: int) -> int:
    """The times that the candidate lost its readiness before it was taken back."""
    for lost in range(most):
        town.cluster.broken = {"2"}
        town.run(seconds=down)
        town.cluster.broken = set()
        town.run(seconds=up)
        if town.phase is Phase.ROLLED_BACK:
            return lost + 1
    raise AssertionError(f"{town.phase} {town.status.message}")


@pytest.mark.parametrize(("up", "down"), [(40, 20), (5, 1), (5, 0.3)])
def test_candidate_that_comes_and_goes_for_ever_is_taken_back(up: float, down: float) -> None:
    town = releasing(progressDeadline="30s")
    town.go(Phase.PROGRESSING, 5)
    town.cluster.log.clear()
    losses = comes_and_goes(town, up=up, down=down, most=40)
    assert losses <= 30 / max(1, down) + 1
    assert sum(plural == "httproutes" for _, plural, _ in town.cluster.log) <= 3 * losses + 3
    assert (town.events.count("TrafficWithheld"), town.events.count("TrafficRestored")) == (1, 1)
    entry = town.status.rejected[0]
    assert (entry.reason, entry.revision) == ("ProgressDeadlineExceeded", town.new)
    assert "was not ready for 30s of this step in all (spec.progressDeadline)" in entry.message


def test_each_step_bears_its_own_losses() -> None:
    town = releasing(progressDeadline="2m")
    for weight in (5, 25, 50):
        town.go(Phase.PROGRESSING, weight)
        town.cluster.broken = {"2"}
        town.run(seconds=90)
        town.cluster.broken = set()
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


def test_sum_of_losses_outlives_restarts_of_the_operator() -> None:
    town = releasing(progressDeadline="2m")
    town.go(Phase.PROGRESSING, 5)
    for _ in range(5):
        town.cluster.broken = {"2"}
        town.run(seconds=20)
        town.restart()
        town.run(seconds=10)
        town.cluster.broken = set()
        town.run(seconds=20)
        town.restart()
    assert town.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
