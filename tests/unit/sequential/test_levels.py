"""Levels of single pods that stay apart: measured where there are some, and what equal versions may differ by then."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from modelrollout.sequential.levels import STEP, Levels, as_many, busiest, measure_levels, widening
from tests.unit.sequential.worlds import fresh_worlds, most

HOURS = 6


def seen(drawn: np.random.Generator, levels: np.ndarray, each: float = 3000.0) -> tuple[np.ndarray, np.ndarray]:
    """Events of pods by hour, and those expected at the common rate."""
    counted = drawn.poisson(each * levels).astype(float)
    return counted, np.tile(counted.mean(axis=0), (len(counted), 1))


def lasting(drawn: np.random.Generator, pods: int, spread: float) -> np.ndarray:
    return np.tile(np.exp(spread * drawn.standard_normal((pods, 1))), (1, HOURS))


def test_pods_that_differ_by_chance_have_no_levels() -> None:
    with fresh_worlds() as drawn:
        found = [measure_levels(*seen(drawn, lasting(drawn, pods, 0.0)), 1.0) for pods in (3, 9, 20) for _ in range(40)]
        assert sum(one.spread > 0 for one in found) <= most(120, 0.06)


def test_levels_that_last_have_one_degree_of_freedom_less_than_pods_and_those_of_an_hour_more() -> None:
    with fresh_worlds() as drawn:
        for_good = [measure_levels(*seen(drawn, lasting(drawn, 20, 0.15)), 1.0) for _ in range(40)]
        assert np.mean([one.spread for one in for_good]) == pytest.approx(0.15, rel=0.15)
        assert {round(one.freedom) for one in for_good} <= {19, 20, 21}
        hourly = [
            measure_levels(*seen(drawn, np.exp(0.3 * drawn.standard_normal((20, HOURS)))), 1.0) for _ in range(40)
        ]
        assert np.mean([one.spread for one in hourly]) == pytest.approx(0.3, rel=0.15)
        assert np.mean([one.freedom for one in hourly]) > 50


def test_noise_that_is_known_is_no_level() -> None:
    with fresh_worlds() as drawn:
        bunches = 9 * drawn.poisson(300.0, (9, HOURS)).astype(float)
        expected = np.tile(bunches.mean(axis=0), (9, 1))
        assert measure_levels(bunches, expected, 1.0).spread > 0
        assert sum(
            measure_levels(
                9 * (own := drawn.poisson(300.0, (9, HOURS))), np.tile(9.0 * own.mean(axis=0), (9, 1)), 9.0
            ).spread
            > 0
            for _ in range(60)
        ) <= most(60, 0.06)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (np.zeros((3, 2)), np.zeros((3, 2))),
        (np.ones((1, 4)), np.ones((1, 4))),
        (np.array([[5.0, 0.0], [0.0, 7.0]]), np.array([[5.0, 0.0], [0.0, 7.0]])),
    ],
)
def test_where_nobody_can_be_compared_there_are_no_levels(counted: np.ndarray, expected: np.ndarray) -> None:
    assert measure_levels(counted, expected, 1.0) == Levels()


@pytest.mark.parametrize("pods", [3, 9, 19])
def test_equal_pods_lie_farther_apart_as_rarely_as_is_said(pods: int) -> None:
    """One more pod than those that were measured, and their spread is only known from them."""
    with fresh_worlds() as drawn:
        levels = drawn.standard_normal((4000, pods + 1))
        spreads = levels[:, 1:].std(axis=1, ddof=1)
        reach = np.array([Levels(spread, pods - 1.0).reach(0.05) for spread in spreads.tolist()])
        beyond = levels[:, 0] - levels[:, 1:].mean(axis=1) > reach * math.sqrt(1 + 1 / pods)
        assert beyond.sum() <= most(4000, 0.05)
        assert beyond.mean() > 0.035


def test_a_widening_is_rounded_up_and_is_none_where_pods_are_alike() -> None:
    assert widening(0.0, np.array([0.0, 2.0])).tolist() == [1.0, 1.0]
    exact = float(student.ppf(0.99, 9)) * 0.1
    assert Levels(0.1, 9).reach(0.01) == pytest.approx(exact)
    wide = math.log(widening(exact, np.array([1.0]))[0])
    assert exact <= wide <= exact + STEP
    assert widening(math.inf, np.array([1.0]))[0] == pytest.approx(1000, rel=0.05)


def test_pods_with_little_to_do_count_for_less() -> None:
    requests = np.array([[100.0, 100.0, 0.0], [100.0, 0.0, 0.0], [100.0, 10.0, 0.0]])
    assert as_many(requests) == pytest.approx([3.0, 1.198, 0.0], abs=1e-3)
    assert busiest(requests) == pytest.approx([100.0, 91.8, 0.0], abs=0.1)
