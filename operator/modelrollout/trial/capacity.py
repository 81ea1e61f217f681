"""How many pods a candidate needs to carry its traffic, and whether it has them. Pure.

With spec.replicas the size is the user's. Without it an autoscaler may own the size, but none can know the name of a
new revision beforehand, and Kubernetes' own default is one pod. So the candidate is given its part of stable's pods.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, ModelRolloutStatus
from modelrollout.traffic.exposure import Exposure
from modelrollout.trial.facts import Facts
from modelrollout.workloads.companions import fewest

SETTLING = timedelta(minutes=5)
"""From the moment at which users came back to stable: by then its autoscaler has seen their load, as it does not look
further back itself when it takes pods away."""
_GIVEN_BACK = ("RolledBack", "Cancelled", "Superseded")
"""Ends of a release, as history has them, after which stable has all users."""
GIVEN = f"{GROUP}/pods-given"
"""Annotation on a workload without a size of its own: the pods that the operator gave it, written together with them.
Where there are fewer now, somebody took them away, and does the scaling."""


def stable_pods(facts: Facts, status: ModelRolloutStatus) -> int:
    """The pods that everybody needs: stable's at present, or at an earlier step, since its autoscaler takes pods away
    while the candidate takes users over."""
    known = (status.candidate and status.candidate.stable_pods) or 1
    state = facts.workload(status.stable)
    return max(known, state.replicas if state is not None else 0)


def needed(facts: Facts, status: ModelRolloutStatus, exposure: Exposure) -> int:
    """The pods that the candidate needs for an exposure."""
    wish = facts.rollout.wish
    if wish is None or wish.size is None:
        return max(1, ceil(stable_pods(facts, status) * exposure.percent / 100))
    return (wish.router.pods(exposure, wish.size) or 0) if wish.size else 0


def least(facts: Facts, status: ModelRolloutStatus, arm: Arm, exposure: Exposure) -> int:
    """The pods below which an arm's own autoscaler may not go, whatever its author says; `exposure`: the candidate's.

    Neither arm has the load by which its number could be known: the candidate before it has its users, and stable
    before it has them back. Once it has, its autoscaler may go no lower than before until it has seen their load.
    """
    candidate = status.candidate
    if status.stable is None:
        return 0
    if candidate is not None and arm.revision == candidate.revision:
        return needed(facts, status, exposure)
    if candidate is not None and status.stage is not None:  # as at its beginning: one that follows would be a ratchet
        return candidate.stable_pods or stable_pods(facts, status)
    until, scaler = settled_at(status), facts.autoscaler(arm)
    return fewest(scaler) if scaler is not None and until is not None and facts.now < until else 0


def settled_at(status: ModelRolloutStatus) -> datetime | None:
    """When stable's autoscaler may be relied upon again, after a release that gave its users back."""
    last = next(iter(status.history), None)
    return last.at + SETTLING if last is not None and last.outcome in _GIVEN_BACK else None


def is_enough(facts: Facts, status: ModelRolloutStatus, exposure: Exposure) -> bool:
    """Whether the candidate has all the pods that an exposure needs, and all of them are available."""
    candidate, wish = status.candidate, facts.rollout.wish
    state = facts.workload(candidate)
    if candidate is None or state is None or wish is None or not state.is_fully_available:
        return False
    count = needed(facts, status, exposure)
    return state.replicas == count if wish.size is not None else not lacks_pods(facts, status, candidate, count)


def is_owed_pods(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether stable is to have pods back that its autoscaler took away while others had its users."""
    stable, wish = status.stable, facts.rollout.wish
    if stable is None or status.candidate is None or wish is None or wish.size is not None:
        return False
    return lacks_pods(facts, status, stable, stable_pods(facts, status))


def lacks_pods(facts: Facts, status: ModelRolloutStatus, arm: Arm, count: int) -> bool:
    """Whether a workload without a size of its own has to be given pods."""
    state = facts.workload(arm)
    return state is not None and state.replicas < count and _given(facts, status, arm) < count


def scaled_by_others(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """Who decides the number of stable's pods, where the spec says nothing of an autoscaler.

    Where pods are counted to share the requests, their number stays the spec's.
    """
    wish, stable, state = facts.rollout.wish, status.stable, facts.workload(status.stable)
    if wish is None or stable is None or state is None or state.scaled_by is None:
        return None
    if facts.autoscaler(stable) is not None:  # it was ours, and goes as soon as the spec's number is written
        return None
    if wish.spec.workload.autoscaling is not None or wish.router.splits_by_pods:
        return None
    kind = facts.kind(stable) or wish.kind
    mend = "declare it in spec.workload.autoscaling, and each version has one of its own."
    against = f" and spec.workload.template.spec.replicas ({wish.size}) does not count" if wish.size is not None else ""
    return Finding(
        "AutoscalerFound",
        f"{kind.resource.kind} '{stable.workload}' is scaled by {state.scaled_by}: its number of pods is left to it"
        f"{against}. An autoscaler made for this name stays behind at the next release: {mend}",
    )


def note(status: ModelRolloutStatus, count: int) -> str:
    """What is noted on a workload that is given pods: the number, and for which candidate's release."""
    return f"{count}{_for_release(status)}"


def _given(facts: Facts, status: ModelRolloutStatus, arm: Arm) -> int:
    count = facts.annotation(arm, GIVEN).removesuffix(_for_release(status))
    return int(count) if count.isdecimal() and count.isascii() else 0  # of an earlier release, or edited


def _for_release(status: ModelRolloutStatus) -> str:
    return f" for {status.candidate.revision}" if status.candidate else ""


def told(facts: Facts, status: ModelRolloutStatus, exposure: Exposure) -> str | None:
    """Who scales the candidate, where nobody said it; None where spec.replicas says it, or somebody gave it more."""
    wish, candidate = facts.rollout.wish, status.candidate
    if wish is None or wish.size is not None or candidate is None or status.stable is None:
        return None
    count, whole, state = needed(facts, status, exposure), stable_pods(facts, status), facts.workload(candidate)
    if state is not None and state.replicas > count:
        return None
    workload = f"{wish.kind.resource.kind} {candidate.workload}"
    if wish.spec.workload.autoscaling is not None:
        return f"{workload} is given {count} pods, as many as {float(exposure.percent):g} % of stable's {whole} need."
    return (
        f"spec.workload.template.spec.replicas is left out and nothing scales {workload} yet, so it is given {count} "
        f"pods, as many as {float(exposure.percent):g} % of stable's {whole} need."
    )
