"""The whole of a pass as values: what is needed, and what follows from it. Pure.

    needs(rollout, observed, now) -> queries        plan(rollout, observed, now) -> Plan
    finalise(owner, observed) -> writes

`plan` is called with whatever is known. Before Prometheus was asked it already takes traffic back where readiness or a
crash loop says so; the answers then only add to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.analysis.evidence.ticks import tick_of
from modelrollout.analysis.judge import Case, judge
from modelrollout.analysis.sensitivity.preflight import summarise_history
from modelrollout.api.status import EvidenceStatus, MetricVerdict, ModelRolloutStatus, Phase, StageStatus, Verdict
from modelrollout.objects.manifests import Delete, Owner, Write, ref_of
from modelrollout.plan import desired, evidence
from modelrollout.plan.checks import hold
from modelrollout.plan.conditions import conditions
from modelrollout.plan.decide import Decision, decide, with_clock
from modelrollout.plan.events import events
from modelrollout.plan.sight import Sight, is_on_trial, look
from modelrollout.plan.statuses import changed
from modelrollout.plan.world import Observed, Plan
from modelrollout.promql.query import Answer, Query, Unanswered
from modelrollout.rollout.rollout import Rollout, Wish

REFRESH = timedelta(minutes=1)
"""Verdicts in status are brought up to date when one of them turns, and else no more often than this: evidence that
only grew is not worth a write to the API server at every look."""
SOON = timedelta(seconds=1)
"""Until the next pass when something is on the move; the watch usually wakes the loop before."""


def needs(rollout: Rollout, observed: Observed, now: datetime) -> tuple[Query, ...]:
    """What Prometheus has to be asked now: what stable did before, once; and of a candidate on trial, at each look."""
    sight = _sight(rollout, observed, now)
    return (*evidence.history(sight), *_look_queries(sight))


def plan(rollout: Rollout, observed: Observed, now: datetime) -> Plan:
    """What to do. `now` is the moment of observation: give `needs` and `plan` of one pass the same."""
    sight = _judged(_sight(rollout, observed, now))
    decision = decide(sight)
    status = _completed(sight, decision, rollout.status)
    wish = rollout.wish if status.phase is not Phase.INVALID else None
    retreat = desired.retreat(sight, status)
    # After a retreat the next pass reads the route anew before it touches anything else that users depend on.
    writes = desired.writes(sight, status, wish) if wish and not retreat else ()
    return Plan(
        status=status,
        retreat=retreat,
        writes=writes,
        events=events(rollout.status, status, decision.why),
        recheck=_recheck(now, status, wish),
    )


def finalise(owner: Owner, observed: Observed) -> tuple[Write, ...]:
    """Deletion: users are turned away at the route before any pod goes. Kubernetes' garbage collector does the rest."""
    routes = [route for route in observed.routes.values() if owner.owns(route)]
    return tuple(Delete(ref_of(route), route["metadata"]["uid"]) for route in routes)


def _sight(rollout: Rollout, observed: Observed, now: datetime) -> Sight:
    sight = Sight(rollout, observed, _whole_seconds(now))
    return replace(sight, rollout=replace(rollout, status=with_clock(sight, rollout.status)))


def _look(sight: Sight) -> datetime | None:
    status, wish = sight.rollout.status, sight.rollout.wish
    if wish is None or status.stage is None or status.candidate is None or not is_on_trial(status):
        return None
    # Less than the step's weight may be in force for long, while pods start: who has traffic is judged.
    has_traffic = 0 < sight.live_weight(status.stable) <= status.stage.weight
    if status.candidate.revision != wish.revision or not has_traffic:
        return None
    return look(status.stage, wish.spec.analysis.interval.timedelta, sight.now)


def _case(sight: Sight, known: EvidenceStatus | None) -> Case | None:
    end = _look(sight)
    return evidence.case(sight, known, end) if end is not None and known is not None else None


def _look_queries(sight: Sight) -> tuple[Query, ...]:
    case = _case(sight, sight.rollout.status.evidence)
    return evidence.look_queries(sight, case) if case is not None else ()


def _judged(sight: Sight) -> Sight:
    """With what the answers say: of stable's past, which is noted for good; and of the candidate."""
    answers = sight.observed.answers
    sight = _informed(sight, answers)
    case = _case(sight, sight.rollout.status.evidence)
    if case is None or not (asked := evidence.look_queries(sight, case)):
        return sight
    if answers is None or not all(query in answers for query in asked):
        return replace(sight, is_asking=True)  # nobody has yet, or the step moved on while Prometheus was answering
    judgement = judge(case, asked, answers)
    return replace(sight, verdicts=judgement.verdicts, checkpoint=judgement.checkpoint)


def _informed(sight: Sight, answers: Mapping[Query, Answer] | None) -> Sight:
    """With what stable's past says, as soon as Prometheus has answered; once there is a step with whatever is known."""
    asked, wish, status = evidence.history(sight), sight.rollout.wish, sight.rollout.status
    if not asked or answers is None or wish is None or not all(query in answers for query in asked):
        return sight
    unanswered = [answer for query in asked if isinstance(answer := answers[query], Unanswered)]
    is_away = any(not answer.rejected for answer in unanswered)
    if is_away and status.stage is None:
        return sight  # there is time to ask again
    analysis = wish.spec.analysis
    found = summarise_history(
        analysis, asked, answers, evidence.bases(sight, analysis), evidence.stretches(wish),
        tick_of(analysis.interval.timedelta).total_seconds(),
    )  # fmt: skip
    known, noted = status.evidence or EvidenceStatus(), evidence.noted(sight, analysis)
    usual = tuple(noted.get(one.metric, one) for one in found)  # how events are counted does not change on the way
    informed = EvidenceStatus(**{**dict(known), "at": known.at or sight.now, "usual": usual})
    return replace(sight, rollout=replace(sight.rollout, status=changed(status, evidence=informed)))


def _completed(sight: Sight, decision: Decision, before: ModelRolloutStatus) -> ModelRolloutStatus:
    status = changed(decision.status, verdicts=_shown(sight, decision.status))
    told = sight.observed.trouble or decision.why  # what stops us is more urgent than what we wait for
    status = changed(
        status,
        observed_generation=sight.rollout.generation,
        message=told.message,
        conditions=conditions(sight, status, decision.why),
    )
    if sight.checkpoint is None or sight.rollout.wish is None:
        return status
    interval = sight.rollout.wish.spec.analysis.interval.timedelta
    return changed(status, evidence=evidence.checkpointed(before, status, sight.checkpoint, interval))


def _shown(sight: Sight, status: ModelRolloutStatus) -> tuple[MetricVerdict, ...]:
    """The verdicts that status shows: those of the last look that said something new."""
    fresh, shown = sight.verdicts, status.verdicts
    if fresh is None or status.candidate is None:
        return shown
    turned = _turned(fresh, shown, sight, status)
    moved = (status.phase, status.stage) != (sight.rollout.status.phase, sight.rollout.status.stage)
    return fresh if turned or moved or _age(fresh, shown) >= REFRESH else shown


def _turned(
    fresh: tuple[MetricVerdict, ...], shown: tuple[MetricVerdict, ...], sight: Sight, status: ModelRolloutStatus
) -> bool:
    """Whether a verdict says something else. While a step is held anyway, evidence that ripens is no news."""
    wish = sight.rollout.wish
    is_held = wish is not None and status.stage is not None and sight.now < status.stage.since + hold(status, wish)

    def told(verdict: MetricVerdict) -> tuple[str, str]:
        is_ripening = is_held and verdict.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
        return verdict.metric, "ripening" if is_ripening else verdict.verdict.value

    return [told(verdict) for verdict in fresh] != [told(verdict) for verdict in shown]


def _age(fresh: tuple[MetricVerdict, ...], shown: tuple[MetricVerdict, ...]) -> timedelta:
    ends = [
        new.window_end - old.window_end
        for new, old in zip(fresh, shown, strict=True)
        if new.window_end and old.window_end
    ]
    return max(ends, default=timedelta())


def _recheck(now: datetime, status: ModelRolloutStatus, wish: Wish | None) -> timedelta | None:
    """The time until something can be different without anybody telling us."""
    if status.phase in (Phase.PROMOTING, Phase.ROLLING_BACK):
        return SOON
    moments = [old.delete_after - now for old in status.retired if old.delete_after > now]
    if wish is not None and status.candidate is not None:
        interval = wish.spec.analysis.interval.timedelta
        moments.append(_until_next_look(status.stage, interval, now) if status.stage else interval)
    return min(moments) if moments else None


def _whole_seconds(now: datetime) -> datetime:
    """Times in status are kept to the second; decisions see no more than the next pass will read back."""
    return now.replace(microsecond=0)


def _until_next_look(stage: StageStatus, interval: timedelta, now: datetime) -> timedelta:
    return interval - (now - stage.since) % interval
