"""How the chance of a false rollback is shared out among stretches, metrics, bounds and looks. Pure."""

from __future__ import annotations


def level(rate: float, *, stretches: int, metrics: int, bounds: int, look: int) -> float:
    """The level for one bound at one look: its even share of `rate`, of which look k gets 1/(k·(k+1)).

    A stretch is a time that is judged by itself: each step of each stage, and the bake. The shares of all looks add up
    to 1 at most and nothing is asked twice (Bonferroni), so neither looking more often nor for longer makes a false
    rollback more likely than `rate`. It costs little: the evidence asked for grows with 2·ln k, the samples with k.
    """
    return min(rate, 1.0) / (max(stretches, 1) * max(metrics, 1) * max(bounds, 1) * look * (look + 1))
