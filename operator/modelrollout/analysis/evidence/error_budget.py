"""How the bounds of all metrics share the error rate. Pure."""

from __future__ import annotations

from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.sequential.noise import SHARE_IN_NOISE

LIMITS_PART = 0.2
"""Fraction of a metric's error budget given to min and max where it has a tolerance, too: that breaks first."""

GROUPS_PART = 0.5
"""Fraction of a tolerance's error budget given to its groups."""


def chance_of_pods(metric: Metric, analysis: Analysis) -> float:
    """The part of the error rate that is left for pods that lie farther apart for good than is allowed for."""
    return analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis) * (1 - SHARE_IN_NOISE)


def share_of_bound(metric: Metric, name: str, analysis: Analysis) -> float:
    """The share of the error rate that one bound of a metric may use; all shares add up to at most 1.

    `name`: tolerance, min or max; any other name is that of a group or a gap.
    """
    limits = (metric.max is not None) + (metric.min is not None)
    own = 1 / len(analysis.metrics)
    if metric.tolerance is None:
        return own / limits
    if name in ("max", "min"):
        return own * LIMITS_PART / limits
    own *= 1 - LIMITS_PART if limits else 1.0
    if (groups := metric.ratio.groups if metric.ratio else None) is None:
        return own
    if name == "tolerance":
        return own * (1 - GROUPS_PART)
    return own * GROUPS_PART / (2 * len(groups.values) - 1)  # each by itself, and the gaps to the first
