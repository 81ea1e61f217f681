"""What a revision's pods say about why it is not ready. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.manifests import Manifest

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


def trouble(pods: Sequence[Manifest]) -> str | None:
    """Why the first pod in trouble is not running, in Kubernetes' own words, or None."""
    for pod, container in _containers(pods):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            detail = f" ({waiting['message']})" if waiting.get("message") else ""
            return f"Pod '{pod}' waits: {waiting['reason']}{detail}."
    return None


def _containers(pods: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        status = pod.get("status") or {}
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            yield pod["metadata"]["name"], container
