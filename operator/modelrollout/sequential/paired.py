"""Pairs of answers to the same requests, as from mirrored traffic: only pairs with one wrong answer count. Pure.

With b = stable right and candidate wrong, c = the reverse, `the candidate is no more often the wrong one` means
b/(b + c) ≤ ρ/(1 + ρ), and for odds k·ρ (McNemar; statistics: 2.5):

    ln e = b ln(q/q0) + c ln((1 − q)/(1 − q0)),    q = kρ/(1 + kρ), q0 = ρ/(1 + ρ)

is exact for any order of the answers, and two to three times as fast as comparing two independent shares.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ODDS: Floats = np.array([1.2, 1.5, 2.0, 3.0, 6.0])
"""Bets on the candidate's odds of being the wrong one, as multiples of the tolerated odds; statistics: 2.5."""
GOOD_ODDS: Floats = np.array([0.2, 0.4, 0.6, 0.8])
"""Bets that rule out unacceptable odds, as parts of those."""


def worse(candidate_wrong: Floats, stable_wrong: Floats, tolerated: float = 1.0) -> Floats:
    """ln e (ticks × ODDS) against `odds of the candidate being the wrong one are at most `tolerated``."""
    return _factors(candidate_wrong, stable_wrong, ODDS, tolerated)


def better(candidate_wrong: Floats, stable_wrong: Floats, unacceptable: float) -> Floats:
    """ln e (ticks × GOOD_ODDS) against `those odds are at least `unacceptable``."""
    return _factors(candidate_wrong, stable_wrong, GOOD_ODDS, unacceptable)


def _factors(b: Floats, c: Floats, beyond: Floats, null: float) -> Floats:
    """`beyond`: the odds of each bet, as multiples of `null`."""
    less = np.log((1 + null) / (1 + beyond * null))  # ln((1 − q)/(1 − q0)); ln(q/q0) is ln k more
    gained = np.outer(b, np.log(beyond) + less) + np.outer(c, less)
    return np.asarray(gained, dtype=np.float64)
