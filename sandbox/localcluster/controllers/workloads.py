"""A controller for any kind with replicas: makes and deletes pods as the kind's plan says, and writes the status.

An API client like any other. Its maker decides which pods, and which status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from localcluster.controllers.replicas import Move, Object, is_of
from localcluster.processes.background import running
from modelrollout.kube import Cluster, Conflict, KubeError, Mirror, WatchEvent
from modelrollout.kube.watching import Key, key_of
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import PODS, Resource

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds after a write that failed

Planner = Callable[[Object, Sequence[Object], datetime], Move]  # of a workload, all pods of its own, and the time


@asynccontextmanager
async def workloads(cluster: Cluster, kind: Resource, planner: Planner) -> AsyncIterator[None]:
    """Keep the pods of every object of this kind as it wants them, until the block ends."""
    controller = Controller(cluster, kind, planner)
    await controller.look()
    async with running(controller.follow_workloads(), controller.follow_pods(), controller.work()):
        yield


class Controller:
    def __init__(self, cluster: Cluster, kind: Resource, planner: Planner) -> None:
        self._cluster, self._kind, self._planner = cluster, kind.kind, planner
        self._workloads, self._pods = Mirror(cluster, kind), Mirror(cluster, PODS)
        self._due: set[Key] = set()
        self._woken = asyncio.Event()
        self._deleting: set[str] = set()  # pods that we deleted and whose event is still to come
        self._clocks: dict[Key, asyncio.TimerHandle] = {}

    async def look(self) -> None:
        await self._workloads.fill()
        await self._pods.fill()
        for key in self._workloads.items:
            self._wake(key)

    async def follow_workloads(self) -> None:
        await self._workloads.follow(lambda event: self._wake(key_of(event.object)))

    async def follow_pods(self) -> None:
        await self._pods.follow(self._pod_changed)

    async def work(self) -> None:
        """One workload after the other, whenever something about it may have changed."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._due:
                await self._attend(self._due.pop())

    def _pod_changed(self, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        if event.type == "DELETED":
            self._deleting.discard(metadata["uid"])
        for owner in metadata.get("ownerReferences") or ():
            if owner["kind"] == self._kind:
                self._wake((metadata["namespace"], owner["name"]))

    def _wake(self, key: Key) -> None:
        self._due.add(key)
        self._woken.set()

    def _wake_later(self, key: Key, seconds: float) -> None:
        if clock := self._clocks.pop(key, None):
            clock.cancel()
        self._clocks[key] = asyncio.get_running_loop().call_later(seconds, self._wake, key)

    async def _attend(self, key: Key) -> None:
        try:
            await self._reconcile(key)
        except Conflict:  # the next look has the newer one
            self._wake_later(key, 0.05)
        except KubeError as error:
            logger.warning("%s %s/%s is tried again in %g s: %s", self._kind, *key, PAUSE, error)
            self._wake_later(key, PAUSE)

    async def _reconcile(self, key: Key) -> None:
        workload = self._workloads.items.get(key)
        await self._delete_orphans(key, workload)
        if workload is None:
            return
        if workload["metadata"].get("deletionTimestamp"):
            return  # foreground deletion: its pods are garbage already, and no new ones are wanted
        present = [self._as_known(pod) for pod in self._pods.items.values() if is_of(workload, pod)]
        move = self._planner(workload, present, datetime.now(UTC))
        for pod in move.create:
            self._pods.put(await self._cluster.create(pod))
        await self._delete(move.delete)
        if move.status != workload.get("status"):
            await self._cluster.replace_status({**workload, "status": move.status})
        if move.recheck is not None:
            self._wake_later(key, move.recheck.total_seconds())

    def _as_known(self, pod: Manifest) -> Manifest:
        """The pod with what the watch has not told yet: that we deleted it."""
        if pod["metadata"]["uid"] not in self._deleting:
            return pod
        return {**pod, "metadata": {"deletionTimestamp": "now", **pod["metadata"]}}

    async def _delete_orphans(self, key: Key, workload: Manifest | None) -> None:
        """Pods of a workload that had this name before and is no more."""
        uid = workload["metadata"]["uid"] if workload else None
        for pod in [pod for pod in self._pods.items.values() if self._is_orphan(pod, key, uid)]:
            # The two watches are not in step: whoever deleted with --cascade=orphan has released the pod before.
            latest = await self._cluster.read(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            if latest and self._is_orphan(latest, key, uid):
                await self._delete([latest])

    async def _delete(self, pods: Iterable[Mapping[str, Any]]) -> None:
        for pod in pods:
            metadata = pod["metadata"]
            if metadata["uid"] in self._deleting:
                continue
            await self._cluster.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"])
            self._deleting.add(metadata["uid"])

    def _is_orphan(self, pod: Manifest, key: Key, uid: str | None) -> bool:
        """Whether the pod belongs to a workload of this name, but not to the one with this uid."""
        metadata = pod["metadata"]
        if metadata["namespace"] != key[0] or metadata.get("deletionTimestamp"):
            return False
        owners = metadata.get("ownerReferences") or ()
        return any(each["kind"] == self._kind and each["name"] == key[1] and each["uid"] != uid for each in owners)
