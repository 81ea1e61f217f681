"""A pod that is asked through the API server. A real one passes nothing on to the machine that it runs on itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from localcluster.kubernetes import KubernetesEndpoint
from modelrollout.kube import Cluster, KubeError
from modelrollout.objects.resources import PODS
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def address_of_this_machine() -> str:
    """An address that others would reach it by; loopback where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as told:
        try:
            told.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(told.getsockname()[0])


@pytest_asyncio.fixture(loop_scope="module")
async def pod(kubernetes: KubernetesEndpoint, cluster: Cluster, namespace: str) -> AsyncIterator[int]:
    """The port of a pod that tells what it is asked."""
    address = "127.0.0.1" if kubernetes.kind == "built-in" else address_of_this_machine()
    if address.startswith("127.") and kubernetes.kind != "built-in":
        pytest.skip("this machine has no address but loopback, to which a real API server passes nothing on")

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response({"asked": request.path})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    container = {"name": "server", "image": "test/plain"}
    metadata = {"name": "solo", "namespace": namespace}
    spec = {"containers": [container], "nodeName": "somewhere"}
    await cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    await cluster.patch(PODS, namespace, "solo", {"status": status}, subresource="status")
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def test_a_pod_answers_through_the_api_server(cluster: Cluster, namespace: str, pod: int) -> None:
    before = cluster.requests["get", "pods/proxy"]
    assert await cluster.ask_pod(namespace, "solo", pod, "/what/ever") == {"asked": "/what/ever"}
    assert cluster.requests["get", "pods/proxy"] == before + 1


async def test_a_pod_that_is_not_there_is_trouble_of_the_cluster(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(KubeError):
        await cluster.ask_pod(namespace, "nobody", 80, "/")
