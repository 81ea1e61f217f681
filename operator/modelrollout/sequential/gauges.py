"""Readings of gauges and means per user: normal mixtures, valid asymptotically. Pure.

For readings D of the candidate's distance beyond the bound (up is worse), with S = ΣD/v and V = n/v:

    ln E = ln 2 − ½ ln(1 + τ²V) + S²τ²/(2(1 + τ²V)) + ln Φ(Sτ/√(1 + τ²V))

is a one-sided half-normal mixture over drifts of the size of τ (Robbins; statistics: 2.4). v is the *long-run*
variance of a reading: gauges remember, and with readings assumed independent half of all equal candidates would be
rolled back. The test rests on a normal limit, so it is never merged with exact tests: it has a part of the error rate
to itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, erfcx, log_ndtr

Floats = npt.NDArray[np.float64]

BATCH = 600.0
"""Seconds of a batch; means of batches are taken as independent; statistics: 2.4."""
FEWEST_BATCHES = 6
VARIANCE_CONFIDENCE = 0.90
"""Confidence of the variance in use, an upper bound: a plain estimate from a short history raises false alarms."""
WARM_UP = 10
"""The fewest readings for any evidence: the normal limit needs some."""


def log_wealth(sums: Floats, variances: Floats, scale: Floats | float) -> Floats:
    """ln E for S (`sums`) and V (`variances`), with τ = `scale`, element by element."""
    spread = 1 + np.square(scale) * variances
    signal = sums * scale / np.sqrt(spread)
    # ln 2 + s²/2 + ln Φ(s) in two forms; each is exact where the other loses its digits.
    for_better = np.log(erfcx(-np.minimum(signal, 0.0) / math.sqrt(2)))
    for_worse = math.log(2) + np.square(signal) / 2 + log_ndtr(np.maximum(signal, 0.0))
    return np.asarray(np.where(signal < 0, for_better, for_worse) - np.log(spread) / 2, dtype=np.float64)


def half_width(count: float, variance: float, scale: float, alpha: float) -> float:
    """Half the width of an anytime-valid interval for the mean with confidence 1 − alpha (two-sided mixture)."""
    if count <= 0 or variance <= 0:
        return math.inf
    more = scale**2 * count / variance
    if more <= 0:
        return math.inf
    return math.sqrt(variance / count * (1 + more) / more * (math.log1p(more) - 2 * math.log(alpha)))


def long_run_variance(readings: Floats, per_block: int) -> float | None:
    """v of one reading from its history, by batch means with a χ² upper bound; None when the history is too short.

    Where neighbouring blocks are correlated, batch means miss a part of v, and twice as much of it with blocks half as
    long. So the difference of the two estimates is added once (the flat-top kernel of Politis & Romano 1995, in terms
    of blocks).
    """
    per_block = max(per_block, 1)
    blocks = len(readings) // per_block
    if blocks < FEWEST_BATCHES:
        return None
    found = _batch_means(readings[: blocks * per_block], per_block)
    if per_block > 1:
        found += max(found - _batch_means(readings[: blocks * per_block], per_block // 2), 0.0)
    upper = (blocks - 1) / chdtri(
        blocks - 1, VARIANCE_CONFIDENCE
    )  # the χ² quantile that is exceeded with probability VARIANCE_CONFIDENCE
    return found * float(upper)


def _batch_means(readings: Floats, per_block: int) -> float:
    blocks = len(readings) // per_block
    means = readings[: blocks * per_block].reshape(blocks, per_block).mean(axis=1)
    return per_block * float(means.var(ddof=1))


@dataclass(frozen=True, slots=True)
class Moments:
    """Running sums of readings: their number, sum, squares and products of neighbours; the first and the last one."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    neighbours: float = 0.0
    first: float = 0.0
    last: float = 0.0

    def after(self, readings: Floats) -> Moments:
        if not readings.size:
            return self
        chain = readings if self.count == 0 else np.append(self.last, readings)
        return Moments(
            self.count + readings.size,
            self.total + float(readings.sum()),
            self.squares + float(readings @ readings),
            self.neighbours + float(chain[1:] @ chain[:-1]),
            self.first if self.count else float(readings[0]),
            float(readings[-1]),
        )

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan

    @property
    def variance(self) -> float:
        """The variance of the readings, as if they had no memory."""
        return self._squares_around_mean / (self.count - 1) if self.count > 1 else 0.0

    @property
    def _squares_around_mean(self) -> float:
        return max(self.squares - self.count * self.mean**2, 0.0)

    @property
    def long_run_variance(self) -> float | None:
        """v from the readings themselves as an AR(1), where there is no history; None when there are too few.

        A short run says little about the correlation φ, and a φ that is too low raises false alarms. So two standard
        errors are added to the estimate. The estimate itself is low by (1 + 3φ)/n (Kendall 1954).
        """
        n = self.count
        if n < WARM_UP:
            return None
        squares = self._squares_around_mean
        if squares <= 1e-24 * max(self.squares, 1e-300):
            return 0.0
        ends = self.mean * (2 * self.total - self.first - self.last)
        seen = (self.neighbours - ends + (n - 1) * self.mean**2) / squares
        likely = min(max(seen + (1 + 3 * seen) / n, 0.0), 0.99)
        careful = min(likely + 2 * math.sqrt((1 - likely**2) / n), 0.99)
        return squares / (n - 1) * (1 + careful) / (1 - careful) * float((n - 1) / chdtri(n - 1, VARIANCE_CONFIDENCE))
