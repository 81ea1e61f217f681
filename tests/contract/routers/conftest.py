"""Where routers are held to their contract: plain dictionaries, and both API servers."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from localcluster.gateway import CRDS
from modelrollout.kube import Cluster, Refused
from modelrollout.objects.manifests import Owner
from modelrollout.objects.resources import GRPC_ROUTES, HTTP_ROUTES, VIRTUAL_SERVICES, Resource
from modelrollout.traffic.router import Router
from tests.clusters import any_cluster
from tests.contract.routers.town_hall import Place
from tests.docs import document
from tests.integration.patience import eventually

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["dictionaries", "built-in", "real"])
async def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with any_cluster(request.param, tmp_path_factory.mktemp("kubernetes")) as cluster:
        if request.param != "dictionaries":
            await knows_routes(cluster)
        yield cluster


async def knows_routes(cluster: Cluster) -> None:
    for file in (
        CRDS / "httproutes.yaml",
        CRDS / "grpcroutes.yaml",
        Path(__file__).parent / "virtualservices.yaml",
    ):
        await cluster.create(document(file))
    await eventually(
        lambda: serves(cluster, HTTP_ROUTES, GRPC_ROUTES, VIRTUAL_SERVICES), "the server knows all kinds of routes"
    )


async def serves(cluster: Cluster, *kinds: Resource) -> bool:
    try:
        for kind in kinds:
            await cluster.list(kind, "default")
    except Refused:
        return False
    return True


@pytest_asyncio.fixture(loop_scope="module")
async def place(cluster: Cluster, router: Router) -> Place:
    """A namespace of the test's own."""
    name = f"routers-{next(_numbers)}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return await Place(cluster, router, Owner(name, "fraud", "uid-fraud")).prepared()
