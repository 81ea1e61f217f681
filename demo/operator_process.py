"""The operator as a process beside the local cluster, as `modelrollout run` starts it anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from localcluster.processes.children import Process
from localcluster.processes.ports import free_port

START_SECONDS = 60.0
STOP_SECONDS = 10.0
IMAGE = "modelrollout.dev/modelrollout"
"""The operator's own image, which also compares answers; the local cluster has it as a folder."""


class OperatorFailedError(Exception):
    """The operator did not come up; the message says where its log is."""


class Operator:
    """A handle: `stop` lets it end in order, `kill` does not, `start` brings it back on the same port."""

    def __init__(
        self, kubeconfig: Path, prometheus_url: str, log: Path, flags: Sequence[str], code: Path | None = None
    ) -> None:
        """`code`: the folder with another version of the operator's package."""
        self._kubeconfig, self._prometheus_url, self._log, self._flags = kubeconfig, prometheus_url, log, flags
        self._environment = dict(os.environ) if code is None else {**os.environ, "PYTHONPATH": str(code)}
        self._port = free_port()
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where /healthz and /metrics are."""
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """The same for Prometheus."""
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        return self._log

    async def start(self) -> None:
        """Returns when it says that it is healthy. Raises `OperatorFailedError`."""
        command = [sys.executable, "-m", "modelrollout", "run", *self._flags, "--kubeconfig", str(self._kubeconfig)]
        command += ["--prometheus-url", self._prometheus_url, "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--log-format", "text", "--comparer-image", IMAGE]
        self._process = await Process.start(command, folder=Path.cwd(), environment=self._environment, log=self._log)
        ended = asyncio.create_task(self._process.wait())
        healthy = asyncio.create_task(self._healthy())
        try:
            await asyncio.wait({ended, healthy}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not healthy.done():
                raise OperatorFailedError(f"The operator did not become healthy; see {self._log}.")
        finally:
            healthy.cancel()
            ended.cancel()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop(STOP_SECONDS)
            self._process = None

    async def kill(self) -> None:
        """As a lost node would: without a word."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None

    async def ended(self) -> int:
        """Wait for it to end by itself; its exit code."""
        if self._process is None:
            raise RuntimeError("the operator was not started")
        return await self._process.wait()

    async def _healthy(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/healthz") as reply:
                        if reply.status == 200:
                            return
                await asyncio.sleep(0.1)


@asynccontextmanager
async def operator(
    kubeconfig: Path,
    prometheus_url: str,
    log: Path,
    flags: Sequence[str] = ("--no-leader-election",),
    code: Path | None = None,
) -> AsyncIterator[Operator]:
    """A running operator until the block ends. Of `flags`, those that a local process needs otherwise do not count."""
    handle = Operator(kubeconfig, prometheus_url, log, flags, code)
    try:
        await handle.start()
        yield handle
    finally:
        await handle.stop()
