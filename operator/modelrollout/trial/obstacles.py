"""Why a candidate's pods cannot come, however long it is waited for: no fault of its model. Pure.

While there is an obstacle the clock of progressDeadline stands. What lies in the way is told, and the release goes on
by itself once it is gone.
"""

from __future__ import annotations

from collections.abc import Callable

from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm
from modelrollout.rollout.rollout import Wish
from modelrollout.trial.facts import Facts
from modelrollout.trial.world import REFUSED
from modelrollout.workloads import pods

SCALED_TO_ZERO = "ScaledToZero"
"""The reason where no pods are wished for: that may be somebody's will, and is no trouble."""


def fault(wish: Wish) -> Finding | None:
    """Why no pod could ever count in time; the spec is refused for it."""
    least, deadline = wish.template["spec"].get("minReadySeconds"), wish.spec.progress_deadline
    if not isinstance(least, int) or least < deadline.timedelta.total_seconds():
        return None
    return Finding(
        "InvalidTemplate",
        f"spec.workload.template.spec.minReadySeconds must be less than spec.progressDeadline, and {least} s are not "
        f"less than {deadline}: no pod would be available in time.",
    )


def obstacle(facts: Facts, arm: Arm) -> Finding | None:
    """The first obstacle, in the words of whoever is in the way."""
    return next((found for look in OBSTACLES if (found := look(facts, arm)) is not None), None)


def missing_because(facts: Facts, arm: Arm) -> str | None:
    """Why pods of an arm are missing or not running, in Kubernetes' own words; None where nothing is known."""
    found = obstacle(facts, arm)
    return found.message if found is not None else pods.trouble(facts.pods(arm))


def _no_pods_are_wished(facts: Facts, arm: Arm) -> Finding | None:
    state, wish = facts.workload(arm), facts.rollout.wish
    if wish is not None and wish.size is not None:
        is_zero, why = wish.size == 0, "spec.workload.template.spec.replicas is 0"
    else:
        is_zero, why = state is not None and state.replicas == 0, f"{_named(facts, arm)} is scaled to 0"
    return Finding(SCALED_TO_ZERO, f"{why}, so it has no pods.") if is_zero else None


def _pods_cannot_be_made(facts: Facts, arm: Arm) -> Finding | None:
    state = facts.workload(arm)
    if state is None or state.failure is None:
        return None
    return Finding("ReplicaFailure", f"{_named(facts, arm)} cannot make its pods: {state.failure.rstrip('.')}.")


def _pods_find_no_place(facts: Facts, arm: Arm) -> Finding | None:
    message = pods.without_place(facts.pods(arm))
    return Finding("Unschedulable", message) if message else None


def _named(facts: Facts, arm: Arm) -> str:
    kind = facts.kind(arm)
    return f"{kind.resource.kind if kind else 'Workload'} '{arm.workload}'"


def _workload_is_refused(facts: Facts, arm: Arm) -> Finding | None:
    why = facts.refused(arm)
    return Finding(REFUSED, why.message) if why is not None else None


OBSTACLES: tuple[Callable[[Facts, Arm], Finding | None], ...] = (
    _no_pods_are_wished,
    _workload_is_refused,  # by the API server
    _pods_cannot_be_made,  # a quota, a LimitRange or an admission webhook
    _pods_find_no_place,
)
