"""Levels of single pods: how far apart their shares of events stay for an hour or for good, and what follows. Pure.

A pod on a slow node differs from the others for as long as it lives. No number of requests averages that out, so to
count events for fewer does not help. But it can be measured on stable's pods, hour by hour: the spread of the
logarithms of their shares beyond chance. The candidate's k pods are new ones, so its level is off by a random amount of
that spread times √(1/k + 1/J), and a difference as large as Student's t allows for is the pods' and not the version's.
With J pods there are J − 1 degrees of freedom: four pods say little, and the tolerance that follows is wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, stdtrit

Floats = npt.NDArray[np.float64]

HOUR = 3600.0
BY_CHANCE = 0.003
"""Levels have to be apart beyond what chance does with this probability: many tails are looked at."""
STEP = 0.05
"""In ln. A widening is rounded up to such steps, so that few different bounds are computed."""
WIDEST = math.log(1000.0)


@dataclass(frozen=True, slots=True)
class Levels:
    """`spread`: standard deviation of ln of pods' shares, for good or for an hour. `freedom`: degrees of freedom."""

    spread: float = 0.0
    freedom: float = 1.0

    def reach(self, chance: float) -> float:
        """The difference in ln, as a multiple of √(1/k + 1/J), that equal versions exceed with this probability."""
        return min(float(stdtrit(self.freedom, 1 - chance)) * self.spread, WIDEST) if self.spread > 0 else 0.0


def measure_levels(seen: Floats, expected: Floats, dispersion: float) -> Levels:
    """The levels of pods from their events by hour, and those expected of them at the common rate: pods × hours.

    `dispersion`: of events within an hour, as a multiple of that of independent ones.
    """
    pods, hours = seen.shape
    whole = _spread(seen.sum(axis=1, keepdims=True), expected.sum(axis=1, keepdims=True), dispersion)
    hourly = _spread(seen, expected, dispersion)
    spread = max(whole, hourly)
    if spread <= 0:
        return Levels()
    lasting = min(whole / spread, 1.0) ** 2  # the part of the variance that outlasts an hour
    return Levels(spread, (pods - 1) * hours / (1 + (hours - 1) * lasting))


def _spread(seen: Floats, expected: Floats, dispersion: float) -> float:
    """The standard deviation of ln of pods' levels, if it exceeds chance, else 0 (DerSimonian & Laird, 1986)."""
    there = expected > 0
    counted = there.sum(axis=0)
    freedom = float((counted - 1)[counted > 1].sum())
    if freedom < 1:
        return 0.0
    known = np.where(there, expected, 1.0)
    off = np.where(there & (counted > 1), np.square(seen - expected), 0.0)
    if float((off / known).sum()) <= dispersion * float(chdtri(freedom, BY_CHANCE)):
        return 0.0
    left = (counted - 1) / np.maximum(counted, 1)  # of its variance, since a pod is a part of the common rate
    excess = float((off - dispersion * known * left * there).sum()) / float((np.square(expected) * left).sum())
    return math.sqrt(math.log1p(max(excess, 0.0)))


def widening(reach: float | Floats, apart: Floats) -> Floats:
    """The factor by which equal versions may differ on account of their pods. `apart`: √(1/k + 1/J)."""
    off = np.minimum(reach * apart, WIDEST)
    return np.asarray(np.exp(np.ceil(off / STEP - 1e-9) * STEP), dtype=np.float64)


def as_many(requests: Floats) -> Floats:
    """The number of equally busy pods that would average as well: (Σn)²/Σn² of pods × ticks."""
    squares = np.square(requests).sum(axis=0)
    many: Floats = np.divide(np.square(requests.sum(axis=0)), squares, out=np.zeros_like(squares), where=squares > 0)
    return many


def busiest(requests: Floats) -> Floats:
    """The requests of the pod that a request is typically answered by: Σn²/Σn of pods × ticks."""
    total = requests.sum(axis=0)
    each: Floats = np.divide(np.square(requests).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return each
