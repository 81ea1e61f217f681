"""How many bounds share the error rate. Pure."""

from __future__ import annotations

from modelrollout.api.spec import Metric


def count_bounds(metric: Metric) -> int:
    """How many bounds a metric is held against."""
    return (metric.tolerance is not None) + (metric.max is not None) + (metric.min is not None)
