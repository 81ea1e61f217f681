"""What counts for less because pods are scraped at different moments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelrollout.analysis.evidence.shifts import (
    FARTHEST_TICKS,
    JUMP_WEIGHT,
    SURE_JUMP,
    BothArms,
    Floats,
    discounts,
    last_rows,
    reach_of,
    read_rows,
)

NONE = np.empty((0, 2))


def factors(
    events: list[float],
    *,
    weight: float = 0.1,
    reach: int = 1,
    requests: list[float] | None = None,
    before: Floats = NONE,
    after: Floats = NONE,
) -> list[float]:
    own = np.array(events)[:, None]
    asked = np.full(len(events), 1e5) if requests is None else np.array(requests)
    seen = BothArms(own, asked, before, after)
    return discounts(seen, np.full(len(events), weight), reach, SURE_JUMP).tolist()


def test_a_steady_share_counts_in_full_and_so_does_what_chance_moves() -> None:
    assert factors([1000, 1000, 1000]) == [1, 1, 1]
    assert factors([1000, 1050, 980, 1010]) == [1, 1, 1, 1]


def test_traffic_that_moves_is_no_jump_of_the_share() -> None:
    assert factors([1000, 4000, 1000], requests=[1e5, 4e5, 1e5]) == [1, 1, 1]


def test_ticks_beside_a_jump_count_for_less_and_those_away_from_it_do_not() -> None:
    before, at_last, first, after = factors([1000, 1000, 10_000, 10_000])
    assert (before, after) == (1, 1)
    assert at_last == pytest.approx(1 + JUMP_WEIGHT * 0.1 * (9000**2 - SURE_JUMP * 11_000) / 1000)
    assert first > 20


def test_the_candidates_part_of_the_jump_is_what_may_be_in_the_wrong_tick() -> None:
    small, large = (factors([1000, 2000], weight=weight)[1] - 1 for weight in (0.05, 0.5))
    assert large == pytest.approx(10 * small)


def test_slower_scrapes_move_events_further() -> None:
    assert factors([1000, 1000, 10_000], reach=1)[0] == 1
    assert factors([1000, 1000, 10_000], reach=2)[0] > 1
    assert [reach_of(spacing, 15) for spacing in (5, 15, 16, 30, 60, 600, math.inf)] == [
        1,
        1,
        1,
        2,
        4,
        FARTHEST_TICKS,
        1,
    ]


def test_what_comes_before_and_after_the_new_ticks_is_looked_at() -> None:
    high, none = np.array([[10_000, 1e5]]), np.array([[0.0, 0.0]])
    assert factors([1000, 1000], before=high)[0] > 1
    assert factors([1000, 1000], after=high)[1] > 1
    assert factors([1000, 1000], before=none, after=none) == [1, 1]
    assert factors([1000], after=np.array([[1.0, 100.0]])) == [1]  # the beginning of a tick like the one before


def test_nothing_at_all_is_no_jump() -> None:
    assert factors([]) == []
    assert factors([0, 0, 0]) == [1, 1, 1]
    assert factors([5, 0, 5], requests=[0, 0, 0]) == [1, 1, 1]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_ticks_in_two_pieces_count_as_they_do_in_one(cut: int) -> None:
    events = np.array([[1000.0, 10], [1000, 90], [9000, 90], [1000, 90], [1000, 10], [1000, 10]])
    asked, weight = np.full(6, 1e5), np.full(6, 0.1)
    nothing = np.empty((0, 3))
    whole = BothArms(events, asked, nothing, nothing)
    rows = np.column_stack((events, asked))
    first = discounts(BothArms(events[:cut], asked[:cut], nothing, rows[cut : cut + 1]), weight[:cut], 1, SURE_JUMP)
    kept = read_rows({"together": last_rows(whole, cut, 1)}, "together", 2)
    second = discounts(BothArms(events[cut:], asked[cut:], kept, nothing), weight[cut:], 1, SURE_JUMP)
    assert [*first, *second] == discounts(whole, weight, 1, SURE_JUMP).tolist()


@pytest.mark.parametrize("size", [0, 1, 2, 4, 5])
def test_rows_of_other_kinds_are_no_rows(size: int) -> None:
    assert read_rows({"together": np.ones(size)}, "together", 2).shape == (0, 3)
