"""p-values: exact where they can be counted out, and never too small."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from modelrollout.analysis.significance import Count, Excess, above_zero, at_least, at_most, beyond, excess

NULLS = [(1.0, 0.0), (1.25, 0.0), (1.0, 0.02), (1.25, 0.05), (0.9, 0.1), (0.0, 0.2)]
"""Factor and margin of tolerances."""


def chance(events: int, total: int, share: float) -> float:
    return math.comb(total, events) * share**events * (1 - share) ** (total - events)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.97, 1.0])
def test_tails_are_the_binomials(share: float) -> None:
    for events in range(8):
        above = sum(chance(n, 7, share) for n in range(events, 8))
        below = sum(chance(n, 7, share) for n in range(events + 1))
        assert at_least(Count(events, 7), share) == pytest.approx(above, abs=1e-12)
        assert at_most(Count(events, 7), share) == pytest.approx(below, abs=1e-12)


def test_tails_stay_exact_where_normal_approximations_are_lost() -> None:
    assert at_least(Count(12, 60), 0.001) == pytest.approx(1.338e-24, rel=1e-2)
    assert at_least(Count(1e9 + 2e5, 1e12), 1e-3) == pytest.approx(1.26e-10, rel=0.05)


@pytest.mark.parametrize(("factor", "margin"), NULLS)
def test_no_candidate_within_its_tolerance_is_blamed_more_often_than_the_level(factor: float, margin: float) -> None:
    """Every possible outcome of 12 and 30 requests counted out, for nulls on the boundary."""
    outcomes = list(itertools.product(range(13), range(31)))
    p_values = {pair: beyond(Count(pair[0], 12), Count(pair[1], 30), factor, margin) for pair in outcomes}
    for stable in (0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7):
        candidate = min(factor * stable + margin, 1.0)
        for level in (0.2, 0.05, 0.01, 1e-3, 1e-5):
            blamed = [pair for pair in outcomes if p_values[pair] <= level]
            size = sum(chance(mine, 12, candidate) * chance(theirs, 30, stable) for mine, theirs in blamed)
            assert size <= level, (stable, level)


def test_the_search_for_the_least_remarkable_share_finds_it() -> None:
    candidate, stable = Count(9, 60), Count(30, 4000)
    shares = np.linspace(0, 0.2, 20_001)
    least = min(
        -math.log(tail) - math.log(at_most(stable, share))
        for share in shares
        if (tail := at_least(candidate, 1.25 * share + 0.001)) > 0 and at_most(stable, share) > 0
    )
    assert beyond(candidate, stable, 1.25, 0.001) == pytest.approx((1 + least) * math.exp(-least), rel=1e-4)


@pytest.mark.parametrize("total", [1e6, 1e9, 1e12])
@pytest.mark.parametrize("deviations", [0.5, 3.0, 8.0])
def test_large_counts_are_no_evidence_by_their_size(total: float, deviations: float) -> None:
    """So far beyond a bound of 2.1 %, in standard deviations: alike at any size, and never below the normal tail."""
    spread = math.sqrt(0.021 * 0.979 / total + 0.02 * 0.98 / total)
    p_value = beyond(Count((0.021 + deviations * spread) * total, total), Count(0.02 * total, total), 1.0, 0.001)
    assert 0.5 * math.erfc(deviations / math.sqrt(2)) * 0.9 <= p_value <= math.exp(-(deviations**2) / 2) * 40


@pytest.mark.parametrize(("factor", "margin"), NULLS)
def test_more_of_the_same_evidence_is_stronger(factor: float, margin: float) -> None:
    told = [beyond(Count(30 * n, 100 * n), Count(5 * n, 400 * n), factor, margin) for n in (0.1, 0.5, 1, 2, 10, 1000)]
    assert told == sorted(told, reverse=True)
    assert told[-1] == 0.0


def test_no_sample_is_no_evidence() -> None:
    assert beyond(Count(0, 0), Count(5, 10), 1, 0) == 1
    assert beyond(Count(5, 5), Count(0, 0), 1, 0.01) == 1


def test_numbers_too_large_to_count_are_still_judged() -> None:
    assert beyond(Count(2e14, 1e15), Count(1e14, 1e15), 1.0, 0.01) == 0.0
    assert beyond(Count(1.0001e14, 1e15), Count(1e14, 1e15), 1.0, 0.01) == 1.0


def test_readings_that_go_together_count_for_fewer() -> None:
    noise = np.random.default_rng(1).standard_normal(200)
    slow = np.repeat(noise[:20], 10)
    assert excess(1 + noise).readings > 100
    assert excess(1 + slow).readings < 15


def test_a_constant_excess_is_taken_at_its_word() -> None:
    assert excess(np.full(5, 0.17)) == Excess(1.0, 0.0, 5.0)
    assert above_zero(excess(np.full(5, 0.17))) == 0.0
    assert above_zero(excess(np.full(5, -0.17))) == 1.0
    assert above_zero(excess(np.zeros(5))) == 1.0
    assert above_zero(excess(np.array([0.17]))) == 1.0


def test_absurd_excesses_do_not_overflow() -> None:
    assert 0 < above_zero(excess(np.array([1e308, 0.9e308] * 10))) < 1e-6
