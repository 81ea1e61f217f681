"""Smoke requests: the operator asks the candidate itself, and nobody meets it before all answers were as expected."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.answers import LOADING, UNREACHABLE, WRONG
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

CAT = builders.smoke("predicts", path="/predict", body={"pixels": [1, 2]}, json=[{"path": "$.label", "equals": "cat"}])
MANY = [CAT, *(builders.smoke(f"health-{number}") for number in range(5))]
ALL_OF_THEM = ["predicts", "health-0", "health-1", "health-2", "health-3", "health-4"]
PLAIN = {"port": 8080, "service": {}}
SWITCH = {"smoke": [CAT], "hold": "1m"}


def switching(traffic: dict[str, Any] | None = None, **fields: Any) -> Town:
    changes = {"traffic": traffic} if traffic else {}
    return releasing(stages=[builders.blue_green(**{**SWITCH, **fields})], **changes)


def is_told(text: str) -> Any:
    return lambda town: text in (town.status.message or "")


@pytest.mark.parametrize("traffic", [None, PLAIN], ids=["gateway", "plain Services"])
def test_candidate_that_answers_well_is_asked_once_and_gets_everybody(traffic: Any) -> None:
    town = switching(traffic)
    Witness(town)
    town.go(Phase.PROGRESSING, 100)
    assert town.answers.asked == [(town.new, ("predicts",))]
    town.go(Phase.HEALTHY)
    assert town.answers.asked == [(town.new, ("predicts",))]
    assert "SmokeStarted" in town.events


def test_many_requests_are_made_a_few_at_a_time_each_once() -> None:
    town = switching(smoke=MANY)
    town.go(Phase.PROGRESSING, 100)
    assert town.answers.asked == [(town.new, tuple(ALL_OF_THEM[:4])), (town.new, tuple(ALL_OF_THEM[4:]))]


def test_candidate_that_answers_wrongly_is_rejected_before_the_switch_and_nobody_met_it() -> None:
    town = switching()
    witness = Witness(town)
    town.answers.says = {"2": WRONG}
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert [shares.get(town.new, 0) for shares in witness.history] == [0] * len(witness.history)
    (entry,) = town.status.rejected
    assert entry.reason == "SmokeFailed"
    assert entry.message.startswith(
        'switch: smoke request \'predicts\' (POST /predict): expected $.label to be "cat", got "dog". It was asked '
    )
    town.run(minutes=2)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is None


def test_wrong_answers_are_asked_for_again_at_growing_pauses_until_the_deadline() -> None:
    town = switching(smokeDeadline="1m")
    town.answers.says = {"2": LOADING}
    town.run(until=is_told("expected status 2xx, got 503: the model is loading"), minutes=2)
    began = town.status.stage.smoke.trouble.since
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert town.status.rejected[0].at - began == timedelta(minutes=1)
    assert len(town.answers.asked) == 7  # at 0, 1, 3, 7, 15, 31 and 60 s


def test_candidate_that_warms_up_late_is_not_rejected() -> None:
    town = switching()
    town.answers.says = {"2": LOADING}
    town.run(until=is_told("0 of 1 smoke requests passed"), minutes=2)
    town.run(minutes=4)
    town.answers.says = {}
    town.go(Phase.PROGRESSING, 100)


def test_first_wrong_answer_rejects_where_there_is_no_patience() -> None:
    town = switching(smokeDeadline="0s")
    town.answers.says = {"2": WRONG}
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert len(town.answers.asked) == 1


def test_candidate_that_cannot_be_reached_is_held_and_never_rejected_for_it() -> None:
    town = switching()
    town.answers.says = {"2": UNREACHABLE}
    town.run(until=is_told("the operator cannot reach the candidate's own Service at http://10.96.0.7:80."), minutes=2)
    town.run(minutes=30)
    assert (town.phase, town.share(town.old)) == (Phase.PROGRESSING, 100)
    assert "NetworkPolicy" in (town.status.message or "")
    assert town.events.count("SmokeUnanswered") == 1
    town.answers.says = {}
    town.go(Phase.PROGRESSING, 100)


def test_restart_asks_nothing_again_that_was_passed() -> None:
    town = switching(smoke=MANY)
    town.run(until=lambda town: len(town.answers.asked) == 1, minutes=2)
    town.restart()
    town.go(Phase.PROGRESSING, 100)
    assert [name for _, names in town.answers.asked for name in names] == ALL_OF_THEM


def test_new_revision_is_asked_everything_anew() -> None:
    town = switching(smoke=MANY)
    town.run(until=lambda town: len(town.answers.asked) == 1, minutes=2)
    newer = town.wish("3", stages=[builders.blue_green(**{**SWITCH, "smoke": MANY})])
    town.go(Phase.PENDING, minutes=1)
    town.go(Phase.PROGRESSING, 100)
    asked = [name for revision, names in town.answers.asked if revision == newer for name in names]
    assert (asked, town.share(newer)) == (ALL_OF_THEM, 100)


def test_answers_of_a_version_that_the_spec_moved_on_from_meanwhile_count_for_nothing() -> None:
    town = switching()
    town.answers.meanwhile = lambda: town.wish("3", stages=[builders.blue_green(**SWITCH)])  # type: ignore[func-returns-value]
    town.answers.says = {"3": WRONG}
    witness = Witness(town)
    town.go(Phase.ROLLED_BACK, minutes=15)
    assert all(set(shares) == {town.old} for shares in witness.history)


def test_request_that_was_edited_is_asked_again() -> None:
    town = switching(smoke=MANY, previewHold="10m", preview={"header": {"name": "x-preview", "value": "1"}})
    town.run(until=lambda town: len(town.answers.asked) == 1, minutes=2)
    other = builders.smoke("predicts", path="/v2/predict")
    town.wish("2", stages=[builders.blue_green(**{**SWITCH, "smoke": [other, *MANY[1:]], "previewHold": "0s"})])
    town.go(Phase.PROGRESSING, 100)
    assert [name for _, names in town.answers.asked for name in names] == [
        *ALL_OF_THEM[:4],
        "predicts",
        *ALL_OF_THEM[4:],
    ]


def test_crash_loop_ends_it_while_an_answer_is_on_its_way() -> None:
    town = switching()
    town.answers.meanwhile = lambda: town.cluster.crash(f"fraud-{town.new}", 5)
    town.answers.says = {"2": LOADING}
    town.go(Phase.ROLLED_BACK, minutes=3)
    assert town.status.rejected[0].reason == "CrashLoop"


def test_candidate_that_is_not_ready_any_more_is_not_asked() -> None:
    town = switching()
    town.answers.says = {"2": LOADING}
    town.run(until=is_told("0 of 1 smoke requests passed"), minutes=2)
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    before = len(town.answers.asked)
    town.run(minutes=6)
    assert (town.phase, len(town.answers.asked)) == (Phase.PROGRESSING, before)
    town.cluster.broken = set()
    town.answers.says = {}
    town.go(Phase.PROGRESSING, 100)


@pytest.mark.parametrize(
    ("stage", "traffic", "pods"),
    [
        (builders.canary(20, smoke=[CAT], hold="1m"), PLAIN, 1),
        (builders.canary(20, smoke=[CAT], hold="1m"), None, 4),
        (builders.shadow(smoke=[CAT], hold="1m"), None, 4),
    ],
    ids=["canary by pods", "canary", "shadow"],
)
def test_other_stages_begin_with_them_as_well(stage: Any, traffic: Any, pods: int) -> None:
    town = releasing(stages=[stage], **({"traffic": traffic} if traffic else {}))
    Witness(town)
    town.answers.says = {"2": LOADING}
    town.run(until=is_told("0 of 1 smoke requests passed"), minutes=2)
    town.run(minutes=1)
    assert (town.share(town.new), town.tried_by, town.pods(town.new)) == (0, {}, pods)
    town.answers.says = {}
    town.go(Phase.HEALTHY)


def test_stage_that_comes_later_begins_with_them_and_its_candidate_has_no_users_meanwhile() -> None:
    town = releasing(stages=[builders.canary(20, hold="1m"), builders.blue_green(**SWITCH)])
    Witness(town)
    town.answers.says = {"2": WRONG}
    town.go(Phase.PROGRESSING, 20)
    town.run(until=is_told("smoke requests passed"), minutes=5)
    town.run(seconds=5)
    assert town.share(town.old) == 100
    town.go(Phase.ROLLED_BACK, minutes=10)


def test_grpc_is_refused() -> None:
    town = Town()
    town.wish(
        "1", traffic={"port": 8080, "grpc": {"parentRefs": [{"name": "g"}]}}, stages=[builders.blue_green(**SWITCH)]
    )
    town.run(seconds=5)
    assert town.status.message == "spec.stages[switch]: smoke asks by HTTP, not by gRPC: leave smoke out."
