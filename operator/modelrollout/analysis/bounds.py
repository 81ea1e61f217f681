"""How the bounds of all metrics share the error rate. Pure."""

from __future__ import annotations

from modelrollout.api.spec import Analysis, Metric

LIMITS = 0.2
"""What min and max together have of a metric's share where it has a tolerance, too: regressions show there first."""


def share(metric: Metric, name: str, analysis: Analysis) -> float:
    """The part of the error rate that a bound (tolerance, min or max) of a metric has; all parts sum to 1 at most."""
    limits = (metric.max is not None) + (metric.min is not None)
    own = 1 / len(analysis.metrics)
    if metric.tolerance is None:
        return own / limits
    if name == "tolerance":
        return own * (1 - LIMITS) if limits else own
    return own * LIMITS / limits
