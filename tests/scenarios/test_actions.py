"""What people ask for by the annotation `modelrollout.dev/action`."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import REJECTED
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.rollout.author import ACTION
from tests.fakes.cluster import Killed, merged
from tests.fakes.town import Town, releasing


def ask(town: Town, action: str) -> None:
    town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: action}}}))


def too_late() -> Town:
    """Version 2 was taken back, since it was not ready in time."""
    town = releasing()
    town.cluster.broken = {"2"}
    town.go(Phase.ROLLED_BACK)
    return town


def failed() -> Town:
    """Version 2 was taken back by a verdict that its route has noted."""
    town = releasing()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    assert REJECTED in town.cluster.get(HTTP_ROUTES, "fraud")["metadata"]["annotations"]
    return town


@pytest.mark.parametrize("taken_back", [too_late, failed])
def test_rejected_version_is_tried_once_more_when_somebody_asks(taken_back: object) -> None:
    assert callable(taken_back)
    town = taken_back()
    town.run(minutes=5)
    town.cluster.broken, town.metrics.bad = set(), {}
    ask(town, "retry/1")
    town.run(seconds=2)
    assert town.status.last_action.message.startswith("Version 2 is tried once more. It was taken back before: ")
    town.go(Phase.HEALTHY)
    assert (town.status.stable.revision, town.status.rejected, town.events.count("Retried")) == (town.new, (), 1)


def test_what_was_handled_is_not_done_again_and_another_token_is() -> None:
    town = failed()
    ask(town, "retry/1")
    town.go(Phase.PROGRESSING, 5)
    town.go(Phase.ROLLED_BACK)
    ask(town, "retry/1")
    town.run(minutes=5)
    assert town.phase is Phase.ROLLED_BACK
    ask(town, "retry/2")
    town.go(Phase.PROGRESSING, 5)
    town.go(Phase.ROLLED_BACK)
    assert town.events.count("Retried") == 2


def test_retry_that_is_asked_for_too_early_is_done_once_all_traffic_is_back() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLING_BACK)
    ask(town, "retry/1")
    town.run(seconds=10)
    assert [entry.outcome for entry in town.status.history[:1]] == ["RolledBack"]
    assert town.phase is not Phase.ROLLED_BACK
    assert town.events.count("Retried") == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_verdict_on_the_earlier_try_is_no_verdict_on_this_one_whoever_dies_in_between(moment: str) -> None:
    town = failed()
    town.run(minutes=1)
    town.metrics.bad = {}

    def die(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == (moment, "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            raise Killed

    town.cluster.hook = die
    ask(town, "retry/1")
    town.go(Phase.HEALTHY)
    assert (town.restarts, town.status.stable.revision) == (1, town.new)


def test_verdict_on_a_retried_version_is_as_final_as_the_first() -> None:
    """The process dies after traffic was taken back and before the verdict was saved."""
    town = failed()
    ask(town, "retry/1")
    town.go(Phase.PROGRESSING, 5)

    def die(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == ("after", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            town.metrics.bad = {}
            raise Killed

    town.cluster.hook = die
    town.go(Phase.ROLLED_BACK)
    assert town.restarts == 1
    town.run(minutes=5)
    assert town.share(town.new) == 0


@pytest.mark.parametrize("action", ["retry", "retry/", "rety/1", "/", "promote-all/1", "x" * 300])
def test_action_that_is_not_understood_is_told_once(action: str) -> None:
    town = failed()
    ask(town, action)
    town.run(minutes=10)
    assert town.phase is Phase.ROLLED_BACK
    assert "write retry/<token>, with a new token each time" in town.status.last_action.message
    assert town.events.count("ActionNotUnderstood") == 1


def test_retry_of_what_was_not_taken_back_does_nothing() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    ask(town, "retry/1")
    town.go(Phase.HEALTHY)
    assert town.status.last_action.reason == "NothingToDo"
    assert town.status.stable.revision == town.new


def test_abort_of_a_candidate_that_is_not_ready_yet_asks_no_prometheus() -> None:
    town = releasing()
    town.cluster.broken, town.metrics.is_down = {"2"}, True
    town.run(seconds=20)
    assert town.phase is Phase.PENDING
    before = len(town.metrics.asked)
    ask(town, "abort/1")
    town.step()
    assert (town.status.last_action.reason, len(town.metrics.asked)) == ("Aborted", before)
