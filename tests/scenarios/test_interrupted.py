"""What was decided and not yet saved when the process died, or when the world moved on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.fakes.cluster import Killed
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness


def taken_back_but_not_saved(**changes: object) -> Town:
    """Version 2 failed at 25 %; its traffic is gone, and the operator died before it could say so in status."""
    town = releasing(**changes)
    town.go(Phase.PROGRESSING, 25)
    town.metrics.bad = {"2": 0.5}

    def die(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("after", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            raise Killed

    town.cluster.hook = die
    town.run(until=lambda town: town.restarts == 1, minutes=2)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 0)
    town.metrics.bad = {}  # nobody could tell any more
    return town


def test_verdict_outlives_the_process_that_reached_it() -> None:
    town = taken_back_but_not_saved()
    Witness(town)
    town.go(Phase.ROLLED_BACK, minutes=1)
    assert town.status.rejected[0].reason == "MetricFailed"
    town.run(minutes=30)
    assert town.share(town.new) == 0


def test_verdict_outlives_a_broken_spec() -> None:
    town = taken_back_but_not_saved()
    town.wish("2", promotion={"bakee": "1m"})
    town.run(minutes=1)
    assert (town.phase, town.share(town.new)) == (Phase.INVALID, 0)
    town.wish("2")
    town.go(Phase.ROLLED_BACK, minutes=1)


@pytest.mark.parametrize("next_version", ["3", "1"])
def test_verdict_outlives_the_candidate_that_is_replaced_in_the_same_moment(next_version: str) -> None:
    town = taken_back_but_not_saved()
    town.wish(next_version)
    town.run(minutes=1)
    assert [entry.revision for entry in town.status.rejected] == [town.new]
    assert town.status.history[0].outcome == "RolledBack"
    town.wish("2")
    town.run(minutes=30)
    assert (town.phase, town.share(town.new)) == (Phase.ROLLED_BACK, 0)


def test_verdict_outlives_a_change_of_routers_in_the_same_moment() -> None:
    town = taken_back_but_not_saved()
    town.wish("2", traffic={"port": 8080, "service": {}})
    town.go(Phase.ROLLED_BACK, minutes=1)
    assert town.shares() == {"httproutes": {town.old: 100}, "services": {town.old: 100}}


def test_verdict_outlives_the_loss_of_the_status() -> None:
    town = taken_back_but_not_saved()
    del town.cluster.get(MODEL_ROLLOUTS, "fraud")["status"]
    Witness(town)
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert town.status.rejected[0].revision == town.new


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.PROGRESSING, Phase.BAKING])
def test_stable_version_lost_from_the_status_is_found_in_the_route_and_spares_nobody_the_canary(phase: Phase) -> None:
    town = releasing()
    town.cluster.slow = timedelta(seconds=20)
    town.go(phase)
    del town.cluster.get(MODEL_ROLLOUTS, "fraud")["status"]["stable"]
    town.step()
    stable = town.status.stable
    assert stable is not None
    assert stable.revision == (town.new if phase is Phase.BAKING else town.old)
    seen = []
    town.cluster.witnesses.append(lambda *_: seen.append(town.share(town.new)))
    town.go(Phase.HEALTHY)
    assert set(seen) - {0} == (set() if phase is Phase.BAKING else {5, 25, 50, 100})
    assert town.share(town.new) == 100


@pytest.mark.parametrize("part", ["stage", "phase", "candidate"])
def test_part_lost_from_the_status_of_a_release_has_it_begin_again(part: str) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    del town.cluster.get(MODEL_ROLLOUTS, "fraud")["status"][part]
    town.step()
    assert town.share(town.new) in (0, 5)
    town.go(Phase.PROGRESSING, 5, minutes=1)
    town.go(Phase.PROGRESSING, 50)
