"""The times that a status keeps: since when a weight is in force, an arm without its pods, and at whose cost. Pure."""

from __future__ import annotations

from datetime import datetime

from modelrollout.api.status import CandidateArm, ModelRolloutStatus, StageStatus
from modelrollout.plan import looks
from modelrollout.plan.statuses import changed, with_candidate
from modelrollout.trial import outage
from modelrollout.trial.facts import Facts
from modelrollout.trial.obstacles import obstacle
from modelrollout.trial.steps import exposure_at


def with_step_clock(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Counts the step's time from when its exposure was first seen in force: written, and accepted by a gateway.

    While it is not in force, the status has no such time. That is saved before the route is written, so no crash in
    between, refused write, gateway that is away, or edit of the route by somebody shortens the step.
    """
    if (stage := status.stage) is None:
        return status
    since, written = stage.since, facts.written_at()
    if not facts.is_in_force(exposure_at(stage), status.stable):
        since = None
    elif since is None or (written is not None and written > since):  # written anew, and the status was not told
        since = max(facts.now, written or facts.now)
    if since == stage.since:
        return status
    evidence = looks.in_force(status.evidence, stage, since) if since else status.evidence
    return changed(status, stage=StageStatus(**{**dict(stage), "since": since}), evidence=evidence)


def with_outage(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Records since when the stable version has no ready pod at all."""
    since = (status.stable_out_since or facts.now) if outage.is_out(facts, status) else None
    return status if since == status.stable_out_since else changed(status, stable_out_since=since)


def with_readiness(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Records since when the candidate is not ready, and what of that counts against it.

    The times of one step add up: a candidate that comes and goes for ever would begin anew for ever. Where something
    keeps its pods from coming, and in a pause, the clock stands.
    """
    if (candidate := status.candidate) is None:
        return status
    is_ready = _is_ready(facts, status, candidate)
    blocked = None
    if not is_ready and (obstacle(facts, candidate) is not None or status.paused is not None):
        blocked = candidate.blocked_since or facts.now
    since = None if is_ready else candidate.unready_since or facts.now
    waited = candidate.waited
    if _is_counting(candidate) and (is_ready or blocked is not None):
        waited += _counted(candidate, facts.now)
    elif since is not None and blocked is None and candidate.blocked_since is not None:
        since = facts.now  # its own time goes on
    return with_candidate(status, unready_since=since, waited=waited, blocked_since=blocked)


def _is_counting(candidate: CandidateArm) -> bool:
    return candidate.unready_since is not None and candidate.blocked_since is None


def _counted(candidate: CandidateArm, now: datetime) -> int:
    """The seconds that it was not ready for. Each loss counts as one at least, so there is an end to them."""
    if candidate.unready_since is None:
        return 0
    return max(1, round((now - candidate.unready_since).total_seconds()))


def _is_ready(facts: Facts, status: ModelRolloutStatus, candidate: CandidateArm) -> bool:
    """Once readiness is lost, all of its pods must come back, and be available."""
    if (state := facts.workload(candidate)) is None:
        return False
    if candidate.unready_since is not None:
        return state.is_fully_available
    # A pod less is a smaller share there. And where stable has no ready pod, a few of the candidate's are better.
    if (facts.router is not None and facts.router.splits_by_pods) or outage.is_out(facts, status):
        return state.ready > 0
    return state.can_serve
