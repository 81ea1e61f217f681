"""`python -m benchmarks.comparer`: offers copies at several rates, and prints what was compared and what it cost.

Two versions with small JSON bodies answer at once. CPU seconds for a thousand
comparisons say the same on a busy machine; the rates do not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.comparer.process import Comparer, comparer
from benchmarks.comparer.wire import Gateway, Version, answer

RATES = (100, 250, 500, 750, 1000, 2000)
HEAD = (
    "| offered/s | compared/s | shed | core | CPU s per 1,000 | memory MiB | mean answer ms |\n" + "|---:" * 7 + "|\n"
)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a comparer has done and spent until now."""

    compared: float
    shed: float
    answers: float
    answer_seconds: float
    cpu: float  # seconds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparer", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each rate (default 6)")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="copies a second to offer")
    options = parser.parse_args(arguments)
    asyncio.run(_measure(options.rates, options.seconds))
    return 0


async def _measure(rates: list[int], seconds: float) -> None:
    sys.stdout.write(HEAD)
    async with _between_two_versions() as running, aiohttp.ClientSession() as client:
        pid, copies, watched = running.pid, running.copies, running.watched
        await Gateway(copies).send(200, 1.0)  # the first requests load code and open connections
        for rate in rates:
            gateway = Gateway(copies)
            before = await _read(client, watched, pid)
            await gateway.send(rate, seconds)
            sys.stdout.write(_row(rate, seconds, before, await _read(client, watched, pid), _memory(pid)))
            sys.stdout.flush()


def _row(rate: int, seconds: float, before: Reading, after: Reading, memory: float) -> str:
    compared, cpu = after.compared - before.compared, after.cpu - before.cpu
    shed = 1 - compared / (rate * seconds)  # also what the gateway could not even send
    answers = max(after.answers - before.answers, 1)
    milliseconds = (after.answer_seconds - before.answer_seconds) / answers * 1e3
    cells = [
        f"{rate}",
        f"{compared / seconds:.0f}",
        f"{max(shed, 0):.1%}",
        f"{cpu / seconds:.0%}",
        f"{cpu / max(compared, 1) * 1e3:.2f}",
        f"{memory:.0f}",
        f"{milliseconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |\n"


@asynccontextmanager
async def _between_two_versions() -> AsyncIterator[Comparer]:
    async with AsyncExitStack() as stack:
        stable, candidate = [_port(await stack.enter_async_context(await _version(label))) for label in (3, 3)]
        yield await stack.enter_async_context(comparer(stable, candidate))


async def _version(label: int) -> asyncio.Server:
    reply = answer(label)
    return await asyncio.get_running_loop().create_server(lambda: Version(reply), "127.0.0.1", 0)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def _read(client: aiohttp.ClientSession, port: int, pid: int) -> Reading:
    async with client.get(f"http://127.0.0.1:{port}/metrics") as response:
        families = [*text_string_to_metric_families(await response.text())]

    def total(name: str) -> float:
        samples = [sample for family in families for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == f"modelrollout_comparer_{name}")

    return Reading(
        total("comparisons_total"),
        total("shed_total"),
        total("answer_seconds_count"),
        total("answer_seconds_sum"),
        _cpu(pid),
    )


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(pid: int) -> float:
    """The most it ever had, in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
