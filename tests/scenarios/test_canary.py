"""Whole releases, told as stories: what users and operators see from the first apply to the end."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from tests import builders
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness


@pytest.fixture
def town() -> Town:
    """Version 1 serves everybody, and version 2 has just been applied."""
    town = Town()
    town.old = town.wish("1")  # type: ignore[attr-defined]
    town.run(minutes=1)
    assert town.status.phase is Phase.HEALTHY
    town.new = town.wish("2")  # type: ignore[attr-defined]
    return town


def at(weight: int, phase: Phase = Phase.PROGRESSING):
    return lambda town: (
        town.status.phase is phase
        and town.status.stage is not None
        and town.status.stage.weight == weight
        and town.weights.get(f"fraud-{town.new}") == weight
    )


def is_phase(phase: Phase):
    return lambda town: town.status.phase is phase


def test_first_version_serves_once_it_is_ready() -> None:
    town = Town()
    town.cluster.slow = town.cluster.slow.__class__(seconds=30)
    revision = town.wish("1")
    town.run(seconds=20)
    assert town.status.phase is Phase.PENDING
    assert town.weights == {}
    town.run(seconds=30)
    assert town.status.phase is Phase.HEALTHY
    assert town.weights == {f"fraud-{revision}": 100}
    assert town.condition("Ready") == "True"
    assert town.status.history[0].outcome == "Installed"


def test_good_version_goes_through_all_steps_and_is_promoted(town: Town) -> None:
    seen = []

    def note(town: Town) -> bool:
        weight = town.weights.get(f"fraud-{town.new}", 0)
        if not seen or seen[-1] != weight:
            seen.append(weight)
        return town.status.phase is Phase.HEALTHY and town.status.stable.revision == town.new

    town.run(until=note, minutes=30)
    assert seen == [0, 5, 25, 50, 100]
    assert town.status.history[0].outcome == "Promoted"
    assert town.events.count("StepStarted") == 4
    assert town.condition("Ready") == "True"


def test_old_version_stays_warm_through_the_bake_and_goes_afterwards(town: Town) -> None:
    town.run(until=is_phase(Phase.BAKING), minutes=30)
    town.run(minutes=1)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}")["spec"]["replicas"] == 4
    town.run(until=is_phase(Phase.HEALTHY), minutes=10)
    town.run(minutes=4)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is not None
    town.run(minutes=2)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is None
    assert town.cluster.get(SERVICES, f"fraud-{town.old}") is None


def test_failing_version_is_taken_back_and_not_tried_again(town: Town) -> None:
    town.metrics.bad = {"2": 0.2}
    town.run(until=is_phase(Phase.ROLLED_BACK), minutes=5)
    assert town.weights == {f"fraud-{town.old}": 100}
    assert town.status.rejected[0].reason == "MetricFailed"
    assert "errors" in town.status.message
    town.run(minutes=30)
    assert town.status.phase is Phase.ROLLED_BACK
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is None
    assert town.condition("Stalled") == "True"


def test_next_version_after_a_rejected_one_is_tried(town: Town) -> None:
    town.metrics.bad = {"2": 0.2}
    town.run(until=is_phase(Phase.ROLLED_BACK), minutes=5)
    town.new = town.wish("3")
    town.run(until=at(100), minutes=10)


def test_prometheus_away_holds_the_weight_and_the_rollout_goes_on_by_itself(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    town.metrics.is_down = True
    town.run(minutes=20)
    assert town.weights[f"fraud-{town.new}"] == 25
    assert town.condition("AnalysisAvailable") == "False"
    town.metrics.is_down = False
    town.run(until=at(50), minutes=2)
    assert town.condition("AnalysisAvailable") in ("True", None)


def test_no_data_never_promotes_and_never_rolls_back(town: Town) -> None:
    town.metrics.is_silent = True
    town.run(minutes=20)
    assert town.weights[f"fraud-{town.new}"] == 5
    assert town.status.phase is Phase.PROGRESSING


def test_crash_loop_takes_the_candidate_back_before_any_deadline(town: Town) -> None:
    town.run(until=at(50), minutes=10)
    town.cluster.crash(f"fraud-{town.new}", restarts=3)
    town.pass_()
    assert town.weights == {f"fraud-{town.old}": 100}
    assert town.status.phase is Phase.ROLLING_BACK
    assert town.status.rejected[0].reason == "CrashLoop"


def test_candidate_that_is_not_ready_loses_its_traffic_at_once_and_gets_it_back(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    town.cluster.broken = {"2"}
    town.cluster.run_controllers(town.now)
    town.pass_()
    assert town.weights == {f"fraud-{town.old}": 100}
    town.run(minutes=5)
    assert town.status.phase is Phase.PROGRESSING
    town.cluster.broken = set()
    town.run(until=at(25), minutes=1)
    assert "TrafficWithheld" in town.events
    assert "TrafficRestored" in town.events


def test_candidate_that_is_never_ready_is_given_up_at_the_deadline(town: Town) -> None:
    town.cluster.broken = {"2"}
    town.run(until=is_phase(Phase.ROLLED_BACK), minutes=12)
    assert town.status.rejected[0].reason == "ProgressDeadlineExceeded"


def test_newer_version_takes_the_candidates_place_with_traffic_back_first(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    superseded, town.new = town.new, town.wish("3")
    town.pass_()
    assert town.weights == {f"fraud-{town.old}": 100}
    assert town.status.candidate.revision == town.new
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{superseded}") is not None
    town.run(until=at(5), minutes=2)
    town.run(seconds=40)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{superseded}") is None
    assert town.status.history[0].outcome == "Superseded"


def test_going_back_to_stable_cancels_the_rollout_at_once(town: Town) -> None:
    town.run(until=at(50), minutes=10)
    town.wish("1")
    town.pass_()
    assert town.weights == {f"fraud-{town.old}": 100}
    assert town.status.phase is Phase.HEALTHY
    town.run(minutes=2)
    assert [d["metadata"]["name"] for d in town.cluster.all(DEPLOYMENTS)] == [f"fraud-{town.old}"]


def test_broken_spec_moves_no_traffic_and_says_what_to_mend(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    town.wish("2", analysis={"interval": "often", "metrics": [builders.ERRORS]})
    town.run(minutes=5)
    assert town.status.phase is Phase.INVALID
    assert "interval" in town.status.message
    assert town.weights[f"fraud-{town.new}"] == 25
    town.wish("2")
    town.run(until=at(50), minutes=3)


def test_broken_spec_is_no_obstacle_to_taking_traffic_from_a_candidate_that_is_not_ready(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    town.wish("2", analysis={"interval": "often", "metrics": [builders.ERRORS]})
    town.pass_()
    town.cluster.broken = {"2"}
    town.cluster.run_controllers(town.now)
    town.pass_()
    assert town.weights == {f"fraud-{town.old}": 100}


def test_replicas_are_scaled_in_place_on_both_arms(town: Town) -> None:
    town.run(until=at(25), minutes=10)
    template = builders.spec("2")["workload"]["template"]
    template["spec"]["replicas"] = 6
    assert town.wish("2", workload={"template": template}) == town.new
    town.run(seconds=20)
    assert {d["spec"]["replicas"] for d in town.cluster.all(DEPLOYMENTS)} == {6}
    assert town.weights[f"fraud-{town.new}"] == 25


def test_healthy_rollout_is_left_in_peace(town: Town) -> None:
    town.run(until=is_phase(Phase.HEALTHY), minutes=30)
    town.run(minutes=10)
    before = town.cluster.writes
    town.run(minutes=10)
    assert town.cluster.writes == before


def test_step_changes_cost_two_writes(town: Town) -> None:
    town.run(until=at(5), minutes=10)
    town.cluster.log.clear()
    town.run(until=at(25), minutes=10)
    writes = [(verb, plural) for verb, plural, _ in town.cluster.log if plural != "events"]
    assert writes.count(("apply", "httproutes")) == 1
    assert writes.count(("status", "modelrollouts")) <= 3


def test_lost_status_is_found_again_in_the_route(town: Town) -> None:
    town.run(until=is_phase(Phase.HEALTHY), minutes=30)
    del town.manifest["status"]
    town.run(minutes=1)
    assert town.status.phase is Phase.HEALTHY
    assert town.status.stable.revision == town.new
    assert town.weights == {f"fraud-{town.new}": 100}


def test_somebody_elses_route_of_that_name_is_left_alone() -> None:
    town = Town()
    foreign = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"namespace": "ml", "name": "fraud"},
        "spec": {"rules": [{"backendRefs": [{"name": "theirs", "port": 80, "weight": 1}]}]},
    }
    theirs = town.cluster.put(foreign)
    town.wish("1")
    town.run(minutes=2)
    assert town.cluster.get(HTTP_ROUTES, "fraud") == theirs
    assert town.status.phase is Phase.INVALID
    assert "belongs to somebody else" in town.status.message


def test_refused_write_is_told_and_is_not_called_ready(town: Town) -> None:
    town.run(until=is_phase(Phase.HEALTHY), minutes=30)

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes"):
            raise Refused(422, "spec.hostnames[0]: Invalid value", name)

    town.cluster.hook = refuse
    town.wish("2", traffic={**builders.spec()["traffic"], "gatewayAPI": {"parentRefs": [{"name": "other"}]}})
    town.run(seconds=30)
    assert town.condition("Ready") == "False"
    assert town.condition("Applied") == "False"
    assert "Invalid value" in (town.status.message or "")
    town.cluster.hook = lambda *_: None
    town.run(until=lambda town: town.condition("Ready") == "True", minutes=15)
    assert town.condition("Applied") is None


def test_stages_may_ask_for_less_traffic_than_the_one_before() -> None:
    town = releasing(stages=[builders.canary(50, name="wide", hold="1m"), builders.canary(5, name="narrow", hold="1m")])
    witness = Witness(town)
    town.go(Phase.HEALTHY)
    assert [shares.get(town.new, 0) for shares in witness.history] == [50, 5, 100]
