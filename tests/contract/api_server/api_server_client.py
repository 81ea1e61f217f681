"""How the contract tests speak to an API server: raw HTTP, and the kinds they make up for themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PATIENCE = 20  # seconds that anything may take before a test calls it lost


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    warnings: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return str(self.body["message"])

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def causes(self) -> set[tuple[str, str]]:
        """Field and reason of each cause; their order says nothing."""
        return {(each["field"], each["reason"]) for each in self.body["details"]["causes"]}


class Api:
    """One client of one server."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "application/json",
        accept: str = "",
        **query: str,
    ) -> Answer:
        headers = {"Content-Type": media} | ({"Accept": accept} if accept else {})
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers, params=query) as response:
            return Answer(response.status, _read(await response.text()), response.headers.getall("Warning", []))

    async def get(self, path: str, *, accept: str = "", **query: str) -> Answer:
        return await self.call("GET", path, accept=accept, **query)

    async def post(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("POST", path, body, **query)

    async def put(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("PUT", path, body, **query)

    async def patch(self, path: str, body: Any, media: str = MERGE, **query: str) -> Answer:
        return await self.call("PATCH", path, body, media=media, **query)

    async def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return await self.call("DELETE", path, body, **query)

    async def apply(self, path: str, manifest: Any, manager: str, **query: str) -> Answer:
        return await self.call("PATCH", path, manifest, media=APPLY, fieldManager=manager, **query)

    async def made(self, path: str, body: Any, **query: str) -> Any:
        """Create an object that nothing is expected to be wrong with."""
        answer = await self.post(path, body, **query)
        assert answer.status == 201, answer.body
        return answer.body

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator[Watch]:
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(path, params={"watch": "true", **query}, timeout=timeout) as response:
            yield Watch(response)

    async def until(self, path: str, wanted: Any, **query: str) -> Answer:
        """Ask again until the answer is as wanted."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.get(path, **query)
                if wanted(answer):
                    return answer
                await asyncio.sleep(0.05)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Watch:
    """A stream of changes."""

    response: aiohttp.ClientResponse

    async def next(self) -> Any:
        """The next change."""
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.response.content.readline())

    async def ends(self) -> list[Any]:
        """Every change up to the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            return [json.loads(line) async for line in self.response.content]

    async def changes(self, number: int) -> list[tuple[str, str]]:
        """The next changes, as type and name."""
        found = [await self.next() for _ in range(number)]
        return [(each["type"], each["object"]["metadata"]["name"]) for each in found]


def definition(
    kind: str, schema: dict[str, Any], group: str = "contract.example.com", **version: Any
) -> dict[str, Any]:
    """A CustomResourceDefinition with one version whose `spec` has this schema."""
    plural = f"{kind.lower()}s"
    whole = {"type": "object", "properties": {"spec": schema, "status": {"type": "object", **KEEP}}}
    served = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [served],
        },
    }


KEEP = {"x-kubernetes-preserve-unknown-fields": True}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

_STEP = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
}
WIDGET = definition(
    "Widget",
    {
        "type": "object",
        "properties": {
            "size": {"type": "integer", "minimum": 1, "default": 3},
            "colour": {"type": "string", "enum": ["red", "blue"]},
            "replicas": {"type": "integer"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "steps": {
                "type": "array",
                "maxItems": 20,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": _STEP,
            },
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "weights": {"type": "array", "items": {"type": "integer"}},
            "nested": {
                "type": "object",
                "properties": {"on": {"type": "boolean", "default": True}, "note": {"type": "string"}},
            },
            "anything": {"type": "object", **KEEP},
        },
    },
    subresources={
        "status": {},
        "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
    },
    additionalPrinterColumns=[
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Note", "type": "string", "jsonPath": ".spec.nested.note", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
)
WIDGET["spec"]["names"] |= {"shortNames": ["wdg"], "categories": ["toys"]}


def widget(name: str = "", **spec: Any) -> dict[str, Any]:
    """A Widget; without a name the server finds one."""
    named = {"name": name} if name else {"generateName": "widget-"}
    return {"apiVersion": "contract.example.com/v1", "kind": "Widget", "metadata": named, "spec": spec}


def widgets(namespace: str, name: str = "", subresource: str = "") -> str:
    """The path of a namespace's widgets, or of one."""
    parts = ["/apis/contract.example.com/v1/namespaces", namespace, "widgets", name, subresource]
    return "/".join(part for part in parts if part)


def path(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """The path of built-in kinds in a namespace, or of one object: `path("apps/v1/deployments", "ml", "fraud")`."""
    group, _, plural = kind.rpartition("/")
    root = f"/apis/{group}" if "/" in group else f"/api/{group or 'v1'}"
    return "/".join(part for part in (root, "namespaces", namespace, plural, name, subresource) if part)


def deployment(name: str, image: str = "example/a:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": image}]}}
    wish = {"selector": {"matchLabels": labels}, "template": pods, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": wish}


def config(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
