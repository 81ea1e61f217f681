"""Whose clock counts: the API server's, where this machine's is plainly wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from modelrollout.kube.server_time import ServerTime

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def answer(time: ServerTime, here: datetime, wrong: float, took: float = 0.02) -> None:
    """An answer of a server by whose clock it is later by so many seconds than `here`, where it is asked."""
    there = here + timedelta(seconds=wrong + took / 2)
    time.heard(format_datetime(there.replace(microsecond=0), usegmt=True), here, here + timedelta(seconds=took))


def seconds(span: timedelta) -> float:
    return span.total_seconds()


@pytest.mark.parametrize("wrong", [-3600, -60, -5, 5, 60, 3600])
def test_a_clock_that_is_wrong_is_put_right_to_within_a_second(wrong: float) -> None:
    time = ServerTime()
    answer(time, NOON, wrong)
    assert abs(seconds(time.ahead) - wrong) < 1
    assert time.of(NOON) == NOON + time.ahead


@pytest.mark.parametrize("wrong", [-0.9, 0, 0.4, 0.9])
def test_a_clock_that_is_right_enough_is_taken_as_it_is(wrong: float) -> None:
    time = ServerTime()
    for millisecond in range(0, 1000, 50):
        answer(time, NOON + timedelta(milliseconds=millisecond), wrong)
        assert time.ahead == timedelta()


def test_time_stands_firm_once_it_was_put_right() -> None:
    time, found = ServerTime(), set()
    for number in range(500):
        answer(time, NOON + timedelta(seconds=number * 0.377), 60)
        found.add(time.ahead)
    assert len(found) < 20  # each is nearer to the truth than the last
    assert abs(seconds(time.ahead) - 60) < 0.2


def test_a_clock_that_was_set_right_meanwhile_is_taken_as_it_is_again() -> None:
    time = ServerTime()
    answer(time, NOON, 60)
    answer(time, NOON + timedelta(minutes=1), 0)
    assert time.ahead == timedelta()


def test_what_tells_too_little_changes_nothing() -> None:
    time = ServerTime()
    answer(time, NOON, 60, took=3)
    time.heard(None, NOON, NOON)
    time.heard("yesterday", NOON, NOON)
    time.heard(format_datetime(NOON + timedelta(minutes=1), usegmt=True), NOON, NOON - timedelta(seconds=1))
    assert time.ahead == timedelta()
