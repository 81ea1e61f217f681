"""Annotations that come again: from Git after others, or to a status that was lost."""

from __future__ import annotations

from modelrollout.api.status import Phase
from tests.fakes.town import Town
from tests.scenarios.test_people import ask, asked, at


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
