"""What an action leaves in the status, and in whose name."""

from __future__ import annotations

import functools
from dataclasses import replace

from modelrollout.api.people import Author
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.plan.plan import Plan
from modelrollout.plan.planner import plan
from tests.fakes.town import Town, releasing

ALICE = Author(name="alice", known_from="Admission")


@functools.cache
def town() -> Town:
    """Version 2 has 5 %."""
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    return town


def asked(action: str, by: Author | None, *, vets_authors: bool = True) -> Plan:
    there = town()
    rollout = replace(there.rollout(), action=action, action_by=by, vets_authors=vets_authors)
    return plan(rollout, there.world(), there.now)


def test_a_person_is_named_in_the_status_in_the_reason_and_in_the_event() -> None:
    made = asked("abort/1", ALICE)
    assert made.status.last_action is not None
    assert (made.status.last_action.by, made.status.rejected[0].message) == (ALICE, "Version 2 was aborted by alice.")
    assert "Version 2 was aborted by alice." in [event.message for event in made.events]
    assert made.retreat


def test_where_a_policy_names_people_nobody_acts_without_a_name() -> None:
    made = asked("abort/1", None)
    assert made.status.last_action is not None
    assert (made.status.last_action.reason, made.status.rejected, made.retreat) == ("ActionRefused", (), ())
    assert "modelrollout.dev/action-by" in made.status.last_action.message
    assert asked("abort/1", None, vets_authors=False).status.rejected


def test_nobody_is_named_for_what_stands_on_an_object_without_a_status() -> None:
    """The policy of approvers looks at changes alone, so at creation anybody may write any name."""
    there = town()
    restored = replace(there.rollout(), action="abort/1", action_by=ALICE, status=ModelRolloutStatus())
    done = plan(replace(restored, vets_authors=True), there.world(), there.now).status.last_action
    assert done is not None
    assert (done.reason, done.by) == ("NothingToDo", None)


def test_the_last_ten_are_remembered() -> None:
    there = town()
    rollout = there.rollout()
    for number in range(12):
        rollout = replace(rollout, action=f"resume/{number}", action_by=ALICE)
        rollout = replace(rollout, status=plan(rollout, there.world(), there.now).status)
    last = rollout.status.last_action
    assert last is not None
    remembered = [last.action, *(one.action for one in rollout.status.earlier_actions)]
    assert remembered == [f"resume/{number}" for number in range(11, 1, -1)]
