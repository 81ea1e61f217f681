"""The questions asked of a candidate. Pure.

A check looks at one thing and answers with a Finding or None. The order is in lists: those of a step in its stage's
file, those that hold everywhere at the end of this one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.status import CandidateArm, MetricVerdict, Verdict
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.exposure import EVERYBODY, Exposure
from modelrollout.trial.facts import is_on_trial
from modelrollout.trial.steps import exposure_at
from modelrollout.trial.trial import Check, Trial
from modelrollout.workloads import pods


def was_rejected(trial: Trial) -> Finding | None:
    return trial.facts.rejection(trial.candidate.revision)


def crash_loops(trial: Trial) -> Finding | None:
    message = pods.crash_loop(trial.facts.pods(trial.candidate))
    return Finding("CrashLoop", message) if message else None


def metric_failed(trial: Trial) -> Finding | None:
    if not is_on_trial(trial.status):
        return None
    failed = [verdict for verdict in _deciding(trial) or () if verdict.verdict is Verdict.FAIL]
    return Finding("MetricFailed", " ".join(verdict.message for verdict in failed)) if failed else None


def _deciding(trial: Trial) -> tuple[MetricVerdict, ...] | None:
    """The verdicts on the metrics that decide at this step; None where nobody looked."""
    verdicts, judged = trial.facts.verdicts, trial.step.judged
    if verdicts is None or judged is None:
        return verdicts
    return tuple(verdict for verdict in verdicts if verdict.metric in judged)


def ready_too_late(trial: Trial) -> Finding | None:
    candidate, deadline = trial.candidate, trial.wish.spec.progress_deadline
    if trial.facts.workload(candidate) is None:  # it was never given the time: its workload could not be made
        return None
    if candidate.unready_since is None or trial.facts.now < _could_begin(trial) + deadline.timedelta:
        return None
    trouble = pods.trouble(trial.facts.pods(candidate))
    return Finding(
        "ProgressDeadlineExceeded",
        f"{_named(candidate)} was not ready within {deadline} (spec.progressDeadline)."
        + (f" {trouble}" if trouble else ""),
    )


def _could_begin(trial: Trial) -> datetime:
    """Since when the candidate could become ready: not before its workload was made, which may have been refused."""
    since, made = trial.candidate.unready_since or trial.facts.now, trial.facts.made_at(trial.candidate)
    return max(since, made) if made is not None else since


def evidence_came_too_late(trial: Trial) -> Finding | None:
    if trial.wish.spec.analysis.on_inconclusive != "rollback" or not step_deadline_is_over(trial):
        return None
    if trial.facts.is_asking:  # the answer that is on its way may be the missing evidence
        return None
    if missing := evidence_is_missing(trial):
        return Finding("StepDeadlineExceeded", f"{missing.message} analysis.onInconclusive is rollback.")
    return None


def is_not_ready(trial: Trial) -> Finding | None:
    candidate = trial.candidate
    if candidate.unready_since is None:
        return None
    state = trial.facts.workload(candidate)
    count = f"{state.ready} of {state.replicas} pods are ready" if state else "it has no pods yet"
    trouble = pods.trouble(trial.facts.pods(candidate))
    return Finding(
        "CandidateNotReady",
        f"{_named(candidate)} is not ready and gets no traffic: {count}, "
        f"waiting until {_clock(_could_begin(trial), trial.wish.spec.progress_deadline.timedelta)}."
        + (f" {trouble}" if trouble else ""),
    )


def others_are_leaving(trial: Trial) -> Finding | None:
    """A Service that selects both arms would select the pods of retired revisions as well."""
    others = trial.facts.others(trial.status)
    if not trial.facts.is_mixing(trial.step.exposure) or not others:
        return None
    return Finding("OldPodsLeaving", f"The pods of {', '.join(others)} must be gone before traffic is split.")


def weight_is_not_in_force(trial: Trial) -> Finding | None:
    wanted, live = exposure_at(trial.stage), trial.facts.live(trial.status.stable)
    if live == wanted:
        return None
    hindrance = None if wanted <= live else trial.facts.hindrance(trial.status, wanted)
    if hindrance is None:
        return Finding("WeightNotInForce", f"{_where(trial)} the weight is on its way.")
    return Finding(hindrance.reason, f"{_where(trial)} {hindrance.message}")


def route_is_refused(trial: Trial) -> Finding | None:
    refusal = trial.facts.refusal()
    return Finding("RouteNotAccepted", f"{_where(trial)} {refusal}") if refusal else None


def stable_is_not_ready(trial: Trial) -> Finding | None:
    if trial.facts.can_serve(trial.status.stable):
        return None
    return Finding(
        "StableNotReady",
        f"{_where(trial)} the stable version is not ready, so the candidate gets no more traffic.",
    )


def hold_is_not_over(trial: Trial) -> Finding | None:
    since, hold = trial.stage.since, trial.step.hold
    if trial.facts.now >= since + hold:
        return None
    return Finding("Holding", f"{_where(trial)} held until {_clock(since, hold)}.")


def evidence_is_missing(trial: Trial) -> Finding | None:
    analysis = trial.wish.spec.analysis
    if analysis.readiness_only:
        return None
    where, verdicts = _where(trial), _deciding(trial)
    if verdicts is None:
        return Finding("AwaitingEvidence", f"{where} waiting for the next look at the metrics.")
    if not (open_ := [verdict for verdict in verdicts if verdict.verdict is not Verdict.PASS]):
        return None
    may_promote = analysis.on_inconclusive == "promote" and step_deadline_is_over(trial)
    # Where the user allows it, too little evidence is enough; no evidence at all never is.
    if may_promote and all(verdict.verdict is Verdict.INCONCLUSIVE and verdict.samples for verdict in open_):
        return None
    # Status is refreshed now and then, not at every look; this sentence as well.
    shown = {verdict.metric: verdict for verdict in trial.status.verdicts}
    told = [_latest(shown.get(verdict.metric), verdict).message for verdict in open_]
    return Finding("AwaitingEvidence", " ".join([where, *told]))


def _latest(shown: MetricVerdict | None, fresh: MetricVerdict) -> MetricVerdict:
    """The verdict that status shows, unless the fresh one says something else."""
    return shown if shown is not None and shown.verdict is fresh.verdict else fresh


def step_deadline_is_over(trial: Trial) -> bool:
    patience = max(trial.step.hold, trial.wish.spec.analysis.step_deadline.timedelta)
    return trial.status.stage is not None and trial.facts.now >= trial.status.stage.entered + patience


def _where(trial: Trial) -> str:
    return f"{trial.stage.name} {in_words(exposure_at(trial.stage), trial.wish)}:"


def in_words(exposure: Exposure, wish: Wish) -> str:
    """An exposure; where pods are counted, with the share that comes of it."""
    pods = wish.router.pods(exposure, wish.size)
    if not wish.router.splits_by_pods or exposure == EVERYBODY or pods is None or wish.size is None:
        return str(exposure)
    return f"{exposure} (as {pods} of {pods + wish.size} pods)"


def _named(candidate: CandidateArm) -> str:
    return f"Version {candidate.model.version}"


def _clock(since: datetime, wait: timedelta) -> str:
    """When a wait is over: a countdown would change the status at every pass. With the date, if that is another day."""
    until = since + wait
    return f"{until:%H:%M:%S} UTC" if until.date() == since.date() else f"{until:%Y-%m-%d %H:%M:%S} UTC"


# Any of these takes the candidate back, from wherever it is.
ABORTS: tuple[Check, ...] = (
    was_rejected,  # decided before, but not saved
    crash_loops,  # it will not get better, and no metric is needed to see it
    metric_failed,
    ready_too_late,
    evidence_came_too_late,  # only where the user chose rollback for this
)

# Before the first step.
PENDING_WAITS: tuple[Check, ...] = (is_not_ready, others_are_leaving)

# Before whatever follows a step that has users: the next one, or another exposure.
EXPOSED_WAITS: tuple[Check, ...] = (
    is_not_ready,  # its measurements count only while it is ready
    weight_is_not_in_force,  # the clock has not started
    route_is_refused,  # the weight is written, but no gateway follows it
    stable_is_not_ready,  # nothing to compare with, and nowhere to go back to
    hold_is_not_over,
    evidence_is_missing,
)
