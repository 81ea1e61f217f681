"""The questions asked of a candidate, in the order in which they are asked. Pure.

A check looks at one thing and answers with a Finding or None. The order is in the lists at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.status import CandidateArm, MetricVerdict, ModelRolloutStatus, Phase, StageStatus, Verdict
from modelrollout.plan.sight import Sight, is_on_trial
from modelrollout.plan.steps import position, steps
from modelrollout.rollout.rollout import Wish
from modelrollout.workloads import pods

Check = Callable[[Sight, ModelRolloutStatus, Wish, CandidateArm], Finding | None]


def first(checks: Sequence[Check], sight: Sight, status: ModelRolloutStatus, wish: Wish) -> Finding | None:
    """What the first check found that found anything."""
    candidate = status.candidate
    if candidate is None:
        return None
    return next((found for check in checks if (found := check(sight, status, wish, candidate))), None)


def was_rejected(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    return sight.noted(candidate.revision)


def crash_loops(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    message = pods.crash_loop(sight.pods(candidate))
    return Finding("CrashLoop", message) if message else None


def metric_failed(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    if not is_on_trial(status):
        return None
    failed = [verdict for verdict in sight.verdicts or () if verdict.verdict is Verdict.FAIL]
    return Finding("MetricFailed", " ".join(verdict.message for verdict in failed)) if failed else None


def ready_too_late(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    deadline = wish.spec.progress_deadline
    if candidate.unready_since is None or sight.now < candidate.unready_since + deadline.timedelta:
        return None
    trouble = pods.trouble(sight.pods(candidate))
    return Finding(
        "ProgressDeadlineExceeded",
        f"{_named(candidate)} was not ready within {deadline} (spec.progressDeadline)."
        + (f" {trouble}" if trouble else ""),
    )


def evidence_came_too_late(
    sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm
) -> Finding | None:
    if wish.spec.analysis.on_inconclusive != "rollback" or not step_deadline_is_over(sight, status, wish):
        return None
    if sight.is_asking:  # the answer on its way may be what was missing
        return None
    if missing := evidence_is_missing(sight, status, wish, candidate):
        return Finding("StepDeadlineExceeded", f"{missing.message} analysis.onInconclusive is rollback.")
    return None


def is_not_ready(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    if candidate.unready_since is None:
        return None
    state = sight.workload(candidate)
    count = f"{state.ready} of {state.replicas} pods are ready" if state else "it has no pods yet"
    trouble = pods.trouble(sight.pods(candidate))
    return Finding(
        "CandidateNotReady",
        f"{_named(candidate)} is not ready and gets no traffic: {count}, "
        f"waiting until {_clock(candidate.unready_since, wish.spec.progress_deadline.timedelta)}."
        + (f" {trouble}" if trouble else ""),
    )


def others_are_leaving(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    """A Service that selects both arms would select the pods of retired revisions as well."""
    first_weight, others = steps(wish.spec)[0].weight, sight.others(status)
    if not sight.is_mixing(first_weight) or not others:
        return None
    return Finding("OldPodsLeaving", f"The pods of {', '.join(others)} must be gone before traffic is split.")


def weight_is_not_in_force(
    sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm
) -> Finding | None:
    stage = _stage(status)
    if (live := sight.live_weight(status.stable)) == stage.weight:
        return None
    hindrance = sight.hindrance(status, stage.weight) if live < stage.weight else None
    if hindrance is None:
        return Finding("WeightNotInForce", f"{_where(stage, wish)} the weight is on its way.")
    return Finding(hindrance.reason, f"{_where(stage, wish)} {hindrance.message}")


def route_is_refused(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    refusal = sight.refusal()
    return Finding("RouteNotAccepted", f"{_where(_stage(status), wish)} {refusal}") if refusal else None


def stable_is_not_ready(
    sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm
) -> Finding | None:
    if sight.can_serve(status.stable):
        return None
    return Finding(
        "StableNotReady",
        f"{_where(_stage(status), wish)} the stable version is not ready, so the candidate gets no more traffic.",
    )


def hold_is_not_over(sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm) -> Finding | None:
    stage = _stage(status)
    held = hold(status, wish)
    if sight.now >= stage.since + held:
        return None
    return Finding("Holding", f"{_where(stage, wish)} held until {_clock(stage.since, held)}.")


def evidence_is_missing(
    sight: Sight, status: ModelRolloutStatus, wish: Wish, candidate: CandidateArm
) -> Finding | None:
    if wish.spec.analysis.readiness_only:
        return None
    where, verdicts = _where(_stage(status), wish), sight.verdicts
    if verdicts is None:
        return Finding("AwaitingEvidence", f"{where} waiting for the next look at the metrics.")
    if not (open_ := [verdict for verdict in verdicts if verdict.verdict is not Verdict.PASS]):
        return None
    may_promote = wish.spec.analysis.on_inconclusive == "promote" and step_deadline_is_over(sight, status, wish)
    # Too little evidence may do where the user said so; none at all may not.
    if may_promote and all(verdict.verdict is Verdict.INCONCLUSIVE and verdict.samples for verdict in open_):
        return None
    # What status shows is refreshed now and then, not at every look: so is this sentence.
    shown = {verdict.metric: verdict for verdict in status.verdicts}
    told = [_latest(shown.get(verdict.metric), verdict).message for verdict in open_]
    return Finding("AwaitingEvidence", " ".join([where, *told]))


def _latest(shown: MetricVerdict | None, fresh: MetricVerdict) -> MetricVerdict:
    """What is shown, unless that says something else."""
    return shown if shown is not None and shown.verdict is fresh.verdict else fresh


def step_deadline_is_over(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> bool:
    patience = max(hold(status, wish), wish.spec.analysis.step_deadline.timedelta)
    return status.stage is not None and sight.now >= status.stage.entered + patience


def hold(status: ModelRolloutStatus, wish: Wish) -> timedelta:
    """Shortest time at the current step; the bake once promoted."""
    if status.phase is not Phase.PROGRESSING:
        return wish.spec.promotion.bake.timedelta
    all_steps = steps(wish.spec)
    return all_steps[position(all_steps, _stage(status))].hold


def _stage(status: ModelRolloutStatus) -> StageStatus:
    if status.stage is None:
        raise ValueError("a candidate that is on trial is always at a step")
    return status.stage


def _where(stage: StageStatus, wish: Wish) -> str:
    return f"{stage.name} {share(stage.weight, wish)}:"


def share(weight: int, wish: Wish) -> str:
    """A weight in words; where pods are counted, with the share that comes of it."""
    pods = wish.router.candidate_pods(weight, wish.pods)
    if not wish.router.splits_by_pods or weight == 100 or pods is None or wish.pods is None:
        return f"{weight} %"
    return f"{weight} % (as {pods} of {pods + wish.pods} pods)"


def _named(candidate: CandidateArm) -> str:
    return f"Version {candidate.model.version}"


def _clock(since: datetime, wait: timedelta) -> str:
    """When a wait is over: a countdown would change the status at every pass. With the date, if that is another day."""
    until = since + wait
    return f"{until:%H:%M:%S} UTC" if until.date() == since.date() else f"{until:%Y-%m-%d %H:%M:%S} UTC"


# Any of these takes the candidate back, from wherever it is.
ABORTS: tuple[Check, ...] = (
    was_rejected,  # decided before; only the saving was missed
    crash_loops,  # it will not get better, and needs no metric to tell
    metric_failed,
    ready_too_late,
    evidence_came_too_late,  # only where the user chose rollback for this
)

# Before the first step.
PENDING_WAITS: tuple[Check, ...] = (is_not_ready, others_are_leaving)

# Before the next step.
STEP_WAITS: tuple[Check, ...] = (
    is_not_ready,  # then nothing it measured counts
    weight_is_not_in_force,  # the clock has not started
    route_is_refused,  # the weight is written, but no gateway follows it
    stable_is_not_ready,  # nothing to compare with, and nowhere to go back to
    hold_is_not_over,
    evidence_is_missing,
)

# Before the bake begins: all traffic has to be there.
PROMOTING_WAITS: tuple[Check, ...] = (is_not_ready, weight_is_not_in_force)

# Before the old version may go. Stable serves nobody now, so it is not asked.
BAKING_WAITS: tuple[Check, ...] = (is_not_ready, weight_is_not_in_force, hold_is_not_over, evidence_is_missing)
