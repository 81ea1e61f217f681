"""The limit's formulas against the numbers printed in the study (4.1)."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis import limits, streams
from benchmarks.analysis.latencies import CLASSIC, SLOWER, plain, shares
from benchmarks.analysis.trials import Margin

FIVE_PERCENT_OF_50 = (2.5, 47.5)


@pytest.mark.parametrize(
    ("ratio", "rate", "at_5", "at_1", "at_01", "harm"),
    [
        (1.2, 4.45e-4, 6736, 10355, 15533, 51.8),
        (1.5, 2.55e-3, 1175, 1806, 2709, 22.6),
        (2.0, 9.04e-3, 331, 509, 764, 12.7),
        (5.0, 9.18e-2, 32.6, 50.2, 75.3, 5.0),
    ],
)
def test_errors_of_one_in_a_hundred_at_50_requests_per_second(
    ratio: float, rate: float, at_5: float, at_1: float, at_01: float, harm: float
) -> None:
    truth = (0.01 * ratio, 0.01)
    found = limits.counts(FIVE_PERCENT_OF_50, truth)
    seen = [found, *(limits.seconds(found, alpha) for alpha in (0.05, 0.01, 0.001))]
    assert seen == pytest.approx([rate, at_5, at_1, at_01], rel=2e-3)
    assert limits.excess_failures(found, FIVE_PERCENT_OF_50[0], truth) == pytest.approx(harm, abs=0.05)


@pytest.mark.parametrize(("baseline", "rate", "seconds", "harm"), [(0.001, 0.282, 16.3, 2.0), (0.01, 0.129, 35.6, 4.5)])
def test_five_points_more_errors(baseline: float, rate: float, seconds: float, harm: float) -> None:
    truth = (baseline + 0.05, baseline)
    found = limits.counts(FIVE_PERCENT_OF_50, truth)
    assert [found, limits.seconds(found)] == pytest.approx([rate, seconds], rel=4e-3)
    assert limits.excess_failures(found, FIVE_PERCENT_OF_50[0], truth) == pytest.approx(harm, abs=0.05)


@pytest.mark.parametrize(("baseline", "ratio", "most"), [(0.001, 1.5, 0.34), (0.001, 2.0, 0.81), (0.01, 1.2, 0.50)])
def test_the_power_that_an_hour_allows_at_most(baseline: float, ratio: float, most: float) -> None:
    rate = limits.counts(FIVE_PERCENT_OF_50, (baseline * ratio, baseline))
    assert limits.ceiling(rate, 3600) == pytest.approx(most, abs=0.005)


@pytest.mark.parametrize(("share", "harm"), [(0.01, 12.1), (0.05, 12.7), (0.10, 13.6), (0.25, 17.0), (0.50, 27.1)])
def test_more_weight_buys_time_and_not_harm(share: float, harm: float) -> None:
    truth = (0.02, 0.01)
    rate = limits.counts((share * 50, (1 - share) * 50), truth)
    assert limits.excess_failures(rate, share * 50, truth) == pytest.approx(harm, abs=0.06)


def test_moving_on_needs_this_long_when_nothing_is_wrong() -> None:
    seen = [limits.seconds(limits.counts((25, 475), (0.001, 0.001), Margin(rho)), 0.05) for rho in (1.0, 0.5)]
    assert seen == pytest.approx([424, 1356], rel=1e-3)


def test_shadow_and_labelled_pairs_and_a_gauge() -> None:
    shadow = [limits.seconds(limits.one_sample(2.5, share, 0.02)) for share in (0.03, 0.04, 0.10)]
    pairs = [limits.seconds(limits.paired(5, *wrong)) for wrong in ((0.035, 0.025), (0.04, 0.02), (0.07, 0.02))]
    gauge = limits.seconds(limits.gauge(0.02, 2 * 0.01**2 * 9, 10))
    assert [*shadow, *pairs, gauge] == pytest.approx([832, 232, 22, 1100, 271, 63, 414], rel=0.01)


def test_conversion_by_the_hour() -> None:
    seen = [
        limits.seconds(limits.proportions((2000 * share, 2000 * (1 - share)), (0.05 * (1 - loss), 0.05)))
        for share in (0.5, 0.1)
        for loss in (0.05, 0.1, 0.2)
    ]
    assert seen == pytest.approx([137, 33, 8, 382, 94, 23], rel=0.025)


@pytest.mark.parametrize(
    ("rps", "share", "extra", "seconds"),
    [(50, 0.05, 0.08, 1858), (50, 0.25, 0.08, 476), (500, 0.05, 0.08, 186), (500, 0.05, 0.05, 1199)],
)
def test_a_group_that_is_treated_worse(rps: float, share: float, extra: float, seconds: float) -> None:
    good = streams.GOOD_OUTCOMES
    truth = (good - extra, good, good, good)
    rate = limits.linear(streams.group_rates(rps, share), truth, (-1, 1, 1, -1), streams.GROUP_TOLERANCE)
    assert limits.seconds(rate) == pytest.approx(seconds, rel=0.01)


def test_latency_in_classic_buckets() -> None:
    seen = [
        limits.seconds(limits.latency(FIVE_PERCENT_OF_50, shares(slower.survival, CLASSIC), shares(plain, CLASSIC)))
        for slower in SLOWER
    ]
    assert seen == pytest.approx([757, 87, 49, 659, 173, 32, 70], rel=0.012)


def test_nothing_is_ever_found_where_nothing_differs() -> None:
    assert limits.seconds(limits.counts(FIVE_PERCENT_OF_50, (0.01, 0.01))) == np.inf


def test_the_projection_lies_on_the_boundary_and_no_neighbour_on_it_is_nearer() -> None:
    n, truth, margin = (2.5, 47.5), (0.03, 0.01), Margin(0.25, 0.002)
    c, s = limits.on_boundary(n, truth, margin)
    assert c == pytest.approx(1.25 * s + 0.002)

    def distance(y: float) -> float:
        return n[0] * limits.poisson_kl(truth[0], 1.25 * y + 0.002) + n[1] * limits.poisson_kl(truth[1], y)

    assert distance(s) < min(distance(s * 1.001), distance(s * 0.999))
