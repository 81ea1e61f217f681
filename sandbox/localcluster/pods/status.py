"""A pod's status from what its containers are doing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

HOST = "127.0.0.1"
Status = dict[str, Any]


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(
    before: Mapping[str, Any],
    *,
    address: str,
    inits: Sequence[Status],
    containers: Sequence[Status],
    restarts: bool,
    leaving: bool,
    now: datetime,
) -> Status:
    """The status to write. `restarts`: a container that ended will be started again. `before`: the status so far."""
    started = all(_exit_code(each) == 0 for each in inits)
    phase = _phase(inits, containers, restarts)
    unready = [each["name"] for each in containers if not each["ready"]]
    completed = phase == "Succeeded"
    reason = "PodCompleted" if completed else "ContainersNotReady"
    message = "" if completed or not unready else f"containers with unready status: [{' '.join(unready)}]"
    why = {"reason": reason, **({"message": message} if message else {})}
    on_the_way_out = {"reason": "PodTerminating", "message": "the pod is being deleted"}
    truths = [
        ("PodScheduled", True, {}),
        ("Initialized", started, {} if started else {"reason": "ContainersNotInitialized"}),
        ("ContainersReady", not unready, why if unready else {}),
        ("Ready", not unready and not leaving, on_the_way_out if leaving else why if unready else {}),
    ]
    status = {
        "phase": phase,
        "conditions": list(_conditions(before.get("conditions") or (), truths, timestamp(now))),
        "hostIP": HOST,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": before.get("startTime") or timestamp(now),
        "containerStatuses": list(containers),
    }
    return {**status, "initContainerStatuses": list(inits)} if inits else status


def _phase(inits: Sequence[Status], containers: Sequence[Status], restarts: bool) -> str:
    if any(_exit_code(each) not in (None, 0) for each in inits) and not restarts:
        return "Failed"
    codes = [_exit_code(each) for each in containers]
    if not restarts and None not in codes:
        return "Failed" if any(codes) else "Succeeded"
    was_started = all("running" in each["state"] or each["restartCount"] or _ended(each) for each in containers)
    return "Running" if was_started else "Pending"


def _ended(container: Status) -> bool:
    return "terminated" in container["state"] or "terminated" in container["lastState"]


def _exit_code(container: Status) -> int | None:
    ended = container["state"].get("terminated")
    return ended["exitCode"] if ended else None


def _conditions(
    before: Iterable[Mapping[str, Any]], truths: Iterable[tuple[str, bool, Mapping[str, str]]], now: str
) -> Iterable[Status]:
    known = {condition["type"]: condition for condition in before}
    for name, is_true, why in truths:
        value = "True" if is_true else "False"
        old = known.get(name, {})
        since = old.get("lastTransitionTime") if old.get("status") == value else None
        yield {"type": name, "status": value, "lastTransitionTime": since or now, **why}
