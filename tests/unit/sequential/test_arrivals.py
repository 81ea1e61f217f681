"""The test of the candidate's part of the requests: exact inside its margin, and rarely wrong in a whole rollout."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from modelrollout.analysis.kinds.arrivals import ALLOWED, FALSE_ALARM_RATE, MOST_AT_ONCE, SIDES
from modelrollout.sequential.arrivals import WEIGHTS, beyond
from modelrollout.sequential.wealth import Onsets, Wealth, grow

ROLLOUTS = 700
TICKS = 16
STEPS = (5, 25, 50)


@pytest.mark.parametrize("odds", [0.01, 0.05, 1 / 3, 1.0, 4.0])
@pytest.mark.parametrize("requests", [1, 2, 7, 40])
def test_no_bet_is_expected_to_win_inside_the_margin(odds: float, requests: int) -> None:
    mine = np.arange(requests + 1.0)
    for factor, bets in SIDES.values():
        boundary = odds * factor
        e = np.exp(beyond(mine, requests - mine, boundary, bets))
        inside = boundary * np.linspace(1, 5, 9) if factor < 1 else boundary * np.linspace(0, 1, 9)
        for at in inside:
            chances = binom.pmf(mine, requests, at / (1 + at))
            assert (chances @ e <= 1 + 1e-9).all()


@pytest.mark.parametrize("off", [1 / ALLOWED, 1.0, ALLOWED])
@pytest.mark.parametrize("rate", [5.0, 50.0, 2000.0])
def test_rollouts_as_intended_are_rarely_told_otherwise(off: float, rate: float) -> None:
    """Also where the odds are as far off as is allowed, which no cluster is all the time."""
    random, ticks = np.random.default_rng(int(rate)), TICKS * len(STEPS)
    odds = np.repeat([weight / (100 - weight) for weight in STEPS], TICKS)
    edges = 15.0 * np.arange(ticks + 1)
    onsets = Onsets(0.0, len(STEPS) - 1, edges[-1])
    restarts = onsets.restarts(edges, [15.0 * TICKS * step for step in range(1, len(STEPS))])
    needed = np.log(len(SIDES) / FALSE_ALARM_RATE)
    alarms = 0
    for _ in range(ROLLOUTS):
        requests = random.poisson(15 * rate * random.uniform(0.3, 3), ticks)
        mine = random.binomial(requests, odds * off / (1 + odds * off)).astype(float)
        alarms += any(_highest(side, mine, requests - mine, odds, restarts) >= needed for side in SIDES)
    assert alarms <= binom.ppf(0.999, ROLLOUTS, FALSE_ALARM_RATE)


def _highest(side: str, mine: np.ndarray, theirs: np.ndarray, odds: np.ndarray, restarts: np.ndarray) -> float:
    factor, bets = SIDES[side]
    bounds = [0, *(TICKS * number for number in range(1, len(STEPS))), len(odds)]
    factors = np.concatenate([beyond(mine[a:b], theirs[a:b], odds[a] * factor, bets) for a, b in pairwise(bounds)])
    path = grow(Wealth.untouched(bets.size), np.minimum(factors, MOST_AT_ONCE), restarts, WEIGHTS)
    return float(path.log.max())
