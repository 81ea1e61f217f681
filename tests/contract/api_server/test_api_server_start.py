"""Getting an API server: which one, reached how, and gone without a trace however its user ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from localcluster.controllers.garbage import garbage
from localcluster.kubernetes import KubernetesEndpoint, NotStartedError, api_server
from modelrollout.kube import Cluster
from modelrollout.objects.resources import CONFIG_MAPS, NAMESPACES
from tests.contract.api_server.api_server_client import Api, config, path, widget, widgets

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_two_servers_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with (
        api_server(Path("one"), kind="built-in") as one,
        api_server(tmp_path / "two", kind="built-in") as two,
        Cluster.connect(one.kubeconfig) as first,
        Cluster.connect(two.kubeconfig) as second,
    ):
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
        await first.create(manifest)
        assert await first.read(CONFIG_MAPS, "default", "a") is not None
        assert await second.read(CONFIG_MAPS, "default", "a") is None


async def test_an_existing_cluster_is_reached_by_its_context(
    server: KubernetesEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(server.kubeconfig.read_text())
    content["contexts"][0]["name"] = "mine"
    content["contexts"].append({"name": "other", "context": {"cluster": "nowhere", "user": "nobody"}})
    content["current-context"] = "other"
    users = tmp_path / "users"
    users.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}{os.pathsep}{users}")
    async with api_server(tmp_path / "sandbox", context="mine") as endpoint:
        assert (endpoint.kind, endpoint.url, endpoint.version) == ("context", server.url, server.version)
        assert [each["name"] for each in yaml.safe_load(endpoint.kubeconfig.read_text())["contexts"]] == ["mine"]
        assert endpoint.kubeconfig.stat().st_mode & 0o777 == 0o600
        async with Cluster.connect(endpoint.kubeconfig) as cluster:
            assert await cluster.read(NAMESPACES, None, "default") is not None


async def test_an_unknown_context_is_named_with_those_there_are(
    server: KubernetesEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    with pytest.raises(NotStartedError, match=r"No context 'missing' in the kubeconfig \(contexts there: sandbox\)"):
        async with api_server(tmp_path, context="missing"):
            pass


async def test_a_cluster_that_is_not_there_is_said_to_be_silent(
    server: KubernetesEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(server.kubeconfig.read_text())
    content["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    users = tmp_path / "users"
    users.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(users))
    with pytest.raises(NotStartedError, match=r"The cluster of context 'sandbox' at .* does not answer"):
        async with api_server(tmp_path / "sandbox", context="sandbox"):
            pass


async def test_without_a_real_server_a_real_one_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcluster.kubernetes.USUAL_ASSETS", tmp_path)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(NotStartedError, match="set KUBEBUILDER_ASSETS"):
        async with api_server(tmp_path / "sandbox", kind="real"):
            pass


_HOLD = """
import asyncio, sys
from pathlib import Path
from localcluster.kubernetes import api_server

async def main():
    async with api_server(Path(sys.argv[1]), kind=sys.argv[2]) as endpoint:
        print(endpoint.url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def _children(directory: Path) -> set[int]:
    """Processes that were started with files of this directory."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"{directory}/" in command and "-c" not in command.split("\0"):
            found.add(int(entry.name))
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills children with their parent")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
async def test_no_process_is_left_behind(server: KubernetesEndpoint, tmp_path: Path, how: signal.Signals) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HOLD, str(tmp_path), server.kind),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert (await asyncio.wait_for(child.stdout.readline(), 60)).startswith(b"https://127.0.0.1:")
    assert _children(tmp_path)
    child.send_signal(how)
    await asyncio.wait_for(child.communicate(), 20)
    async with asyncio.timeout(10):
        while True:
            if not _children(tmp_path):
                break
            await asyncio.sleep(0.05)


async def test_a_deleted_namespace_is_emptied_and_gone(server: KubernetesEndpoint, api: Api, namespace: str) -> None:
    held = widget("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await api.made(widgets(namespace), widget("a"))
    await api.made(widgets(namespace), held)
    await api.made(path("configmaps", namespace), config("a"))
    async with Cluster.connect(server.kubeconfig) as cluster, garbage(cluster, ()):
        await api.delete(f"/api/v1/namespaces/{namespace}")
        await api.until(path("configmaps", namespace, "a"), lambda answer: answer.status == 404)
        await api.until(widgets(namespace, "held"), lambda answer: "deletionTimestamp" in answer.body["metadata"])
        assert (await api.get(f"/api/v1/namespaces/{namespace}")).status == 200
        await api.patch(widgets(namespace, "held"), {"metadata": {"finalizers": None}})
        await api.until(f"/api/v1/namespaces/{namespace}", lambda answer: answer.status == 404)
    answer = await api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    assert answer.status == 201
    assert (await api.get(widgets(namespace))).body["items"] == []
