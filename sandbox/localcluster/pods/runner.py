"""One pod from its first sight to its end: containers run, the status says how they are, deletion is graceful.

Writes the pod's status, binds it to the local cluster's node, and removes it when its processes are gone.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from localcluster.pods.containers import Container, Host, RestartPolicy
from localcluster.pods.status import HOST, pod_status
from localcluster.processes.background import running
from modelrollout.kube import Cluster, KubeError, Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import PODS

logger = logging.getLogger(__name__)

NODE = "sandbox"
DRAIN = 1.0  # seconds between "not ready" and SIGTERM: the gateway must hear of it before the server stops
ABANDON_GRACE = 2.0  # seconds for processes to end when the local cluster itself is closed
PAUSE = 0.5  # seconds after a failed write


class PodRunner:
    def __init__(self, cluster: Cluster, pod: Manifest, address: str, host: Host) -> None:
        self._cluster, self._pod = cluster, pod
        self._namespace, self._name, self._uid = (pod["metadata"][key] for key in ("namespace", "name", "uid"))
        self._address = address
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._gone = False
        self._status: Manifest = pod.get("status") or {}
        self._written: Manifest | None = None
        spec = pod["spec"]
        here = {**pod, "status": {**self._status, "podIP": address, "hostIP": HOST}}
        self._policy: RestartPolicy = spec.get("restartPolicy") or "Always"
        inits: list[Manifest] = spec.get("initContainers") or []
        several = len(inits) + len(spec["containers"]) > 1

        def container(wanted: Manifest, policy: RestartPolicy) -> Container:
            log = host.logs / f"{self._namespace}_{self._name}{'_' + wanted['name'] if several else ''}.log"
            return Container(here, wanted, host=host, restarts=policy, log=log, changed=self._changed.set)

        once: RestartPolicy = "Never" if self._policy == "Never" else "OnFailure"
        self._inits = [container(each, once) for each in inits]
        self._containers = [container(each, self._policy) for each in spec["containers"]]

    def see(self, pod: Manifest) -> None:
        """Take note of what the API server has of the pod now."""
        self._pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self._leaving.set()

    def see_gone(self) -> None:
        """The object is gone without waiting for us; its processes have to follow."""
        self._gone = True
        self._leaving.set()

    @property
    def is_gone(self) -> bool:
        """Whether the API server has told that the object is no more."""
        return self._gone

    async def run(self) -> None:
        """Until the pod is gone; cancelled, its processes end soon and the object is left alone."""
        self.see(self._pod)
        self._changed.set()
        live = asyncio.create_task(self._live())
        try:
            async with running(self._report()):
                await self._leaving.wait()
                await self._leave()
                await live  # its containers have taken note of how they ended
        finally:
            live.cancel()
            await asyncio.gather(live, self._stop(0, ABANDON_GRACE), return_exceptions=True)
        if not self._gone:
            await self._remove()

    async def _live(self) -> None:
        if not self._pod["spec"].get("nodeName"):
            await self._bind()
        for init in self._inits:
            if not await init.run():
                return
        async with asyncio.TaskGroup() as tasks:
            for container in self._containers:
                tasks.create_task(container.run())

    async def _bind(self) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        metadata = {"name": self._name, "namespace": self._namespace}
        try:
            await self._cluster.create({"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target})
        except KubeError as error:  # it runs all the same; only its node stays unsaid
            logger.warning("Pod %s/%s could not be bound to a node: %s", self._namespace, self._name, error)

    async def _leave(self) -> None:
        self._changed.set()  # not ready from now on
        asked = self._pod["metadata"].get("deletionGracePeriodSeconds")
        grace = float(
            self._pod["spec"].get("terminationGracePeriodSeconds", 30) if asked is None or self._gone else asked
        )
        await self._stop(min(DRAIN, grace), grace)

    async def _stop(self, drain: float, grace: float) -> None:
        await asyncio.gather(*(each.stop(drain, grace) for each in (*self._inits, *self._containers)))

    async def _report(self) -> None:
        """Write the status whenever it has changed."""
        while not self._gone:
            await self._changed.wait()
            self._changed.clear()
            await self._write_status()

    async def _write_status(self) -> None:
        self._status = pod_status(
            self._status,
            address=self._address,
            inits=[each.status for each in self._inits],
            containers=[each.status for each in self._containers],
            restarts=self._policy == "Always",
            leaving=self._leaving.is_set(),
            now=datetime.now(UTC),
        )
        if self._status == self._written:
            return
        try:
            await self._cluster.patch(
                PODS,
                self._namespace,
                self._name,
                {"metadata": {"uid": self._uid}, "status": self._status},
                subresource="status",
            )
            self._written = self._status
        except Refused as refusal:
            if refusal.status != 404:  # a pod that is gone needs no status
                logger.error("The status of pod %s/%s was refused: %s", self._namespace, self._name, refusal)
        except KubeError as error:
            logger.warning("The status of pod %s/%s is not written yet: %s", self._namespace, self._name, error)
            await asyncio.sleep(PAUSE)
            self._changed.set()

    async def _remove(self) -> None:
        """The last status, so that a watcher sees how it ended, then the end."""
        await self._write_status()
        while True:
            try:
                await self._cluster.delete(PODS, self._namespace, self._name, uid=self._uid, grace=0)
            except KubeError as error:
                logger.warning("Pod %s/%s cannot be removed yet: %s", self._namespace, self._name, error)
                await asyncio.sleep(PAUSE)
            else:
                return
