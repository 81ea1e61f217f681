"""Passes that read from memory: one request each, and right even where memory is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, Resource
from modelrollout.plan.planner import RECHECK_SOON
from modelrollout.shell.deletion import MOST_RETREATS
from modelrollout.shell.reconcile import AFTER_A_CONFLICT
from tests.fakes.cluster import merged
from tests.fakes.mirrored import WATCHED, MirroredTown

ONE_GET = {("get", "modelrollouts"): 1}


def at(weight: int = 25) -> MirroredTown:
    """Version 2 has had so much for a while."""
    town = MirroredTown()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY)
    town.new = town.wish("2")
    town.go(Phase.PROGRESSING, weight)
    town.run(seconds=20)
    town.metrics.asked.clear()
    return town


def healthy() -> MirroredTown:
    """Nothing is under way, and nothing is left to do."""
    town = MirroredTown()
    town.wish("1")
    town.go(Phase.HEALTHY)
    town.run(minutes=5)
    return town


def edit(town: MirroredTown, resource: Resource, name: str, change: Manifest) -> None:
    town.cluster.put(merged(town.cluster.get(resource, name), change))


def weigh(town: MirroredTown, weight: int) -> None:
    """Somebody gives the candidate so much."""
    shares = {f"fraud-{town.old}": 100 - weight, f"fraud-{town.new}": weight}
    backends = [{"name": name, "port": 80, "weight": share} for name, share in shares.items()]
    edit(town, HTTP_ROUTES, "fraud", {"spec": {"rules": [{"backendRefs": backends}]}})


def break_candidate(town: MirroredTown) -> None:
    town.cluster.broken = {"2"}
    town.cluster.run_controllers(town.now)


# Steady state


def test_steady_state_costs_one_get_a_pass_and_no_list_and_no_write() -> None:
    town = healthy()
    town.pass_()
    for _ in range(3):
        town.cluster.requests.clear()
        town.pass_()
        assert town.cluster.requests == ONE_GET


def test_steady_state_costs_nothing_between_two_resyncs() -> None:
    town = healthy()
    town.cluster.requests.clear()
    town.run(until=lambda town: bool(town.cluster.requests), minutes=6)
    town.cluster.requests.clear()
    town.run(minutes=4)
    assert town.cluster.requests == {}


def test_look_at_the_metrics_costs_one_get() -> None:
    town = at(25)
    town.now += timedelta(seconds=15)
    town.cluster.requests.clear()
    town.pass_()
    assert town.metrics.asked
    assert {name: count for name, count in town.cluster.requests.items() if name[0] in ("get", "list")} == ONE_GET


def test_own_writes_are_known_before_their_events_and_not_made_twice() -> None:
    town = at(25)
    town.cluster.remove(DEPLOYMENTS, f"fraud-{town.new}")
    town.pass_()  # takes traffic back
    town.withhold(*WATCHED)
    town.cluster.log.clear()
    for _ in range(3):
        town.pass_()
    applied = [name for verb, _, name in town.cluster.log if verb == "apply"]
    assert applied == [f"fraud-{town.new}", "fraud"]


# Somebody else writes meanwhile


def test_route_that_was_edited_just_before_the_retreat_is_read_again_and_taken_back_in_the_same_pass() -> None:
    town = at(25)
    town.withhold("httproutes")
    weigh(town, 80)
    break_candidate(town)
    town.cluster.log.clear()
    town.pass_()
    assert town.share(town.new) == 0
    assert town.cluster.log[:2] == [("apply", "httproutes", "fraud"), ("status", "modelrollouts", "fraud")]


def test_route_is_edited_between_every_reading_and_writing_but_not_for_ever() -> None:
    town, edits = at(25), [60, 70, 80]

    def meddle(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes") and edits:
            weigh(town, edits.pop())

    town.cluster.hook = meddle
    break_candidate(town)
    town.pass_()
    assert (edits, town.share(town.new)) == ([], 0)


def test_route_that_is_edited_all_the_time_is_tried_again_soon_and_nothing_is_saved() -> None:
    town, tries = at(25), []

    def meddle(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes"):
            tries.append(name)
            weigh(town, 30 + len(tries))

    town.cluster.hook = meddle
    break_candidate(town)
    town.cluster.log.clear()
    assert town.pass_() == AFTER_A_CONFLICT
    assert (len(tries), town.cluster.log) == (MOST_RETREATS, [])
    town.cluster.hook = lambda *_: None
    town.pass_()
    assert town.share(town.new) == 0


def test_retreat_that_somebody_else_made_is_not_made_again() -> None:
    town = at(25)
    town.withhold("httproutes")
    weigh(town, 0)
    break_candidate(town)
    town.cluster.log.clear()
    town.pass_()
    assert town.share(town.new) == 0
    assert ("status", "modelrollouts", "fraud") in town.cluster.log


def test_step_that_was_decided_on_an_old_route_moves_no_traffic_until_it_is_decided_on_the_new_one() -> None:
    town = at(5)
    town.withhold("httproutes")
    weigh(town, 3)
    town.run(until=lambda town: town.status.stage.weight == 25, minutes=2)
    assert town.share(town.new) == 3
    town.go(Phase.PROGRESSING, 25)
    assert town.cluster.requests["apply", "httproutes"] < 20


def test_conflict_with_a_later_write_ends_the_pass_with_its_decision_saved_and_told() -> None:
    town = at(5)
    meddled = []

    def meddle(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes") and not meddled:
            meddled.append(name)
            edit(town, HTTP_ROUTES, "fraud", {"metadata": {"annotations": {"touched": "yes"}}})

    town.cluster.hook = meddle
    town.run(until=lambda _: bool(meddled), minutes=2)
    assert (town.status.stage.weight, town.share(town.new)) == (25, 5)
    assert town.events.count("StepStarted") == 2
    assert town._due is not None
    assert town._due - town.now <= RECHECK_SOON
    town.pass_()
    assert town.share(town.new) == 25


def test_route_that_somebody_made_before_us_is_not_overwritten() -> None:
    town = at(25)
    town.cluster.remove(HTTP_ROUTES, "fraud")
    town.run_controllers(seconds=1)
    theirs = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "fraud", "namespace": "ml"},
        "spec": {"rules": []},
    }

    def be_quicker(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            town.cluster.put(theirs)

    town.cluster.hook = be_quicker
    town.run(seconds=30)
    found = town.cluster.get(HTTP_ROUTES, "fraud")
    assert found is not None
    assert "ownerReferences" not in found["metadata"]
    assert found["spec"] == {"rules": []}


# News that come late, or never


def test_readiness_that_is_told_late_takes_traffic_back_as_soon_as_it_is_told() -> None:
    town = at(25)
    town.withhold("deployments", "pods")
    break_candidate(town)
    town.pass_()
    assert town.share(town.new) == 25
    town.tell("deployments", "pods")
    town.pass_()
    assert town.share(town.new) == 0


@pytest.mark.parametrize("plural", WATCHED)
def test_lost_news_are_made_up_for_within_the_resync(plural: str) -> None:
    town = at(25)
    town.withhold(plural)
    break_candidate(town)
    weigh(town, 80)
    for stream in town.streams(plural):
        stream.lose()
    town.run(minutes=6)
    assert town.share(town.new) == 0


def test_watch_that_breaks_is_no_reason_to_move_anything_and_none_to_stand_still() -> None:
    town = at(25)
    for plural in WATCHED:
        for stream in list(town.streams(plural)):
            stream.fail(Unreachable("connection reset"))
    town.cluster.log.clear()
    town.run(seconds=10)
    assert town.share(town.new) == 25
    break_candidate(town)
    town.run(seconds=5)
    assert town.share(town.new) == 0


def test_deletion_takes_the_route_that_is_there_and_not_the_one_that_is_remembered() -> None:
    town = at(25)
    town.withhold("httproutes")
    edit(town, HTTP_ROUTES, "fraud", {"metadata": {"annotations": {"touched": "yes"}}})
    town.delete()
    town.cluster.log.clear()
    town.finalise()
    assert town.cluster.log == [("delete", "httproutes", "fraud")]


def test_deletion_of_a_rollout_that_this_operator_never_made_a_pass_over_is_finished() -> None:
    town = at(25)
    town.delete()
    town.restart()
    town.cluster.log.clear()
    town.finalise()
    assert town.cluster.log == [("delete", "httproutes", "fraud")]


def test_operator_that_wakes_up_after_another_took_traffic_back_gives_none() -> None:
    """It stood still between reading and writing; meanwhile another one decided."""
    town = at(5)

    def take_back(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            weigh(town, 0)

    town.cluster.hook = take_back
    town.run(until=lambda town: town.share(town.new) == 0, minutes=2)
    assert town.status.stage.weight == 25
