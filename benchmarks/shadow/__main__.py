"""`python -m benchmarks.shadow`: what users of stable see while a candidate gets a copy of every request.

A real Envoy with the route that the operator writes. Seconds with a shadow and without one take turns, so that whatever
else the machine does meets both; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.comparer.process import comparer, free_port
from benchmarks.shadow.routes import CANDIDATE, configuration
from benchmarks.shadow.versions import HANDLERS, LIKE_STABLE, SILENT, STABLE
from localcluster.gateway.doors import Address
from localcluster.gateway.envoy import Envoy, running_envoy
from localcluster.load import LoadGenerator, Outcome, Sample

HEAD = (
    "| the candidate | requests | copies | not answered by stable | p50 ms | p99 ms | p99 ÷ without |\n|:---"
    + "|---:" * 6
    + "|\n"
)
SAMPLES = [Sample(tuple(0.1 * number for number in range(32)), 1)]
SETTLED = 0.3
"""Seconds after a change of the route that nobody measures."""


@dataclass(slots=True)
class Seen:
    """What users saw: seconds of each request that stable answered, and how many it did not; copies that Envoy made."""

    latencies: list[float] = field(default_factory=list)
    lost: int = 0
    copies: int = 0

    @classmethod
    def of(cls, several: Iterable[Seen]) -> Seen:
        parts = [*several]
        return cls([one for part in parts for one in part.latencies], sum(part.lost for part in parts))

    def add(self, outcomes: Iterable[Outcome]) -> None:
        for one in outcomes:
            if one.failure is None and one.version == STABLE:
                self.latencies.append(one.latency)
            else:
                self.lost += 1

    def row(self, name: str, without: Seen) -> str:
        half, most = np.quantile(self.latencies, (0.5, 0.99)) * 1e3
        times = most / (np.quantile(without.latencies, 0.99) * 1e3)
        count = len(self.latencies) + self.lost
        return f"| {name} | {count} | {self.copies} | {self.lost} | {half:.1f} | {most:.1f} | {times:.2f} |\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """Users with a shadow, and users of the turns before without one."""

    shadowed: Seen = field(default_factory=Seen)
    without: Seen = field(default_factory=Seen)


@dataclass(frozen=True, slots=True)
class Users:
    """They come through Envoy, at a rate (requests per second), for so many seconds a turn."""

    envoy: Envoy
    address: Address
    stable: int
    rate: float
    seconds: float

    async def meet(self, shadow: int | None, seen: Seen | None = None) -> None:
        refused = await self.envoy.program(configuration(self.address, self.envoy.folder, self.stable, shadow))
        if refused:
            raise RuntimeError(refused)
        url = f"http://{self.address[0]}:{self.address[1]}/predict"
        for seconds, notes in ((SETTLED, None), (self.seconds, seen)):
            users = LoadGenerator(url, SAMPLES, [1], stable=STABLE, rate=self.rate)
            await users.run(timedelta(seconds=seconds))
            if notes is not None:
                notes.add(users.outcomes)
                notes.copies += await self._copies()

    async def _copies(self) -> int:
        """Of this turn: a target of copies that comes anew is counted anew. One that nobody takes counts as well."""
        wanted = {"format": "json", "filter": f"{CANDIDATE.service}.*upstream_rq_(total|pending_failure_eject)$"}
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"{self.envoy.admin_url}/stats", params=wanted) as reply,
        ):
            return sum(one["value"] for one in (await reply.json(content_type=None))["stats"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shadow", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="turns of each row (default 6)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn (default 2)")
    parser.add_argument("--rate", type=float, default=100.0, help="users' requests a second (default 100)")
    options = parser.parse_args(arguments)
    asyncio.run(_measure(options.rounds, options.seconds, options.rate))
    return 0


async def _measure(rounds: int, seconds: float, rate: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _ways_to_behave() as (stable, shadows), running_envoy(Path(folder)) as envoy:
            users = Users(envoy, ("127.0.0.1", free_port()), stable, rate, seconds)
            await users.meet(None)  # the first requests load code and open connections
            seen = await _in_turns(users, shadows, rounds)
    sys.stdout.write(HEAD)
    without = Seen.of(pair.without for pair in seen.values())
    sys.stdout.write(without.row("is not there", without))
    for name, pair in seen.items():
        sys.stdout.write(pair.shadowed.row(name, pair.without))


async def _in_turns(users: Users, shadows: Mapping[str, int], rounds: int) -> dict[str, Pair]:
    found = {name: Pair() for name in shadows}
    for _ in range(rounds):
        for name, port in shadows.items():
            await users.meet(None, found[name].without)
            await users.meet(port, found[name].shadowed)
    return found


@asynccontextmanager
async def _ways_to_behave() -> AsyncIterator[tuple[int, dict[str, int]]]:
    """The port of stable, and where copies go, by name."""
    async with (
        _versions(STABLE) as stable,
        _versions(*(name for name in HANDLERS if name != STABLE)) as candidates,
        comparer(stable[STABLE], candidates[LIKE_STABLE]) as comparing,
        comparer(stable[STABLE], candidates[SILENT]) as waiting,
    ):
        compared = {
            "is compared": comparing.copies,
            "is compared, and never answers": waiting.copies,
            "is not there, nor a comparer": free_port(),
        }
        yield stable[STABLE], {**candidates, **compared}


@asynccontextmanager
async def _versions(*names: str) -> AsyncIterator[dict[str, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.shadow.versions", *names), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None  # noqa: S101 - for the type checker
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    sys.exit(main())
