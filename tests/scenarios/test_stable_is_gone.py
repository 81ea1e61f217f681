"""What becomes of users and of a release while the stable version has no ready pod at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.town import Town, releasing

PLAIN = {"port": 8080, "service": {}}
LIMITED = {"interval": "15s", "metrics": [{**builders.ERRORS, "max": "5%"}]}


def broken_before_the_fix(**changes: Any) -> Town:
    """Version 1 has no ready pod any more, and version 2 has just been applied."""
    town = Town()
    town.old = town.wish("1", **changes)
    town.go(Phase.HEALTHY, minutes=2)
    town.cluster.broken = {"1"}
    town.run(minutes=2)
    town.new = town.wish("2", **changes)
    return town


def at(weight: int, **changes: Any) -> Town:
    town = releasing(**changes)
    town.go(Phase.PROGRESSING, weight)
    return town


def message(town: Town) -> str:
    return str(town.status.message)


@pytest.mark.parametrize("traffic", [builders.spec()["traffic"], PLAIN], ids=["gateway", "service"])
def test_fix_takes_over_from_a_version_that_serves_nobody(traffic: dict[str, Any]) -> None:
    town = broken_before_the_fix(traffic=traffic)
    town.run(until=lambda town: town.share(town.new) == 100, minutes=1)
    assert town.phase in (Phase.PROMOTING, Phase.BAKING)
    assert "StableIsGone" in town.events
    town.go(Phase.HEALTHY)
    entry = town.status.history[0]
    assert (entry.revision, entry.outcome, entry.reason) == (town.new, "Promoted", "TookOver")
    assert "it took over from version 1, which had no ready pod" in entry.message


@pytest.mark.parametrize(
    "analysis", [{"readinessOnly": True}, {**LIMITED, "onInconclusive": "promote"}, {**LIMITED, "stepDeadline": "7d"}]
)
def test_fix_takes_over_whatever_the_analysis_asks_for(analysis: dict[str, Any]) -> None:
    town = broken_before_the_fix(analysis=analysis)
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


@pytest.mark.parametrize("weight", [5, 25, 100])
def test_candidate_takes_over_in_the_middle_of_its_canary(weight: int) -> None:
    town = at(weight)
    town.cluster.broken = {"1"}
    town.run(seconds=50)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, weight)
    assert "version 1 has had no ready pod since" in message(town)
    assert "version 2 takes over" in message(town)
    town.run(seconds=15)
    assert town.share(town.new) == 100
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


def test_candidate_with_a_part_of_the_pods_is_given_the_rest_before_it_takes_over() -> None:
    town = releasing(traffic=PLAIN)
    town.go(Phase.PROGRESSING)
    town.run(seconds=10)
    assert town.pods(town.new) == 1
    town.cluster.slow = timedelta(seconds=30)
    town.cluster.broken = {"1"}
    town.run(minutes=1, seconds=5)
    assert "needs 4 available pods; it has 1" in message(town)
    town.run(until=lambda town: town.pods(town.new) == 4, minutes=1)
    town.run(seconds=5)
    assert town.phase in (Phase.PROMOTING, Phase.BAKING)
    assert town.share(town.new) == 100


def test_single_pod_that_restarts_is_not_taken_over_from() -> None:
    template = builders.spec()["workload"]["template"]
    template["spec"]["replicas"] = 1
    town = at(25, workload={"template": template}, stages=[builders.canary(25, hold="1h")])
    for _ in range(10):
        town.cluster.broken = {"1"}
        town.run(seconds=55)
        town.cluster.broken = set()
        town.run(seconds=5)
        assert "StableIsGone" not in town.events
    assert town.phase is Phase.PROGRESSING


def test_stable_with_a_ready_pod_left_is_not_taken_over_from() -> None:
    town = at(25)
    town.cluster.limping = {"1": 3}
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 25)
    assert "the stable version is not ready" in message(town)


def test_stable_without_pods_on_purpose_is_not_taken_over_from() -> None:
    template = builders.spec()["workload"]["template"]
    template["spec"]["replicas"] = 0
    town = Town()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    town.wish("1", workload={"template": template})
    town.run(minutes=2)
    assert (town.pods(town.old), town.status.stable_out_since) == (0, None)


def test_minute_outlives_restarts_of_the_operator() -> None:
    town = at(25)
    town.cluster.broken = {"1"}
    gone = town.now
    while town.share(town.new) < 100:
        town.restart()
        town.run(seconds=7)
        assert town.now - gone < timedelta(seconds=90)
    assert town.now - gone >= timedelta(seconds=60)


def test_candidate_that_cannot_serve_everybody_does_not_take_over() -> None:
    town = at(25)
    town.cluster.broken, town.cluster.limping = {"1"}, {"2": 1}
    town.run(minutes=5)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 25)
    assert "needs 4 available pods; it has 3" in message(town)
    town.cluster.limping = {}
    town.run(seconds=5)
    assert town.share(town.new) == 100


def test_candidate_takes_over_from_a_version_whose_workload_somebody_deleted() -> None:
    town = at(25)
    town.cluster.remove(DEPLOYMENTS, f"fraud-{town.old}")
    town.run(minutes=1, seconds=20)
    assert town.share(town.new) == 100
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


def test_candidate_that_took_over_is_judged_by_its_limits_and_taken_back_once_stable_is_there() -> None:
    town = broken_before_the_fix(analysis=LIMITED)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLING_BACK, minutes=5)
    town.run(minutes=2)
    assert (town.phase, town.share(town.new)) == (Phase.ROLLING_BACK, 100)
    assert "Version 1 has no ready pod, so users stay where they are until it has one." in message(town)
    assert "TrafficHeld" in town.events
    town.cluster.broken = set()
    town.go(Phase.ROLLED_BACK, minutes=1)
    assert town.share(town.new) == 0
    assert town.status.rejected[0].reason == "MetricFailed"


def test_failed_candidate_keeps_its_share_and_never_rises_while_nobody_else_can_serve() -> None:
    town = at(25, analysis=LIMITED)
    town.cluster.broken, town.metrics.bad = {"1"}, {"2": 0.5}
    town.go(Phase.ROLLING_BACK, minutes=1)
    town.run(minutes=12)  # longer than any deadline
    assert (town.phase, town.share(town.new)) == (Phase.ROLLING_BACK, 25)
    town.restart()
    town.cluster.limping, town.cluster.broken = {"1": 3}, set()
    town.run(seconds=10)
    assert (town.phase, town.share(town.new)) == (Phase.ROLLED_BACK, 0)


def test_version_that_serves_some_serves_on_until_the_next_one_takes_over() -> None:
    town = at(25)
    town.cluster.broken, town.cluster.slow = {"1"}, timedelta(minutes=3)
    newest = town.wish("3")
    town.run(minutes=2)
    assert (town.phase, town.share(town.new), town.share(newest)) == (Phase.PENDING, 25, 0)
    town.run(minutes=2)
    assert (town.share(town.new), town.share(newest)) == (0, 100)
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == newest
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is None


def test_users_go_back_to_stable_once_it_has_a_pod_although_the_spec_went_back_before() -> None:
    town = at(25)
    town.cluster.broken = {"1"}
    town.run(seconds=5)
    town.wish("1")
    town.run(seconds=30)
    assert (town.phase, town.share(town.new), town.condition("Ready")) == (Phase.HEALTHY, 25, "False")
    town.cluster.broken = set()
    town.run(seconds=5)
    assert town.share(town.old) == 100


def test_few_ready_pods_keep_their_users_while_stable_has_none() -> None:
    town = at(25)
    town.cluster.broken, town.cluster.limping = {"1"}, {"2": 3}
    town.run(seconds=30)
    assert town.share(town.new) == 25
    town.cluster.broken = set()
    town.run(seconds=5)
    assert town.share(town.new) == 0
