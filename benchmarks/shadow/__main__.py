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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.comparer.process import comparer
from benchmarks.shadow.routes import CANDIDATE, configuration
from benchmarks.shadow.versions import HANDLERS, LIKE_STABLE, SILENT, STABLE
from localcluster.gateway.doors import Address
from localcluster.gateway.envoy import Envoy, running_envoy
from localcluster.load import LoadGenerator, Outcome, Sample
from localcluster.processes.ports import free_port

HEAD = (
    "| the candidate | requests | copies | not answered by stable | p50 ms | p99 ms "
    "| p99 ÷ without | half of the turns |\n"
    "|:---|---:|---:|---:|---:|---:|---:|---:|\n"
)
SAMPLES = [Sample(tuple(0.1 * number for number in range(32)), 1)]
SETTLED = 0.3
"""Seconds after a change of the route that nobody measures."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What users saw: seconds of each request that stable answered, how many it did not, copies that Envoy made."""

    latencies: tuple[float, ...]
    lost: int
    copies: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], copies: int) -> Turn:
        answered = tuple(one.latency for one in outcomes if one.failure is None and one.version == STABLE)
        return cls(answered, len(outcomes) - len(answered), copies)

    def milliseconds(self, quantile: float) -> float:
        return float(np.quantile(self.latencies, quantile)) * 1e3


Pair = tuple[Turn, Turn]
"""Without a shadow, and right after it with one."""


def _row(name: str, turns: Sequence[Turn], without: Sequence[Turn]) -> str:
    """Medians of the turns: one in which the machine was busy with something else does not decide."""
    half, most = (float(np.median([turn.milliseconds(quantile) for turn in turns])) for quantile in (0.5, 0.99))
    times = [mine.milliseconds(0.99) / theirs.milliseconds(0.99) for mine, theirs in zip(turns, without, strict=True)]
    low, middle, high = np.quantile(times, (0.25, 0.5, 0.75))
    count = sum(len(turn.latencies) + turn.lost for turn in turns)
    copies, lost = (sum(numbers) for numbers in ((turn.copies for turn in turns), (turn.lost for turn in turns)))
    return f"| {name} | {count} | {copies} | {lost} | {half:.1f} | {most:.1f} | {middle:.2f} | {low:.2f}–{high:.2f} |\n"


@dataclass(frozen=True, slots=True)
class Users:
    """They come through Envoy, at a rate (requests per second), for so many seconds a turn."""

    envoy: Envoy
    address: Address
    stable: int
    rate: float
    seconds: float

    async def meet(self, shadow: int | None) -> Turn:
        refused = await self.envoy.program(configuration(self.address, self.envoy.folder, self.stable, shadow))
        if refused:
            raise RuntimeError(refused)
        await self._ask(SETTLED)
        outcomes = await self._ask(self.seconds)
        return Turn.of(outcomes, await self._copies())

    async def _ask(self, seconds: float) -> Sequence[Outcome]:
        url = f"http://{self.address[0]}:{self.address[1]}/predict"
        users = LoadGenerator(url, SAMPLES, [1], stable=STABLE, rate=self.rate)
        await users.run(timedelta(seconds=seconds))
        return users.outcomes

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
    parser.add_argument("--rounds", type=int, default=15, help="turns of each row (default 15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn (default 1)")
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
    for name, pairs in seen.items():
        without, turns = zip(*pairs, strict=True)
        sys.stdout.write(_row(name, turns, without))
    # The same seconds in another order: how much two turns differ that are alike.
    alone = [without for pairs in seen.values() for without, _ in pairs]
    sys.stdout.write(_row("none, beside none", alone[1:], alone[:-1]))


async def _in_turns(users: Users, shadows: Mapping[str, int], rounds: int) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {name: [] for name in shadows}
    for _ in range(rounds):
        for name, port in shadows.items():
            found[name].append((await users.meet(None), await users.meet(port)))
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
