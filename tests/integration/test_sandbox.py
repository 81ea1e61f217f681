"""`python -m demo.playground` from outside: what it starts, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from demo.folder import LOCK
from localcluster import gateway, metrics
from localcluster.gateway.envoy import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from localcluster.processes.children import Process
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from tests.integration.patience import eventually
from tests.integration.world import World, is_running

COMMAND = [sys.executable, "-m", "demo.playground", "--no-operator"]
ROUTE: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "spec": {
        "parentRefs": [{"name": "sandbox", "namespace": "default"}],
        "hostnames": ["web.example"],
        "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
    },
}


@pytest.fixture(autouse=True)
def parts() -> None:
    """Skip where the sandbox could not start."""
    try:
        gateway.binary()
        metrics.binary()
    except (EnvoyMissingError, PrometheusMissingError) as missing:
        pytest.skip(str(missing))


@asynccontextmanager
async def sandbox(directory: Path, **environment: str) -> AsyncIterator[Process]:
    """A sandbox of its own, said to be over when the block is."""
    images = Path(__file__).parent / "images"
    command = [*COMMAND, "--directory", str(directory), "--image", f"plain={images / 'plain'}"]
    log = directory.with_suffix(".log")
    process = await Process.start(command, folder=directory.parent, environment=os.environ | environment, log=log)
    try:
        yield process
    finally:
        await process.stop(20)


async def text_of(directory: Path) -> str:
    log = directory.with_suffix(".log")
    return log.read_text() if log.exists() else ""


async def is_claimed(directory: Path) -> bool:
    return (directory / LOCK).exists()


async def kubeconfig_of(directory: Path) -> Path:
    async def look() -> str:
        found = re.search(r"^export KUBECONFIG=(.+)$", await text_of(directory), re.MULTILINE)
        return found[1] if found else ""

    return Path(await eventually(look, "the sandbox says where its kubeconfig is", within=60))


def family(pid: int) -> set[int]:
    """The process and everything below it."""
    parents = dict(_parents())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except FileNotFoundError:
                continue


async def test_pods_are_reached_through_the_gateway_and_scraped_and_all_of_it_ends(tmp_path: Path) -> None:
    directory = tmp_path / "sandbox"
    async with sandbox(directory) as process:
        async with Cluster.connect(await kubeconfig_of(directory)) as cluster:
            world = World(cluster, "default", tmp_path, directory / "logs")
            await world.deploy(2)
            metadata = {"name": "web", "namespace": "default"}
            ports = [{"port": 80, "targetPort": "http"}]
            spec = {"selector": {"app": "web"}, "ports": ports}
            await cluster.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
            await cluster.create({**ROUTE, "metadata": metadata})
            await world.settled(2)
            said = await text_of(directory)
            url = _line(said, "Gateway")
            await eventually(lambda: _answers(url), "the gateway answers for the pods")
            await eventually(lambda: _scraped(_line(said, "Prometheus")), "Prometheus knows both pods", within=60)
        everybody = family(process.pid)
        assert len(everybody) >= 6  # itself, the API server, Envoy, Prometheus, two pods
        os.kill(process.pid, signal.SIGINT)
        assert await process.wait() == 130
        assert [pid for pid in everybody if is_running(pid)] == []


def _line(said: str, part: str) -> str:
    found = re.search(rf"^  {part} +(http\S+)", said, re.MULTILINE)
    assert found
    return found[1]


async def _answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Host": "web.example"}) as reply:
        return reply.status == 200


async def _scraped(url: str) -> bool:
    query = {"query": 'count(up{namespace="default"})'}
    async with aiohttp.ClientSession(url) as session, session.get("/api/v1/query", params=query) as reply:
        result = (await reply.json())["data"]["result"]
    return bool(result) and result[0]["value"][1] == "2"


@pytest.mark.parametrize("seconds", [0.3, 1.5, 3])
async def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path, seconds: float) -> None:
    async with sandbox(tmp_path / "sandbox") as process:
        seen: set[int] = set()
        clock = asyncio.get_running_loop().time
        until = clock() + seconds  # a moment of the start, whatever it is doing then
        while clock() < until:
            await asyncio.sleep(min(0.1, seconds / 4))
            seen |= family(process.pid)
        os.kill(process.pid, signal.SIGTERM)
        await process.wait()
        assert [pid for pid in seen if is_running(pid)] == []
    assert "Traceback" not in await text_of(tmp_path / "sandbox")


async def test_a_part_that_is_missing_is_named_and_the_others_are_stopped(tmp_path: Path) -> None:
    path = tmp_path / "bin"  # a PATH without Prometheus
    path.mkdir()
    (path / "sleep").symlink_to(shutil.which("sleep") or "/bin/sleep")
    async with sandbox(tmp_path / "sandbox", PATH=str(path)) as process:
        seen = family(process.pid)
        assert await process.wait() == 1
        assert [pid for pid in seen if is_running(pid)] == []
    said = await text_of(tmp_path / "sandbox")
    assert "apt-get install prometheus" in said
    assert "Traceback" not in said


async def test_a_directory_is_one_sandboxes_own(tmp_path: Path) -> None:
    directory = tmp_path / "sandbox"
    async with sandbox(directory):
        await eventually(lambda: is_claimed(directory), "the first one has its directory", within=60)
        second = await Process.start(
            [*COMMAND, "--directory", str(directory)], folder=tmp_path, environment=os.environ, log=tmp_path / "second"
        )
        assert await second.wait() == 1
        assert "A sandbox runs in" in (tmp_path / "second").read_text()
