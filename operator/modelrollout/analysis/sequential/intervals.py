"""How many times as bad as stable the candidate is, between what and what, at any time. Pure.

Each ratio ρ on a grid is a hypothesis `λ_c = ρ·λ_s`. Given the events of a tick, the candidate's part of them is
binomial with π = ρ·n_c/(ρ·n_c + n_s), however the rate moves. The mean of all ratios' likelihoods over that of one is
an e-process against that one, so the ratios not refuted at α are an interval that holds at every moment at once
(Robbins' method of mixtures; Lindon & Malek, 2011.03567). Requests that fail one by one, and not in Poisson's way,
only make it wider. The state is the ln-likelihood of each ratio, and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.sequential.counts import Counts

Floats = npt.NDArray[np.float64]

RATIOS: Floats = np.exp(np.linspace(np.log(1 / 16), np.log(64), 41))
"""In steps of 19 %; what lies between is interpolated, and what lies beyond is said to be beyond."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Ratios of the candidate's rate to stable's; `low` 0 and `high` infinite where the grid ends."""

    low: float
    high: float


def likelihoods(counts: Counts) -> Floats:
    """What these ticks add to the ln-likelihood of each ratio."""
    both = counts.both
    seen = counts if both.all() else counts.only(both)
    share = RATIOS * (seen.candidate / (seen.candidate + seen.stable))[:, None]
    rest = (seen.stable / (seen.candidate + seen.stable))[:, None]
    mine, events = seen.bad_candidate, seen.bad_candidate + seen.bad_stable
    logs = mine[:, None] * np.log(RATIOS) - events[:, None] * np.log(share + rest)
    return np.asarray(logs.sum(axis=0), dtype=np.float64)


def interval(log_likelihoods: Floats, alpha: float) -> Interval:
    """The ratios that are not refuted at `alpha`."""
    top = float(log_likelihoods.max())
    mixed = top + math.log(float(np.exp(log_likelihoods - top).mean()))
    kept = log_likelihoods - mixed + math.log(1 / alpha)  # refuted where below 0
    inside = np.flatnonzero(kept > 0)
    if not inside.size:
        at = int(np.argmax(log_likelihoods))
        return Interval(float(RATIOS[at]), float(RATIOS[at]))
    first, last = int(inside[0]), int(inside[-1])
    low = 0.0 if first == 0 else _crossing(kept, first - 1, first)
    high = math.inf if last == RATIOS.size - 1 else _crossing(kept, last, last + 1)
    return Interval(low, high)


def _crossing(kept: Floats, left: int, right: int) -> float:
    """Where it passes 0 between two ratios, straight in the logarithm."""
    share = kept[left] / (kept[left] - kept[right])
    logs = np.log(RATIOS)
    return float(np.exp(logs[left] + share * (logs[right] - logs[left])))
