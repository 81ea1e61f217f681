"""Pods as local processes: what a kubelet is to a node, this is to the machine the local cluster runs on.

An API client like any other, so it works on whichever API server there is. Nothing is isolated: no volumes, no limits,
no config maps or secrets, and what a container asks for beyond that is said in its status. Endpoints and EndpointSlices
are not written, since an API server takes no loopback addresses in them; the gateway reads pods.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from localcluster.pods.addresses import Addresses, NoAddressError
from localcluster.pods.containers import Host
from localcluster.pods.images import Images
from localcluster.pods.runner import NODE, PodRunner
from localcluster.pods.status import HOST, timestamp
from localcluster.processes.background import running
from localcluster.processes.children import Guard
from modelrollout.kube import AlreadyExists, Cluster, Mirror, WatchEvent
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import NODES, PODS

logger = logging.getLogger(__name__)

OVER = ("Succeeded", "Failed")


@asynccontextmanager
async def pods(cluster: Cluster, directory: Path, images: Mapping[str, Path]) -> AsyncIterator[None]:
    """Run every pod of the cluster that is not another node's; output goes to `<directory>/logs/<namespace>_<pod>.log`.

    `images` maps an image's name (with or without tag) to the folder that stands for it. Raises `NoAddressError`.
    """
    await _register(cluster)
    mirror = Mirror(cluster, PODS)
    await mirror.fill()
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    with Addresses() as addresses, Guard() as guard:
        async with aiohttp.ClientSession(connector=connector) as session:
            kubelet = Kubelet(cluster, addresses, Host(Images(images), directory / "logs", session, guard))
            try:
                for pod in mirror.items.values():
                    kubelet.see(WatchEvent("ADDED", pod))
                async with running(mirror.follow(kubelet.see)):
                    yield
            finally:
                await kubelet.close()


class Kubelet:
    """Gives every pod a runner, and the runner the news of its pod."""

    def __init__(self, cluster: Cluster, addresses: Addresses, host: Host) -> None:
        self._cluster, self._addresses, self._host = cluster, addresses, host
        self._runners: dict[str, PodRunner] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over: set[str] = set()  # ended here, but the watch has not told of it yet

    def see(self, event: WatchEvent) -> None:
        pod, uid = event.object, event.object["metadata"]["uid"]
        if event.type == "DELETED":
            self._over.discard(uid)
            if uid in self._runners:
                self._runners[uid].see_gone()
        elif uid in self._runners:
            self._runners[uid].see(pod)
        elif uid not in self._over and _is_ours(pod):
            self._start(pod, uid)

    async def close(self) -> None:
        """End all processes; the pods stay in the API server as they are."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, pod: Manifest, uid: str) -> None:
        address = self._addresses.take()
        runner = PodRunner(self._cluster, pod, address, self._host)
        task = asyncio.create_task(runner.run())
        self._runners[uid], self._tasks[uid] = runner, task

        def ended(_: asyncio.Task[None]) -> None:
            del self._runners[uid], self._tasks[uid]
            if not runner.is_gone:
                self._over.add(uid)
            self._addresses.give_back(address)
            if not task.cancelled() and (error := task.exception()):
                logger.error("Pod %s was lost sight of.", pod["metadata"]["name"], exc_info=error)

        task.add_done_callback(ended)


def _is_ours(pod: Manifest) -> bool:
    if (pod.get("status") or {}).get("phase") in OVER and not pod["metadata"].get("deletionTimestamp"):
        return False
    return pod["spec"].get("nodeName") in (None, "", NODE)


async def _register(cluster: Cluster) -> None:
    """The node that the pods say they are on."""
    with suppress(AlreadyExists):
        await cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    now = timestamp(datetime.now(UTC))
    ready = {"type": "Ready", "status": "True", "reason": "LocalClusterReady", "message": "processes stand for pods"}
    status = {
        "addresses": [{"type": "InternalIP", "address": HOST}, {"type": "Hostname", "address": NODE}],
        "conditions": [{**ready, "lastHeartbeatTime": now, "lastTransitionTime": now}],
    }
    await cluster.patch(NODES, None, NODE, {"status": status}, subresource="status")


__all__ = ["NODE", "NoAddressError", "pods"]
