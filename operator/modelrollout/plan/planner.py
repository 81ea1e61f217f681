"""The whole of a pass as values: what is needed, and what follows from it. Pure.

    needs(rollout, observed, now) -> queries        plan(rollout, observed, now) -> Plan
    finalise(owner, observed) -> writes

`plan` is called with whatever is known. Before Prometheus was asked it already takes traffic back where readiness or a
crash loop says so; the answers then only add to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.analysis.queries import Query, Window, queries
from modelrollout.analysis.verdicts import judge
from modelrollout.api.status import MetricVerdict, ModelRolloutStatus, Phase, StageStatus
from modelrollout.manifests import Delete, Owner, Write, ref_of
from modelrollout.plan import desired
from modelrollout.plan.conditions import conditions
from modelrollout.plan.decide import Decision, decide, with_clock
from modelrollout.plan.events import events
from modelrollout.plan.rollout import Rollout, Wish
from modelrollout.plan.sight import Sight, arm_names, is_on_trial, window
from modelrollout.plan.statuses import changed
from modelrollout.plan.steps import steps
from modelrollout.plan.world import Observed, Plan

REFRESH = timedelta(minutes=1)
"""Verdicts in status are brought up to date when one of them turns, and else no more often than this: evidence that
only grew is not worth a write to the API server at every look."""
SOON = timedelta(seconds=1)
"""Until the next pass when something is on the move; the watch usually wakes the loop before."""


def needs(rollout: Rollout, observed: Observed, now: datetime) -> tuple[Query, ...]:
    """What Prometheus has to be asked now: nothing unless a candidate is on trial and its weight is in force."""
    sight = _sight(rollout, observed, now)
    look = _look(sight)
    return _queries(sight, look) if look is not None else ()


def plan(rollout: Rollout, observed: Observed, now: datetime) -> Plan:
    """What to do. `now` is the moment of observation: give `needs` and `plan` of one pass the same."""
    sight = _judged(_sight(rollout, observed, now))
    decision = decide(sight)
    status = _completed(sight, decision)
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


def _look(sight: Sight) -> Window | None:
    status, wish = sight.rollout.status, sight.rollout.wish
    if wish is None or status.stage is None or status.candidate is None or not is_on_trial(status):
        return None
    # Less than the step's weight may be in force for long, while pods start: who has traffic is judged.
    has_traffic = 0 < sight.live_weight(status.stable) <= status.stage.weight
    if status.candidate.revision != wish.revision or not has_traffic:
        return None
    return window(status.stage, wish.spec.analysis.interval.timedelta, sight.now)


def _queries(sight: Sight, look: Window) -> tuple[Query, ...]:
    rollout, status = sight.rollout, sight.rollout.status
    if rollout.wish is None or status.candidate is None or status.stage is None or status.stable is None:
        return ()
    # At 100 % stable serves nobody by design: there is nothing to compare with, only limits to keep.
    stable = arm_names(rollout, status.stable, "stable") if sight.live_weight(status.stable) < 100 else None
    return queries(rollout.wish.spec.analysis, arm_names(rollout, status.candidate, "candidate"), stable, look)


def _judged(sight: Sight) -> Sight:
    answers, look, wish = sight.observed.answers, _look(sight), sight.rollout.wish
    if look is None or wish is None or not (asked := _queries(sight, look)):
        return sight
    if answers is None or not all(query in answers for query in asked):
        return replace(sight, is_asking=True)  # nobody has yet, or the step moved on while Prometheus was answering
    verdicts = judge(
        wish.spec.analysis,
        asked,
        answers,
        look,
        stretches=len(steps(wish.spec)) + 1,  # every step and the bake start their evidence anew
        earlier=_looks_before(sight.rollout.status.stage, wish.spec.analysis.interval.timedelta),
    )
    return replace(sight, verdicts=verdicts)


def _looks_before(stage: StageStatus | None, interval: timedelta) -> int:
    """The most looks there can have been at this step before its weight was lost, or came to be, and is in force."""
    return max(0, (stage.since - stage.entered) // interval) if stage else 0  # a clock may have been set back


def _completed(sight: Sight, decision: Decision) -> ModelRolloutStatus:
    status = changed(decision.status, verdicts=_shown(sight, decision.status))
    told = sight.observed.trouble or decision.why  # what stops us is more urgent than what we wait for
    return changed(
        status,
        observed_generation=sight.rollout.generation,
        message=told.message,
        conditions=conditions(sight, status, decision.why),
    )


def _shown(sight: Sight, status: ModelRolloutStatus) -> tuple[MetricVerdict, ...]:
    """The verdicts that status shows: those of the last look that said something new."""
    fresh, shown = sight.verdicts, status.verdicts
    if fresh is None or status.candidate is None:
        return shown
    turned = [(v.metric, v.verdict) for v in fresh] != [(v.metric, v.verdict) for v in shown]
    moved = (status.phase, status.stage) != (sight.rollout.status.phase, sight.rollout.status.stage)
    return fresh if turned or moved or _age(fresh, shown) >= REFRESH else shown


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
