"""The candidate's part of the requests, against the part that was intended. Pure.

Given all n requests of a tick, those of the candidate are Binomial(n, p) where the gateway follows its weights,
whatever the traffic does (Lindon & Malek, 2011.03567; here one-sided, with a margin, and bets that are fixed
beforehand). For a bet on odds beyond the boundary the likelihood ratio is monotone in p: its expectation is at most 1
for all p inside.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWER: Floats = np.array([1 / 1.5, 1 / 4, 1 / 1000])
MORE: Floats = np.array([1.5, 4.0, 1000.0])
"""Bets on the odds of meeting the candidate, as multiples of the boundary's."""
WEIGHTS: Floats = np.log(np.full(3, 1 / 3))


def beyond(candidate: Floats, stable: Floats, odds: float, bets: Floats) -> Floats:
    """ln e, ticks × bets. `odds`: the boundary. Counts may be parts of requests (Jensen)."""
    mine = np.log(bets) - np.log1p(odds * bets) + np.log1p(odds)
    theirs = np.log1p(odds) - np.log1p(odds * bets)
    return np.asarray(np.outer(candidate, mine) + np.outer(stable, theirs), dtype=np.float64)
