"""Both API servers for the contract tests: the built-in one always, a real kube-apiserver where there is one."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import pytest_asyncio
import yaml

from localcluster.kubernetes import KubernetesEndpoint, api_server, envtest_assets
from modelrollout.api.crd import definitions as our_definitions
from tests.contract.api_server.api_server_client import DEFINITIONS, WIDGET, Api

_numbers = count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["built-in", "real"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[KubernetesEndpoint]:
    """An API server that lasts for the whole run, with the kind that the tests use."""
    kind: Literal["built-in", "real"] = request.param
    if kind == "real" and envtest_assets() is None:
        pytest.skip("no kube-apiserver and etcd in KUBEBUILDER_ASSETS")
    async with api_server(tmp_path_factory.mktemp(kind), kind=kind) as endpoint:
        async with session_of(endpoint) as session:
            await install(Api(session))
        yield endpoint


def session_of(endpoint: KubernetesEndpoint) -> aiohttp.ClientSession:
    """A session with the server, through its kubeconfig."""
    kubeconfig = yaml.safe_load(endpoint.kubeconfig.read_text())
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": "contract/1.0"}
    return aiohttp.ClientSession(endpoint.url, headers=headers, connector=aiohttp.TCPConnector(ssl=tls))


async def install(api: Api) -> None:
    """Have the server serve the kind that the tests use."""
    await api.made(DEFINITIONS, WIDGET)
    await api.until("/apis/contract.example.com/v1/widgets", lambda answer: answer.status == 200)


# One loop and one client for all: a client that closes a TLS connection cannot wait for it to be closed.
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(server: KubernetesEndpoint) -> AsyncIterator[Api]:
    """A client of the server."""
    async with session_of(server) as session:
        yield Api(session)


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(api: Api) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    await api.made("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def definitions(api: Api) -> None:
    """Has the server serve our own kinds. They are made from the models, which takes longer than a test."""
    for definition in our_definitions():
        path = f"/apis/{definition['spec']['group']}/v1alpha1/{definition['spec']['names']['plural']}"
        await api.made(DEFINITIONS, definition)
        await api.until(path, lambda answer: answer.status == 200)


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The real kubectl, on one server and namespace."""

    program: str
    kubeconfig: Path
    namespace: str
    cache: Path  # its own: kubectl keeps discovery by host and port, and ports come back

    async def start(self, *arguments: str, given: str | None = None) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *(self.program, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}"),
            *("--namespace", self.namespace, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        if given is not None:
            child.stdin.write(given.encode())
        child.stdin.close()
        return child

    async def __call__(self, *arguments: str, manifest: Any = None, fails: bool = False) -> str:
        """Run it to its end; what it said, on both its outputs."""
        child = await self.start(*arguments, given=None if manifest is None else yaml.safe_dump_all(listed(manifest)))
        out, err = await asyncio.wait_for(child.communicate(), 60)
        assert (child.returncode != 0) is fails, (arguments, out.decode(), err.decode())
        return out.decode() + err.decode()


def listed(manifest: Any) -> list[Any]:
    return manifest if isinstance(manifest, list) else [manifest]


@pytest.fixture
def kubectl(server: KubernetesEndpoint, namespace: str, tmp_path: Path) -> Kubectl:
    """The kubectl of this machine; the test is skipped where there is none."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("no kubectl on PATH")
    return Kubectl(program, server.kubeconfig, namespace, tmp_path / "kubectl-cache")
