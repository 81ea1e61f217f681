"""A confidence sequence for the ratio of the candidate's rate to stable's. Pure.

Each ratio ρ on a grid is a hypothesis `λ_c = ρ·λ_s`. Given the events of a tick, the candidate's part of them is
binomial with π = ρ·n_c/(ρ·n_c + n_s), however the rate moves. The mean of all ratios' likelihoods over that of one
ratio is an e-process against that one. So the ratios that are not refuted at α form an interval that holds at all
times together (Robbins' method of mixtures; Lindon & Malek, 2011.03567). The ln-likelihood is concave in ln ρ, so every
ratio beyond a refuted one is refuted, too. Bernoulli instead of Poisson counts only make the interval wider. The state
is the ln-likelihood of each ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.proportions import Counts

Floats = npt.NDArray[np.float64]

RATIOS: Floats = np.exp(np.linspace(np.log(1 / 16), np.log(64), 41))
"""In steps of 19 %; the interval is open towards ratios beyond the grid."""
FINER = 16
"""Finer ratios for each step of the grid: in steps of 1.1 %."""


def _between() -> tuple[Floats, Floats]:
    """Ratios in finer steps, and the grid's weights for each: interpolation by a polynomial through six neighbours.

    A ln-likelihood is smooth enough for that: with 10 million events the error is below 0.1.
    """
    at = np.arange((RATIOS.size - 1) * FINER + 1) / FINER
    first = np.clip(np.floor(at).astype(int) - 2, 0, RATIOS.size - 6)
    near = first[:, None] + np.arange(6)
    parts = np.ones((at.size, 6))
    for one in range(6):
        for other in range(6):
            if other != one:
                parts[:, one] *= (at - near[:, other]) / (one - other)
    shares = np.zeros((at.size, RATIOS.size))
    np.put_along_axis(shares, near, parts, axis=1)
    return np.exp(np.interp(at, np.arange(RATIOS.size), np.log(RATIOS))), shares


FINE, SHARES = _between()


@dataclass(frozen=True, slots=True)
class Interval:
    """Ratios of the candidate's rate to stable's; 0 and infinite stand for ends beyond the grid."""

    low: float
    high: float


def likelihoods(counts: Counts) -> Floats:
    """The ln-likelihood of each ratio from these ticks, to be added up."""
    both = counts.both
    seen = counts if both.all() else counts.only(both)
    share = RATIOS * (seen.candidate / (seen.candidate + seen.stable))[:, None]
    rest = (seen.stable / (seen.candidate + seen.stable))[:, None]
    mine, events = seen.bad_candidate, seen.bad_candidate + seen.bad_stable
    logs = mine[:, None] * np.log(RATIOS) - events[:, None] * np.log(share + rest)
    return np.asarray(logs.sum(axis=0), dtype=np.float64)


def interval(log_likelihoods: Floats, alpha: float) -> Interval:
    """The ratios that are not refuted at `alpha`, and one step of 1.1 % more at either end."""
    logs = SHARES @ log_likelihoods
    top = float(logs.max())
    mixed = top + math.log(float(np.exp(logs - top).mean()))
    kept = np.flatnonzero(logs - mixed > math.log(alpha))  # at least the best one: no mean exceeds it
    first, last = int(kept[0]), int(kept[-1])
    low = 0.0 if first == 0 else float(FINE[first - 1])
    high = math.inf if last == FINE.size - 1 else float(FINE[last + 1])
    return Interval(low, high)
