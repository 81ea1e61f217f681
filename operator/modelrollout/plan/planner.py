"""A whole pass as values: from what is known to what follows from it. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.status import MetricVerdict, ModelRolloutStatus, Phase, StageStatus, Verdict
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Owner, Write
from modelrollout.plan import adoption, desired, errands, looks, smoking
from modelrollout.plan.conditions import conditions
from modelrollout.plan.conditions import unseen as unseen_conditions
from modelrollout.plan.decide import Decision, decide, mended, trial_of
from modelrollout.plan.events import events
from modelrollout.plan.history import with_choice
from modelrollout.plan.notifications import notifications
from modelrollout.plan.plan import Event, Plan
from modelrollout.plan.statuses import changed
from modelrollout.rollout.rollout import Rollout, Wish
from modelrollout.traffic.router_table import given_up, lent
from modelrollout.trial import capacity, outage
from modelrollout.trial.facts import Facts
from modelrollout.trial.phases import intended
from modelrollout.trial.world import World
from modelrollout.workloads.companions import kinds

REFRESH = timedelta(minutes=1)
"""Verdicts in status are updated when one of them turns, otherwise at most this often: more of the same evidence is not
worth a write to the API server at every look."""
RECHECK_SOON = timedelta(seconds=1)
"""Time to the next pass while something is changing; the watch usually wakes the loop earlier."""
PATIENT = 10
"""The part of the time that a gateway has taken so far after which it is looked at again: some never follow."""


def plan(rollout: Rollout, world: World, now: datetime) -> Plan:
    """The plan at `now`, the moment of observation; while something is to be asked first, that question alone."""
    facts = Facts(rollout, world, _whole_seconds(now))
    known = smoking.informed(facts, looks.informed(facts, mended(facts)))
    facts = replace(facts, rollout=_with_first_weights(rollout, known))
    judgement = looks.judgement(facts, known)
    if judgement is None:
        facts = replace(facts, is_asking=looks.is_due(facts, known))
    else:
        facts = replace(
            facts,
            verdicts=judgement.verdicts,
            checkpoint=judgement.checkpoint,
            traffic=judgement.traffic,
            compared=looks.compared(facts),
        )
    decision = decide(facts, known)
    retreat = desired.retreat(facts, decision.status)
    made = (None if retreat else _asking(facts, known, decision)) or concluded(facts, known, decision, retreat)
    asked_next = smoking.next_at(facts, made.status)
    return replace(made, recheck=_recheck(now, made.status, _wish(rollout, made.status), world, asked_next))


def _asking(facts: Facts, known: ModelRolloutStatus, decision: Decision) -> Plan | None:
    """The plan that asks, and leaves everything as it is until it is answered; None where nothing is open."""
    rollout, world = facts.rollout, facts.world
    if world.smoke is not None or world.look is not None:
        return None  # what was heard is decided on before more is asked
    asks = Plan(rollout.status)
    is_untried = decision.is_held and world.objections is None
    if is_untried and rollout.wish and (tried := desired.beginning(facts, decision.status, rollout.wish)):
        return replace(asks, rehearsal=tried)
    if smoke := smoking.due(facts, decision.status):
        return replace(asks, smoke=smoke)
    is_taken_back = intended(decision.status) is Phase.ROLLING_BACK  # that waits for no answer
    question = looks.due(facts, known) if not is_taken_back else None
    return replace(asks, questions=question) if question else None


def concluded(facts: Facts, known: ModelRolloutStatus, decision: Decision, retreat: tuple[Write, ...]) -> Plan:
    """The plan that follows from a decision. `known`: the status that agrees with the facts."""
    status = _completed(facts, decision, known)
    status = errands.added(status, notifications(facts, status, decision.why))
    wish = _wish(facts.rollout, status)
    # After a retreat the next pass reads the route anew before it touches anything else that users depend on.
    writes = desired.writes(facts, status, wish) if wish and not retreat else ()
    return Plan(
        status=status,
        retreat=retreat,
        writes=writes,
        events=(*events(facts.rollout.status, status, decision.why), *errands.given_up(facts, status)),
        verdicts=facts.verdicts,
    )


def _with_first_weights(rollout: Rollout, known: ModelRolloutStatus) -> Rollout:
    """The rollout whose way begins as it was chosen when its release was prepared."""
    return replace(rollout, wish=with_choice(rollout.wish, known)) if rollout.wish else rollout


def unseen(rollout: Rollout, why: Finding, now: datetime) -> Plan:
    """The plan while what surrounds the rollout cannot be read: say so, and decide nothing on half a world."""
    status, moment = rollout.status, _whole_seconds(now)
    told = (Event("Warning", why.reason, why.message),) if status.message != why.message else ()
    kept = unseen_conditions(status, why, rollout.generation, moment)
    return Plan(changed(status, message=why.message, conditions=kept), events=told)


def upkeep(rollout: Rollout, world: World, now: datetime) -> tuple[Write, ...]:
    """The writes that the status asks for as it was saved, while no later one can be: who serves goes on serving."""
    facts, status = Facts(rollout, world, _whole_seconds(now)), rollout.status
    wish = _wish(rollout, status) if status.phase is not None else None
    return desired.writes(facts, status, wish) if wish and not desired.retreat(facts, status) else ()


def _wish(rollout: Rollout, status: ModelRolloutStatus) -> Wish | None:
    """The wish that the writes carry out; None while the spec cannot be carried out."""
    return rollout.wish if status.phase is not Phase.INVALID else None


def finalise(owner: Owner, world: World) -> tuple[Write, ...]:
    """Deletion: users are turned away at the route before any pod goes. Kubernetes' garbage collector does the rest.

    A route of the user's is given the backends back that were found in it. A workload of the user's that was scaled to
    zero is given its pods back; last, since that may be refused.
    """
    return (*given_up(owner, world.objects), *adoption.given_back(owner, world.objects))


def _completed(facts: Facts, decision: Decision, known: ModelRolloutStatus) -> ModelRolloutStatus:
    status = changed(errands.struck(facts, decision.status), verdicts=_shown(facts, decision.status, known))
    told = facts.trouble or decision.why  # trouble is more urgent than a reason to wait
    status = changed(
        status,
        observed_generation=facts.rollout.generation,
        message=told.message,
        lent=lent(facts.rollout.owner, _traffic(facts.rollout), facts.world.objects),
        conditions=conditions(facts, status, decision.why),
    )
    if facts.checkpoint is None or facts.rollout.wish is None:
        return status
    interval = facts.rollout.wish.spec.analysis.interval.timedelta
    return changed(status, evidence=looks.checkpointed(facts.rollout.status, status, facts.checkpoint, interval))


def _traffic(rollout: Rollout) -> Traffic | None:
    return rollout.wish.spec.traffic if rollout.wish else None


def _shown(facts: Facts, status: ModelRolloutStatus, known: ModelRolloutStatus) -> tuple[MetricVerdict, ...]:
    """The verdicts that status shows: those of the last look that said something new."""
    fresh, shown = facts.verdicts, status.verdicts
    if fresh is None or status.candidate is None:
        return shown
    turned = _turned(fresh, shown, facts, status)
    moved = (status.phase, status.stage) != (known.phase, known.stage)
    return fresh if turned or moved or _age(fresh, shown) >= REFRESH else shown


def _turned(
    fresh: tuple[MetricVerdict, ...], shown: tuple[MetricVerdict, ...], facts: Facts, status: ModelRolloutStatus
) -> bool:
    """Whether a verdict says something new. While the step is held anyway, more of the same evidence is not new."""
    trial = trial_of(facts, status, facts.rollout.wish) if facts.rollout.wish else None
    is_held = trial is not None and status.stage is not None and facts.now < status.stage.counted_from + trial.step.hold

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


def _recheck(
    now: datetime, status: ModelRolloutStatus, wish: Wish | None, world: World, asked_next: datetime | None
) -> timedelta | None:
    """The time until something can change that no event announces. `asked_next`: when smoke requests are."""
    moments = [old.delete_after - now for old in status.retired if old.delete_after > now]
    if asked_next is not None:
        moments.append(max(asked_next - now, RECHECK_SOON))
    if (begun := _in_motion_since(status)) is not None:
        moments.append(max((now - begun) / PATIENT, RECHECK_SOON))
    if wish is not None and status.candidate is not None:
        interval = wish.spec.analysis.interval.timedelta
        moments.append(_until_next_look(status.stage, interval, now) if status.stage else interval)
        moments += [over - now for over in _patience_ends(status) if over > now]
    if wish is not None:
        moments += _of_companions(now, status, wish, world)
    return min(moments) if moments else None


def _in_motion_since(status: ModelRolloutStatus) -> datetime | None:
    """Since when all traffic is on its way to one version, while it is."""
    if status.phase is Phase.PROMOTING and status.stage is not None:
        return status.stage.entered
    return status.rejected[0].at if status.phase is Phase.ROLLING_BACK and status.rejected else None


def _of_companions(now: datetime, status: ModelRolloutStatus, wish: Wish, world: World) -> list[timedelta]:
    """The times until autoscalers and budgets may be others. Their own changes wake nobody."""
    asked, settled = kinds(wish.spec.workload), capacity.settled_at(status)
    again = [REFRESH] if asked & world.unlisted.keys() else []
    return [*again, settled - now] if asked and settled is not None and settled > now else again


def _patience_ends(status: ModelRolloutStatus) -> list[datetime]:
    """When a candidate may take over from a stable version without any ready pod."""
    return [status.stable_out_since + outage.PATIENCE] if status.stable_out_since else []


def _whole_seconds(now: datetime) -> datetime:
    """Times in status are kept to the second; decisions see no more than the next pass will read back."""
    return now.replace(microsecond=0)


def _until_next_look(stage: StageStatus, interval: timedelta, now: datetime) -> timedelta:
    return interval - (now - stage.counted_from) % interval
