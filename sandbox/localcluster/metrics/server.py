"""Runs Prometheus in a folder and on a port that stay the same. Knows nothing of pods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

from localcluster.processes.children import Process

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


class PrometheusMissingError(RuntimeError):
    """There is no Prometheus on this machine; the message says how to get one."""


class PrometheusFailedError(RuntimeError):
    """Prometheus did not start; the message ends with what it said."""


def binary() -> Path:
    """The `prometheus` on PATH. Raises `PrometheusMissingError`."""
    if found := shutil.which("prometheus"):
        return Path(found)
    raise PrometheusMissingError(
        "The local cluster's metrics need Prometheus on PATH: apt-get install prometheus, or https://prometheus.io/download."
    )


class Server:
    """One process after the other; `prometheus.yml` in its folder has to be there before `start`."""

    def __init__(self, program: Path, folder: Path, port: int, *, flags: Sequence[str] = ()) -> None:
        self._program, self._folder, self._port, self._flags = program, folder, port, flags
        self._process: Process | None = None
        self._ending: asyncio.Task[int] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Returns when it answers queries. Raises `PrometheusFailedError`."""
        if self._process:
            return
        command = [
            str(self._program),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--web.enable-lifecycle",
            "--log.level=warn",
            *self._flags,
        ]
        self._process = await Process.start(command, folder=self._folder, environment=os.environ, log=self._log)
        self._ending = asyncio.create_task(self._process.wait())
        try:
            await self._ready(self._ending)
        except BaseException:
            await self.stop()
            raise
        self._ending.add_done_callback(self._say_that_it_ended)

    async def stop(self) -> None:
        process, ending, self._process, self._ending = self._process, self._ending, None, None
        if ending:
            ending.cancel()
        if process:
            await process.stop(STOP_SECONDS)

    async def _ready(self, ending: asyncio.Task[int]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession(trust_env=False) as session:
                while not ending.done():
                    with contextlib.suppress(aiohttp.ClientError):
                        async with session.get(f"{self.url}/-/ready") as reply:
                            if reply.status == 200:
                                return
                    await asyncio.sleep(POLL_SECONDS)
        raise PrometheusFailedError(f"Prometheus did not start: {self._last_words()}")

    @property
    def _log(self) -> Path:
        return self._folder / "prometheus.log"

    def _last_words(self) -> str:
        return self._log.read_text(errors="replace")[-500:].strip() or f"{self._log} is empty"

    def _say_that_it_ended(self, ending: asyncio.Task[int]) -> None:
        if not ending.cancelled():
            logger.error("Prometheus ended by itself, with code %d: %s", ending.result(), self._last_words())


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else is given, not even while Prometheus is stopped."""
    with socket.socket() as reservation:
        # Bound, and never listening. Prometheus may listen on it since it sets SO_REUSEADDR as well.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]
