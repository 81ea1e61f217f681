"""Fixtures for tests against API servers: a server of each kind, a client, and a namespace of one's own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from localcluster.kubernetes import KubernetesEndpoint, api_server, envtest_assets
from modelrollout.kube import Cluster
from tests.fakes.cluster import FakeCluster

_numbers = itertools.count(1)


@asynccontextmanager
async def api_server_of_kind(kind: str, directory: Path) -> AsyncIterator[KubernetesEndpoint]:
    """An API server; the test is skipped where that is a real one and there is none."""
    with pytest.MonkeyPatch.context() as environment:
        if kind == "built-in":
            environment.setenv("KUBEBUILDER_ASSETS", str(directory / "nothing"))
        elif envtest_assets() is None:
            pytest.skip("no kube-apiserver and etcd: KUBEBUILDER_ASSETS names no folder that has them")
        async with api_server(directory) as endpoint:
            if endpoint.kind != kind:
                pytest.skip("the usual envtest folder has a real API server, which is tested by itself")
            yield endpoint


@asynccontextmanager
async def any_cluster(kind: str, directory: Path) -> AsyncIterator[Cluster]:
    """A cluster that stands for Kubernetes: plain dictionaries, or an API server of a kind."""
    if kind == "dictionaries":
        yield cast("Cluster", FakeCluster())
        return
    async with (
        api_server_of_kind(kind, directory) as endpoint,
        Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster,
    ):
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["built-in", "real"])
async def kubernetes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[KubernetesEndpoint]:
    """An API server of each kind in turn; the real one where KUBEBUILDER_ASSETS (or the usual folder) has it."""
    async with api_server_of_kind(request.param, tmp_path_factory.mktemp("kubernetes")) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(kubernetes: KubernetesEndpoint) -> AsyncIterator[Cluster]:
    async with Cluster.connect(kubernetes.kubeconfig, user_agent="test") as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def namespace(cluster: Cluster) -> str:
    """A namespace that no other test uses."""
    name = f"test-{next(_numbers)}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
