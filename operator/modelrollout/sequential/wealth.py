"""A wealth spread over bets on the size of an effect and on its onset. Pure.

    S_k <- (S_k + γ_t·v_k) · e_k(t),    E_t = Σ_k S_k + (1 − Σ γ)

E is an e-process for any stakes γ ≥ 0 that are known before their tick and sum to at most 1. A stake that is added at
tick t has lost nothing in the quiet time before it (Shin, Ramdas, Rinaldo: e-detectors, NEJSDS 2024).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

AT_START = 0.50
"""The stake on a regression from the first tick on. The study takes 0.40 (statistics: 2.1). With 0.50 the tests of
latency take at most a quarter longer than without any protection against late onset."""
AT_STEPS = 0.25
"""The stakes for later steps, in even shares: a model that breaks under load breaks when the weight rises."""
AFTER_PLAN = 0.05
"""The stakes for the time after the planned length, thinning out as 1/t: a rollout may wait for days."""

EFFECTS: Floats = np.array([1.25, 1.5, 1.85, 2.4, 3.5, 6.0, 14.0, 45.0])
"""Bets on the size of the effect: multiples of the tolerated rate; statistics: 2.1."""
EFFECT_WEIGHTS: Floats = np.array([0.14, 0.20, 0.20, 0.16, 0.12, 0.08, 0.06, 0.04])

NOTHING = -math.inf
NEXT_TO_NOTHING = 1e-300
"""Stands for 0 where a logarithm is taken."""
FEW_NUMBERS = 128
"""Up to this many numbers numpy's logaddexp is faster than a shift, exponentials and a sum."""


@dataclass(frozen=True, slots=True)
class Wealth:
    """ln S_k of each bet, and the cash that is not at stake so far."""

    bets: Floats
    cash: float = 1.0

    @classmethod
    def untouched(cls, bets: int) -> Wealth:
        return cls(np.full(bets, NOTHING), 1.0)

    @property
    def log(self) -> float:
        """ln E."""
        return float(np.logaddexp.reduce(self.bets, initial=math.log(max(self.cash, NEXT_TO_NOTHING))))


@dataclass(frozen=True, slots=True)
class Path:
    """A wealth over time: `bets` (ticks × bets), `cash` and `log` (ticks) after each tick, from `before` on."""

    before: Wealth
    bets: Floats
    cash: Floats
    log: Floats

    def after(self, ticks: int) -> Wealth:
        """The wealth after so many ticks of this path."""
        return Wealth(self.bets[ticks - 1], float(self.cash[ticks - 1])) if ticks else self.before

    @property
    def last(self) -> float:
        return float(self.log[-1]) if self.log.size else self.before.log


def grow(wealth: Wealth, log_factors: Floats, restarts: Floats, log_weights: Floats) -> Path:
    """The path over all ticks at once.

    `log_factors`: ticks × bets. `restarts`: ticks, γ of each. `log_weights`: bets, their ln v_k. A path in pieces ends
    at the same wealth, up to rounding.
    """
    if not len(log_factors):
        return Path(wealth, log_factors, np.empty(0), np.empty(0))
    cash, left, put_on = max(wealth.cash, 0.0), [], []
    for wished in restarts.tolist():
        put_on.append(math.log(min(wished, cash) + NEXT_TO_NOTHING))
        cash -= min(wished, cash)
        left.append(cash)
    bets = np.add.outer(put_on, log_weights)
    before = wealth.bets
    for after, factors in zip(bets, log_factors, strict=True):
        np.logaddexp(before, after, out=after)
        after += factors
        before = after
    log_cash = [math.log(kept + NEXT_TO_NOTHING) for kept in left]
    return Path(wealth, bets, np.array(left), np.logaddexp(_log_of_sum(bets), log_cash))


def carry(wealth: Wealth, log_factors: Floats) -> Path:
    """The same for a wealth without cash: no stake is added."""
    bets = np.add.accumulate(np.concatenate((wealth.bets[None, :], log_factors)))[1:]
    return Path(wealth, bets, np.zeros(len(bets)), _log_of_sum(bets) if len(bets) else np.empty(0))


@dataclass(frozen=True, slots=True)
class Onsets:
    """When regressions are expected to begin, fixed before the first tick. Times in seconds.

    `later_steps`: the number of steps after the first. `planned`: the planned length of the time that is judged.
    """

    start: float
    later_steps: int
    planned: float
    is_late_expected: bool = True
    """False where pods burst by themselves: a later stake would bet on the next burst, so all is staked at first."""

    def restarts(self, edges: Floats, steps: Sequence[float]) -> Floats:
        """γ of each tick. `edges` (ticks + 1): bounds of the ticks. `steps`: the times at which later steps began."""
        counted = sorted(steps[: self.later_steps])
        put_on = [self._put_on(edge, counted) for edge in edges.tolist()]
        return np.array([after - before for before, after in pairwise(put_on)])

    def due(self, now: float, steps: Sequence[float]) -> float:
        """The sum of the stakes due before `now`."""
        return self._put_on(now, sorted(steps[: self.later_steps]))

    def _put_on(self, now: float, steps: Sequence[float]) -> float:
        """The sum of the stakes before `now`. Differences of it add up to the same, however time is cut into ticks."""
        if now <= self.start:
            return 0.0
        if not self.is_late_expected:
            return 1.0
        drawn_out = 1 - AT_START - (AT_STEPS if self.later_steps else 0.0) - AFTER_PLAN
        age, planned = now - self.start, max(self.planned, 1.0)
        over_time = drawn_out * age / planned if age < planned else drawn_out + AFTER_PLAN * (1 - planned / age)
        begun = bisect_left(steps, now)
        return AT_START + over_time + (AT_STEPS * begun / self.later_steps if begun else 0.0)


def weights(shares: Floats) -> Floats:
    """ln of shares that sum to 1."""
    return np.asarray(np.log(shares / shares.sum()), dtype=np.float64)


def _log_of_sum(logs: Floats) -> Floats:
    """ln Σ exp over the last axis."""
    if logs.size < FEW_NUMBERS:
        return np.asarray(np.logaddexp.reduce(logs, axis=1), dtype=np.float64)
    top = logs.max(axis=1)
    return np.asarray(top + np.log(np.exp(logs - top[:, None]).sum(axis=1)), dtype=np.float64)
