"""What holds while the stable version has no ready pod at all, so that going back to it helps nobody. Pure."""

from __future__ import annotations

from datetime import timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.status import CandidateArm, ModelRolloutStatus
from modelrollout.traffic.exposure import EVERYBODY
from modelrollout.trial import capacity
from modelrollout.trial.facts import Facts

PATIENCE = timedelta(minutes=1)
"""How long stable has no ready pod before a candidate takes over: a single pod that restarts is mostly back by then."""

TRAFFIC_HELD = "TrafficHeld"
"""The reason where a candidate that was taken back keeps its users."""


def is_out(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether stable has no ready pod at the moment. Scaled to zero on purpose, nobody waits for any."""
    if (stable := status.stable) is None or facts.has_ready_pods(stable.workload):
        return False
    state = facts.workload(stable)
    return state is None or state.replicas > 0


def is_over_patience(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether stable has been out for so long that a candidate which can serve everybody takes over."""
    since = status.stable_out_since
    return since is not None and facts.now >= since + PATIENCE


def may_take_over(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether the candidate shall have all traffic at once: stable is gone, and it has the pods for everybody."""
    candidate = status.candidate
    is_up = candidate is not None and candidate.unready_since is None
    return is_up and is_over_patience(facts, status) and capacity.is_enough(facts, status, EVERYBODY)


def holds_traffic(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether users would be led from ready pods to a stable version that has none, were they taken back now."""
    if (stable := status.stable) is None or facts.has_ready_pods(stable.workload):
        return False
    serving = (workload for workload in facts.served_beside(stable) if facts.has_ready_pods(workload))
    return next(serving, None) is not None


def held(facts: Facts, status: ModelRolloutStatus, why: Finding) -> Finding | None:
    """That a candidate which was taken back keeps its users, since nobody else has a ready pod; None otherwise."""
    if (stable := status.stable) is None or not holds_traffic(facts, status):
        return None
    stays = f"Version {stable.model.version} has no ready pod, so users stay where they are until it has one."
    return Finding(TRAFFIC_HELD, f"{why.message} {stays}")


def told(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """That stable is out, and when the candidate takes over; None while it is not."""
    since, stable, candidate = status.stable_out_since, status.stable, status.candidate
    if since is None or stable is None or candidate is None:
        return None
    began = f"version {stable.model.version} has had no ready pod since {since:%H:%M:%S} UTC"
    if not is_over_patience(facts, status):
        takes = f"unless one is ready by {since + PATIENCE:%H:%M:%S} UTC, version {candidate.model.version} takes over"
    else:
        takes = f"version {candidate.model.version} takes over as soon as it can serve everybody"
    return Finding("StableIsGone", f"{began}; {takes}, which needs {_needed(facts, status, candidate)}.")


def _needed(facts: Facts, status: ModelRolloutStatus, candidate: CandidateArm) -> str:
    state = facts.workload(candidate)
    return f"{capacity.needed(facts, status, EVERYBODY)} available pods; it has {state.available if state else 0}"
