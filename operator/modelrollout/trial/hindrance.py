"""What keeps a candidate from more traffic at the moment. Pure."""

from __future__ import annotations

from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.traffic.exposure import EVERYBODY, Exposure
from modelrollout.trial import capacity, outage
from modelrollout.trial.facts import Facts
from modelrollout.trial.obstacles import missing_because
from modelrollout.trial.trial import Step


def carried(facts: Facts, status: ModelRolloutStatus, step: Step) -> Exposure:
    """The exposure that the candidate has its pods for at a step."""
    return EVERYBODY if outage.is_over_patience(facts, status) else step.pods_for or step.reach


def hindrance(facts: Facts, status: ModelRolloutStatus, exposure: Exposure, pods_for: Exposure) -> Finding | None:
    """Why the candidate may not be exposed this far right now; None when it may.

    `pods_for`: the exposure that it has its pods for, which may be more.
    """
    if (why := _of_stable(facts, status)) is not None:
        return why
    if (others := facts.others(status)) and facts.is_mixing(exposure):
        return Finding("OldPodsLeaving", f"the pods of {', '.join(others)} must be gone before traffic is split.")
    if (apart := _ports_apart(facts, status)) and facts.is_mixing(exposure):
        return apart
    if status.candidate is None or capacity.is_enough(facts, status, pods_for):
        return None
    state, count = facts.workload(status.candidate), capacity.needed(facts, status, pods_for)
    has = f"{state.available} of {max(count, state.replicas)}" if state else "none"
    waits = f"the candidate gets more traffic once all pods that it takes are available; {has} are."
    told = (waits, capacity.told(facts, status, pods_for), missing_because(facts, status.candidate))
    return Finding("WeightNotInForce", " ".join(filter(None, told)))


def _of_stable(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """Nobody goes on without a stable version to go back to, unless it is gone for good."""
    if status.phase not in (Phase.PROGRESSING, Phase.PROMOTING) or facts.can_serve(status.stable):
        return None
    if status.phase is Phase.PROMOTING and outage.is_over_patience(facts, status):
        return None
    is_weak = Finding("StableNotReady", "the stable version is not ready, so the candidate gets no more traffic.")
    return outage.told(facts, status) or is_weak


def _ports_apart(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """Why no Service can select the pods of both arms."""
    if status.stable is None or status.candidate is None:
        return None
    old, new = facts.backend(status.stable).port, facts.backend(status.candidate).port
    if old == new:
        return None
    name = f"Service '{facts.rollout.owner.namespace}/{facts.rollout.owner.name}'"
    why = f"{name} sends all requests to one port, and the versions listen on {old} and {new}"
    mend = "release this change by a stage with weights: [100], or by traffic.gatewayAPI."
    return Finding("PortsDiffer", f"{why}: {mend}")
