"""Tells people: Kubernetes Events and log lines with the same words. Never stops a pass, nor delays it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

from modelrollout.api.base import API_VERSION, GROUP, KIND
from modelrollout.kube import AlreadyExists, Cluster, KubeError
from modelrollout.objects.manifests import Manifest, Owner, digest
from modelrollout.plan.plan import Event
from modelrollout.shell import journal

logger = logging.getLogger(__name__)
COMPONENT = "modelrollout"
RELEASE = f"{GROUP}/release"
"""Annotation of Events with the id that log lines and traces of the same release have."""
MOST_WAITING = 1000
"""Events that may wait while the API server is slow or away."""
_LONGEST_MESSAGE = 1024  # characters that Kubernetes takes in an Event's message


class Announcer:
    """Takes Events without delay, and writes them in order from a task of its own.

    A slow API server delays no pass. When it is away for long the newest Events are dropped; the log has them all.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waiting: deque[Manifest] = deque()
        self._has_any = asyncio.Event()

    def tell(self, owner: Owner, events: Sequence[Event], now: datetime) -> None:
        """Log at once, and have the Events written soon."""
        for event in events:
            level = logging.WARNING if event.type == "Warning" else logging.INFO
            about = {"rollout": owner.name, "namespace": owner.namespace, "reason": event.reason}
            logger.log(level, "%s/%s: %s", owner.namespace, owner.name, event.message, extra=about)
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(event_manifest(owner, event, now, journal.fields().get("release")))
            else:
                logger.warning("An Event is dropped: %d others wait for the API server.", MOST_WAITING, extra=about)
        self._has_any.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._has_any.wait()
            self._has_any.clear()
            await self.deliver()

    async def deliver(self) -> None:
        """Write all Events that wait, the oldest first."""
        while self._waiting:
            await self._write(self._waiting[0])
            self._waiting.popleft()  # not before: if this is cancelled, the next `deliver` writes it

    async def _write(self, manifest: Manifest) -> None:
        try:
            await self._cluster.create(manifest)
        except AlreadyExists:
            return  # written in an earlier pass, which died right after
        except KubeError as trouble:
            logger.warning("An Event could not be written: %s", trouble)


def event_manifest(owner: Owner, event: Event, now: datetime, release: str | None = None) -> Manifest:
    """The Event, with a name derived from its content: the same one is never written twice."""
    annotations = {"annotations": {RELEASE: release}} if release else {}
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": owner.namespace,
            "name": f"{owner.name}.{digest([owner.uid, event.reason, event.message, moment])}",
            **annotations,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:_LONGEST_MESSAGE],
        "source": {"component": COMPONENT},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
