"""How often equal candidates are taken back, and how soon bad ones: simulated rollouts, a look at every interval.

Every world stands on the boundary of what is tolerated, the worst place for false alarms. The seeds are fixed: these
tests always see the same worlds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from modelrollout.analysis.histograms import Buckets
from modelrollout.analysis.latency import edge_pairs
from modelrollout.analysis.significance import Count, above_zero, at_least, beyond, excess
from modelrollout.analysis.spending import level
from modelrollout.api.spec import Tolerance
from modelrollout.api.status import Verdict
from tests.unit.analysis.looking import ERRORS, look, requests

RUNS, LOOKS = 2000, 40
DECLARED = 0.01


def allowed(at: int, bounds: int = 1) -> float:
    return level(DECLARED, stretches=1, metrics=1, bounds=bounds, look=at)


def worlds(
    seed: int, candidate: float, stable: float, *, rps: float = 50.0, weight: float = 0.05, runs: int = RUNS
) -> Iterator[list[tuple[int, Count, Count]]]:
    """What both arms have counted at each look of a rollout."""
    random = np.random.default_rng(seed)
    for _ in range(runs):
        totals = [random.poisson(rps * 15 * share, LOOKS) for share in (weight, 1 - weight)]
        events = [random.binomial(total, share) for total, share in zip(totals, (candidate, stable), strict=True)]
        sums = [np.cumsum(series) for series in (*events, *totals)]
        yield [(at + 1, Count(sums[0][at], sums[2][at]), Count(sums[1][at], sums[3][at])) for at in range(LOOKS)]


def may_stand_out(candidate: Count, expected: float) -> bool:
    """Spares the work for looks that are nowhere near any level: less than two standard deviations above."""
    return candidate.events > expected * candidate.total + 2 * (expected * candidate.total) ** 0.5


@pytest.mark.parametrize(
    ("factor", "margin", "stable"),
    [(1.0, 0.0, 0.01), (1.0, 0.0, 0.001), (1.25, 0.0, 0.02), (1.25, 0.001, 0.01), (1.0, 0.001, 0.0), (1.0, 0.01, 0.07)],
)
def test_equal_candidates_are_taken_back_less_often_than_declared(factor: float, margin: float, stable: float) -> None:
    candidate = factor * stable + margin
    alarms = sum(
        any(
            may_stand_out(mine, factor * theirs.share + margin) and beyond(mine, theirs, factor, margin) <= allowed(at)
            for at, mine, theirs in looks
        )
        for looks in worlds(1, candidate, stable)
    )
    assert alarms <= DECLARED * RUNS


def test_looking_as_often_at_an_unshared_level_would_take_back_far_more() -> None:
    alarms = sum(
        any(beyond(mine, theirs, 1.0, 0.0) <= DECLARED for _, mine, theirs in looks) for looks in worlds(1, 0.01, 0.01)
    )
    assert alarms > 3 * DECLARED * RUNS


def test_candidates_at_their_hard_limit_are_taken_back_less_often_than_declared() -> None:
    alarms = sum(
        any(may_stand_out(mine, 0.02) and at_least(mine, 0.02) <= allowed(at) for at, mine, _ in looks)
        for looks in worlds(2, 0.02, 0.0)
    )
    assert alarms <= DECLARED * RUNS


def test_the_whole_way_from_samples_to_verdict_keeps_the_declared_rate() -> None:
    equal = {**ERRORS, "tolerance": {}}
    alarms = 0
    for looks in worlds(3, 0.02, 0.02, rps=100):
        near = [told for told in looks if may_stand_out(told[1], told[2].share)]
        alarms += any(
            look(equal, requests(mine.events, mine.total), requests(theirs.events, theirs.total), at=at).verdict
            is Verdict.FAIL
            for at, mine, theirs in near
        )
    assert alarms <= DECLARED * RUNS / 5  # one of five stretches


def test_equally_fast_candidates_are_taken_back_less_often_than_declared() -> None:
    random = np.random.default_rng(4)
    edges = tuple(0.01 * 2**n for n in range(8))
    shares = np.array([0.3, 0.25, 0.2, 0.1, 0.08, 0.04, 0.02, 0.009, 0.001])
    pairs = edge_pairs(edges, Tolerance())

    def is_alarm(mine: Buckets, theirs: Buckets, at: int) -> bool:
        tails = [(mine.slower(beyond_edge), theirs.slower(edge)) for edge, beyond_edge in pairs]
        return any(len(pairs) * beyond(*tail, 1.0, 0.0) <= allowed(at) for tail in tails)

    alarms = 0
    for _ in range(RUNS):
        arms = [random.multinomial(random.poisson(rate, LOOKS), shares).cumsum(axis=0) for rate in (40, 760)]
        looks = [
            [Buckets(edges, tuple(arm[at].cumsum()[:-1]), arm[at].sum()) for arm in arms] for at in range(0, LOOKS, 5)
        ]
        alarms += any(is_alarm(mine, theirs, 5 * at + 1) for at, (mine, theirs) in enumerate(looks))
    assert alarms <= DECLARED * RUNS


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.95])
def test_equal_gauges_are_taken_back_less_often_than_declared_however_slow_their_noise(correlation: float) -> None:
    random = np.random.default_rng(5)
    noise = random.standard_normal((RUNS, LOOKS))
    for at in range(1, LOOKS):
        noise[:, at] = correlation * noise[:, at - 1] + (1 - correlation**2) ** 0.5 * noise[:, at]
    count = np.arange(1, LOOKS + 1)
    means, squares = noise.cumsum(axis=1) / count, (noise**2).cumsum(axis=1) / count
    stands_out = (count >= 5) & (means > 3 * np.sqrt((squares - means**2) / count))  # others are far from any level
    alarms = {
        run
        for run, at in zip(*np.nonzero(stands_out), strict=True)
        if above_zero(excess(noise[run, : at + 1])) <= allowed(at + 1)
    }
    assert len(alarms) <= DECLARED * RUNS


@pytest.mark.parametrize(
    ("candidate", "stable", "factor", "margin", "most"),
    [
        (0.05, 0.01, 1.25, 0.001, 600),  # five times the errors
        (0.06, 0.01, 1.25, 0.001, 400),  # five points more of them
        (0.201, 0.001, 1.25, 0.001, 60),  # twenty points more
        (0.22, 0.07, 1.0, 0.01, 200),  # accuracy down by fifteen points
    ],
)
def test_gross_regressions_are_found_in_a_few_hundred_requests(
    candidate: float, stable: float, factor: float, margin: float, most: int
) -> None:
    """With 1 % over three metrics, two bounds each, and five stretches, at 5 % of 50 requests a second."""
    needed = []
    for looks in worlds(6, candidate, stable, runs=60):
        found = (
            mine.total
            for at, mine, theirs in looks
            if beyond(mine, theirs, factor, margin) <= level(DECLARED, stretches=5, metrics=3, bounds=2, look=at)
        )
        needed.append(next(found, np.inf))
    assert np.median(needed) <= most
