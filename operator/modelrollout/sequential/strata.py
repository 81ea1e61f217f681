"""Several streams under one linear rule: does the candidate treat one group worse than stable does? Pure.

Streams j with n_j requests, x_j of which went right, null a·θ ≤ b. For an alternative θ¹ the nearest point θ⁰ of the
null satisfies n_j(θ⁰_j − θ¹_j) + μ·a_j·θ⁰_j(1 − θ⁰_j) = 0 for some μ ≥ 0: a quadratic per stream, and μ by
false position until a·θ⁰ = b. Then e = Π Bin(x_j; θ¹_j)/Bin(x_j; θ⁰_j) is an e-value for the whole null (statistics:
2.5, same proof as for two streams). The difference of differences `what the candidate adds to the gap between a group
and the reference` is a = (−1, 1, 1, −1) on (candidate group, candidate reference, stable group, stable reference); the
four-fifths rule is a = (−1, 0.8), b = 0 on (group, reference) of the candidate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

GAP_RULE: Floats = np.array([-1.0, 1.0, 1.0, -1.0])
FOUR_FIFTHS: Floats = np.array([-1.0, 0.8])
DROPS: Floats = np.array([0.25, 0.4, 0.6, 1.0, 2.0])
"""Bets on the drop of the group's log-odds of a right answer; statistics: 2.5."""
BRACKET_ROUNDS = 60
BISECTION_ROUNDS = 16
TINY = 1e-9
WORST_FACTOR = 1e-9 - 1
"""The smallest factor, less 1, by which one request may change a wealth."""


def worse(right: Floats, total: Floats, usual: Floats, rule: Floats, allowed: float) -> Floats:
    """ln e (ticks × DROPS) against `rule·θ ≤ allowed`.

    `right`, `total`, `usual`: ticks × streams. `usual`: the estimate of each stream's share, from before the tick. The
    first stream is the group, which the alternatives make worse than usual.
    """
    usual = np.clip(usual, TINY, 1 - TINY)
    there = np.repeat(usual[:, None, :], DROPS.size, axis=1)
    there[:, :, 0] = _expit(_logit(usual[:, :1]) - DROPS)
    total_here = np.maximum(total, TINY)[:, None, :]
    pressure = _pressure(there, total_here, rule, allowed)
    # Shares that are moved towards 0 or 1 must not get there.
    null = np.clip(_at(there, total_here, rule, pressure), TINY / 1000, 1 - TINY / 1000)
    # The alternatives follow from the null, as in `proportions`; they differ from `there` only close to 0 or 1.
    push = pressure[..., None] * rule / total_here
    right_gains, wrong_gains = push * (1 - null), -push * null
    lowest = np.minimum(right_gains, wrong_gains).min(axis=2, keepdims=True)
    drawn = WORST_FACTOR / np.minimum(lowest, WORST_FACTOR)
    log_e = right[:, None, :] * np.log1p(drawn * right_gains)
    log_e += (total - right)[:, None, :] * np.log1p(drawn * wrong_gains)
    return np.where(np.all(total > 0, axis=1, keepdims=True), log_e.sum(axis=2), 0.0)


def _pressure(there: Floats, total: Floats, rule: Floats, allowed: float) -> Floats:
    """The μ that moves `there` to the edge of the null, or a little less; 0 inside the null."""
    low = np.zeros(there.shape[:-1])
    high = np.ones(there.shape[:-1])
    for _ in range(BRACKET_ROUNDS):  # until the largest μ is enough everywhere
        beyond = _reached(there, total, rule, high) > allowed
        if not beyond.any():
            break
        high = np.where(beyond, high * 4, high)
    too_much = _reached(there, total, rule, low) - allowed
    too_little = np.maximum(allowed - _reached(there, total, rule, high), 0.0)
    is_inside = too_much <= 0
    too_much = np.where(is_inside, 1.0, too_much)
    for _ in range(BISECTION_ROUNDS):
        # False position; the end that stays counts half, or it might stay forever (the Illinois method).
        middle = low + (high - low) * (too_much / (too_much + too_little))
        found = _reached(there, total, rule, middle) - allowed
        is_low = found > 0
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        too_much, too_little = np.where(is_low, found, too_much / 2), np.where(is_low, too_little / 2, -found)
    return np.where(is_inside, 0.0, low)


def _reached(there: Floats, total: Floats, rule: Floats, pressure: Floats) -> Floats:
    return np.asarray((_at(there, total, rule, pressure) * rule).sum(axis=-1), dtype=np.float64)


def _at(there: Floats, total: Floats, rule: Floats, pressure: Floats) -> Floats:
    """The root in (0, 1) of n(θ − θ¹) + c·θ(1 − θ) = 0, c = μ·a."""
    push = pressure[..., None] * rule
    half = total + push
    whole = half + np.copysign(np.sqrt(np.maximum(half * half - 4 * push * total * there, 0.0)), half)
    # Of the two forms of the root, the one without cancellation; `half` is negative only where `push` is.
    root = np.where(
        half < 0, whole / np.where(push < 0, 2 * push, 1.0), 2 * total * there / np.where(whole, whole, 1.0)
    )
    return np.clip(root, 0.0, 1.0)


def _logit(share: Floats) -> Floats:
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)


def _expit(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)
