"""How a ratio reads a tolerance: as a bound on the share of what is bad. Pure."""

from __future__ import annotations

from functools import partial

from modelrollout.analysis.evidence.look import Goal
from modelrollout.analysis.kinds.margins import margins
from modelrollout.analysis.kinds.request_shares import NEGLIGIBLE_SHARE
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.sequential.proportions import Bound

TWICE_AS_BAD = 1.0
"""Relative regression that has to be ruled out where the user names none: stable's share once more."""
EVERYTHING = 1 - 1e-9
"""A share of bad requests that stands for 1: only a candidate without any good request is beyond it."""


def bounds_of(metric: Metric) -> tuple[Bound, Bound]:
    """The tolerated and the unacceptable bound, on the share of what is bad."""
    return margins(metric, partial(_as_bound, counts_good=counts_good(metric)), _twice)


def goal_bound(metric: Metric, goal: Goal) -> Bound:
    """What is to be ruled out: that the candidate is no better, or worse by the margin."""
    return _as_bound(goal.margin, counts_good=counts_good(metric)) if goal.margin is not None else Bound(1.0)


def counts_good(metric: Metric) -> bool:
    """Whether the ratio counts what went right."""
    return metric.ratio is not None and metric.ratio.bad is None


def _as_bound(tolerance: Tolerance, *, counts_good: bool) -> Bound:
    relative, absolute = tolerance.relative.value, tolerance.absolute.value
    if not counts_good:
        return _bound(1 + relative, absolute)
    relative = min(relative, 1.0)
    return _bound(1 - relative, relative + absolute)


def _bound(factor: float, margin: float) -> Bound:
    return Bound(factor, margin) if margin < EVERYTHING else Bound(0.0, EVERYTHING)


def _twice(tolerated: Bound) -> Bound:
    """Twice stable's share and twice the tolerance; at most halfway from the tolerance to a share of 1."""
    if 2 * tolerated.margin > (1 + tolerated.margin) / 2:
        return Bound(tolerated.factor / 2, (1 + tolerated.margin) / 2)
    factor = max(1 + TWICE_AS_BAD, 2 * tolerated.factor - 1)
    return Bound(factor, max(2 * tolerated.margin, NEGLIGIBLE_SHARE))
