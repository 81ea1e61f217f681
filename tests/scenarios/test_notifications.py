"""People and programs are told once of each transition, and nothing waits for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.notifications import Topic
from modelrollout.api.status import Phase
from tests import builders
from tests.fakes.post import told
from tests.fakes.town import Town

QUICK: dict[str, Any] = {
    "stages": [builders.canary(10, 50, hold="15s")],
    "analysis": {"interval": "5s", "metrics": [builders.ERRORS]},
    "promotion": {"bake": "10s", "keepOld": "0s"},
}


def serving(*targets: dict[str, object], **changes: Any) -> Town:
    """Version 1 serves; what was told of its installation has arrived."""
    town = Town()
    town.old = town.wish("1", **{**QUICK, "notifications": list(targets), **changes})
    town.go(Phase.HEALTHY, minutes=2)
    town.run(seconds=10)
    return town


def released(town: Town, **changes: Any) -> Town:
    town.new = town.wish(
        "2", **{**town.manifest["spec"], **changes, "model": {"name": "fraud-detector", "version": "2"}}
    )
    return town


def failing(town: Town, minutes: float = 10) -> Town:
    """Version 2 fails at half of the users."""
    released(town).go(Phase.PROGRESSING, 50)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK, minutes=minutes)
    town.run(seconds=10)
    return town


def test_each_is_told_once_of_what_it_asked_for() -> None:
    town = serving(told("chat"), told("pager", Topic.ROLLED_BACK, Topic.STUCK))
    failing(town)
    assert town.post.of("chat") == ["Promoted", "RolledBack"]
    assert town.post.of("pager") == ["RolledBack"]
    assert town.status.errands == ()
    assert town.condition("Delivered") is None


def test_errands_are_saved_with_the_decision_and_struck_when_they_arrived() -> None:
    town = serving(told("chat", Topic.STARTED))
    town.post.away = {"chat": "nobody answers at its address"}
    released(town).step()
    (errand,) = town.status.errands
    assert (errand.kind, errand.to, errand.facts["topic"], errand.facts["version"]) == (
        "notification", ("chat",), "Started", "2"
    )  # fmt: skip
    town.post.away = {}
    town.run(seconds=30)
    assert town.status.errands == ()


def test_target_that_fails_is_named_in_a_condition_until_it_takes_what_waits() -> None:
    town = serving(told("chat"), told("pager"))
    town.post.away = {"chat": "its receiver answered 404"}
    failing(town)
    assert town.post.of("pager") == ["Promoted", "RolledBack"]
    delivered = town.status.condition("Delivered")
    assert delivered is not None
    assert (delivered.status, delivered.reason) == ("False", "DeliveryFailing")
    assert delivered.message == "chat: its receiver answered 404."
    assert town.condition("Healthy") == "True"
    town.run(minutes=2)  # the candidate's pods go
    before = town.manifest["metadata"]["resourceVersion"]
    town.run(minutes=5)
    assert town.manifest["metadata"]["resourceVersion"] == before  # however often it is tried
    town.restart()
    town.run(seconds=1)
    assert town.status.condition("Delivered") == delivered
    town.post.away = {}
    town.run(minutes=6)
    assert town.post.of("chat") == ["Promoted", "RolledBack"]
    assert (town.status.errands, town.condition("Delivered")) == ((), None)


def test_target_that_never_answers_delays_neither_others_nor_the_rollback() -> None:
    targets = (told("chat"), told("pager"))
    usual, hung = failing(serving(*targets)), serving(*targets)
    hung.post.hanging = {"chat"}
    failing(hung)
    assert hung.status.history[0].at == usual.status.history[0].at
    assert hung.post.of("pager") == usual.post.of("pager")
    assert hung.post.of("chat") == ["Promoted"]


def test_targets_of_the_operator_are_told_of_all_rollouts() -> None:
    town = Town()
    town.post.standing_targets = {"operator/platform": (Topic.ROLLING_BACK, Topic.ROLLED_BACK)}
    town.wish("1", **QUICK)
    town.go(Phase.HEALTHY, minutes=2)
    failing(town)
    assert town.post.of("operator/platform") == ["RollingBack", "RolledBack"]


def test_what_waits_for_a_target_of_the_operator_stays_until_its_file_can_be_read() -> None:
    town = serving(told("chat"))
    town.post.standing_targets = {"operator/platform": (Topic.ROLLED_BACK,)}
    town.post.away = dict.fromkeys(("chat", "operator/platform"), "nobody answers at its address")
    failing(town)
    town.post.standing_targets = None
    town.restart()
    town.run(minutes=1)
    assert [one.to for one in town.status.errands] == [("chat", "operator/platform")]
    town.post.away = {}
    town.post.standing_targets = {"operator/platform": (Topic.ROLLED_BACK,)}
    town.run(minutes=6)
    assert (town.post.of("operator/platform"), town.status.errands) == (["RolledBack"], ())


def test_what_waits_for_a_target_that_left_the_file_is_struck() -> None:
    town = serving()
    town.post.standing_targets = {"operator/platform": (Topic.ROLLED_BACK,)}
    town.post.away = {"operator/platform": "nobody answers at its address"}
    failing(town)
    assert [one.to for one in town.status.errands] == [("operator/platform",)]
    town.post.standing_targets = {}
    town.run(seconds=20)
    assert town.status.errands == ()


def test_what_nobody_takes_is_given_up_after_a_day_with_a_word() -> None:
    town = serving(told("chat"))
    town.post.away = {"chat": "nobody answers at its address"}
    failing(town)
    town.now += timedelta(hours=24)
    town.run(seconds=10)
    assert town.status.errands == ()
    assert "DeliveryGivenUp" in town.events


def test_beyond_the_limit_the_oldest_goes_with_a_word() -> None:
    town = serving(told("chat", Topic.STARTED))
    town.post.hanging = {"chat"}
    for number in range(2, 14):
        released(town, model={"name": "fraud-detector", "version": f"{number}"})
        town.wish(f"{number}", **{**QUICK, "notifications": [told("chat", Topic.STARTED)]})
        town.run(seconds=2)
    assert len(town.status.errands) == 10
    assert "DeliveryGivenUp" in town.events


def test_target_that_is_taken_out_of_the_spec_gets_nothing_more() -> None:
    town = serving(told("chat"))
    town.post.away = {"chat": "nobody answers at its address"}
    failing(town)
    town.wish("2", **QUICK)
    town.run(seconds=10)
    assert (town.status.errands, town.condition("Delivered")) == ((), None)


def test_errand_of_a_newer_operator_stays_as_it_is() -> None:
    town = serving(told("chat"))
    hook = {
        "id": "x.1",
        "kind": "hook",
        "to": ["retrain"],
        "at": f"{town.now:%Y-%m-%dT%H:%M:%SZ}",
        "facts": {},
        "new": 1,
    }
    town.cluster.put({**town.manifest, "status": {**town.manifest["status"], "errands": [hook]}})
    town.run(minutes=6)
    assert [(one.id, one.kind) for one in town.status.errands] == [("x.1", "hook")]


@pytest.mark.parametrize("on_inconclusive", ["hold", "rollback"])
def test_a_step_that_waits_for_a_person_says_so(on_inconclusive: str) -> None:
    analysis = {**QUICK["analysis"], "stepDeadline": "1m", "onInconclusive": on_inconclusive}
    town = serving(told("chat", Topic.WAITING_FOR_PERSON, Topic.ROLLED_BACK), analysis=analysis)
    released(town).go(Phase.PROGRESSING, 10)
    town.metrics.is_silent = True
    town.run(minutes=4)
    if on_inconclusive == "hold":
        assert town.condition("WaitingForPerson") == "True"
        assert town.post.of("chat") == ["WaitingForPerson"]
    else:
        assert town.post.of("chat") == ["RolledBack"]


def test_a_broken_spec_is_told_once_and_a_rollback_that_is_over_is_not_told_as_stuck() -> None:
    town = serving(told("chat", Topic.STUCK))
    for weights in ([50, 10], [60, 10]):
        town.wish("2", **{**QUICK, "stages": [builders.canary(*weights)], "notifications": [told("chat", Topic.STUCK)]})
        town.run(seconds=20)
    assert town.phase is Phase.INVALID
    assert town.post.of("chat") == ["Stuck"]
    town.wish("1", **QUICK, notifications=[told("chat", Topic.STUCK)])
    town.run(seconds=20)
    failing(town)
    assert town.condition("Stalled") == "True"
    assert town.post.of("chat") == ["Stuck"]


def test_a_version_that_is_taken_back_is_named_even_where_another_begins_at_once() -> None:
    targets = [told("chat", Topic.STARTED, Topic.ROLLED_BACK)]
    town = serving(*targets)
    released(town).go(Phase.PROGRESSING, 50)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLING_BACK)
    town.wish("3", **QUICK, notifications=targets)
    town.run(seconds=20)
    told_of = [(letter.topic, letter.version) for letter in town.post.letters]
    assert told_of == [("Started", "1"), ("Started", "2"), ("RolledBack", "2"), ("Started", "3")]


def test_requests_that_do_not_follow_the_weight_are_told() -> None:
    town = serving(told("chat", Topic.TRAFFIC_SHARE_MISMATCH), stages=[builders.canary(10, 50, hold="5m")])
    released(town).go(Phase.PROGRESSING, 10)
    town.metrics.candidates_part = 0.02
    town.run(minutes=4)
    assert town.post.of("chat") == ["TrafficShareMismatch"]


def test_without_targets_nothing_is_kept() -> None:
    town = failing(serving())
    assert "errands" not in town.manifest["status"]
