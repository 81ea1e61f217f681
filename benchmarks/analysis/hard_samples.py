"""Worlds in which samples are hard to read: some are late, containers restart, series appear with their first event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from benchmarks.analysis.releases import START, WEIGHTS
from benchmarks.analysis.scrapes import Labels, Timeline
from benchmarks.analysis.trials import Floats
from benchmarks.analysis.watched_releases import LATER_STEPS, PLANNED, STEP, taken_back_at
from benchmarks.pictures.lab import CANDIDATE, STABLE
from modelrollout.analysis.queries import ArmNames
from modelrollout.promql.query import Series

BEGIN = -300.0
"""Seconds before the start at which both arms' pods were scraped for the first time."""
NEVER = np.inf


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of one arm. `restart_every`: seconds from one start of a container to the next."""

    count: int
    restart_every: float = NEVER
    times_worse: float = 1.0


@dataclass(frozen=True, slots=True)
class Lateness:
    """A `share` of the samples can be read only later, by up to `by` seconds. `slow_shards`: the share of series whose
    samples are all late by that much. `whole_scrapes`: all series of a pod are late at once."""

    share: float = 0.0
    by: float = 20.0
    slow_shards: float = 0.0
    whole_scrapes: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """A service of `rps` requests per second, and how it is scraped.

    `tails`: the shares of requests that are slower than each edge of a histogram; without it a `share` are errors.
    `from_zero`: series exist from the start of a process, else they appear with their first event.
    """

    rps: float
    share: float = 0.01
    candidate: Pods = Pods(2)
    stable: Pods = Pods(8)
    scrape: float = 10.0
    late: Lateness = Lateness()
    from_zero: bool = False
    tails: Mapping[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Scraped:
    """Both arms' series."""

    arms: Mapping[str, tuple[Timeline, ...]]

    def read(self, arm: str, start: float, end: float) -> list[Series]:
        """What Prometheus has at `end`."""
        found = (timeline.read(start, end, end) for timeline in self.arms[arm])
        return [series for series in found if series.samples]


def draw(rng: Generator, world: World) -> Scraped:
    """One release in this world."""
    return Scraped(
        {
            arm.arm: tuple(line for number in range(pods.count) for line in _pod(rng, world, arm, pods, number))
            for arm, pods in ((CANDIDATE, world.candidate), (STABLE, world.stable))
        }
    )


def _pod(rng: Generator, world: World, arm: ArmNames, pods: Pods, number: int) -> Iterator[Timeline]:
    """The series of one pod."""
    scrapes = np.arange(BEGIN + rng.random() * world.scrape, PLANNED + world.scrape, world.scrape)
    starts = np.array([BEGIN - 600.0])
    if pods.restart_every < NEVER:
        starts = np.arange(BEGIN - rng.random() * pods.restart_every, PLANNED, pods.restart_every)
    moments = np.unique(np.concatenate((scrapes, starts)))
    served = np.append(0.0, np.diff(_seconds_of_traffic(moments, arm))) * world.rps / pods.count
    is_scrape = np.isin(moments, scrapes)
    life = np.searchsorted(moments, starts)[np.searchsorted(starts, moments, side="right") - 1]
    name = f"{arm.workload}-{number}"
    shared = _delays(rng, world.late, scrapes.size)
    for labels, counted in _counters(rng, world, pods.times_worse, served).items():
        sums = np.cumsum(counted)
        values = (sums - sums[life])[is_scrape]
        there = values > (-1 if world.from_zero else 0)
        delays = shared if world.late.whole_scrapes else _delays(rng, world.late, scrapes.size)
        times: Floats = START + scrapes[there]
        readable = np.maximum.accumulate(times + delays[there])  # a queue keeps the order of a series
        yield Timeline((*labels, ("pod", name), ("instance", name)), times, values[there].astype(np.float64), readable)


def _seconds_of_traffic(at: Floats, arm: ArmNames) -> Floats:
    """The integral over time of an arm's part of the traffic."""
    ends = np.array([2 * BEGIN - 600.0, *LATER_STEPS, PLANNED + STEP])
    mine = np.interp(at, ends, np.append(0.0, np.cumsum(np.diff(ends) * WEIGHTS)))
    return np.asarray(mine if arm is CANDIDATE else at - ends[0] - mine, dtype=np.float64)


def _counters(rng: Generator, world: World, worse: float, served: Floats) -> dict[Labels, Floats]:
    """What each counter of a pod grows by, from the number of requests that are expected."""
    requests = rng.poisson(served)
    if world.tails is None:
        beyond, name, label, values = [1.0, world.share * worse, 0.0], "http_requests_total", "code", ["200", "500"]
    else:
        beyond, name = (
            [1.0, *(tail * worse for tail in world.tails.values()), 0.0],
            "http_request_duration_seconds_bucket",
        )
        label, values = "le", [*(f"{edge:g}" for edge in world.tails), "+Inf"]
    counted: Floats = rng.multinomial(requests, -np.diff(np.minimum(beyond, 1.0))).astype(np.float64)
    counted = counted if world.tails is None else counted.cumsum(axis=1)
    return {(("__name__", name), (label, value)): counted[:, number] for number, value in enumerate(values)}


def _delays(rng: Generator, late: Lateness, samples: int) -> Floats:
    if rng.random() < late.slow_shards:
        return np.full(samples, late.by)
    return np.where(rng.random(samples) < late.share, rng.random(samples) * late.by, 0.0)


ERRORS = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
    },
}
LATENCY = {"name": "latency", "histogram": 'http_request_duration_seconds_bucket{pod=~"{{ pods }}"}'}
TAILS = {0.05: 0.5, 0.1: 0.2, 0.2: 0.05, 0.4: 0.01, 0.8: 0.002}
AT_THE_END = (PLANNED,)
"""One look: what once broke a bound is a Fail then, too."""
EVERY_LOOK = tuple(float(at) for at in range(15, int(PLANNED) + 1, 15) if at % STEP == 0 or at % STEP > STEP - 300)
"""All looks of the last five minutes of each step: where samples are late, each look sees other ones."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of the table: a world of equal candidates, and when it is looked at."""

    world: World
    looks: Sequence[float] = AT_THE_END

    def tolerances(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """None at all, and the one of the README's example."""
        return {}, {"relative": "25%", "absolute": "0.1%"} if self.world.tails is None else {"relative": "10%"}


RESTARTING, FAST = Pods(8, restart_every=300.0), Pods(8, restart_every=60.0)
CELLS = {
    "late by series, 3 % up to 20 s; 1 % at 5,000 rps": Cell(World(5000.0, late=Lateness(0.03)), EVERY_LOOK),
    "slow shards, 25 s; 1 % at 5,000 rps": Cell(World(5000.0, late=Lateness(by=25.0, slow_shards=0.5)), EVERY_LOOK),
    "late by series, 3 % up to 90 s; 1 % at 5,000 rps": Cell(World(5000.0, late=Lateness(0.03, 90.0)), EVERY_LOOK),
    "late by series, latency at 500 rps": Cell(World(500.0, late=Lateness(0.03), tails=TAILS), EVERY_LOOK),
    "stable restarts every 5 min; 0.1 % at 50 rps": Cell(World(50.0, 0.001, stable=RESTARTING)),
    "stable restarts every minute; 1 % at 500 rps": Cell(World(500.0, stable=FAST)),
    "the same, series from the start": Cell(World(500.0, stable=FAST, from_zero=True)),
    "the candidate restarts every minute; 0.1 % at 500 rps": Cell(World(500.0, 0.001, Pods(2, 60.0))),
    "stable restarts every minute, latency at 50 rps": Cell(World(50.0, stable=FAST, tails=TAILS)),
}


def false_rollbacks(cell: Cell, tolerance: Mapping[str, Any], rng: Generator, runs: int) -> tuple[int, int]:
    """How many releases, and how many of them were taken back."""
    metric = {**(ERRORS if cell.world.tails is None else LATENCY), "tolerance": tolerance}
    ends = (taken_back_at(metric, draw(rng, cell.world).read, cell.looks) for _ in range(runs))
    return runs, sum(end is not None for end in ends)
