"""A workload with replicas and the pods it owns, as every such controller sees them. Pure.

There are no ReplicaSets and no ControllerRevisions: a pod carries the hash of the template it was made from, and that
tells the new from the old.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

Object = Mapping[str, Any]
TEMPLATE_HASH = "localcluster.internal/template"


@dataclass(frozen=True, slots=True)
class Move:
    """Pods to make and to delete, the status to write, and when to look again at latest."""

    create: tuple[dict[str, Any], ...]
    delete: tuple[Object, ...]
    status: dict[str, Any]
    recheck: timedelta | None


def template_hash(workload: Object) -> str:
    template = json.dumps(workload["spec"]["template"], sort_keys=True).encode()
    return hashlib.sha256(template).hexdigest()[:10]


def pod_of(workload: Object, kind: str, node: str, **metadata: Any) -> dict[str, Any]:
    """A pod from the present template. It is placed at once: there is no scheduler to wait for."""
    template, owner = workload["spec"]["template"], workload["metadata"]
    mine = template.get("metadata") or {}
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": owner["name"], "uid": owner["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "namespace": owner["namespace"],
            "labels": {**(mine.get("labels") or {}), **metadata.get("labels", {})},
            "annotations": {**(mine.get("annotations") or {}), TEMPLATE_HASH: template_hash(workload)},
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {**template["spec"], "nodeName": node},
    }


def is_of(workload: Object, pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == workload["metadata"]["uid"] for owner in owners)


def is_new(workload: Object, pod: Object) -> bool:
    """Whether the pod was made from the present template."""
    return (pod["metadata"].get("annotations") or {}).get(TEMPLATE_HASH) == template_hash(workload)


def is_leaving(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    return ready_since(pod) is not None and not is_leaving(pod)


def is_available(workload: Object, pod: Object, now: datetime) -> bool:
    """Ready for at least minReadySeconds, whether it is leaving or not."""
    since = ready_since(pod)
    return since is not None and since + _quarantine(workload) <= now


def ready_since(pod: Object) -> datetime | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Ready" and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def next_available(workload: Object, pods: Iterable[Object], now: datetime) -> timedelta | None:
    """How long until the next pod has been ready for minReadySeconds."""
    waits = [since + _quarantine(workload) - now for pod in pods if (since := ready_since(pod)) is not None]
    return min((wait for wait in waits if wait > timedelta()), default=None)


def replicas(workload: Object) -> int:
    wanted = workload["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _quarantine(workload: Object) -> timedelta:
    return timedelta(seconds=workload["spec"].get("minReadySeconds") or 0)
