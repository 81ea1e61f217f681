"""A Kubernetes API to play against: an existing cluster, a real kube-apiserver with etcd, or the built-in server.

It only starts, waits and stops; what the built-in server does is in `apiserver/`. Everything listens on loopback.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import VersionApi
from kubernetes.aio.client.exceptions import ApiException

from localcluster import kubeconfigs
from localcluster.apiserver.certificates import ServingFiles, write_private, write_serving_files, write_signing_key
from localcluster.processes.children import CannotStartError, Process
from localcluster.processes.ports import free_port

# ClusterIPs that this machine can bind: all of 127.0.0.0/8 is its own. A real kube-apiserver takes this range too.
SERVICE_RANGE = "127.96.0.0/16"
USUAL_ASSETS = Path("/usr/local/kubebuilder/bin")
START_SECONDS = 60
STOP_SECONDS = 5
TOKEN = "LOCALCLUSTER_TOKEN"  # noqa: S105 -- the variable's name; never on a command line, which all can read


@dataclass(frozen=True, slots=True)
class KubernetesEndpoint:
    """Where the API is and how to get in."""

    kubeconfig: Path
    url: str
    kind: Literal["real", "context", "built-in"]
    version: str


class NotStartedError(Exception):
    """The API server did not come up; the message says why and where its log is."""


@asynccontextmanager
async def api_server(
    directory: Path,
    *,
    context: str | None = None,
    kind: Literal["real", "built-in"] | None = None,
    flags: Sequence[str] = (),
) -> AsyncIterator[KubernetesEndpoint]:
    """Give an API server for as long as the block lasts: `context`'s, else a real one, else the built-in one.

    `kind` asks for one of the latter two; `flags` are more flags for a real one. Files (kubeconfig, certificates, logs)
    go to `directory`. Raises `NotStartedError`.
    """
    directory = made(directory)
    assets = None if kind == "built-in" else envtest_assets()
    if context is not None:
        yield await _existing(directory, context)
    elif assets is not None:
        async with _real(directory, assets, flags) as endpoint:
            yield endpoint
    elif kind == "real":
        raise NotStartedError("There is no kube-apiserver with etcd: set KUBEBUILDER_ASSETS to the folder with both.")
    else:
        async with _built_in(directory) as endpoint:
            yield endpoint


def envtest_assets() -> Path | None:
    """The folder with `kube-apiserver` and `etcd` (KUBEBUILDER_ASSETS, else the usual one), or None."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in (Path(named) if named else USUAL_ASSETS, USUAL_ASSETS):
        if all(os.access(folder / program, os.X_OK) for program in ("kube-apiserver", "etcd")):
            return folder
    return None


async def _existing(directory: Path, context: str) -> KubernetesEndpoint:
    """A cluster that runs already, reached through a kubeconfig that knows no other."""
    path = directory / "kubeconfig"
    try:
        url = kubeconfigs.write_single_context(path, context)
    except kubeconfigs.UnknownContextError as error:
        raise NotStartedError(str(error)) from error
    client = await config.new_client_from_config(  # type: ignore[no-untyped-call]  # the library is untyped here
        config_file=str(path), persist_config=False
    )
    async with client:
        try:
            async with asyncio.timeout(START_SECONDS):
                version = await VersionApi(client).get_code()
        except (OSError, TimeoutError, aiohttp.ClientError, ApiException) as error:
            raise NotStartedError(f"The cluster of context {context!r} at {url} does not answer: {error}") from error
    return KubernetesEndpoint(path, url, "context", str(version.git_version))


@asynccontextmanager
async def _built_in(directory: Path) -> AsyncIterator[KubernetesEndpoint]:
    """Our own server, in a process of its own: a loop that is blocked here stalls no watch there."""
    files, token = write_serving_files(directory), secrets.token_urlsafe(24)
    announced = directory / "api-server.url"
    _forget(announced)
    command = [sys.executable, "-m", "localcluster.apiserver"]
    command += ["--certificate", str(files.certificate), "--key", str(files.key)]
    command += ["--service-cluster-ip-range", SERVICE_RANGE, "--announce", str(announced)]
    async with program("api-server", command, directory, {TOKEN: token}) as ended:
        server = _Server(directory, files.authority, token, ended)
        url = await server.announced(announced)
        yield await server.endpoint(url, "built-in")


@asynccontextmanager
async def _real(directory: Path, assets: Path, flags: Sequence[str]) -> AsyncIterator[KubernetesEndpoint]:
    """etcd and kube-apiserver as envtest starts them: no controllers, no scheduler, no kubelet."""
    files, token = write_serving_files(directory), secrets.token_urlsafe(24)
    write_signing_key(directory / "service-accounts.key")
    write_private(directory / "tokens.csv", f'{token},admin,admin,"system:masters"\n'.encode())
    etcd_url, peer_url, port = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port()
    async with (
        program("etcd", _etcd(assets, directory, etcd_url, peer_url), directory),
        program(
            "kube-apiserver", [*_kube_apiserver(assets, directory, files, etcd_url, port), *flags], directory
        ) as ended,
    ):
        server = _Server(directory, files.authority, token, ended)
        yield await server.endpoint(f"https://127.0.0.1:{port}", "real")


def _etcd(assets: Path, directory: Path, url: str, peer_url: str) -> list[str]:
    shutil.rmtree(directory / "etcd", ignore_errors=True)
    return [
        str(assets / "etcd"),
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
    ]


def _kube_apiserver(assets: Path, directory: Path, files: ServingFiles, etcd_url: str, port: int) -> list[str]:
    return [
        str(assets / "kube-apiserver"),
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={files.certificate}",
        f"--tls-private-key-file={files.key}",
        f"--cert-dir={directory}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-key-file={directory / 'service-accounts.key'}",
        f"--service-account-signing-key-file={directory / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        # Nothing makes service accounts here (that is kube-controller-manager's), and pods would wait for theirs.
        "--disable-admission-plugins=ServiceAccount",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
    ]


@dataclass(frozen=True, slots=True)
class _Server:
    """A server of ours that is starting; `ended` is done when its process is."""

    directory: Path
    authority: Path
    token: str
    ended: asyncio.Task[int]

    async def announced(self, file: Path) -> str:
        """Wait for the address that the built-in server writes when it listens."""
        async with self._patience():
            while (url := _content(file)) is None:
                await self._pause()
            return url

    async def endpoint(self, url: str, kind: Literal["real", "built-in"]) -> KubernetesEndpoint:
        """Wait until the server says that it is ready, and write the kubeconfig."""
        headers = {"Authorization": f"Bearer {self.token}"}
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(self.authority)))
        async with self._patience(), aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
            while not await _says_ok(session):
                await self._pause()
            async with session.get("/version") as response:
                version = str((await response.json())["gitVersion"])
        kubeconfig = self.directory / "kubeconfig"
        kubeconfigs.write_own(kubeconfig, url, self.authority, self.token)
        return KubernetesEndpoint(kubeconfig, url, kind, version)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(START_SECONDS):
                yield
        except TimeoutError as error:
            why = f"The API server was not ready after {START_SECONDS} seconds; see {self.directory}/*.log."
            raise NotStartedError(why) from error

    async def _pause(self) -> None:
        if self.ended.done():
            why = f"The API server ended with code {self.ended.result()}; see {self.directory}/*.log."
            raise NotStartedError(why)
        await asyncio.sleep(0.05)


async def _says_ok(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def program(
    name: str, command: Sequence[str], directory: Path, variables: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.Task[int]]:
    """Run a program for as long as the block lasts, with a log of its name; done when it has ended."""
    environment = {**os.environ, **(variables or {})}
    try:
        process = await Process.start(command, folder=directory, environment=environment, log=directory / f"{name}.log")
    except CannotStartError as error:
        raise NotStartedError(f"{name} cannot be started: {error}") from error
    ended = asyncio.create_task(process.wait())
    try:
        yield ended
    finally:
        await process.stop(STOP_SECONDS)
        await ended


def made(directory: Path) -> Path:
    """The directory, there and named in full: programs are started in it with paths into it."""
    directory.mkdir(parents=True, exist_ok=True)
    return directory.resolve()


def _content(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)
