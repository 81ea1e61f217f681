"""Simulated streams of the other kinds: gauges, business metrics, shadow answers, labelled pairs, groups of users."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from benchmarks.analysis.trials import Counts, Disparity, Floats, Gauges, Ints, OneSample, Paired, Sums
from benchmarks.analysis.worlds import TICK, TICKS, autoregressive

GAUGE_LEVEL = 0.92
GAUGE_SPREAD = 0.01
"""Standard deviation of each arm's reading about its mean."""
GAUGE_HISTORY_TICKS = 8640
"""24 hours."""
SMALLEST_DROP = 0.02

HOUR = 3600.0
USERS_PER_HOUR = 2000.0
CONVERSION = 0.05
SEASON_USERS = 0.5
SEASON_CONVERSION = 0.2
"""Amplitudes of the 24-hour wave; both arms share it."""
HISTORY_HOURS = 168
TWO_WEEKS = 336
"""Hours."""

PAIRS_PER_SECOND = 5.0
GROUP_SHARE = 0.2
GOOD_OUTCOMES = 0.3
"""Share of good outcomes in every group, and with stable."""
GROUP_TOLERANCE = 0.03


def gauges(
    rng: Generator, runs: int, drop: float, correlation: float, history_ticks: int = GAUGE_HISTORY_TICKS
) -> Gauges:
    """Readings that wander (AR(1)); history is the difference of two stable pods."""
    both = [GAUGE_LEVEL + GAUGE_SPREAD * autoregressive(rng, (runs, TICKS), correlation) for _ in range(2)]
    history = math.sqrt(2) * GAUGE_SPREAD * autoregressive(rng, (runs, history_ticks), correlation)
    return Gauges(both[0] - drop, both[1], history, SMALLEST_DROP)


def _users(rng: Generator, runs: int, share: float, hours: int) -> tuple[Ints, Ints, Floats]:
    """Users per hour of candidate and stable, and the conversion of stable, (runs, hours) each.

    A release begins at any hour of the day: one that always began in the morning would see more than the average user.
    """
    wave = np.sin(2 * np.pi * (np.arange(hours) / 24 + rng.random((runs, 1))))
    users = USERS_PER_HOUR * (1 + SEASON_USERS * wave)
    conversion = CONVERSION * (1 + SEASON_CONVERSION * wave)
    return rng.poisson(share * users), rng.poisson((1 - share) * users), conversion


def conversions(rng: Generator, runs: int, loss: float, share: float = 0.5, hours: int = TWO_WEEKS) -> Counts:
    """Users who convert, by the hour; the candidate converts a share `loss` fewer. Fewer is worse."""
    n_candidate, n_stable, conversion = _users(rng, runs, share, hours)
    history_n = rng.poisson(USERS_PER_HOUR * HISTORY_HOURS, runs)
    return Counts(
        bad_candidate=rng.binomial(n_candidate, conversion * (1 - loss)),
        bad_stable=rng.binomial(n_stable, conversion),
        n_candidate=n_candidate,
        n_stable=n_stable,
        history_bad=rng.binomial(history_n, CONVERSION),
        history_n=history_n,
        fewer_is_worse=True,
        users=True,
        history_ticks=HISTORY_HOURS,
    )


REVENUE = 20.0
"""Mean amount of a user who converts."""
REVENUE_SPREAD = math.sqrt(math.log(2.0))
"""Of its logarithm: the standard deviation of an amount equals its mean."""


def revenue(rng: Generator, runs: int, loss: float, share: float = 0.5, hours: int = TWO_WEEKS) -> Sums:
    """Amounts per user, most of them nothing; the candidate's amounts are a share `loss` smaller."""
    n_candidate, n_stable, conversion = _users(rng, runs, share, hours)
    sums = [
        _amounts(rng, rng.binomial(n, conversion), factor) for n, factor in ((n_candidate, 1 - loss), (n_stable, 1))
    ]
    mean = REVENUE * CONVERSION
    return Sums(sums[0][0], sums[1][0], sums[0][1], sums[1][1], n_candidate, n_stable, smallest_drop=0.1 * mean)


def _amounts(rng: Generator, buyers: Ints, factor: float) -> tuple[Floats, Floats]:
    """Sum and sum of squares of lognormal amounts for each entry of (runs, hours)."""
    ends = np.cumsum(buyers.ravel())
    amounts = factor * REVENUE * np.exp(REVENUE_SPREAD * rng.standard_normal(int(ends[-1])) - REVENUE_SPREAD**2 / 2)
    totals = []
    for values in (amounts, amounts**2):
        upto = np.concatenate([[0.0], np.cumsum(values)])
        totals.append((upto[ends] - upto[ends - buyers.ravel()]).reshape(buyers.shape))
    return totals[0], totals[1]


def revenue_variance_ratio() -> float:
    """Variance of the amount per user over its squared mean."""
    return 2 / CONVERSION - 1


def shadow(rng: Generator, runs: int, rps: float, disagreement: float, limit: float) -> OneSample:
    """Answers that were compared, and those that differed."""
    n = rng.poisson(rps * TICK, (runs, TICKS))
    return OneSample(rng.binomial(n, disagreement), n, limit)


def pairs(rng: Generator, runs: int, candidate_wrong: float, stable_wrong: float) -> Paired:
    """Labelled requests answered by both arms: those on which exactly one was wrong; shares of all pairs."""
    shape = (runs, TICKS)
    return Paired(
        rng.poisson(PAIRS_PER_SECOND * TICK * candidate_wrong, shape),
        rng.poisson(PAIRS_PER_SECOND * TICK * stable_wrong, shape),
    )


def group_rates(rps: float, share: float) -> tuple[float, float, float, float]:
    """Requests per second of candidate/group, candidate/rest, stable/group, stable/rest."""
    return (
        share * rps * GROUP_SHARE,
        share * rps * (1 - GROUP_SHARE),
        (1 - share) * rps * GROUP_SHARE,
        (1 - share) * rps * (1 - GROUP_SHARE),
    )


def groups(rng: Generator, runs: int, rps: float, share: float, extra: float) -> Disparity:
    """Good outcomes of a group and of the rest; the candidate gives the group a share `extra` fewer."""
    n = rng.poisson(np.array(group_rates(rps, share)) * TICK, (runs, TICKS, 4))
    good = np.array([GOOD_OUTCOMES - extra, GOOD_OUTCOMES, GOOD_OUTCOMES, GOOD_OUTCOMES])
    return Disparity(rng.binomial(n, good), n, GROUP_TOLERANCE)
