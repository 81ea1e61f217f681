"""A namespace with what tests ask of it: pods and one workload of the `plain` image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from localcluster.pods import NODE
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, PODS, Resource
from tests.integration.patience import eventually


class World:
    """A namespace with what is asked of it."""

    def __init__(self, cluster: Cluster, namespace: str, notes: Path, logs: Path) -> None:
        self.cluster, self.namespace, self.notes, self.logs = cluster, namespace, notes, logs

    def container(self, *args: str, **more: Any) -> Manifest:
        host = {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        return {
            "name": "server",
            "image": "plain:v1",
            "args": ["--notes", str(self.notes), *args],
            "ports": [{"name": "http", "containerPort": 8080}],
            "env": [host, *more.pop("env", [])],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "failureThreshold": 1},
            **more,
        }

    async def create_pod(self, container: Manifest, **spec: Any) -> None:
        metadata = {"name": "solo", "namespace": self.namespace, "labels": {"app": "solo"}}
        spec = {"containers": [container], "nodeName": NODE, "terminationGracePeriodSeconds": 5, **spec}
        await self.cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    async def deploy(
        self, replicas: int, container: Manifest | None = None, *, kind: str = "Deployment", **spec: Any
    ) -> None:
        manifest = {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": {"name": "web", "namespace": self.namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [container or self.container()], "terminationGracePeriodSeconds": 5},
                },
                **spec,
            },
        }
        await self.cluster.apply(manifest, manager="test")

    async def pods(self) -> list[Manifest]:
        return (await self.cluster.list(PODS, self.namespace)).items

    async def pod(self) -> Manifest:
        """The one pod, or nothing."""
        found = await self.pods()
        return found[0] if found else {}

    async def status(self) -> Manifest:
        deployment = await self.cluster.read(DEPLOYMENTS, self.namespace, "web")
        assert deployment
        return dict(deployment.get("status") or {})

    async def ready_pod(self) -> Manifest:
        return await eventually(lambda: self.pod_if(is_ready), "the pod is ready")

    async def pod_if(self, holds: Any) -> Manifest:
        pod = await self.pod()
        return pod if pod and holds(pod) else {}

    async def settled(self, replicas: int, resource: Resource = DEPLOYMENTS) -> Manifest:
        """The status once that many pods are all there is, ready and of the present template."""

        async def look() -> Manifest:
            workload = await self.cluster.read(resource, self.namespace, "web") or {}
            status = workload.get("status") or {}
            counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
            seen = status.get("observedGeneration") == workload["metadata"]["generation"]
            return status if seen and counts == [replicas] * 3 and len(await self.pods()) == replicas else {}

        return await eventually(look, f"the {resource.kind} has {replicas} pods, all available")


def is_ready(pod: Manifest) -> bool:
    return condition(pod.get("status") or {}, "Ready").get("status") == "True"


def condition(status: Manifest, kind: str) -> Manifest:
    return next((c for c in status.get("conditions") or () if c["type"] == kind), {})


def container_of(pod: Manifest) -> Manifest:
    return next(iter((pod.get("status") or {}).get("containerStatuses") or ()), {})


def waits_for(reason: str) -> Any:
    return lambda pod: container_of(pod).get("state", {}).get("waiting", {}).get("reason") == reason


def process_of(pod: Manifest) -> int:
    return int(container_of(pod)["containerID"].removeprefix("process://"))


def is_running(pid: int) -> bool:
    try:
        # A zombie is over; only its parent has not looked yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def are_gone(*pids: int) -> bool:
    return not any(is_running(pid) for pid in pids)


async def ask(pod: Manifest, path: str = "/") -> Manifest:
    async with aiohttp.ClientSession() as session, session.get(f"http://{pod['status']['podIP']}:8080{path}") as reply:
        return dict(await reply.json(content_type=None))
