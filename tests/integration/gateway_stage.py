"""What the gateway's tests play on: an API server that is a dictionary, pods that are small servers, users who ask."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from localcluster.gateway import Gateway, gateway
from localcluster.load import LoadGenerator, Sample
from modelrollout.kube import AlreadyExists, Conflict, Listing, WatchEvent
from modelrollout.objects.resources import KNOWN, Resource

RATE = 200.0


class FakeCluster:
    """What the gateway needs of `modelrollout.kube.Cluster`, over a dictionary; knows versions and conflicts."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Resource, str, str], dict[str, Any]] = {}
        self.writes = 0
        self._numbers = itertools.count(1)
        self._watches: list[tuple[Resource, asyncio.Queue[WatchEvent]]] = []

    async def list(self, resource: Resource, namespace: None = None, *, labels: None = None) -> Listing:
        return Listing([deepcopy(o) for (r, _, _), o in self.objects.items() if r == resource], str(self._next()))

    async def watch(
        self, resource: Resource, namespace: None = None, *, labels: None = None, since: Listing
    ) -> AsyncGenerator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._watches.append((resource, queue))
        known = {(i["metadata"].get("namespace", ""), i["metadata"]["name"]) for i in since.items}
        for (r, namespace, name), item in self.objects.items():
            if r == resource and (namespace, name) not in known:
                queue.put_nowait(WatchEvent("ADDED", deepcopy(item)))
        while True:
            yield await queue.get()

    async def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if _place(manifest) in self.objects:
            raise AlreadyExists(manifest["metadata"]["name"])
        self.put(manifest)
        return manifest

    async def replace_status(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        present = self.objects[_place(manifest)]
        if present["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise Conflict(manifest["metadata"]["name"])
        return self._store({**present, "status": manifest["status"]})

    def put(self, manifest: dict[str, Any]) -> None:
        present = self.objects.get(_place(manifest), {"metadata": {}})
        status = {"status": present["status"]} if "status" in present and "status" not in manifest else {}
        generation = present["metadata"].get("generation", 0) + (present.get("spec") != manifest.get("spec"))
        uid = present["metadata"].get("uid") or f"uid-{self._next()}"
        self._store({**deepcopy(manifest), **status}, generation=generation, uid=uid)

    def change(self, resource: Resource, namespace: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        manifest = deepcopy(self.objects[resource, namespace, name])
        change(manifest)
        self.put(manifest)

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self._tell("DELETED", self.objects.pop((resource, namespace, name)))

    def _store(self, manifest: dict[str, Any], **metadata: Any) -> dict[str, Any]:
        place = _place(manifest)
        manifest["metadata"] = {**manifest["metadata"], **metadata, "resourceVersion": str(self._next())}
        self._tell("MODIFIED" if place in self.objects else "ADDED", manifest)
        self.objects[place] = manifest
        return deepcopy(manifest)

    def _tell(self, kind: Any, manifest: dict[str, Any]) -> None:
        for resource, queue in self._watches:
            if resource == _place(manifest)[0]:
                queue.put_nowait(WatchEvent(kind, deepcopy(manifest)))

    def _next(self) -> int:
        return next(self._numbers)


def _place(manifest: dict[str, Any]) -> tuple[Resource, str, str]:
    metadata = manifest["metadata"]
    return KNOWN[manifest["apiVersion"], manifest["kind"]], metadata.get("namespace", ""), metadata["name"]


@asynccontextmanager
async def model_server(version: str, seconds: float = 0.0) -> AsyncIterator[int]:
    """Answers every request with its version after so many seconds; its port. It leaves as a well-kept server does."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(seconds)
        headers = {"x-model-version": version, "x-path": request.path_qs}
        return web.json_response({"label": 1, "version": version}, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=20)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def free_cluster_ip() -> str:
    """One that no other test on this machine is likely to use at the same time."""
    return f"127.96.{random.randrange(1, 255)}.{random.randrange(1, 255)}"  # noqa: S311 - nothing is secret here


def pod(name: str, port: int, *, version: str, ready: bool = True, leaving: bool = False) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ml",
            "labels": {"app": "digits", "version": version},
            **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}),
        },
        "spec": {"containers": [{"name": "server", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def service(name: str, cluster_ip: str = "None", port: int = 8080, **selector: str) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "ml"},
        "spec": {"selector": selector, "ports": ports, "clusterIP": cluster_ip},
    }


def route(**weights: int) -> dict[str, Any]:
    backends = [{"name": name, "port": 8080, "weight": weight} for name, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "digits", "namespace": "ml", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "parentRefs": [{"name": "sandbox", "namespace": "default"}],
            "hostnames": ["digits.example"],
            "rules": [{"backendRefs": backends}],
        },
    }


class Stage:
    """A gateway with two versions behind it, and somebody to ask it."""

    def __init__(self, cluster: FakeCluster, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.cluster, self.gateway, self.session = cluster, gateway, session

    async def ask(self, url: str | None = None, *, host: str = "digits.example") -> tuple[int, str | None, str]:
        headers = {"Host": host}
        async with self.session.post(f"{url or self.gateway.url}/predict", data=b"{}", headers=headers) as reply:
            return reply.status, reply.headers.get("x-model-version"), await reply.text()

    async def answers(self, status: int) -> bool:
        return (await self.ask())[0] == status

    async def is_at(self, url: str, *service: Any) -> bool:
        return await self.gateway.service_url(*service) == url

    async def statistic(self, name: str) -> int:
        """A number that Envoy keeps; 0 when it knows nothing of it."""
        wanted = {"format": "json", "filter": f"^{name}$"}
        async with self.session.get(f"{self.gateway.admin_url}/stats", params=wanted) as reply:
            stats = (await reply.json(content_type=None))["stats"]
            return next((int(stat["value"]) for stat in stats if stat.get("name") == name), 0)

    async def has(self, name: str, value: int) -> bool:
        return await self.statistic(name) == value

    async def seconds_until(self, *versions: str | None, url: str | None = None) -> float:
        """Until ten answers at once come from these versions alone, and from each of them."""
        start = time.perf_counter()

        async def come_from_these() -> bool:
            answers = await asyncio.gather(*(self.ask(url) for _ in range(10)))
            return {version for _, version, _ in answers} == set(versions)

        await until(come_from_these)
        return time.perf_counter() - start

    @asynccontextmanager
    async def traffic(self, url: str | None = None) -> AsyncIterator[LoadGenerator]:
        """Users at 200 requests a second for as long as the block runs; when it ends, every answer is in."""
        sample = Sample(features=(0.0,) * 64, label=1)
        users = LoadGenerator(f"{url or self.gateway.url}/predict", [sample], [1], rate=RATE, host="digits.example")
        running = asyncio.create_task(users.run())
        try:
            await until(lambda: users.snapshot().total.requests > 0)
            yield users
            users.stop()
            await running
        finally:
            running.cancel()


@asynccontextmanager
async def staged(
    folder: Path, server: Callable[[str], AbstractAsyncContextManager[int]], first: dict[str, Any]
) -> AsyncIterator[Stage]:
    """A gateway with this route, and a pod with such a server behind each of two versions."""
    cluster = FakeCluster()
    async with AsyncExitStack() as stack:
        for version in ("v1", "v2"):
            port = await stack.enter_async_context(server(version))
            cluster.put(pod(f"{version}-a", port, version=version))
            cluster.put(service(version, version=version))
        cluster.put(first)
        way_in = await stack.enter_async_context(gateway(cluster, folder, access_log=True))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Stage(cluster, way_in, session)


@asynccontextmanager
async def two_models(folder: Path) -> AsyncIterator[Stage]:
    """A stage with all users on v1."""
    async with staged(folder, model_server, route(v1=100, v2=0)) as stage:
        await stage.seconds_until("v1")
        yield stage


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while True:
            outcome = holds()
            if outcome if isinstance(outcome, bool) else await outcome:
                return
            await asyncio.sleep(0.01)
