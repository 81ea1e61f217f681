"""Crash-anywhere for what people ask for: whoever dies at whichever call, each action is done once, and kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelrollout.api.status import Phase
from modelrollout.rollout.author import ACTION
from tests.fakes.cluster import merged
from tests.fakes.town import Town
from tests.properties.crash import Death, Story, retold, told
from tests.properties.test_plan_crashes import at, quick, serves, upgrading, weights


def asks(action: str) -> Callable[[Town], None]:
    """Somebody asks for it, and asks again until it was heard."""

    def ask(town: Town) -> None:
        if (town.manifest["metadata"].get("annotations") or {}).get(ACTION) != action:
            town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: action}}}))

    return ask


def upgraded() -> Town:
    """Version 2 serves, and version 1 is kept."""
    town = upgrading()
    town.new = town.wish("2", **{**quick(), "promotion": {"bake": "4s", "keepOld": "1m"}})
    town.go(Phase.HEALTHY, minutes=2)
    return town


def is_undone(town: Town) -> bool:
    return serves("1", Phase.ROLLED_BACK)(town) and town.share(town.old) == 100


STORIES = {
    "abort": (Story(upgrading, serves("1", Phase.ROLLED_BACK), at(50, asks("abort/1"))), "Aborted"),
    "promotion in full": (Story(upgrading, serves("2"), at(10, asks("promote-full/1"))), "PromotedInFull"),
    "undo": (Story(upgraded, is_undone, asks("undo/1")), "Undone"),
}


def concerned(deaths: list[Death]) -> list[Death]:
    """Those from the pass before which it is asked for. What comes earlier is as in test_plan_crashes."""
    asked = next(one.number for one in deaths if ACTION in (one.town.manifest["metadata"].get("annotations") or {}))
    return [one for one in deaths if one.number >= asked - 1]


@pytest.mark.parametrize("name", STORIES)
def test_killed_at_any_call_it_ends_as_if_nothing_had_happened_and_is_done_once(name: str) -> None:
    story, reason = STORIES[name]
    whole = told(story)
    assert whole.town.events.count(reason) == 1
    for death, run in retold(story, concerned(whole.deaths)):
        where = f"{name}: {death}"
        assert run.end == whole.end, where
        assert weights(run) == weights(whole), where
        assert run.town.status.last_action.reason == reason, where
        assert run.town.status.earlier_actions == (), where
