"""How likely chance alone shows a candidate this much worse: p-values that hold at any sample size. Pure.

None rests on a normal approximation for counts: at the levels that many looks, metrics and steps leave (10⁻⁵ and less)
it is off by orders of magnitude for rare events. Each is at most its level in the long run for every candidate that is
within its bound, wherever stable really is; that is proved here and simulated in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, rel_entr, stdtr

Floats = npt.NDArray[np.float64]

SMALLEST = 1e-280  # below it floats lose digits, and then everything


@dataclass(frozen=True, slots=True)
class Count:
    """How many of `total` were of the kind in question."""

    events: float
    total: float

    @property
    def share(self) -> float:
        return self.events / self.total if self.total > 0 else 0.0

    def times(self, factor: float) -> Count:
        """The same share of a sample so many times as large."""
        return Count(self.events * factor, self.total * factor)


def at_least(count: Count, share: float) -> float:
    """P(X ≥ events) for X ~ Binomial(total, share); for fractions of events the continuous extension."""
    return float(_at_least(count, np.array([share]))[0])


def at_most(count: Count, share: float) -> float:
    """P(X ≤ events) for X ~ Binomial(total, share)."""
    return float(_at_most(count, np.array([share]))[0])


def beyond(candidate: Count, stable: Count, factor: float, margin: float) -> float:
    """The p-value of `share of candidate ≤ factor · share of stable + margin`, for shares of what is bad.

    Without a margin given the sum of events, the candidate's part of them is binomial whatever stable's true share is
    (exact for Poisson counts, on the safe side for requests that fail one by one).
    """
    if candidate.total <= 0 or stable.total <= 0 or candidate.share <= factor * stable.share + margin:
        return 1.0
    if margin > 0 or factor <= 0:
        return _beyond_margin(candidate, stable, max(factor, 0.0), margin)
    expected = factor * candidate.total / (factor * candidate.total + stable.total)
    return at_least(Count(candidate.events, candidate.events + stable.events), expected)


def _beyond_margin(candidate: Count, stable: Count, factor: float, margin: float) -> float:
    """Fisher's combination of both arms' exact tails, at the true share of stable that makes it least remarkable.

    At the true share y of stable both tails U_c = P(X ≥ x_c | factor·y + margin) and U_s = P(X ≤ x_s | y) are
    independent and at most uniform, so T = −ln U_c − ln U_s exceeds t with probability (1 + t)·e^−t at most; the
    smallest T over all y is no larger. T is convex in y (tails of the beta distribution are log-concave), so the
    smallest one is found by narrowing a grid.
    """

    def unlikely(shares: Floats) -> Floats:
        limits = np.clip(factor * shares + margin, 0, 1)
        mine = _unlikely(_at_least(candidate, limits), candidate, limits)
        return mine + _unlikely(_at_most(stable, shares), stable, shares)

    likely = (candidate.events + stable.events) / (candidate.total + stable.total)
    shares = np.sort(np.append(np.linspace(0, 1, 9), np.geomspace(0.1, 10, 17) * likely).clip(0, 1))
    for _ in range(30):
        seen = unlikely(shares)
        at = int(np.argmin(seen))
        before, after = max(at - 1, 0), min(at + 1, len(shares) - 1)
        if max(seen[before], seen[after]) - seen[at] < 1e-6:
            break
        shares = np.linspace(shares[before], shares[after], 17)
    least = float(seen[at])
    return min(1.0, (1 + least) * math.exp(-least)) if least < 700 else 0.0


def _unlikely(tails: Floats, count: Count, shares: Floats) -> Floats:
    """−ln of tails; where they are too small for a float Chernoff's bound, n·KL, which is never more than that.

    Without it a search among large counts sees nothing but infinity on either side of a narrow valley.
    """
    bound = count.total * (rel_entr(count.share, shares) + rel_entr(1 - count.share, 1 - shares))
    return np.asarray(np.where(tails > SMALLEST, -np.log(np.maximum(tails, SMALLEST)), bound), dtype=np.float64)


def _at_least(count: Count, shares: Floats) -> Floats:
    if count.events <= 0:
        return np.ones_like(shares)
    if count.events > count.total:
        return np.zeros_like(shares)
    return np.asarray(betainc(count.events, count.total - count.events + 1, np.clip(shares, 0, 1)), dtype=np.float64)


def _at_most(count: Count, shares: Floats) -> Floats:
    if count.events >= count.total:
        return np.ones_like(shares)
    return np.asarray(
        betainc(count.total - count.events, count.events + 1, np.clip(1 - shares, 0, 1)), dtype=np.float64
    )


@dataclass(frozen=True, slots=True)
class Excess:
    """How far readings lie beyond a bound: their mean, spread, and how many independent ones they are worth."""

    mean: float
    spread: float
    readings: float

    def times(self, factor: float) -> Excess:
        return Excess(self.mean, self.spread, self.readings * factor)


def excess(beyond_bound: Floats) -> Excess:
    """The excess that these readings, in order of time, show; in units of the largest, so that nothing overflows."""
    largest = float(np.max(np.abs(beyond_bound)))
    if largest == 0:
        return Excess(0.0, 0.0, float(beyond_bound.size))
    scaled = beyond_bound / largest
    mean = math.fsum(scaled) / scaled.size
    spread = float(np.std(scaled, ddof=1)) if scaled.size > 1 else 0.0
    if spread < 1e-12:  # a gauge that does not move, give or take its last digit
        return Excess(mean, 0.0, float(scaled.size))
    return Excess(mean, spread, _independent(scaled))


def above_zero(seen: Excess) -> float:
    """The p-value of `the mean excess is 0 at most`, by Student's t with the independent readings' freedom.

    Readings without any spread are taken at their word: nothing moves, so nothing is left to chance.
    """
    if seen.mean <= 0 or seen.readings <= 1:
        return 1.0
    if seen.spread == 0:
        return 0.0
    # The spread around the readings' own mean is short of what that mean moved by: hence one reading less.
    return float(stdtr(seen.readings - 1, -seen.mean / seen.spread * math.sqrt(seen.readings - 1)))


def _independent(readings: Floats) -> float:
    """How many independent readings these are worth, at least: n·(1−φ)/(1+φ) for an AR(1) with lag-1 correlation φ.

    A short window says little about φ, and a φ taken too low is what makes gauges cry wolf: taken as estimated, it took
    back 5 % of equal candidates at a declared 1 % and φ = 0.8. So φ is what it may well be: two standard errors more.
    """
    n = readings.size
    deviations = readings - readings.mean()
    squares = float(deviations @ deviations)
    seen = float(deviations[1:] @ deviations[:-1]) / squares
    likely = min(max(seen + (1 + 3 * seen) / n, 0.0), 0.99)  # seen is low by about (1 + 3φ)/n (Kendall 1954)
    careful = min(likely + 2 * math.sqrt((1 - likely**2) / n), 0.99)
    return n * (1 - careful) / (1 + careful)
