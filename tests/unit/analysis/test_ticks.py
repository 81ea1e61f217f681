"""The time line that evidence lies on."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from modelrollout.analysis.evidence.ticks import LONGEST_TICK, Course, look_back, tick_of

LINE = Course(start=1000.0, tick=15.0, steps=(1100.0, 1300.0), later_steps=3, planned=900.0)


@pytest.mark.parametrize(
    ("interval", "tick"), [("1", 1.0), ("15", 15.0), ("30", 30.0), ("31", 15.5), ("60", 30.0), ("300", 30.0)]
)
def test_a_tick_is_the_longest_part_of_an_interval_that_is_short_enough(interval: str, tick: float) -> None:
    found = tick_of(timedelta(seconds=float(interval)))
    assert found.total_seconds() == tick
    assert found <= LONGEST_TICK


def test_samples_are_read_from_far_enough_back_to_know_every_beginning() -> None:
    assert look_back(timedelta(seconds=15), timedelta(seconds=30)) == timedelta(seconds=150)
    assert look_back(timedelta(minutes=5), timedelta(seconds=30)) == timedelta(minutes=20, seconds=30)


@pytest.mark.parametrize(
    ("moment", "ticks"), [(900, 0), (1000, 0), (1014.999, 0), (1015, 1), (1015 - 1e-10, 1), (1300, 20)]
)
def test_ticks_are_over_when_their_time_is(moment: float, ticks: int) -> None:
    assert LINE.ticks(moment) == ticks


def test_edges_are_those_of_the_grid_and_the_last_one_may_be_cut_short() -> None:
    assert LINE.edges(2, 1060.0).tolist() == [1030, 1045, 1060]
    assert LINE.edges(2, 1062.0).tolist() == [1030, 1045, 1060, 1062]
    assert LINE.edges(2, 1030.0).tolist() == [1030]
    assert LINE.edges(2, 900.0).tolist() == [1030]  # nothing new


def test_the_grid_does_not_depend_on_where_one_starts_to_look() -> None:
    odd = Course(start=1_767_268_800.123, tick=1 / 3, steps=(), later_steps=0, planned=0.0)
    end = odd.time(1000)
    whole = odd.edges(0, end)
    assert np.array_equal(whole[700:], odd.edges(700, end))


@pytest.mark.parametrize(
    ("steps", "first", "end", "places"),
    [
        ([], 0, 1400.0, []),
        ([1100], 0, 1200.0, [7]),  # it began in the seventh tick: the eighth is all its own
        ([1100], 0, 1105.0, [7]),  # which has not been counted yet
        ([1100], 0, 1090.0, [6]),  # nor has the one in which it began
        ([1100], 6, 1200.0, [1]),
        ([1100], 7, 1200.0, []),  # whoever counted up to there knew of it
        ([1105], 0, 1200.0, [7]),
        ([1105], 7, 1200.0, [0]),
        ([1100, 1300], 0, 1400.0, [7, 20]),
        ([1100, 1101], 0, 1400.0, [7]),
    ],
)
def test_a_step_begins_with_the_first_tick_that_is_all_its_own(
    steps: list[float], first: int, end: float, places: list[int]
) -> None:
    line = Course(1000.0, 15.0, tuple(steps), 3, 900.0)
    assert line.beginnings(line.edges(first, end)) == places


def test_the_present_step_is_the_last_that_began() -> None:
    assert LINE.step_start == 1300.0
    assert Course(1000.0, 15.0, (), 0, 0.0).step_start == 1000.0


@pytest.mark.parametrize("is_late_expected", [True, False])
def test_no_more_is_put_on_than_there_is_and_the_same_however_the_time_is_cut(is_late_expected: bool) -> None:
    onsets = LINE.onsets(is_late_expected=is_late_expected)
    whole = onsets.restarts(LINE.edges(0, 20_000.0), LINE.steps)
    assert (whole >= 0).all()
    assert whole.sum() <= 1 + 1e-12
    pieces = [onsets.restarts(LINE.edges(first, LINE.time(first + 50)), LINE.steps) for first in range(0, 1250, 50)]
    assert np.allclose(np.concatenate(pieces), whole[:1250], atol=1e-15)
