"""How the bounds of all metrics share the error rate. Pure."""

from __future__ import annotations

from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric

LIMITS_PART = 0.2
"""What min and max together have of a metric's share where it has a tolerance, too: regressions show there first."""

GROUPS_PART = 0.5
"""What all groups together have of a tolerance's share, where a metric has groups."""


def share_of_bound(metric: Metric, name: str, analysis: Analysis) -> float:
    """The part of the error rate that a bound of a metric has; all parts together are 1 at most.

    `name`: tolerance, min or max; else that of a group or a gap.
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
