"""Users who stay where they are, since stable has no ready pod: it is told, also beside a spec that is broken."""

from __future__ import annotations

from modelrollout.api.status import Phase
from tests.fakes.cluster import Killed
from tests.fakes.town import Town
from tests.scenarios.test_people import ask, healthy, spec_is_broken

HELD = "Version 1 has no ready pod, so users stay where they are until it has one."


def undone_to_a_version_without_pods() -> Town:
    """Version 1 lost its pods, and the process died, after the undo was saved and before the route was written."""
    town = healthy()
    town.run(minutes=1)

    def lose(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("after", "status", "modelrollouts"):
            town.cluster.hook = lambda *_: None
            town.cluster.broken = {"1"}
            town.cluster.run_controllers(town.now)
            raise Killed

    town.cluster.hook = lose
    ask(town, "undo/1")
    town.run(minutes=1)
    assert (town.phase, town.share(town.new)) == (Phase.ROLLED_BACK, 100)
    return town


def test_undo_that_leads_nobody_away_says_so_until_it_does() -> None:
    town = undone_to_a_version_without_pods()
    told = {one.type: one.message for one in town.status.conditions}
    assert all(HELD in text for text in (town.status.message, told["Ready"], told["Stalled"]))
    town.cluster.broken = set()
    town.run(minutes=1)
    assert (town.share(town.old), HELD in town.status.message) == (100, False)


def test_spec_that_is_broken_meanwhile_is_told_beside_it() -> None:
    town = undone_to_a_version_without_pods()
    spec_is_broken(town)
    ready = next(one for one in town.status.conditions if one.type == "Ready")
    assert (ready.reason, HELD in ready.message, HELD in town.status.message) == ("InvalidSpec", True, True)
