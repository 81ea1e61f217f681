"""The questions that a pass asks Prometheus, and the evidence that the status keeps. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.analysis import copies
from modelrollout.analysis.copies import COPIES_COMPARED, Compared, Copying
from modelrollout.analysis.evidence.look import Intended
from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case, Judgement, judge
from modelrollout.analysis.queries import Reach, history_queries, queries
from modelrollout.analysis.sensitivity.preflight import prior_of
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.scalars import Duration
from modelrollout.api.status import (
    CandidateArm,
    EvidenceStatus,
    MetricEvidence,
    ModelRolloutStatus,
    StageStatus,
    UsualMetric,
)
from modelrollout.objects.manifests import digest
from modelrollout.plan import history, statuses
from modelrollout.plan.statuses import changed
from modelrollout.promql.query import Query, Unanswered
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import way
from modelrollout.traffic.exposure import EVERYBODY, NOBODY
from modelrollout.traffic.router import ALL_REQUESTS
from modelrollout.trial.facts import Facts, is_on_trial
from modelrollout.trial.question import Question
from modelrollout.trial.steps import current, exposure_at
from modelrollout.trial.trial import Step

CHECKPOINT = timedelta(minutes=3)
"""How often the checkpoint alone is reason enough to write the status. It bounds how many samples are read again."""


def new_evidence(evidence: EvidenceStatus | None, wish: Wish, start: datetime) -> EvidenceStatus:
    """Evidence whose first step begins now; it keeps what the history said."""
    known = evidence or EvidenceStatus()
    tick = tick_of(wish.spec.analysis.interval.timedelta)
    return EvidenceStatus(
        at=known.at,
        usual=known.usual,
        start=start,
        tick=f"{round(tick / timedelta(milliseconds=1))}ms",
        later_steps=sum(step.is_judged for step in way(wish)) - 1,
        planned=round(sum(one.seconds for one in history.stretches(wish))),
    )


def with_step(evidence: EvidenceStatus | None, step: Step, wish: Wish, moment: datetime) -> EvidenceStatus | None:
    """Adds a step that begins now: the first at which anything is compared, or a later one."""
    if evidence is None or evidence.start is None:
        return new_evidence(evidence, wish, moment) if step.is_judged else evidence
    return EvidenceStatus(**{**dict(evidence), "steps": (*evidence.steps, moment)})


def in_force(evidence: EvidenceStatus | None, stage: StageStatus, since: datetime) -> EvidenceStatus | None:
    """Lets the step begin when its weight came into force: earlier samples show nothing of that weight."""
    if evidence is None or evidence.steps[-1:] != (stage.entered,):
        return evidence
    return EvidenceStatus(**{**dict(evidence), "steps": (*evidence.steps[:-1], since)})


def course(evidence: EvidenceStatus, analysis: Analysis, hold: timedelta) -> Course | None:
    """The time line that the evidence lies on; None before the first step. `hold`: of the current step."""
    if evidence.start is None:
        return None
    return Course(
        start=evidence.start.timestamp(),
        tick=tick_in(evidence, analysis.interval.timedelta).total_seconds(),
        steps=tuple(step.timestamp() for step in evidence.steps),
        later_steps=evidence.later_steps,
        planned=float(evidence.planned),
        hold=hold.total_seconds(),
    )


def tick_in(evidence: EvidenceStatus, interval: timedelta) -> timedelta:
    """The tick that the evidence started with, even if the interval was edited since."""
    try:
        tick = Duration(evidence.tick or "").timedelta
    except ValueError:
        tick = timedelta()
    return tick if tick > timedelta() else tick_of(interval)  # anybody may edit a status


def due(facts: Facts, status: ModelRolloutStatus) -> Question | None:
    """The question for Prometheus now: once about stable's past, and at each look about a candidate on trial."""
    history, at = _history(facts, status), _moment(facts, status)
    case = _case(facts, status, at) if at is not None else None
    if status.candidate is None or not (history or case):
        return None
    look = Question(status.candidate.revision, history)
    return _with_candidate(facts, status, look, case, at) if case is not None and at is not None else look


def is_due(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether a look at the candidate is due."""
    return _moment(facts, status) is not None and status.evidence is not None and status.evidence.start is not None


def _with_candidate(facts: Facts, status: ModelRolloutStatus, look: Question, case: Case, at: datetime) -> Question:
    candidate, stable = status.candidate, status.stable
    if candidate is None or stable is None:
        return look
    compares = facts.live(stable) != EVERYBODY
    beside = facts.arm_names(stable, "stable") if compares else None
    judged = _judged(facts, status)
    reaches = {metric.name: _reach(case, metric, at) for metric in case.analysis.metrics if judged(metric.name)}
    return Question(
        revision=candidate.revision,
        history=look.history,
        step=status.stage,
        at=at,
        asked=queries(case.analysis, facts.arm_names(candidate, "candidate"), beside, reaches),
        reaches=reaches,
        compares=compares,
        intended=_intended(facts, status),
        copying=_copying(facts, status, at),
        until=at + case.analysis.interval.timedelta,
    )


def _moment(facts: Facts, status: ModelRolloutStatus) -> datetime | None:
    """When the latest look was due; None without a candidate to look at.

    Looks lie on a grid that starts when the exposure came into force: further passes in between ask the same question
    again, and hear the same answer.
    """
    wish, stage = facts.rollout.wish, status.stage
    if wish is None or stage is None or status.candidate is None or not _is_exposed(facts, status):
        return None
    if not _goes_on(facts, status.candidate, wish):
        return None
    interval = wish.spec.analysis.interval.timedelta
    number = int((facts.now - stage.counted_from) / interval)
    return stage.counted_from + number * interval if number >= 1 else None


def _goes_on(facts: Facts, candidate: CandidateArm, wish: Wish) -> bool:
    """Whether the candidate is the wished one, or stays because that one cannot begin, or shall not."""
    known = facts.rollout.status
    if candidate.revision == wish.revision or statuses.is_passed_over(known, wish):
        return True
    return bool(facts.world.objections) and statuses.is_to_take_over(known, wish)


def _is_exposed(facts: Facts, status: ModelRolloutStatus) -> bool:
    """While pods start, less than the step's exposure may be in force. Any candidate with traffic is judged."""
    stage = status.stage
    return stage is not None and is_on_trial(status) and NOBODY < facts.live(status.stable) <= exposure_at(stage)


def _case(facts: Facts, status: ModelRolloutStatus, at: datetime) -> Case | None:
    """All that a look starts from; None before the first step."""
    wish, evidence = facts.rollout.wish, status.evidence
    line = course(evidence, wish.spec.analysis, current(way(wish), status).hold) if wish and evidence else None
    if wish is None or evidence is None or line is None or status.candidate is None:
        return None
    analysis, end = wish.spec.analysis, at.timestamp()
    basis = bases(status, analysis)
    usual = {one.metric: prior_of(one) for one in evidence.usual if one.basis == basis.get(one.metric)}
    is_planned_time = end <= line.start + line.planned
    thresholds = {name: one.threshold for name, one in usual.items() if one.threshold is not None and is_planned_time}
    return Case(
        analysis=analysis,
        course=line,
        usual=usual,
        kept={one.metric: one for one in evidence.metrics},
        basis=basis,
        end=end,
        look_back=look_back(analysis.interval.timedelta, analysis.warm_up.timedelta).total_seconds(),
        thresholds=thresholds,
        seed=f"{facts.rollout.owner.uid}/{status.candidate.revision}",
        goal=current(way(wish), status).goal,
    )


def _intended(facts: Facts, status: ModelRolloutStatus) -> Intended | None:
    """The share of the requests that the candidate is to get; None where no gateway is to split them.

    A Service splits connections, whose requests it cannot count. Whoever asks for the candidate comes on top.
    """
    wish, stage = facts.rollout.wish, status.stage
    if wish is None or stage is None or stage.since is None or wish.router.splits_by_pods:
        return None
    exposure, step = exposure_at(stage), current(way(wish), status)
    if exposure in (NOBODY, EVERYBODY) or facts.live(status.stable) != exposure:
        return None
    if step.part is not None:
        # An edit of a moment ago draws others than those who are with the candidate now.
        return Intended(step.part, 0.0, stage.since.timestamp()) if step.exposure == exposure else None
    if exposure.asked or step.copied != ALL_REQUESTS:  # a part of some requests, which no counter knows
        return None
    return Intended(exposure.weight, float(exposure.mirror), stage.since.timestamp())


def _copying(facts: Facts, status: ModelRolloutStatus, at: datetime) -> Copying | None:
    """The question about copies that are compared, while all that the step wants are made."""
    wish, stage, candidate, stable = facts.rollout.wish, status.stage, status.candidate, status.stable
    if wish is None or stage is None or stage.since is None or candidate is None or stable is None:
        return None
    step = current(way(wish), status)
    if step.compare is None or facts.live(stable) != step.exposure:
        return None
    arms = facts.arm_names(candidate, "candidate"), facts.arm_names(stable, "stable")
    return copies.copying(float(step.exposure.mirror) / 100, step.compare, *arms, stage.since, at)


def bases(status: ModelRolloutStatus, analysis: Analysis) -> dict[str, str]:
    """By metric, a digest of its rules and of the arms that it compares."""
    arms = [arm.revision if arm else "" for arm in (status.stable, status.candidate)]
    return {metric.name: digest([metric.to_wire(), *arms]) for metric in analysis.metrics}


def _reach(case: Case, metric: Metric, at: datetime) -> Reach:
    before, line = case.before(metric), case.course
    return Reach(
        since=datetime.fromtimestamp(min(before.since, case.end), at.tzinfo),  # anybody may edit a status
        first=datetime.fromtimestamp(min(line.time(before.first + 1), case.end), at.tzinfo),
        end=datetime.fromtimestamp(case.end, at.tzinfo),
        tick=timedelta(seconds=line.tick),
    )


def _history(facts: Facts, status: ModelRolloutStatus) -> tuple[Query, ...]:
    """The queries about stable's past that are still open; none while there is no candidate to compare.

    They include metrics that were added or edited in mid-rollout, over the time before the candidate was there.
    """
    wish = facts.rollout.wish
    if wish is None or status.candidate is None or status.stable is None:
        return ()
    if not _goes_on(facts, status.candidate, wish) or facts.workload(status.candidate) is None:
        return ()
    analysis = wish.spec.analysis
    known = _known_past(status, analysis)
    if all(metric.name in known for metric in analysis.metrics):
        return ()
    names = [pod["metadata"]["name"] for pod in facts.pods(status.stable)]
    tick, stable = tick_of(analysis.interval.timedelta), facts.arm_names(status.stable, "stable")
    asked = history_queries(analysis, stable, names, status.candidate.since, tick)
    return tuple(query for query in asked if query.metric not in known)


def _known_past(status: ModelRolloutStatus, analysis: Analysis) -> dict[str, UsualMetric]:
    """By metric, what is known of stable's past; only of metrics that are still judged in the same way."""
    evidence, basis = status.evidence, bases(status, analysis)
    if evidence is None or evidence.at is None:
        return {}
    return {one.metric: one for one in evidence.usual if one.basis == basis.get(one.metric)}


def informed(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Adds stable's past as soon as Prometheus has answered; once a step has begun, whatever is known of it."""
    look, wish = facts.world.look, facts.rollout.wish
    if look is None or not look.history or wish is None or not _speaks_of(look, status):
        return status
    answers = facts.world.answers
    unanswered = [answer for query in look.history if isinstance(answer := answers[query], Unanswered)]
    if any(not answer.rejected for answer in unanswered) and status.stage is None:
        return status  # Prometheus is away, and there is time to ask again
    wish, analysis = history.with_choice(wish, status), wish.spec.analysis
    told = look.history, answers, bases(status, analysis)
    if status.stage is None:
        begins, found = history.foreseen(wish, *told)
        status = statuses.with_candidate(status, first_weights=begins.first_weights)
    else:
        found = history.summarised(wish, *told)
    known, past = status.evidence or EvidenceStatus(), _known_past(status, analysis)
    usual = tuple(past.get(one.metric, one) for one in found)  # how events are counted does not change on the way
    return changed(status, evidence=EvidenceStatus(**{**dict(known), "at": known.at or facts.now, "usual": usual}))


def judgement(facts: Facts, status: ModelRolloutStatus) -> Judgement | None:
    """The judgement of the candidate from the answers; None without answers, or when the rollout has moved on since."""
    look = facts.world.look
    if look is None or look.at is None or not _speaks_of(look, status) or look.step != status.stage:
        return None
    if not _is_exposed(facts, status):
        return None
    case = _case(facts, status, look.at)
    if case is None:
        return None
    case, judged = replace(case, intended=look.intended), _judged(facts, status)
    found = judge(case, look.asked, facts.world.answers)
    return replace(found, verdicts=tuple(verdict for verdict in found.verdicts if judged(verdict.metric)))


def compared(facts: Facts) -> Compared | None:
    """What a look says of the copies that are compared."""
    look, told = facts.world.look, facts.rollout.status.condition(COPIES_COMPARED)
    if look is None or look.copying is None:
        return None
    return copies.compared(look.copying, facts.world.answers, told.reason if told is not None else None)


def _judged(facts: Facts, status: ModelRolloutStatus) -> Callable[[str], bool]:
    """Which metrics are asked for at the step of a status: those of another stage would only say that it is over."""
    judged = current(way(facts.rollout.wish), status).judged if facts.rollout.wish else None
    return lambda name: judged is None or name in judged


def _speaks_of(look: Question, status: ModelRolloutStatus) -> bool:
    return status.candidate is not None and status.candidate.revision == look.revision


def checkpointed(
    before: ModelRolloutStatus, after: ModelRolloutStatus, fresh: tuple[MetricEvidence, ...] | None, interval: timedelta
) -> EvidenceStatus | None:
    """The evidence of a new status. It is brought up to date when the status is written anyway, or when it is time."""
    evidence = after.evidence
    if evidence is None or not fresh or evidence.start is None:
        return evidence
    newer = EvidenceStatus(**{**dict(evidence), "metrics": fresh})
    if after != before:
        return newer
    known = {one.metric: one.ticks for one in evidence.metrics}
    ahead = max(one.ticks - known.get(one.metric, 0) for one in fresh)
    return newer if ahead * tick_in(evidence, interval) >= CHECKPOINT else evidence
