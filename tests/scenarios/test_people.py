"""People in the loop: pause, resume, promote, skip, approve, abort and undo by annotation."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import REJECTED
from modelrollout.objects.resources import DEPLOYMENTS, EVENTS, HTTP_ROUTES
from modelrollout.rollout.author import ACTION
from tests import builders
from tests.fakes.cluster import Killed, merged
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness


def ask(town: Town, action: str) -> None:
    town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: action}}}))


def asked(town: Town, action: str) -> str:
    """The reason of what became of it."""
    ask(town, action)
    town.step()
    assert town.status.last_action is not None
    assert town.status.last_action.action == action
    return str(town.status.last_action.reason)


@functools.cache
def _at(weight: int) -> Town:
    town = releasing()
    town.go(Phase.PROGRESSING, weight)
    return town


def at(weight: int, **changes: object) -> Town:
    if not changes:
        return _at(weight).clone()
    town = releasing(**changes)
    town.go(Phase.PROGRESSING, weight)
    return town


@functools.cache
def _healthy(bake: str, keep_old: str) -> Town:
    town = releasing(stages=[builders.canary(50, hold="10s")], promotion={"bake": bake, "keepOld": keep_old})
    town.go(Phase.HEALTHY, minutes=60)
    assert town.status.stable is not None
    assert town.status.stable.revision == town.new
    return town


def healthy(keep_old: str = "1h") -> Town:
    """Version 2 took the place of version 1, whose pods are kept."""
    return _healthy("30s", keep_old).clone()


def prometheus_is_away(town: Town) -> None:
    town.metrics.is_down = True


def spec_is_broken(town: Town) -> None:
    town.wish("2", promotion={"bakee": "1m"})
    town.step()
    assert town.phase is Phase.INVALID


def gateway_is_away(town: Town) -> None:
    town.cluster.is_gateway_down = True


def it_is_paused(town: Town) -> None:
    assert asked(town, "pause/0") == "Paused"


def nothing_else(_: Town) -> None:
    """All is well."""


MEANWHILE = (nothing_else, prometheus_is_away, spec_is_broken, gateway_is_away, it_is_paused)


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.BAKING])
def test_abort_takes_all_traffic_back_in_the_next_pass(phase: Phase, meanwhile: Callable[[Town], None]) -> None:
    town = releasing()
    town.go(phase, 50 if phase is Phase.PROGRESSING else None)
    meanwhile(town)
    Witness(town)
    assert asked(town, "abort/1") == "Aborted"
    assert town.share(town.new) == 0
    assert REJECTED in town.cluster.get(HTTP_ROUTES, "fraud")["metadata"]["annotations"]
    town.run(minutes=5)
    assert (town.share(town.new), town.status.rejected[0].reason) == (0, "Aborted")


def test_abort_rejects_a_candidate_that_never_became_ready() -> None:
    town = releasing()
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    assert asked(town, "abort/1") == "Aborted"
    town.go(Phase.ROLLED_BACK, minutes=1)
    assert [(entry.outcome, entry.reason) for entry in town.status.history[:1]] == [("RolledBack", "Aborted")]
    town.cluster.broken = set()
    town.run(minutes=10)
    assert (town.phase, town.events.count("RolledBack")) == (Phase.ROLLED_BACK, 1)


def test_abort_in_the_same_moment_as_the_new_spec_lets_it_not_begin() -> None:
    town = releasing()
    assert town.status.candidate is None
    assert asked(town, "abort/1") == "Aborted"
    town.run(minutes=5)
    assert (town.phase, town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}")) == (Phase.ROLLED_BACK, None)


def test_aborted_version_is_tried_again_when_asked_for_and_a_new_one_at_once() -> None:
    town = at(25)
    ask(town, "abort/1")
    town.go(Phase.ROLLED_BACK)
    assert asked(town, "retry/2") == "Retried"
    town.go(Phase.PROGRESSING, 5)
    ask(town, "abort/3")
    town.go(Phase.ROLLED_BACK)
    town.new = town.wish("3")
    town.go(Phase.PROGRESSING, 5)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_aborted_stays_aborted_though_the_annotation_goes_and_the_process_dies(moment: str) -> None:
    """The process dies around the write that takes traffic back, and another action takes the place of the abort."""
    town = at(50)

    def die(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == (moment, "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            if moment == "after":
                ask(town, "resume/2")
            raise Killed

    town.cluster.hook = die
    ask(town, "abort/1")
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert (town.restarts, town.share(town.new)) == (1, 0)


def test_paused_step_goes_no_further_until_it_is_resumed() -> None:
    town = at(25)
    assert asked(town, "pause/1") == "Paused"
    town.run(minutes=6)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 25)
    assert town.status.message is not None
    assert town.status.message.startswith("canary 25 %: paused since 2026")
    assert (town.condition("WaitingForPerson"), town.condition("Stalled")) == ("True", None)
    assert asked(town, "resume/2") == "Resumed"
    assert (town.condition("WaitingForPerson"), town.status.paused) == (None, None)
    town.go(Phase.PROGRESSING, 50)


def test_paused_release_is_taken_back_by_a_metric_that_fails() -> None:
    town = at(25)
    ask(town, "pause/1")
    town.run(minutes=1)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert (town.status.rejected[0].reason, town.status.paused) == ("MetricFailed", None)


def test_no_deadline_runs_in_a_pause() -> None:
    """Neither that of evidence nor that of readiness: what was left of them is left when it is resumed."""
    town = at(5, analysis={"metrics": [builders.ERRORS], "onInconclusive": "rollback", "stepDeadline": "4m"})
    town.metrics.is_silent = True
    town.run(minutes=2)
    ask(town, "pause/1")
    town.run(minutes=6)
    ask(town, "resume/2")
    town.run(seconds=60)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 5)
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert town.status.rejected[0].reason == "StepDeadlineExceeded"


def test_candidate_that_is_not_ready_is_waited_for_through_a_pause() -> None:
    town = releasing(progressDeadline="5m")
    town.cluster.broken = {"2"}
    town.run(minutes=4)
    ask(town, "pause/1")
    town.run(minutes=8)
    assert (town.phase, town.status.rejected) == (Phase.PENDING, ())
    ask(town, "resume/2")
    town.run(seconds=30)
    assert town.phase is Phase.PENDING
    town.go(Phase.ROLLED_BACK, minutes=5)


def test_pause_holds_a_version_that_takes_the_place_of_the_paused_one() -> None:
    town = at(25)
    ask(town, "pause/1")
    town.run(seconds=5)
    town.new = town.wish("3")
    town.run(minutes=4)
    assert (town.phase, town.share(town.new)) == (Phase.PENDING, 0)
    ask(town, "resume/2")
    town.go(Phase.PROGRESSING, 5)


def test_pause_ends_with_the_release() -> None:
    town = at(25)
    ask(town, "pause/1")
    town.run(seconds=5)
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=1)
    assert town.status.paused is None


def test_promote_ends_the_present_hold_and_no_other() -> None:
    town = at(5)
    entered = town.now
    assert asked(town, "promote/1") == "StepPromoted"
    town.go(Phase.PROGRESSING, 25, minutes=1)
    assert (town.now - entered).total_seconds() < 60
    town.run(seconds=50)
    assert town.share(town.new) == 25
    told = "canary 25 %: this share of the traffic goes to the candidate. It was asked for (promote)."
    assert told in [event["message"] for event in town.cluster.all(EVENTS)]


def test_promote_goes_on_without_evidence_and_never_past_pods_that_are_not_ready() -> None:
    town = at(5)
    prometheus_is_away(town)
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    ask(town, "promote/1")
    town.run(minutes=2)
    assert (town.status.stage.weight, town.share(town.new)) == (5, 0)
    town.cluster.broken = set()
    town.go(Phase.PROGRESSING, 25, minutes=2)


def test_a_fail_takes_back_what_was_promoted() -> None:
    town = at(5)
    town.metrics.bad = {"2": 0.5}
    ask(town, "promote-full/1")
    town.go(Phase.ROLLED_BACK, minutes=30)
    assert town.share(town.new) == 0


@pytest.mark.parametrize("begun", [True, False])
def test_promote_full_gives_all_traffic_at_once_and_bakes(begun: bool) -> None:
    town = at(5) if begun else releasing()
    town.step()
    assert asked(town, "promote-full/1") == "PromotedInFull"
    assert "the other steps and their analysis are left out" in town.status.last_action.message
    town.go(Phase.BAKING, minutes=2)
    assert town.share(town.new) == 100
    assert asked(town, "promote-full/2") == "NothingToDo"
    town.run(minutes=1)
    assert town.phase is Phase.BAKING
    assert asked(town, "promote/3") == "StepPromoted"
    town.go(Phase.HEALTHY, minutes=1)
    assert town.status.history[0].message == "Version 2 serves everybody. The bake was ended (promote)."


STAGES = [builders.canary(10, 20, 30, name="small"), builders.canary(40, name="large")]


def test_skip_leaves_out_the_rest_of_a_stage() -> None:
    town = at(10, stages=STAGES)
    assert asked(town, "skip/1") == "StageSkipped"
    town.go(Phase.PROGRESSING, 40, minutes=1)
    assert asked(town, "skip/2") == "StageSkipped"
    town.go(Phase.BAKING, minutes=1)


APPROVED = [{"name": "canary", "canary": {"hold": "1m", "steps": [{"weight": 10, "approval": True}, {"weight": 50}]}}]


def test_step_with_approval_waits_for_it_once_all_else_says_yes() -> None:
    town = at(10, stages=APPROVED)
    assert town.condition("WaitingForPerson") is None
    town.run(minutes=8)
    assert (town.share(town.new), town.condition("WaitingForPerson")) == (10, "True")
    assert town.status.message is not None
    assert town.status.message.startswith("canary 10 %: all that is measured allows to go on.")
    assert asked(town, "approve/1") == "Approved"
    town.go(Phase.PROGRESSING, 50, minutes=1)
    assert (town.condition("WaitingForPerson"), town.events.count("Approved")) == (None, 1)
    assert asked(town, "approve/2") == "NothingToDo"


def test_approval_before_the_hold_is_over_is_kept_and_shortens_nothing() -> None:
    town = at(10, stages=APPROVED)
    assert asked(town, "approve/1") == "Approved"
    town.run(seconds=40)
    assert town.share(town.new) == 10
    town.go(Phase.PROGRESSING, 50, minutes=30)


def test_stage_with_approval_waits_at_its_last_step() -> None:
    town = at(10, stages=[{**STAGES[0], "approval": True}, STAGES[1]], analysis={"readinessOnly": True})
    assert asked(town, "approve/1") == "NothingToDo"
    town.go(Phase.PROGRESSING, 30)
    town.run(minutes=20, until=lambda town: town.condition("WaitingForPerson") == "True")
    assert town.share(town.new) == 30
    ask(town, "approve/2")
    town.go(Phase.PROGRESSING, 40, minutes=1)


def test_switch_with_approval_waits_after_its_preview() -> None:
    preview = {"header": {"name": "x-preview", "value": "1"}}
    town = releasing(stages=[builders.blue_green(preview=preview, previewHold="30s", approval=True)])
    town.run(minutes=2)
    assert (town.phase, town.share(town.new), town.condition("WaitingForPerson")) == (Phase.PROGRESSING, 0, "True")
    ask(town, "approve/1")
    town.run(seconds=5)
    assert town.share(town.new) == 100


def test_undo_goes_back_to_the_version_before_and_stays_there_although_git_names_the_new_one() -> None:
    town = healthy()
    Witness(town)
    assert asked(town, "undo/1") == "Undone"
    town.run(seconds=10)
    assert (town.phase, town.share(town.old)) == (Phase.ROLLED_BACK, 100)
    assert town.status.stable.revision == town.old
    town.run(minutes=90)
    assert (town.share(town.old), town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}")) == (100, None)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is not None
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=1)
    town.new = town.wish("3")
    town.go(Phase.PROGRESSING, 5)


def test_undone_version_can_be_retried() -> None:
    town = healthy()
    ask(town, "undo/1")
    town.run(minutes=2)
    assert asked(town, "retry/2") == "Retried"
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


def test_undo_goes_to_any_version_that_is_kept_and_to_no_other() -> None:
    town = healthy()
    quick = [builders.canary(50, hold="10s")]
    town.wish("3", stages=quick, promotion={"bake": "30s", "keepOld": "3h"})
    town.go(Phase.HEALTHY, minutes=60)
    assert asked(town, "undo/7777777777/1") == "ActionRefused"
    assert town.status.last_action.message.endswith(f"kept are {town.new}, {town.old}.")
    assert asked(town, f"undo/{town.old}/2") == "Undone"
    town.run(seconds=10)
    assert town.share(town.old) == 100


def test_undo_is_refused_where_nothing_is_kept_or_its_pods_are_not_ready() -> None:
    town = healthy(keep_old="0s")
    town.run(minutes=5)
    assert asked(town, "undo/1") == "ActionRefused"
    town = healthy()
    town.cluster.broken = {"1"}
    town.run(seconds=5)
    assert asked(town, "undo/1") == "ActionRefused"
    assert town.share(town.new) == 100


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("abort/1", "NothingToDo"),
        ("pause/1", "NothingToDo"),
        ("resume/1", "NothingToDo"),
        ("promote/1", "NothingToDo"),
        ("promote-full/1", "NothingToDo"),
        ("skip/1", "NothingToDo"),
        ("approve/1", "NothingToDo"),
        ("promote/0123456789/1", "ActionRefused"),
    ],
)
def test_where_no_release_is_under_way_nothing_is_done_and_it_is_said(action: str, reason: str) -> None:
    town = healthy()
    before = town.status
    assert asked(town, action) == reason
    assert (town.phase, town.status.stable, town.status.rejected) == (before.phase, before.stable, before.rejected)


@pytest.mark.parametrize("verb", ["abort", "promote", "pause"])
def test_action_for_a_revision_that_is_gone_does_nothing(verb: str) -> None:
    town = at(25)
    gone, town.new = town.new, town.wish("3")
    town.go(Phase.PROGRESSING, 5)
    assert asked(town, f"{verb}/{gone}/1") == "ActionRefused"
    assert (town.status.paused, town.share(town.new)) == (None, 5)


def test_what_was_handled_before_another_action_is_not_done_again() -> None:
    """As when Git still has an annotation that somebody wrote over by hand."""
    town = at(5)
    ask(town, "pause/1")
    town.run(seconds=5)
    ask(town, "resume/2")
    town.run(seconds=5)
    ask(town, "pause/1")
    town.run(seconds=5)
    assert (town.status.paused, town.events.count("Paused")) == (None, 1)


def test_while_paused_nobody_promotes() -> None:
    town = at(5)
    ask(town, "pause/1")
    town.run(seconds=5)
    assert [asked(town, f"{verb}/2") for verb in ("promote", "promote-full", "skip")] == ["ActionRefused"] * 3
    town.run(minutes=4)
    assert town.share(town.new) == 5


def test_first_version_ever_can_neither_be_paused_nor_aborted() -> None:
    town = Town()
    town.wish("1")
    town.cluster.broken = {"1"}
    town.run(seconds=5)
    assert asked(town, "abort/1") == "ActionRefused"
    assert asked(town, "pause/2") == "NothingToDo"
    town.cluster.broken = set()
    town.go(Phase.HEALTHY, minutes=1)


def test_who_asked_is_the_program_that_owns_the_annotation() -> None:
    town = at(25)
    ask(town, "abort/1")
    entry = {"manager": "kubectl-annotate", "operation": "Update", "time": "2026-01-01T12:00:00Z"}
    fields = {"fieldsV1": {"f:metadata": {"f:annotations": {f"f:{ACTION}": {}}}}}
    town.manifest["metadata"]["managedFields"] = [{**entry, **fields}]
    town.step()
    assert town.status.last_action.by.known_from == "FieldManager"
    assert town.status.rejected[0].message == "Version 2 was aborted by somebody with kubectl-annotate."


def test_while_a_person_is_asked_a_prometheus_that_goes_away_takes_nobody_back_at_the_deadline() -> None:
    analysis = {"metrics": [builders.ERRORS], "onInconclusive": "rollback", "stepDeadline": "10m"}
    town = at(10, stages=APPROVED, analysis=analysis)
    town.run(until=lambda town: town.condition("WaitingForPerson") == "True", minutes=10)
    prometheus_is_away(town)
    town.run(minutes=12)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 10)
    town.metrics.is_down = False
    ask(town, "approve/1")
    town.go(Phase.PROGRESSING, 50, minutes=2)


def test_abort_does_not_wait_for_an_answer_that_is_on_its_way() -> None:
    town = at(25)
    town.metrics.meanwhile = lambda: ask(town, "abort/1")
    town.run(until=lambda town: town.metrics.meanwhile is None, minutes=2)
    town.step()
    assert town.share(town.new) == 0
