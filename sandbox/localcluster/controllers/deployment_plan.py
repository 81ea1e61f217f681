"""Plans the pods of a Deployment, and its status. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localcluster.controllers import replicas
from localcluster.controllers.replicas import Object, is_available, is_leaving, is_new, is_over, is_ready, text

DEFAULT_DEADLINE = 600  # seconds; what apps/v1 writes where none is given
COMPLETE, CREATED, UPDATED, TOO_LATE = (
    "NewReplicaSetAvailable",  # Kubernetes' own reasons: `kubectl rollout status` and others look for them
    "NewReplicaSetCreated",
    "ReplicaSetUpdated",
    "ProgressDeadlineExceeded",
)


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """How many pods to make of the present template, which to delete, the status, and when to look again at latest."""

    create: int
    delete: tuple[Object, ...]
    status: dict[str, Any]
    recheck: timedelta | None


@dataclass(frozen=True, slots=True)
class Census:
    """The pods that are not on their way out. `available`: ready for at least minReadySeconds."""

    wanted: int
    surge: int  # how many more than wanted there may be
    missing: int  # how many fewer than wanted may be available
    new: tuple[Object, ...]
    old: tuple[Object, ...]
    available: frozenset[str]

    @property
    def total(self) -> int:
        return len(self.new) + len(self.old)

    @property
    def least(self) -> int:
        return self.wanted - self.missing

    def is_available(self, pod: Object) -> bool:
        return pod["metadata"]["uid"] in self.available


def pod_of(deployment: Object, node: str) -> dict[str, Any]:
    """A pod from the present template, under a name that the API server makes up."""
    return replicas.pod_of(deployment, "Deployment", node, generateName=f"{deployment['metadata']['name']}-")


def plan(deployment: Object, pods: Sequence[Object], now: datetime) -> DeploymentPlan:
    """`pods` are all of the Deployment's own, those on their way out too."""
    leaving = [pod for pod in pods if is_leaving(pod)]
    over = tuple(pod for pod in pods if is_over(pod) and pod not in leaving)
    census = _census(deployment, [pod for pod in pods if pod not in leaving and pod not in over], now)
    create, delete = _steps(deployment, census, waits=any(not is_new(deployment, pod) for pod in leaving))
    status, due = _status(deployment, census, now)
    return DeploymentPlan(
        create, (*over, *delete), status, _soonest(due, replicas.next_available(deployment, pods, now))
    )


def _census(deployment: Object, pods: Sequence[Object], now: datetime) -> Census:
    spec, wanted = deployment["spec"], replicas.replicas(deployment)
    surge, missing = _allowances(spec, wanted)
    settled = (pod for pod in pods if is_available(deployment, pod, now))
    new = tuple(pod for pod in pods if is_new(deployment, pod))
    old = tuple(pod for pod in pods if pod not in new)
    return Census(wanted, surge, missing, new, old, frozenset(pod["metadata"]["uid"] for pod in settled))


def _allowances(spec: Object, wanted: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers; Kubernetes' defaults are 25 % each, and they cannot both be nothing."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, wanted
    rolling = strategy.get("rollingUpdate") or {}
    surge = _count(rolling.get("maxSurge", "25%"), wanted, math.ceil)
    missing = _count(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
    return surge, min(missing, wanted) if surge or missing else 1


def _count(given: int | str, of: int, rounded: Any) -> int:
    if isinstance(given, str) and given.endswith("%"):
        return int(rounded(int(given[:-1]) * of / 100))
    return int(given)


def _steps(deployment: Object, census: Census, *, waits: bool) -> tuple[int, tuple[Object, ...]]:
    """How many to make, and which to delete. `waits`: old pods are on their way out."""
    recreates = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    if census.old and deployment["spec"].get("paused"):
        return 0, ()
    if recreates and (census.old or waits):
        return 0, census.old
    surplus = _least_wanted(census, len(census.new) - census.wanted)
    if not census.old:
        return max(0, census.wanted - len(census.new)), surplus
    room = census.wanted + census.surge - census.total
    return max(0, min(census.wanted - len(census.new), room)), (*surplus, *_replaced(census))


def _replaced(census: Census) -> tuple[Object, ...]:
    """The old pods that may go now: first those that serve nobody, then as many as availability allows."""
    unavailable_new = sum(not census.is_available(pod) for pod in census.new)
    may_go = max(0, census.total - census.least - unavailable_new)
    idle = [pod for pod in census.old if not census.is_available(pod)][:may_go]
    serving = [pod for pod in census.old if census.is_available(pod)]
    return (*idle, *serving[: max(0, min(len(census.available) - census.least, may_go - len(idle)))])


def _least_wanted(census: Census, surplus: int) -> tuple[Object, ...]:
    """Those that serve nobody first, then the youngest."""
    if surplus <= 0:
        return ()
    youngest = sorted(census.new, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    return tuple(sorted(youngest, key=lambda pod: (census.is_available(pod), is_ready(pod)))[:surplus])


def _status(deployment: Object, census: Census, now: datetime) -> tuple[dict[str, Any], timedelta | None]:
    before = deployment.get("status") or {}
    counts = {
        "replicas": census.total,
        "updatedReplicas": len(census.new),
        "readyReplicas": sum(is_ready(pod) for pod in (*census.new, *census.old)),
        "availableReplicas": len(census.available),
        "unavailableReplicas": max(0, max(census.wanted, census.total) - len(census.available)),
    }
    available = _available(census)
    progressing, due = _progressing(deployment, census, counts, now)
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    conditions = [
        _condition(known.get("Available"), now, **available),
        _condition(known.get("Progressing"), now, **progressing),
    ]
    status = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        **{name: count for name, count in counts.items() if count},
        "conditions": conditions,
    }
    return status, due


def _available(census: Census) -> dict[str, str]:
    if len(census.available) >= census.least:
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        return {"type": "Available", "status": "True", "reason": reason, "message": message}
    reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return {"type": "Available", "status": "False", "reason": reason, "message": message}


def _progressing(
    deployment: Object, census: Census, counts: Mapping[str, int], now: datetime
) -> tuple[dict[str, str], timedelta | None]:
    """The condition, and when its deadline is due."""
    before = deployment.get("status") or {}
    old = next((c for c in before.get("conditions") or () if c["type"] == "Progressing"), None)
    name, new_template = deployment["metadata"]["name"], _templateis_new(deployment, census, old)
    deadline = timedelta(seconds=deployment["spec"].get("progressDeadlineSeconds") or DEFAULT_DEADLINE)
    said = {"type": "Progressing", "status": "True"}
    if len(census.new) == census.total == census.wanted == len(census.available):
        return {**said, "reason": COMPLETE, "message": f'Deployment "{name}" has successfully progressed.'}, None
    if old is None or new_template:
        moved = {**said, "reason": CREATED, "message": f'Deployment "{name}" has begun to roll out its template.'}
        return {**moved, "lastUpdateTime": text(now)}, deadline
    if old["reason"] == COMPLETE:  # scaled, or a pod was lost: no rollout is on its way, so none can be late
        return {**old}, None
    if _has_moved(before, counts):
        moved = {**said, "reason": UPDATED, "message": f'Deployment "{name}" is progressing.'}
        return {**moved, "lastUpdateTime": text(now)}, deadline
    left = datetime.fromisoformat(old["lastUpdateTime"]) + deadline - now
    if old["reason"] == TOO_LATE or left <= timedelta():
        message = f'Deployment "{name}" has exceeded its progress deadline.'
        return {"type": "Progressing", "status": "False", "reason": TOO_LATE, "message": message}, None
    return {**old}, left


def _templateis_new(deployment: Object, census: Census, old: Object | None) -> bool:
    """No pod of this template was ever seen, though there are pods of another."""
    seen = (deployment.get("status") or {}).get("observedGeneration")
    unseen = seen != deployment["metadata"].get("generation", 1)
    return old is not None and unseen and bool(census.old) and not census.new


def _has_moved(before: Object, counts: Mapping[str, int]) -> bool:
    was_old = int(before.get("replicas", 0)) - int(before.get("updatedReplicas", 0))
    if counts["replicas"] - counts["updatedReplicas"] < was_old:
        return True
    rising = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(counts[name] > int(before.get(name, 0)) for name in rising)


def _condition(before: Object | None, now: datetime, **said: str) -> dict[str, Any]:
    """Its times move only when it does."""
    before = before or {}
    changed = any(before.get(key) != said[key] for key in ("status", "reason", "message"))
    since = text(now) if before.get("status") != said["status"] else before.get("lastTransitionTime", text(now))
    updated = said.get("lastUpdateTime") or (text(now) if changed else before.get("lastUpdateTime", text(now)))
    return {**said, "lastUpdateTime": updated, "lastTransitionTime": since}


def _soonest(*waits: timedelta | None) -> timedelta | None:
    return min((wait for wait in waits if wait is not None), default=None)
