"""The Deployment controller: makes and deletes pods as `deployment_plan` says, and writes the status.

An API client like any other; there are no ReplicaSets, since nothing here needs their history.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from localcluster.controllers.deployment_plan import is_of, plan, pod_of
from localcluster.controllers.mirror import Key, Mirror, key_of
from localcluster.processes.background import running
from modelrollout.kube import Cluster, Conflict, KubeError, Manifest, WatchEvent
from modelrollout.objects.resources import DEPLOYMENTS, PODS

logger = logging.getLogger(__name__)

PAUSE = 2.0  # seconds after a write that failed


@asynccontextmanager
async def deployments(cluster: Cluster, node: str) -> AsyncIterator[None]:
    """Keep every Deployment's pods as it wants them, placed on `node`, until the block ends."""
    controller = Controller(cluster, node)
    await controller.look()
    async with running(controller.follow_deployments(), controller.follow_pods(), controller.work()):
        yield


class Controller:
    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster, self._node = cluster, node
        self._deployments, self._pods = Mirror(cluster, DEPLOYMENTS), Mirror(cluster, PODS)
        self._due: set[Key] = set()
        self._woken = asyncio.Event()
        self._deleting: set[str] = set()  # pods that we deleted and whose event is still to come
        self._clocks: dict[Key, asyncio.TimerHandle] = {}

    async def look(self) -> None:
        await self._deployments.fill()
        await self._pods.fill()
        for key in self._deployments.items:
            self._wake(key)

    async def follow_deployments(self) -> None:
        await self._deployments.follow(lambda event: self._wake(key_of(event.object)))

    async def follow_pods(self) -> None:
        await self._pods.follow(self._pod_changed)

    async def work(self) -> None:
        """One Deployment after the other, whenever something about it may have changed."""
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
            if owner["kind"] == "Deployment":
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
            logger.warning("Deployment %s/%s is tried again in %g s: %s", *key, PAUSE, error)
            self._wake_later(key, PAUSE)

    async def _reconcile(self, key: Key) -> None:
        deployment = self._deployments.items.get(key)
        await self._delete_orphans(key, deployment)
        if deployment is None:
            return
        if deployment["metadata"].get("deletionTimestamp"):
            return  # foreground deletion: its pods are garbage already, and no new ones are wanted
        present = [self._as_known(pod) for pod in self._pods.items.values() if is_of(deployment, pod)]
        wanted = plan(deployment, present, datetime.now(UTC))
        for _ in range(wanted.create):
            self._pods.put(await self._cluster.create(pod_of(deployment, self._node)))
        await self._delete(wanted.delete)
        if wanted.status != deployment.get("status"):
            await self._cluster.replace_status({**deployment, "status": wanted.status})
        if wanted.recheck is not None:
            self._wake_later(key, wanted.recheck.total_seconds())

    def _as_known(self, pod: Manifest) -> Manifest:
        """The pod with what the watch has not told yet: that we deleted it."""
        if pod["metadata"]["uid"] not in self._deleting:
            return pod
        return {**pod, "metadata": {"deletionTimestamp": "now", **pod["metadata"]}}

    async def _delete_orphans(self, key: Key, deployment: Manifest | None) -> None:
        """Pods of a Deployment that had this name before and is no more."""
        uid = deployment["metadata"]["uid"] if deployment else None
        for pod in [pod for pod in self._pods.items.values() if _is_orphan(pod, key, uid)]:
            # The two watches are not in step: whoever deleted with --cascade=orphan has released the pod before.
            latest = await self._cluster.read(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            if latest and _is_orphan(latest, key, uid):
                await self._delete([latest])

    async def _delete(self, pods: Iterable[Mapping[str, Any]]) -> None:
        for pod in pods:
            metadata = pod["metadata"]
            if metadata["uid"] in self._deleting:
                continue
            await self._cluster.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"])
            self._deleting.add(metadata["uid"])


def _is_orphan(pod: Manifest, key: Key, uid: str | None) -> bool:
    """Whether the pod belongs to a Deployment of this name, but not to the one with this uid."""
    metadata = pod["metadata"]
    if metadata["namespace"] != key[0] or metadata.get("deletionTimestamp"):
        return False
    owners = metadata.get("ownerReferences") or ()
    return any(each["kind"] == "Deployment" and each["name"] == key[1] and each["uid"] != uid for each in owners)
