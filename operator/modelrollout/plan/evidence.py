"""What the status keeps of the comparison, and what a look starts from because of it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case
from modelrollout.analysis.queries import Reach, history_queries, queries
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.preflight import prior_of
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.scalars import Duration
from modelrollout.api.status import EvidenceStatus, MetricEvidence, ModelRolloutStatus, StageStatus, UsualMetric
from modelrollout.objects.manifests import digest
from modelrollout.plan.sight import Sight, arm_names
from modelrollout.plan.steps import steps
from modelrollout.promql.query import Query
from modelrollout.rollout.rollout import Wish

CHECKPOINT = timedelta(minutes=3)
"""A status that nothing else changes is written this often for the checkpoint: it bounds what is read again."""


def begun(evidence: EvidenceStatus | None, wish: Wish, start: datetime) -> EvidenceStatus:
    """Evidence whose first step begins now; what the history said is kept."""
    known = evidence or EvidenceStatus()
    tick = tick_of(wish.spec.analysis.interval.timedelta)
    return EvidenceStatus(
        at=known.at,
        usual=known.usual,
        start=start,
        tick=f"{round(tick / timedelta(milliseconds=1))}ms",
        later_steps=len(steps(wish.spec)),  # the bake is one, too
        planned=round(sum(one.seconds for one in stretches(wish))),
    )


def with_step(evidence: EvidenceStatus | None, wish: Wish, moment: datetime) -> EvidenceStatus:
    """With a step that begins now: the first, or a later one."""
    if evidence is None or evidence.start is None:
        return begun(evidence, wish, moment)
    return EvidenceStatus(**{**dict(evidence), "steps": (*evidence.steps, moment)})


def in_force(evidence: EvidenceStatus | None, stage: StageStatus, since: datetime) -> EvidenceStatus | None:
    """With a step that begins when its weight came into force: what was seen before shows nothing of that weight."""
    if evidence is None or evidence.steps[-1:] != (stage.entered,):
        return evidence
    return EvidenceStatus(**{**dict(evidence), "steps": (*evidence.steps[:-1], since)})


def stretches(wish: Wish) -> list[Stretch]:
    """The weights that are planned, each for its time; the bake last."""
    planned = [Stretch(step.weight / 100, step.hold.total_seconds()) for step in steps(wish.spec)]
    return [*planned, Stretch(1.0, wish.spec.promotion.bake.timedelta.total_seconds())]


def course(evidence: EvidenceStatus, analysis: Analysis) -> Course | None:
    """The time line that the evidence lies on; None before the first step."""
    if evidence.start is None:
        return None
    return Course(
        start=evidence.start.timestamp(),
        tick=tick_in(evidence, analysis.interval.timedelta).total_seconds(),
        steps=tuple(step.timestamp() for step in evidence.steps),
        later_steps=evidence.later_steps,
        planned=float(evidence.planned),
    )


def tick_in(evidence: EvidenceStatus, interval: timedelta) -> timedelta:
    """The tick that the evidence was begun with, whatever became of the interval since."""
    try:
        tick = Duration(evidence.tick or "").timedelta
    except ValueError:
        tick = timedelta()
    return tick if tick > timedelta() else tick_of(interval)  # a status is anybody's to edit


def case(sight: Sight, evidence: EvidenceStatus, end: datetime) -> Case | None:
    """All that a look at `end` starts from; None before the first step."""
    wish, status = sight.rollout.wish, sight.rollout.status
    line = course(evidence, wish.spec.analysis) if wish else None
    if wish is None or line is None or status.candidate is None:
        return None
    analysis = wish.spec.analysis
    basis = bases(sight, analysis)
    usual = {one.metric: prior_of(one) for one in evidence.usual if one.basis == basis.get(one.metric)}
    is_planned_time = end.timestamp() <= line.start + line.planned
    thresholds = {name: one.threshold for name, one in usual.items() if one.threshold is not None and is_planned_time}
    return Case(
        analysis=analysis,
        course=line,
        usual=usual,
        kept={one.metric: one for one in evidence.metrics},
        basis=basis,
        end=end.timestamp(),
        look_back=look_back(analysis.interval.timedelta, analysis.warm_up.timedelta).total_seconds(),
        thresholds=thresholds,
        seed=f"{sight.rollout.owner.uid}/{status.candidate.revision}",
    )


def bases(sight: Sight, analysis: Analysis) -> dict[str, str]:
    """A digest of what each metric is judged by: its own rules, and whom it compares."""
    status = sight.rollout.status
    arms = [arm.revision if arm else "" for arm in (status.stable, status.candidate)]
    return {metric.name: digest([metric.to_wire(), *arms]) for metric in analysis.metrics}


def look_queries(sight: Sight, one: Case) -> tuple[Query, ...]:
    """What has to be asked for a look. Raises UnknownName."""
    rollout, status = sight.rollout, sight.rollout.status
    if status.candidate is None or status.stable is None:
        return ()
    # At 100 % stable serves nobody by design: there is nothing to compare with, only limits to keep.
    stable = arm_names(rollout, status.stable, "stable") if sight.live_weight(status.stable) < 100 else None
    reaches = {metric.name: _reach(one, metric, sight) for metric in one.analysis.metrics}
    return queries(one.analysis, arm_names(rollout, status.candidate, "candidate"), stable, reaches)


def _reach(one: Case, metric: Metric, sight: Sight) -> Reach:
    before, line = one.before(metric), one.course
    zone = sight.now.tzinfo
    return Reach(
        since=datetime.fromtimestamp(min(before.since, one.end), zone),  # a status is anybody's to edit
        first=datetime.fromtimestamp(min(line.time(before.first + 1), one.end), zone),
        end=datetime.fromtimestamp(one.end, zone),
        tick=timedelta(seconds=line.tick),
    )


def history(sight: Sight) -> tuple[Query, ...]:
    """What has to be asked of stable's past: nothing of what is known, or while there is nobody to compare.

    A metric that came in or was edited in mid-rollout has its past looked at, too: that before the candidate was there.
    """
    wish, status = sight.rollout.wish, sight.rollout.status
    if wish is None or status.candidate is None or status.stable is None:
        return ()
    if status.candidate.revision != wish.revision or sight.workload(status.candidate) is None:
        return ()
    analysis = wish.spec.analysis
    known = noted(sight, analysis)
    if all(metric.name in known for metric in analysis.metrics):
        return ()
    names = [pod["metadata"]["name"] for pod in sight.pods(status.stable)]
    tick = tick_of(analysis.interval.timedelta)
    asked = history_queries(
        analysis, arm_names(sight.rollout, status.stable, "stable"), names, status.candidate.since, tick
    )
    return tuple(query for query in asked if query.metric not in known)


def noted(sight: Sight, analysis: Analysis) -> dict[str, UsualMetric]:
    """What was noted of stable's past, by metric, of those that are judged as they were then."""
    evidence, basis = sight.rollout.status.evidence, bases(sight, analysis)
    if evidence is None or evidence.at is None:
        return {}
    return {one.metric: one for one in evidence.usual if one.basis == basis.get(one.metric)}


def checkpointed(
    before: ModelRolloutStatus, after: ModelRolloutStatus, fresh: tuple[MetricEvidence, ...] | None, interval: timedelta
) -> EvidenceStatus | None:
    """The evidence of a new status: brought up to date where the status is written anyway, or it is time."""
    evidence = after.evidence
    if evidence is None or not fresh or evidence.start is None:
        return evidence
    newer = EvidenceStatus(**{**dict(evidence), "metrics": fresh})
    if after != before:
        return newer
    known = {one.metric: one.ticks for one in evidence.metrics}
    ahead = max(one.ticks - known.get(one.metric, 0) for one in fresh)
    return newer if ahead * tick_in(evidence, interval) >= CHECKPOINT else evidence
