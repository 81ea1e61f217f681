"""The margin that is tolerated, and the unacceptable one, which has to be ruled out before a step ends. Pure.

The user says the latter with `exclude`. Without it, it is a candidate twice as bad, as each kind of metric reads that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from modelrollout.api.metric import Metric, Tolerance

Margin = TypeVar("Margin")


def margins(
    metric: Metric, read: Callable[[Tolerance], Margin], doubled: Callable[[Margin], Margin]
) -> tuple[Margin, Margin]:
    """The tolerated and the unacceptable margin.

    `read`: what a tolerance means to this kind of metric. `doubled`: twice as bad as a tolerated margin.
    """
    tolerated = read(metric.tolerance or Tolerance())
    return tolerated, doubled(tolerated) if metric.exclude is None else read(metric.exclude)


def unacceptable(metric: Metric, doubled: Callable[[Tolerance], Tolerance]) -> Tolerance:
    """The unacceptable margin of a metric that reads a tolerance as it is written."""
    return margins(metric, lambda tolerance: tolerance, doubled)[1]
