"""The same random writes to both servers: what comes of them, who owns which field, what is refused and why.

Needs a real kube-apiserver. A seed that finds a difference belongs in `SEEDS`, and what it found in the other files.
"""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from localcluster.kubernetes import api_server, envtest_assets
from tests.contract.api_server.api_server_client import MERGE, STRATEGIC, Answer, Api, path, widgets
from tests.contract.conftest import install, session_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEEDS = (1, 3, 16, 25, 48, 66, 67, 74, 116, 135)
WRITES = 14
_SERVERS = frozenset({"uid", "creationTimestamp", "resourceVersion", "time", "deletionTimestamp"})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, Api]]:
    """The built-in server and a real one."""
    if envtest_assets() is None:
        pytest.skip("no kube-apiserver and etcd in KUBEBUILDER_ASSETS")
    async with AsyncExitStack() as stack:
        apis = []
        for kind in ("built-in", "real"):
            endpoint = await stack.enter_async_context(api_server(tmp_path_factory.mktemp(kind), kind=kind))
            apis.append(Api(await stack.enter_async_context(session_of(endpoint))))
            await install(apis[-1])
        yield apis[0], apis[1]


class Writer:
    """Makes up writes; the same seed makes up the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- reproducible on purpose

    def write(self) -> tuple[str, str, str, Any, Any, bool]:
        """Kind, verb, manager, spec, metadata, force."""
        chance = self._random
        kind = chance.choice(("widget", "deployment"))
        verbs = ["apply"] * 11 + ["merge"] * 4 + ["put"] * 3 + ["status"]
        verb = chance.choice(verbs if kind == "widget" else [*verbs, "strategic", "strategic"])
        spec = self._widget() if kind == "widget" else self._deployment()
        return kind, verb, chance.choice(("m1", "m2", "m3")), spec, self._metadata(), chance.random() < 0.5

    def _maybe(self, chance: float, key: str, value: Any) -> dict[str, Any]:
        return {key: value} if self._random.random() < chance else {}

    def _some(self, of: str | list[Any], most: int) -> list[Any]:
        return self._random.sample(list(of), self._random.randint(0, most))

    def _metadata(self) -> dict[str, Any]:
        return {
            **self._maybe(0.3, "labels", {key: self._random.choice("xyz") for key in self._some("abc", 2)}),
            **self._maybe(0.3, "annotations", {key: self._random.choice("xyz") for key in self._some("abc", 2)}),
            **self._maybe(0.2, "finalizers", self._some(["e.com/a", "e.com/b", "e.com/c"], 2)),
        }

    def _widget(self) -> dict[str, Any]:
        steps = [
            {"name": name, **self._maybe(0.6, "weight", self._random.randint(1, 3))} for name in self._some("abcdef", 4)
        ]
        free = self._free(3)
        return {
            **self._maybe(0.5, "size", self._random.randint(1, 4)),
            **self._maybe(0.5, "colour", self._random.choice(["red", "blue"])),
            **self._maybe(0.3, "replicas", self._random.randint(0, 3)),
            **self._maybe(0.4, "labels", {key: self._random.choice("xyz") for key in self._some("abc", 3)}),
            **self._maybe(0.6, "steps", steps),
            **self._maybe(0.5, "tags", self._some("abcdef", 4)),
            **self._maybe(0.4, "weights", [self._random.randint(1, 3) for _ in range(self._random.randint(0, 3))]),
            **self._maybe(0.4, "nested", {**self._maybe(0.6, "on", False), **self._maybe(0.6, "note", "x")}),
            **self._maybe(0.5, "anything", free if isinstance(free, dict) else {"p": free}),
        }

    def _free(self, depth: int) -> Any:
        if depth == 0 or self._random.random() < 0.3:
            return self._random.choice([1, 2, "x", None, [], {}, [1, 2], True])
        return {self._random.choice("pqr"): self._free(depth - 1) for _ in range(self._random.randint(0, 3))}

    def _deployment(self) -> dict[str, Any]:
        strategies = ({"type": "Recreate"}, {"type": "RollingUpdate"}, {"rollingUpdate": {"maxSurge": 1}})
        volumes = [
            {"name": name, **self._random.choice(({}, {"emptyDir": {}}, {"configMap": {"name": "c"}}))}
            for name in self._some("vw", 2)
        ]
        names = self._random.sample("abc", self._random.randint(1, 3))
        pods = {"containers": [self._container(name) for name in names], **self._maybe(0.2, "volumes", volumes)}
        labels = {"app": "x", **self._maybe(0.5, "v", self._random.choice("12"))}
        return {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": labels}, "spec": pods},
            **self._maybe(0.5, "replicas", self._random.randint(0, 3)),
            **self._maybe(0.3, "strategy", self._random.choice(strategies)),
            **self._maybe(0.2, "minReadySeconds", self._random.choice((0, 5))),
        }

    def _container(self, name: str) -> dict[str, Any]:
        ports = [
            {
                "containerPort": port,
                **self._maybe(0.4, "protocol", self._random.choice(("TCP", "UDP"))),
                **self._maybe(0.3, "name", f"p{port}"),
            }
            for port in self._some([80, 81, 82], 2)
        ]
        variables = [{"name": each, "value": self._random.choice(("1", "2", ""))} for each in self._some("ABCD", 3)]
        return {
            "name": name,
            "image": self._random.choice(("i:1", "i:2", "i")),
            **self._maybe(0.5, "env", variables),
            **self._maybe(0.5, "ports", ports),
            **self._maybe(0.3, "args", self._some("xyz", 3)),
            **self._maybe(0.3, "resources", {"limits": {"cpu": self._random.choice((1, "500m"))}}),
            **self._maybe(0.3, "readinessProbe", {"httpGet": {"port": self._random.choice((80, "http"))}}),
        }


async def send(api: Api, namespace: str, write: tuple[str, str, str, Any, Any, bool]) -> Answer:
    kind, verb, manager, spec, metadata, force = copy.deepcopy(write)
    where = widgets(namespace, "a") if kind == "widget" else path("apps/v1/deployments", namespace, "a")
    names = {"widget": ("contract.example.com/v1", "Widget"), "deployment": ("apps/v1", "Deployment")}[kind]
    manifest = {"apiVersion": names[0], "kind": names[1], "metadata": {"name": "a", **metadata}, "spec": spec}
    match verb:
        case "apply":
            return await api.apply(where, manifest, manager, **({"force": "true"} if force else {}))
        case "merge" | "strategic":
            media = MERGE if verb == "merge" else STRATEGIC
            return await api.patch(where, {"metadata": metadata, "spec": spec}, media, fieldManager=manager)
        case "status":
            return await api.patch(f"{where}/status", {"status": {"replicas": 1}}, MERGE, fieldManager=manager)
    present = await api.get(where)
    if present.status != 200:
        return present
    manifest["metadata"]["resourceVersion"] = present.version
    return await api.put(where, manifest, fieldManager=manager)


def essence(answer: Answer) -> Any:
    """What both servers must agree on: not their stamps, nor the wording of a refusal."""
    body = answer.body
    if body["kind"] == "Status":
        causes = body.get("details", {}).get("causes", [])
        return answer.status, body.get("reason"), sorted((each["field"], each["reason"]) for each in causes)
    body["metadata"].get("managedFields", []).sort(
        key=lambda each: (each["manager"], each["operation"], each.get("subresource", ""))
    )
    return answer.status, _scrubbed(body)


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _scrubbed(each) for key, each in value.items() if key not in _SERVERS}
    return [_scrubbed(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_same_writes_come_to_the_same(both: tuple[Api, Api], seed: int) -> None:
    ours, real = both
    writer, namespace = Writer(seed), f"difference-{seed}"
    for api in both:
        await api.made("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for number in range(WRITES):
        write = writer.write()
        found, expected = essence(await send(ours, namespace, write)), essence(await send(real, namespace, write))
        assert found == expected, f"write {number}: {write}"
