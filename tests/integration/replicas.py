"""Two operator processes that share a Lease, each with a line to the API server that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import yaml

from localcluster.processes.background import running
from localcluster.processes.children import Process
from tests.integration.patience import eventually

PACKAGE = (sys.executable, "-m", "modelrollout")
HERE = Path(__file__).parent
WRONG_CLOCK = (sys.executable, str(HERE / "wrong_clock.py"))
_LEADER = re.compile(r"^modelrollout_leader (\S+)$", re.MULTILINE)


class Line:
    """A TCP proxy. While it is cut, what either side sent is under way; once it is mended, it arrives late."""

    def __init__(self, to: str) -> None:
        self._to = urlsplit(to)
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        """The URL that leads to the other side."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"{self._to.scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(self._to.hostname, self._to.port)
        for pump in (self._pump(reader, to), self._pump(there, writer)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(2**16):
                    await self._whole.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


class Replica:
    """One of several operator processes. When it has ended it is started again, as a kubelet would."""

    def __init__(
        self, name: str, line: Line, kubeconfig: Path, flags: tuple[str, ...], log: Path, session: aiohttp.ClientSession
    ) -> None:
        self.name, self.line, self.log = name, line, log
        self.program = PACKAGE  # from the next start on
        self.codes: list[int] = []  # with which it ended so far
        self._kubeconfig, self._flags = kubeconfig, flags
        self._session = session
        self._process: Process | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        flags = ("--kubeconfig", str(self._kubeconfig), "--host", "127.0.0.1", "--port", "0", "--log-format", "text")
        try:
            while True:
                command = (*self.program, "run", *flags, *self._flags)
                self._process = await Process.start(command, folder=HERE, environment=os.environ, log=self.log)
                self.codes.append(await self._process.wait())
        finally:
            await self._stop()

    async def _stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            await self._process.stop(10)

    async def ended(self, times: int) -> int:
        """Once it has ended so many times, with which code it did last."""

        async def has_ended() -> bool:
            return len(self.codes) >= times

        await eventually(has_ended, f"{self.name} ends")
        return self.codes[-1]

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def leads(self) -> bool | None:
        """By its own word; None where it gives no answer."""
        ports = re.findall(r"/metrics on port (\d+)", self.log.read_text()) if self.log.exists() else []
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                asyncio.timeout(0.5),
                self._session.get(f"http://127.0.0.1:{(ports or ['1'])[-1]}/metrics") as reply,
            ):
                found = _LEADER.search(await reply.text())
                return found is not None and float(found[1]) == 1
        return None


@asynccontextmanager
async def replicas(kubeconfig: Path, directory: Path, *flags: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two that run until the block ends."""
    async with contextlib.AsyncExitStack() as ending:
        session = await ending.enter_async_context(aiohttp.ClientSession())
        made = []
        for name in ("one", "two"):
            own, url = directory / f"{name}.yaml", _server(kubeconfig)
            line = Line(url)
            ending.push_async_callback(line.close)
            own.write_text(kubeconfig.read_text().replace(url, await line.open()))  # noqa: ASYNC240 - small files
            made.append(Replica(name, line, own, flags, directory / f"{name}.log", session))
        await ending.enter_async_context(running(*(each.run() for each in made)))
        yield made[0], made[1]


def _server(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


@asynccontextmanager
async def watched(look: Callable[[], Awaitable[None]], every: float = 0.1) -> AsyncIterator[None]:
    """Looks again and again until the block ends; what a look raises fails the block."""

    async def keep_looking() -> None:
        while True:
            started = time.monotonic()
            await look()
            await asyncio.sleep(max(0.0, every - (time.monotonic() - started)))

    async with asyncio.TaskGroup() as beside:
        looking = beside.create_task(keep_looking())
        yield
        looking.cancel()
