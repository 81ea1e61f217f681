"""A lower threshold for a plan of declared length: the wealth that equal candidates reach with probability α. Pure.

The threshold 1/α holds for any number of looks, forever. Where the length, the weights and the volume of events are
declared, equal candidates reach less within the plan, and simulation tells how much (statistics: 2.1): given the total
of events, the candidate's part is binomial, so no unknown parameter enters. Beyond the declared end 1/α holds again.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.wealth import EFFECT_WEIGHTS, EFFECTS

Floats = npt.NDArray[np.float64]

RUNS = 10_000
TICKS = 360
"""The most ticks of a simulated plan. Each tick is a look; too few looks would give too low a threshold."""
SEED = 20_240_117
BEYOND_OTHERS = 1e-6
"""Nats by which the threshold exceeds a wealth that too many paths reach."""


def threshold(events: Floats, weights: Floats, restarts: Floats, alpha: float, *, runs: int = RUNS) -> float:
    """ln of the wealth that equal candidates reach within the plan with probability `alpha`; at most ln 1/α.

    All arrays: ticks. `events`: expected in both arms together. `weights`: the candidate's share of the requests, 0–1.
    `restarts`: γ of each tick. The same plan always gives the same threshold.
    """
    drawn = np.random.default_rng(SEED)
    bets = np.zeros((runs, EFFECTS.size))
    cash, highest = 1.0, np.zeros(runs)
    for volume, weight, put_on in zip(events, weights, restarts, strict=True):
        bets += put_on * EFFECT_WEIGHTS
        cash -= put_on
        total = drawn.poisson(volume, runs)
        mine = drawn.binomial(total, weight)
        bets *= np.exp(np.outer(mine, np.log(EFFECTS)) - np.outer(total, np.log1p(weight * (EFFECTS - 1))))
        np.maximum(highest, bets.sum(axis=1) + max(cash, 0.0), out=highest)
    # The lowest maximum that too many paths reach, plus a little: with few events many paths reach exactly that.
    enough = runs - 1 - int(alpha * runs)
    exceeded = float(np.partition(highest, enough)[enough])
    return min(math.log(exceeded) + BEYOND_OTHERS, math.log(1 / alpha)) if exceeded > 1 else math.log(1 / alpha)
