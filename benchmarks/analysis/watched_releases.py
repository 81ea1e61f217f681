"""The releases of `releases`, each judged as the operator judges it while it goes on: look after look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.analysis.releases import STEP as EACH
from benchmarks.analysis.releases import WEIGHTS
from benchmarks.pictures.lab import Release, analysis
from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Answered, Query, Series

STEP = EACH.total_seconds()
"""Seconds at each weight."""
PLANNED = STEP * len(WEIGHTS)
LATER_STEPS = tuple(STEP * number for number in range(1, len(WEIGHTS)))

Read = Callable[[str, float, float], Sequence[Series]]
"""The series of an arm with samples in start < t ≤ end, as Prometheus has them at `end`."""


def taken_back_at(
    metric: Mapping[str, Any], read: Read, looks: Sequence[float], usual: Prior | None = None
) -> float | None:
    """Seconds from the start until the first look that takes the candidate back; None when none does."""

    def store(query: Query) -> Answered:
        return Answered(tuple(read(query.arm, query.start.timestamp(), query.end.timestamp())))

    release = Release(analysis(metric), store, LATER_STEPS, PLANNED, usual or Prior())
    return next((seconds for seconds in looks if release.look(seconds)[0].verdict is Verdict.FAIL), None)
