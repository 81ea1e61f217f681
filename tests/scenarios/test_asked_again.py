"""Annotations that come again: from Git after others, or to a status that was lost."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.fakes.town import Town
from tests.scenarios.test_people import ask, asked, at, spec_is_broken


def brought_back(town: Town, action: str) -> None:
    """As by self-heal, which Git tells of that annotation."""
    ask(town, action)
    town.step()


def test_what_git_brings_back_after_each_of_ten_others_is_not_done_to_the_next_version() -> None:
    town = at(5)
    ask(town, "promote-full/git")
    town.go(Phase.HEALTHY, minutes=60)
    for number in range(8):
        assert asked(town, f"pause/{number}") == "NothingToDo"
        brought_back(town, "promote-full/git")
    town.new = town.wish("3")
    town.go(Phase.PROGRESSING, 5)
    for action, reason in (("pause/now", "Paused"), ("resume/now", "Resumed")):
        assert asked(town, action) == reason
        brought_back(town, "promote-full/git")
    assert (town.status.last_action.action, town.status.candidate.waived) == ("resume/now", None)


def test_an_action_that_stays_on_the_object_is_no_reason_to_write() -> None:
    town = at(5)
    for action in ("pause/1", "pause/2"):
        asked(town, action)
    brought_back(town, "pause/1")
    town.run(minutes=1)
    before = town.manifest["metadata"]["resourceVersion"]
    town.pass_()
    town.pass_()
    assert town.manifest["metadata"]["resourceVersion"] == before


def lost_the_status(town: Town) -> None:
    """As after a restore without it."""
    found = {key: value for key, value in town.manifest.items() if key != "status"}
    town.cluster.remove(MODEL_ROLLOUTS, "fraud")
    town.cluster.put(found)
    town.restart()


def test_action_that_stands_on_an_object_without_a_status_is_not_done() -> None:
    """It may be one that was done to another release."""
    town = at(25)
    asked(town, "abort/1")
    town.go(Phase.ROLLED_BACK)
    town.new = town.wish("3")
    town.go(Phase.PROGRESSING, 5)
    lost_the_status(town)
    town.run(seconds=10)
    assert (town.status.last_action.action, town.status.last_action.reason) == ("abort/1", "NothingToDo")
    town.go(Phase.PROGRESSING, 25)
    assert (town.status.candidate.revision, town.status.rejected) == (town.new, ())
    assert asked(town, "abort/2") == "Aborted"


@pytest.mark.parametrize("names", [False, True])
def test_retry_waits_for_a_spec_that_can_be_carried_out_whether_it_names_the_revision_or_not(names: bool) -> None:
    town = at(25)
    ask(town, "abort/1")
    town.go(Phase.ROLLED_BACK)
    spec_is_broken(town)
    action = f"retry/{town.new}/2" if names else "retry/2"
    ask(town, action)
    town.run(minutes=1)
    assert town.status.last_action.action == "abort/1"
    town.wish("2")
    town.run(seconds=5)
    assert (town.status.last_action.action, town.status.last_action.reason) == (action, "Retried")
