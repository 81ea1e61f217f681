"""The questions asked of a candidate. Pure.

A check looks at one thing and answers with a Finding or None. The order is in lists: those of a step in its stage's
file, those that hold everywhere at the end of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from modelrollout.analysis.evidence.look import Goal
from modelrollout.api.findings import Finding
from modelrollout.api.status import CandidateArm, MetricVerdict, Verdict
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.exposure import EVERYBODY, Exposure
from modelrollout.trial import by_hand, outage
from modelrollout.trial.facts import is_on_trial
from modelrollout.trial.hindrance import carried, hindrance
from modelrollout.trial.obstacles import obstacle
from modelrollout.trial.steps import exposure_at
from modelrollout.trial.trial import Check, Patience, Trial, first
from modelrollout.workloads import pods

TRAFFIC_AS_INTENDED = "TrafficAsIntended"
"""The type of the condition that is there, and False, while requests do not reach the candidate as intended."""
AWAITING_EVIDENCE, GOAL_NOT_SHOWN = "AwaitingEvidence", "GoalNotShown"
LACKING_EVIDENCE = (AWAITING_EVIDENCE, GOAL_NOT_SHOWN)
"""The reasons of a step that waits for evidence."""
CRASH_LOOP, PROGRESS_DEADLINE_EXCEEDED = "CrashLoop", "ProgressDeadlineExceeded"
"""Why a version does not come up."""


def was_rejected(trial: Trial) -> Finding | None:
    return trial.facts.rejection(trial.status)


def crash_loops(trial: Trial) -> Finding | None:
    message = pods.crash_loop(trial.facts.pods(trial.candidate))
    return Finding(CRASH_LOOP, message) if message else None


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
    until = ready_until(candidate, deadline.timedelta)
    if until is None or trial.facts.now < until:
        return None
    late = (
        f"was not ready for {deadline} of this step in all" if candidate.waited else f"was not ready within {deadline}"
    )
    trouble = pods.trouble(trial.facts.pods(candidate))
    return Finding(
        PROGRESS_DEADLINE_EXCEEDED,
        f"{_named(candidate)} {late} (spec.progressDeadline)." + (f" {trouble}" if trouble else ""),
    )


def ready_until(candidate: CandidateArm, deadline: timedelta) -> datetime | None:
    """When it has been waited for long enough; None while it is ready, or its pods cannot come."""
    if candidate.unready_since is None or candidate.blocked_since is not None:
        return None
    return candidate.unready_since + max(timedelta(), deadline - timedelta(seconds=candidate.waited))


def evidence_came_too_late(trial: Trial) -> Finding | None:
    patience = patience_of(trial)
    if patience.on_inconclusive != "rollback" or not step_deadline_is_over(trial):
        return None
    if trial.stage.asked_since is not None:  # it came, and people may take longer than a Prometheus stays up
        return None
    if trial.facts.is_asking:  # the answer that is on its way may be the missing evidence
        return None
    if missing := evidence_is_missing(trial):
        return Finding("StepDeadlineExceeded", f"{missing.message} {patience.field} is rollback.")
    return None


def is_not_ready(trial: Trial) -> Finding | None:
    candidate, facts = trial.candidate, trial.facts
    if candidate.unready_since is None:
        return None
    state, trouble = facts.workload(candidate), pods.trouble(facts.pods(candidate))
    lacks = f"{_named(candidate)} is not ready and gets no traffic: {state or 'it has no pods yet'}"
    until = ready_until(candidate, trial.wish.spec.progress_deadline.timedelta)
    if until is None and (blocked := obstacle(facts, candidate)) is not None:
        return Finding(blocked.reason, f"{lacks}. {blocked.message} It is waited for without a deadline.")
    waiting = f"{lacks}, waiting until {_until(until, candidate.unready_since)}." if until else f"{lacks}."
    return Finding("CandidateNotReady", waiting + (f" {trouble}" if trouble else ""))


def earlier_verdict_is_noted(trial: Trial) -> Finding | None:
    """Once the candidate has users, a note on the route counts again: it may be a verdict that was not saved."""
    if trial.candidate.retried is None or trial.facts.noted_rejection(trial.candidate.revision) is None:
        return None
    return Finding("RetryNotInForce", "The route still has the verdict on the earlier try; it is about to be written.")


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
    pods_for = carried(trial.facts, trial.status, trial.step)
    why = None if wanted <= live else hindrance(trial.facts, trial.status, wanted, pods_for)
    if why is None:
        return Finding("WeightNotInForce", f"{_where(trial)} the weight is on its way.")
    return Finding(why.reason, f"{_where(trial)} {why.message}")


def route_is_not_accepted(trial: Trial) -> Finding | None:
    if (why := trial.facts.unaccepted()) is None:
        return None
    if (stage := trial.status.stage) is None:
        return why
    waited = f"{_where(trial)} {why.message}"
    return Finding(why.reason, waited if stage.since else f"{waited} Waiting since {stage.entered:%H:%M:%S} UTC.")


def stable_is_not_ready(trial: Trial) -> Finding | None:
    if trial.facts.can_serve(trial.status.stable):
        return None
    why = outage.told(trial.facts, trial.status) or Finding(
        "StableNotReady", "the stable version is not ready, so the candidate gets no more traffic."
    )
    return Finding(why.reason, f"{_where(trial)} {why.message}")


def stable_is_gone(trial: Trial) -> Finding | None:
    """No release begins beside a stable version without any ready pod: it comes back, or the candidate takes over."""
    why = outage.told(trial.facts, trial.status)
    return Finding(why.reason, f"{why.message[:1].upper()}{why.message[1:]}") if why else None


def hold_is_not_over(trial: Trial) -> Finding | None:
    since, hold = trial.stage.counted_from, trial.step.hold
    if trial.facts.now >= since + hold:
        return None
    return Finding("Holding", f"{_where(trial)} held until {_until(since + hold, since)}.")


def evidence_is_missing(trial: Trial) -> Finding | None:
    analysis = trial.wish.spec.analysis
    if analysis.readiness_only or trial.step.judged == frozenset():
        return None
    where, verdicts = _where(trial), _deciding(trial)
    if verdicts is None:
        return Finding(AWAITING_EVIDENCE, f"{where} waiting for the next look at the metrics.")
    if not (open_ := [verdict for verdict in verdicts if verdict.verdict is not Verdict.PASS]):
        return None
    may_promote = patience_of(trial).on_inconclusive == "promote" and step_deadline_is_over(trial)
    # Where the user allows it, too little evidence is enough; no evidence at all never is.
    if may_promote and all(verdict.verdict is Verdict.INCONCLUSIVE and verdict.samples for verdict in open_):
        return None
    # Status is refreshed now and then, not at every look; this sentence as well.
    shown = {verdict.metric: verdict for verdict in trial.status.verdicts}
    told = [_latest(shown.get(verdict.metric), verdict).message for verdict in open_]
    if trial.step.goal is not None and step_deadline_is_over(trial):
        return Finding(GOAL_NOT_SHOWN, " ".join([where, _not_shown(trial.step.goal, patience_of(trial)), *told]))
    return Finding(AWAITING_EVIDENCE, " ".join([where, *told]))


def _not_shown(goal: Goal, patience: Patience) -> str:
    over = f"within {patience.deadline_field} nothing showed {goal}."
    decides = " A person decides: raise it, or edit the spec."
    return over if patience.on_inconclusive == "rollback" else over + decides


def patience_of(trial: Trial) -> Patience:
    """How long evidence is waited for at the step."""
    analysis = trial.wish.spec.analysis
    fields = ("analysis.stepDeadline", "analysis.onInconclusive")
    return trial.step.patience or Patience(analysis.step_deadline.timedelta, analysis.on_inconclusive, *fields)


def _latest(shown: MetricVerdict | None, fresh: MetricVerdict) -> MetricVerdict:
    """The verdict that status shows, unless the fresh one says something else."""
    return shown if shown is not None and shown.verdict is fresh.verdict else fresh


def step_deadline_is_over(trial: Trial) -> bool:
    """Never before the step has been in force for its hold: a gateway that is away is not the candidate's fault. In
    pauses its clock stands."""
    stage, hold = trial.status.stage, trial.step.hold
    if stage is None or stage.since is None:
        return False
    patience = max(hold, patience_of(trial).deadline)
    return by_hand.clock(trial.status, trial.facts.now) >= max(stage.entered + patience, stage.since + hold)


def users_exceed_intention(trial: Trial) -> Finding | None:
    """The weight is the promise of how many users meet a bad model; with twice as many it is broken."""
    traffic = trial.facts.traffic
    if not is_on_trial(trial.status) or traffic is None or not traffic.is_far_more or traffic.contradiction is None:
        return None
    if trial.step.exposure.weight == 0:  # copies, whose answers nobody waits for
        return None
    retry = "Once that is mended, the version can be tried once more."
    return Finding(traffic.contradiction.reason, f"{traffic.contradiction.message} {retry}")


def traffic_contradicts(trial: Trial) -> Finding | None:
    """A step shows nothing of its weight where requests do not follow it."""
    traffic = trial.facts.traffic
    if traffic is None or traffic.contradiction is None:
        return None
    told = trial.status.condition(TRAFFIC_AS_INTENDED)
    same = told is not None and told.reason == traffic.contradiction.reason  # its numbers are as of then
    message = told.message if told is not None and same else traffic.contradiction.message
    return Finding(traffic.contradiction.reason, f"{_where(trial)} {message}")


def drawing_failed(trial: Trial) -> Finding | None:
    """Arms of another size than those that were drawn are other arms. While the candidate was met by nobody, as far as
    anybody counted, there are none yet."""
    traffic = trial.facts.traffic
    return traffic_contradicts(trial) if traffic is not None and traffic.is_met else None


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


def _until(until: datetime, since: datetime) -> str:
    """When a wait is over: a countdown would change the status at every pass. With the date, if that is another day."""
    return f"{until:%H:%M:%S} UTC" if until.date() == since.date() else f"{until:%Y-%m-%d %H:%M:%S} UTC"


# Any of these takes the candidate back, from wherever it is.
ABORTS: tuple[Check, ...] = (
    was_rejected,  # decided before, but not saved
    crash_loops,  # it will not get better, and no metric is needed to see it
    metric_failed,
    users_exceed_intention,
    ready_too_late,
    evidence_came_too_late,  # only where the user chose rollback for this
)

# Before the first step.
PENDING_WAITS: tuple[Check, ...] = (
    is_not_ready,
    stable_is_gone,  # it would be moved between versions that may both be bad
    earlier_verdict_is_noted,
    others_are_leaving,
    route_is_not_accepted,  # users are not yet served by stable, so nothing can be compared with it
)

# Before whatever follows a step at which only those who ask for the candidate see it, so that nothing is compared.
SEEN_WAITS: tuple[Check, ...] = (
    is_not_ready,  # its measurements count only while it is ready
    weight_is_not_in_force,  # the clock has not started
    route_is_not_accepted,  # the weight is written, but no gateway follows it
    stable_is_not_ready,  # nothing to compare with, and nowhere to go back to
    traffic_contradicts,  # more of the same evidence is none of this weight
    hold_is_not_over,
)

# Before whatever follows a step that has users: the next one, or another exposure.
EXPOSED_WAITS: tuple[Check, ...] = (*SEEN_WAITS, evidence_is_missing)

NEVER_WAIVED: tuple[Check, ...] = (is_not_ready, weight_is_not_in_force, route_is_not_accepted, stable_is_not_ready)
"""What a step waits for, whoever wants it to end."""


def wait(trial: Trial, waits: Sequence[Check]) -> Finding | None:
    """What is still waited for, with regard to what people decided."""
    waived = by_hand.waiver(trial) is not None and waits is not PENDING_WAITS
    asked = [check for check in waits if check in NEVER_WAIVED] if waived else waits
    return first((by_hand.is_paused, *asked, by_hand.approval_is_missing), trial)
