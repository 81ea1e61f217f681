"""What a revision's pods say about why it is not ready. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.objects.manifests import Manifest

CRASHES = 3
"""Restarts of one container after which waiting to be restarted again is called a crash loop: the first two may be a
dependency that was still starting, and on a real node the third comes less than a minute after the first."""


def crash_loop(pods: Sequence[Manifest]) -> str | None:
    """A sentence about the first container that keeps crashing, or None."""
    for pod, container in _containers(pods):
        waiting = (container.get("state") or {}).get("waiting") or {}
        restarts = int(container.get("restartCount") or 0)
        if waiting.get("reason") == "CrashLoopBackOff" and restarts >= CRASHES:
            last = (container.get("lastState") or {}).get("terminated") or {}
            code = f", last with exit code {last['exitCode']}" if "exitCode" in last else ""
            return f"Container '{container['name']}' of pod '{pod}' crashed {restarts} times{code}."
    return None


def starting(pods: Sequence[Manifest]) -> int:
    """How many have never been ready: not those that crashed, or were ready and lost it."""
    return sum(map(_is_starting, pods))


def _is_starting(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    if "deletionTimestamp" in pod["metadata"] or any(container.get("restartCount") for container in containers):
        return False
    ready = [condition for condition in status.get("conditions") or () if condition["type"] == "Ready"]
    if any(condition["status"] == "True" for condition in ready):
        return False
    # The kubelet says Ready=False before it starts the containers: where that is younger than they are, readiness was
    # lost. Times of one format and zone, so they compare as text; one that is missing counts as young.
    unready_since = max((str(condition.get("lastTransitionTime") or "~") for condition in ready), default="")
    began = max((_running_since(container) for container in containers), default="")
    return not began or unready_since <= began


def _running_since(container: Manifest) -> str:
    running = (container.get("state") or {}).get("running") or {}
    return str(running.get("startedAt") or "")


def is_ready(pod: Manifest) -> bool:
    return _says(pod, "Ready", "True") is not None


def without_place(pods: Sequence[Manifest]) -> str | None:
    """The scheduler's own sentence about the first pod that it finds no place for, or None."""
    for pod in _by_name(pods):
        if "deletionTimestamp" not in pod["metadata"] and (said := _says(pod, "PodScheduled", "False")) is not None:
            why = str(said.get("message") or said.get("reason") or "Unschedulable").rstrip(".")
            return f"Pod '{pod['metadata']['name']}' cannot be scheduled: {why}."
    return None


def _says(pod: Manifest, type_: str, status: str) -> Manifest | None:
    """The pod's condition of this type, if it has this status."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if (one["type"], one["status"]) == (type_, status)), None)


def trouble(pods: Sequence[Manifest]) -> str | None:
    """Why the first pod in trouble is not running, in Kubernetes' own words, or None."""
    for pod, container in _containers(pods):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            detail = f" ({waiting['message']})" if waiting.get("message") else ""
            return f"Pod '{pod}' waits: {waiting['reason']}{detail}."
    return None


def _containers(pods: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for pod in _by_name(pods):
        status = pod.get("status") or {}
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            yield pod["metadata"]["name"], container


def _by_name(pods: Sequence[Manifest]) -> list[Manifest]:
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))
