"""One release as the operator judges it: from raw samples to verdicts, look after look, with checkpoints between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case, judge
from modelrollout.analysis.parts import CANDIDATE, STABLE
from modelrollout.analysis.queries import ArmNames, Reach, pods_of, queries
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import MetricEvidence, Verdict
from modelrollout.promql.query import Answered, Series

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC).timestamp()
"""The start of every release, unix seconds."""
STEP = 1200.0
"""Seconds at each weight."""
WEIGHTS = (0.05, 0.25, 0.50)
PLANNED = STEP * len(WEIGHTS)

Read = Callable[[str, float, float], Sequence[Series]]
"""The series of an arm with samples in start < t ≤ end, as Prometheus has them at `end`."""

NAMES = {
    arm: ArmNames(arm, "ml", "fraud", revision, f"fraud-{revision}", f"fraud-{revision}", pods_of(f"fraud-{revision}"))
    for arm, revision in ((CANDIDATE, "b41c"), (STABLE, "7d9f"))
}


@dataclass
class Release:
    """An analysis of one metric in a plan of WEIGHTS, and the checkpoint so far. `usual`: from stable's history."""

    metric: Mapping[str, Any]
    usual: Prior = field(default_factory=Prior)
    kept: dict[str, MetricEvidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._analysis = Analysis.model_validate({"metrics": [self.metric]})
        self._tick = tick_of(self._analysis.interval.timedelta)
        self._look_back = look_back(self._analysis.interval.timedelta, self._analysis.warm_up.timedelta)

    def taken_back_at(self, read: Read, looks: Sequence[float]) -> float | None:
        """Seconds from the start until the first look that takes the candidate back; None when none does."""
        return next((seconds for seconds in looks if self._fails_at(seconds, read)), None)

    def _fails_at(self, seconds: float, read: Read) -> bool:
        case = self._case(seconds)
        before = case.before(self._analysis.metrics[0])
        moments = (before.since, case.course.time(before.first + 1), case.end)
        since, first, end = (datetime.fromtimestamp(moment, UTC) for moment in moments)
        reaches = {before.metric.name: Reach(since, first, end, self._tick)}
        asked = queries(self._analysis, NAMES[CANDIDATE], NAMES[STABLE], reaches)
        answers = {query: Answered(tuple(read(query.arm, before.since, case.end))) for query in asked}
        told = judge(case, asked, answers)
        self.kept = {kept.metric: kept for kept in told.checkpoint}
        return told.verdicts[0].verdict is Verdict.FAIL

    def _case(self, seconds: float) -> Case:
        name = self._analysis.metrics[0].name
        later = [STEP * number for number in range(1, len(WEIGHTS))]
        begun = tuple(NOON + start for start in later if start <= seconds)
        return Case(
            analysis=self._analysis,
            course=Course(NOON, self._tick.total_seconds(), begun, len(later), PLANNED),
            usual={name: self.usual},
            kept=self.kept,
            basis={name: "basis"},
            end=NOON + seconds,
            look_back=self._look_back.total_seconds(),
            thresholds={},
            seed="uid-fraud/b41c",
        )
