"""What one user got, who is to blame, and how it adds up."""

from __future__ import annotations

import pytest

from localcluster.load import Failure, Outcome, Record, Reply, judge

RIGHT = b'{"label": 3, "version": "v2"}'
WRONG = b'{"label": 4, "version": "v2"}'


def got(reply: Reply, *, expected: int = 3, stable: str | None = "v1", at: float = 100.0) -> Outcome:
    """The outcome for a user whose sample is a 3, and for which stable says `expected`."""
    return judge(reply, truth=3, expected=expected, stable=stable, at=at, latency=0.01)


def answer(body: bytes = RIGHT, version: str | None = "v2", status: int = 200) -> Reply:
    return Reply(status=status, version=version, body=body)


def test_a_right_answer_harms_nobody() -> None:
    outcome = got(answer())
    assert (outcome.right, outcome.harmed, outcome.failure, outcome.version) == (True, False, None, "v2")


def test_a_wrong_answer_harms_whoever_stable_would_have_answered_rightly() -> None:
    assert got(answer(WRONG), expected=3).harmed
    assert not got(answer(WRONG), expected=7).harmed


@pytest.mark.parametrize("expected", [3, 7])
def test_an_error_harms_even_where_stable_would_have_been_wrong(expected: int) -> None:
    assert got(answer(b"boom", status=500), expected=expected).harmed


def test_an_error_that_stable_itself_made_is_no_harm_of_a_release() -> None:
    assert not got(answer(b"boom", version="v1", status=500)).harmed
    assert got(answer(b"boom", version="v1", status=500), stable=None).harmed


@pytest.mark.parametrize(
    ("reply", "failure", "by_switch"),
    [
        (Reply(broken=Failure.CONNECT), Failure.CONNECT, True),
        (Reply(broken=Failure.RESET), Failure.RESET, True),
        (Reply(broken=Failure.TIMEOUT), Failure.TIMEOUT, True),
        (answer(b"no healthy upstream", version=None, status=503), Failure.PROXY, True),
        (answer(b"", version=None, status=404), Failure.PROXY, True),
        (answer(b"boom", status=500), Failure.SERVER, False),
        (answer(b"bad features", status=400), Failure.SERVER, False),
        (answer(b"<html>"), Failure.GARBLED, False),
        (answer(b"[]"), Failure.GARBLED, False),
        (answer(b'{"label": null}'), Failure.GARBLED, False),
    ],
)
def test_tells_a_failure_of_the_way_from_one_of_the_model_server(
    reply: Reply, failure: Failure, by_switch: bool
) -> None:
    outcome = got(reply)
    assert outcome.failure is failure
    assert failure.is_by_switch is by_switch
    assert not outcome.right


def test_a_failure_keeps_what_it_said() -> None:
    assert got(answer(b"no healthy upstream", version=None, status=503)).detail == "no healthy upstream"


@pytest.fixture
def record() -> Record:
    record = Record()
    for outcome in (
        got(answer(), at=100.2),
        got(answer(WRONG), at=100.9),
        got(answer(WRONG), expected=7, at=101.0),
        got(answer(b"boom", status=500), at=102.5),
        got(answer(b"no healthy upstream", version=None, status=503), at=102.6),
        got(answer(RIGHT, version="v1"), at=102.7),
    ):
        record.add(outcome)
    return record


def test_adds_up_by_version_and_in_all(record: Record) -> None:
    counts = record.counts()
    assert (counts.total.requests, counts.total.errors, counts.total.wrong, counts.total.harmed) == (6, 2, 2, 3)
    assert {version: (t.requests, t.errors, t.wrong, t.harmed) for version, t in counts.by_version.items()} == {
        "": (1, 1, 0, 1),
        "v1": (1, 0, 0, 0),
        "v2": (4, 1, 2, 2),
    }
    assert counts.failures == {Failure.SERVER: 1, Failure.PROXY: 1}
    assert counts.failed_by_switch == 1


def test_knows_when_a_version_first_harmed_somebody_in_whatever_order_answers_came(record: Record) -> None:
    record.add(got(answer(WRONG), at=99.0))
    assert record.counts().by_version["v2"].first_harmed == 99.0
    assert record.counts().by_version["v1"].first_harmed is None


def test_counts_that_were_given_out_do_not_change(record: Record) -> None:
    before = record.counts()
    record.add(got(answer()))
    assert before.total.requests == 6
    assert before.by_version["v2"].requests == 4


def test_the_timeline_has_a_second_for_each_in_which_somebody_asked(record: Record) -> None:
    seconds = record.timeline()
    assert [(s.at, {v: t.requests for v, t in s.by_version.items()}, s.failed_by_switch) for s in seconds] == [
        (100, {"v2": 2}, 0),
        (101, {"v2": 1}, 0),
        (102, {"": 1, "v1": 1, "v2": 1}, 1),
    ]
    assert seconds[2].latencies == {"v1": (0.01,)}


def test_a_second_tells_its_latency_quantiles() -> None:
    record = Record()
    for number in range(1, 101):
        record.add(judge(answer(), truth=3, expected=3, stable=None, at=7.0, latency=number / 1000))
    [second] = record.timeline()
    assert second.latency("v2", 0.5) == 0.051
    assert second.latency("v2", 1.0) == 0.1
    assert second.latency("v1", 0.5) is None
