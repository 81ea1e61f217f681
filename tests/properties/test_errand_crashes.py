"""Crash-anywhere for what is delivered: whoever dies at whichever call, each transition is told, with one id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from modelrollout.api.notifications import Topic
from modelrollout.api.status import Phase
from tests.fakes.post import Letter
from tests.fakes.post import told as target
from tests.fakes.town import Town
from tests.properties.crash import Death, Story, retold, told
from tests.properties.test_plan_crashes import at, begun, fails, quick, serves

TARGETS = [target("chat", *Topic), target("pager", Topic.ROLLED_BACK)]


def upgrading() -> Town:
    """Version 1 serves everybody, which was told, and version 2 was applied a moment ago."""
    town, spec = begun(), {**quick(), "notifications": TARGETS}
    town.old = town.wish("1", **spec)
    town.go(Phase.HEALTHY, minutes=1)
    town.run(seconds=10)
    town.post.letters.clear()
    town.new = town.wish("2", **spec)
    return town


def delivered(story: Story) -> Story:
    """The story until what there was to be told has arrived."""
    return Story(story.begin, lambda town: story.is_over(town) and not town.status.errands, story.react)


STORIES = {
    "promotion": (Story(upgrading, serves("2")), ["Started", "Promoted"], []),
    "rollback": (
        Story(upgrading, serves("1", Phase.ROLLED_BACK), at(50, fails)),
        ["Started", "RollingBack", "RolledBack"],
        ["RolledBack"],
    ),
}


def concerns_errands(death: Death) -> bool:
    """Whether errands can tell it from others."""
    return death.what.split()[0] == "deliver" or "status" in death.what


def topics(letters: Iterable[Letter], name: str) -> Counter[str]:
    return Counter(letter.topic for letter in letters if letter.target == name)


@pytest.mark.parametrize("name", STORIES)
def test_without_a_crash_each_target_is_told_once_and_with_one_it_is_told_the_same(name: str) -> None:
    story, to_chat, to_pager = STORIES[name]
    whole = told(delivered(story))
    assert topics(whole.town.post.letters, "chat") == Counter(to_chat)
    assert topics(whole.town.post.letters, "pager") == Counter(to_pager)
    died_in_delivery = 0
    for death, run in retold(delivered(story), filter(concerns_errands, whole.deaths)):
        apart = set(run.town.post.letters)  # a receiver that knows an id does not take it twice
        assert topics(apart, "chat") == Counter(to_chat), str(death)
        assert topics(apart, "pager") == Counter(to_pager), str(death)
        died_in_delivery += death.what.startswith("deliver")
    assert died_in_delivery > 0
