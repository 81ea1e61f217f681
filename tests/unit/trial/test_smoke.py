"""What an answer lacks, in words, and when a request is made again. Nothing of the request itself is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.smoke import SmokeRequest
from modelrollout.api.smoke_status import SmokeStatus, SmokeTrouble
from modelrollout.comparer.answers import Answer, Failure, Trouble
from modelrollout.trial.smoke import Smoke, Unmet, basis, last_attempt, next_attempt, still_open, unmet
from tests import builders
from tests.fakes.answers import answer
from tests.fakes.town import NOON

URL = "http://10.0.0.7:80"
SECOND = timedelta(seconds=1)


def request(name: str = "predicts", **fields: Any) -> SmokeRequest:
    return SmokeRequest.model_validate(builders.smoke(name, **fields))


def trouble(times: int = 1, *, after: timedelta = timedelta(), is_its_own: bool = True) -> SmokeTrouble:
    since = NOON if is_its_own else None
    return SmokeTrouble(request="predicts", message="no.", times=times, at=NOON + after, since=since)


@pytest.mark.parametrize(
    ("expect", "reply"),
    [
        ({}, answer()),
        ({"status": "404"}, answer(status=404)),
        ({"json": [{"path": "$.label", "equals": "cat"}]}, answer('{"label": "cat"}')),
        ({"json": [{"path": "$.score", "equals": 1}]}, answer('{"score": 1.0}')),
        ({"json": [{"path": "$.score", "equals": 0.9, "numbers": {"absolute": "0.1"}}]}, answer('{"score": 0.85}')),
        ({"json": [{"path": "$.all[*].ok", "equals": True}]}, answer('{"all": [{"ok": true}, {"ok": true}]}')),
        ({"contains": "hello"}, answer("well, hello there")),
        ({"contains": "hello"}, Answer(200, "text/event-stream", b"", 0.1, joined={"text": "hello"})),
    ],
)
def test_an_answer_that_is_as_expected_lacks_nothing(expect: dict[str, Any], reply: Answer) -> None:
    assert unmet(request(**expect), reply, URL) is None


@pytest.mark.parametrize(
    ("expect", "reply", "said"),
    [
        ({}, answer("no\n  model", status=500), "expected status 2xx, got 500: no model"),
        ({}, answer("x" * 500, status=500), f"expected status 2xx, got 500: {'x' * 80}…"),
        ({"maxLatency": "1s"}, answer(seconds=1.5), "expected an answer within 1s, got it after 1.5 s"),
        ({"contains": "cat"}, answer('{"a": 1}'), 'expected "cat" in the body, and it is not there: {"a": 1}'),
        (
            {"json": [{"path": "$.label", "equals": "cat"}]},
            answer('{"label": ["cat"]}'),
            'expected $.label to be "cat", got ["cat"]',
        ),
        (
            {"json": [{"path": "$.label", "equals": "cat"}]},
            answer("{}"),
            'expected $.label to be "cat", and there is no such part',
        ),
        (
            {"json": [{"path": "$.all[*]", "equals": 1}]},
            answer('{"all": [1, 2]}'),
            "expected $.all[*] to be 1, got 2",
        ),
        ({"json": [{"path": "$.a", "equals": 1}]}, answer("<html>"), "expected JSON, got something else: <html>"),
    ],
)
def test_what_an_answer_lacks_is_told_as_expected_and_got(expect: dict[str, Any], reply: Answer, said: str) -> None:
    assert unmet(request(**expect), reply, URL) == Unmet(f"'predicts' (GET /): {said}.")


def test_neither_query_nor_body_nor_headers_of_a_request_are_told() -> None:
    sent = builders.smoke("predicts", path="/predict?token=s3cret", body={"password": "s3cret"})
    whole = SmokeRequest.model_validate({**sent, "headers": [{"name": "Authorization", "value": "s3cret"}]})
    found = unmet(whole, answer("no", status=401), URL)
    assert found == Unmet("'predicts' (POST /predict): expected status 2xx, got 401: no.")


@pytest.mark.parametrize("trouble_", Trouble)
def test_only_what_is_not_its_fault_is_not_its_own(trouble_: Trouble) -> None:
    found = unmet(request(), Failure(trouble_, 1.0), URL)
    assert found is not None
    assert found.is_its_own == (trouble_ not in (Trouble.UNREACHABLE, Trouble.TOO_LARGE))


def test_an_answer_nested_beyond_reason_is_no_answer() -> None:
    wanted = {"json": [{"path": "$", "equals": [1]}]}
    assert unmet(request(**wanted), answer("[" * 100_000), URL) is not None


def test_what_was_passed_by_another_revision_or_in_other_words_is_open() -> None:
    one, other = request("one"), request("other")
    smoke = Smoke((one, other), timedelta(minutes=5))
    known = SmokeStatus(passed={"one": basis("new", one), "other": basis("new", other)})
    assert still_open(smoke, "new", known) == ()
    assert still_open(smoke, "newer", known) == (one, other)
    edited = Smoke((request("one", status="404"), other), timedelta(minutes=5))
    assert still_open(edited, "new", known) == (edited.requests[0],)


@pytest.mark.parametrize(("times", "pause"), [(1, 1), (2, 2), (5, 16), (9, 60), (500, 60)])
def test_pauses_grow_up_to_a_minute(times: int, pause: int) -> None:
    smoke = Smoke((request(),), timedelta(hours=1))
    assert next_attempt(smoke, trouble(times), 0) == NOON + pause * SECOND
    assert next_attempt(smoke, trouble(times, is_its_own=False), 0) == NOON + pause * SECOND


def test_the_last_attempt_is_at_the_deadline_which_stands_while_the_candidate_is_not_ready() -> None:
    smoke = Smoke((request(),), timedelta(minutes=5))
    late = trouble(10, after=timedelta(minutes=4, seconds=50))
    assert next_attempt(smoke, late, 0) == last_attempt(smoke, late, 0) == NOON + timedelta(minutes=5)
    assert last_attempt(smoke, late, 90) == NOON + timedelta(minutes=6, seconds=30)
    assert last_attempt(smoke, trouble(is_its_own=False), 0) is None
