"""A lower threshold for a plan of declared length: the wealth that equal candidates reach with probability α. Pure.

1/α is for any number of looks, for ever. Where the length, the weights and the volume of events are declared, what
equal candidates really reach within it is lower, and simulating them tells how much (statistics: 2.1): given the total
of events, the candidate's part is binomial, so nothing unknown enters. Beyond the declared end 1/α holds again.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.wealth import EFFECT_WEIGHTS, EFFECTS

Floats = npt.NDArray[np.float64]

RUNS = 10_000
TICKS = 360
"""The plan is simulated in so many ticks at most: fewer looks than there are would give too low a threshold."""
SEED = 20_240_117
BEYOND_OTHERS = 1e-6
"""Nats by which a path has to exceed what too many paths reach."""


def threshold(events: Floats, weights: Floats, restarts: Floats, alpha: float, *, runs: int = RUNS) -> float:
    """ln of the wealth that equal candidates reach within the plan with probability `alpha`; at most ln 1/α.

    All arrays: ticks. `events`: expected in both arms together; `weights`: the candidate's share of the requests, 0–1;
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
    # The highest that too many of them reach, and a little: where events are few, many paths end there exactly.
    enough = runs - 1 - int(alpha * runs)
    exceeded = float(np.partition(highest, enough)[enough])
    return min(math.log(exceeded) + BEYOND_OTHERS, math.log(1 / alpha)) if exceeded > 1 else math.log(1 / alpha)
