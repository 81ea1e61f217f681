"""Equal candidates in worlds where the pods or the users of the two arms are not alike: how often they are taken back.

Each cell is one function of the number of runs and a seed. The same releases are judged without any tolerance (strict)
and with the README's. Announced: the operator said before the release that pods are noisy, few, unlike or unknown, or,
where users differ, that they may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr

from benchmarks.analysis.measure import Progress
from benchmarks.analysis.releases import (
    AFTER,
    BEFORE,
    HISTORY_TICKS,
    SCRAPE,
    START,
    Labels,
    Release,
    remembered,
    scraped,
)
from benchmarks.analysis.report import Table, percent, with_bounds
from benchmarks.analysis.trials import Floats, Ints
from benchmarks.analysis.worlds import (
    CLUSTER,
    PRIVATE_BURST_RATE,
    PRIVATE_BURSTS_PER_HOUR,
    PRIVATE_SPREAD,
    autoregressive,
    bursts,
)
from benchmarks.pictures.lab import CANDIDATE, STABLE
from modelrollout.analysis.sensitivity.preflight import prior_of
from modelrollout.analysis.sensitivity.unlike_users import remark
from modelrollout.api.status import UsualMetric
from modelrollout.promql.query import Series

ERRORS: dict[str, Any] = {
    "name": "errors",
    "ratio": {"bad": 'errors_total{pod=~"{{ pods }}"}', "total": 'requests_total{pod=~"{{ pods }}"}'},
}
LATENCY: dict[str, Any] = {"name": "latency", "histogram": 'latency_bucket{pod=~"{{ pods }}"}'}
README = {"errors": {"relative": "25%", "absolute": "0.1%"}, "latency": {"relative": "10%"}}

Metric = Mapping[str, Any]

Rates = Callable[[Generator, Floats], Floats]
"""(generator, shares of errors) to those with noise: (ticks, pods)."""


def compared(metric: Metric) -> tuple[Metric, Metric]:
    """Without any tolerance, and with the README's."""
    return {**metric, "tolerance": {}}, {**metric, "tolerance": README[metric["name"]]}


class World(Protocol):
    """Pods of an equal candidate and of stable."""

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        """Without room for chance, and with as much as people give."""
        ...

    @property
    def are_users_alike(self) -> bool: ...

    def draw(self, rng: Generator, release: Release) -> tuple[list[Series], list[Series]]:
        """The samples of a release, and those of stable's history."""
        ...


def steady(rng: Generator, rates: Floats) -> Floats:
    return rates


def with_bursts(rng: Generator, rates: Floats) -> Floats:
    """About one burst of 30 to 60 s for each pod and hour."""
    more: Floats = PRIVATE_BURST_RATE * bursts(rng, (1, *rates.shape), PRIVATE_BURSTS_PER_HOUR)[0]
    return rates + more


def drifting(rng: Generator, rates: Floats) -> Floats:
    """Each pod's share of errors wanders within minutes."""
    return rates * np.exp(PRIVATE_SPREAD * autoregressive(rng, rates.shape, 0.9, axis=0))


def with_bad_hours(rng: Generator, rates: Floats) -> Floats:
    """Each pod has another share of errors every half hour."""
    each = round(1800 / SCRAPE)
    level = rng.standard_normal((rates.shape[0] // each + 2, rates.shape[1]))
    begin = int(rng.integers(each))
    return rates * np.exp(PRIVATE_SPREAD * np.repeat(level, each, axis=0)[begin : begin + rates.shape[0]])


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of `mine` pods of the candidate and `theirs` of stable.

    `lasting`: spread of the logarithms of pods' shares of errors, for good. `times`: the candidate's share as a
    multiple of stable's, within the README's tolerance. `users`: the same, where it is the users who differ. `cluster`:
    errors that come together. `restarts`: each pod does once. `groups`: of users, by parts of the requests.
    """

    mine: int
    theirs: int
    rps: float = 500.0
    share: float = 0.01
    noise: Rates = steady
    cluster: float = 1.0
    lasting: float = 0.0
    times: float = 1.0
    users: float = 1.0
    has_history: bool = True
    restarts: bool = False
    groups: Mapping[str, float] = field(default_factory=lambda: {"": 1.0})

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        return compared(ERRORS)

    @property
    def are_users_alike(self) -> bool:
        return self.users == 1.0

    def draw(self, rng: Generator, release: Release) -> tuple[list[Series], list[Series]]:
        at, weight = _ticks(release)
        levels = [np.exp(self.lasting * rng.standard_normal(pods)) for pods in (self.mine, self.theirs)]
        candidate = self._counts(rng, levels[0] * self.times * self.users, self.rps * weight / self.mine)
        stable = self._counts(rng, levels[1], self.rps * (1 - weight) / self.theirs)
        arms = ((CANDIDATE, candidate), (STABLE, stable))
        samples = [one for arm, seen in arms for one in scraped(rng, arm, seen, at, restarts=self.restarts)]
        if not self.has_history:
            return samples, []
        past = self._counts(rng, levels[1], np.full(HISTORY_TICKS, self.rps / self.theirs))
        return samples, list(remembered(past))

    def _counts(self, rng: Generator, levels: Floats, rps: Floats) -> dict[Labels, Ints]:
        """Errors and requests, (ticks, pods). `rps`: of each pod, by tick."""
        rates = np.minimum(self.noise(rng, np.tile(self.share * levels, (len(rps), 1))), 1.0)
        n = rng.poisson(SCRAPE * np.tile(rps[:, None], (1, levels.size)))
        bad = rng.binomial(n, rates) if self.cluster <= 1 else _in_clusters(rng, n, rates, self.cluster)
        counted: dict[Labels, Ints] = {}
        for group, part in self.groups.items():
            own, failed = (n, bad) if part >= 1 else (rng.binomial(n - bad, part), rng.binomial(bad, part))
            own = own if part >= 1 else own + failed
            n, bad = n - own, bad - failed
            named = (("group", group),) if group else ()
            for name, grown in (("errors_total", failed), ("right_total", own - failed), ("requests_total", own)):
                counted[("__name__", name), *named] = grown
        return counted


def _in_clusters(rng: Generator, n: Ints, rates: Floats, size: float) -> Ints:
    clusters = rng.poisson(rates * n / size)
    more = rng.negative_binomial(np.maximum(clusters, 1), 1 / size)
    return np.asarray(np.minimum(np.where(clusters > 0, clusters + more, 0), n), dtype=np.int64)


MEDIAN, SPREAD = 0.050, 0.6
FITTING: Floats = np.array([0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.0])
"""Bucket edges where the latency is, seconds."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Lognormal latencies of pods that differ in speed by `lasting`, for good. `cluster`: requests that take as long as
    each other, since they wait for the same."""

    mine: int
    theirs: int
    rps: float = 500.0
    lasting: float = 0.05
    cluster: int = 1
    has_history: bool = True

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        return compared(LATENCY)

    @property
    def are_users_alike(self) -> bool:
        return True

    def draw(self, rng: Generator, release: Release) -> tuple[list[Series], list[Series]]:
        at, weight = _ticks(release)
        speeds = [np.exp(self.lasting * rng.standard_normal(pods)) for pods in (self.mine, self.theirs)]
        candidate = self._counts(rng, speeds[0], self.rps * weight / self.mine)
        stable = self._counts(rng, speeds[1], self.rps * (1 - weight) / self.theirs)
        samples = [*scraped(rng, CANDIDATE, candidate, at), *scraped(rng, STABLE, stable, at)]
        if not self.has_history:
            return samples, []
        past = self._counts(rng, speeds[1], np.full(HISTORY_TICKS, self.rps / self.theirs))
        return samples, list(remembered(past))

    def _counts(self, rng: Generator, speeds: Floats, rps: Floats) -> dict[Labels, Ints]:
        """Requests up to each edge, (ticks, pods)."""
        n = rng.poisson(SCRAPE / self.cluster * np.tile(rps[:, None], (1, speeds.size)))
        within = ndtr(np.log(FITTING[None, :] / MEDIAN / speeds[:, None]) / SPREAD)
        shares = np.diff(within, axis=1, prepend=0.0, append=1.0)
        buckets = self.cluster * rng.multinomial(n, shares[None]).cumsum(axis=2)
        edges = [*(f"{edge:g}" for edge in FITTING.tolist()), "+Inf"]
        return {(("__name__", "latency_bucket"), ("le", edge)): buckets[:, :, at] for at, edge in enumerate(edges)}


def _ticks(release: Release) -> tuple[float, Floats]:
    """When scraping begins, unix seconds, and the candidate's part of the traffic in each tick of SCRAPE."""
    return START - BEFORE, release.weight(np.arange(-BEFORE, release.seconds + AFTER, SCRAPE))


@dataclass(frozen=True, slots=True)
class Found:
    """Of so many releases: taken back without a tolerance and with the README's, and announced beforehand."""

    runs: int
    strict: int = 0
    readme: int = 0
    announced: int = 0


@dataclass(frozen=True, slots=True)
class Bounded:
    """The same pods, judged by other bounds. A limit without room is the share of errors itself, bursts included."""

    pods: Errors
    metrics: tuple[Metric, Metric]

    @property
    def are_users_alike(self) -> bool:
        return self.pods.are_users_alike

    def draw(self, rng: Generator, release: Release) -> tuple[list[Series], list[Series]]:
        return self.pods.draw(rng, release)


RIGHT = {
    "name": "right",
    "ratio": {"good": 'right_total{pod=~"{{ pods }}"}', "total": 'requests_total{pod=~"{{ pods }}"}'},
}
MAX = {**ERRORS, "max": "1%"}, {**ERRORS, "max": "1.5%"}
MAX_OF_BURSTS = {**ERRORS, "max": "1.07%"}, {**ERRORS, "max": "1.5%"}
MIN_OF_BURSTS = {**RIGHT, "min": "98.93%"}, {**RIGHT, "min": "98.5%"}
GROUPS = compared({**ERRORS, "ratio": {**ERRORS["ratio"], "groups": {"label": "group", "values": ["a", "b"]}}})
TWO_GROUPS = {"a": 0.7, "b": 1.0}
"""The part of the requests that are left."""


CELLS: Mapping[str, World] = {
    "bursts, 20+20": Errors(20, 20, noise=with_bursts),
    "bursts, 1+19": Errors(1, 19, noise=with_bursts),
    "bursts, 3+9": Errors(3, 9, noise=with_bursts),
    "bursts, 1+3": Errors(1, 3, noise=with_bursts),
    "clusters, 20+20": Errors(20, 20, cluster=CLUSTER),
    "clusters, 1+19": Errors(1, 19, cluster=CLUSTER),
    "clusters, 1+19, 50 rps": Errors(1, 19, rps=50.0, cluster=CLUSTER),
    "clusters, 1+3": Errors(1, 3, cluster=CLUSTER),
    "clusters, 1+1": Errors(1, 1, cluster=CLUSTER),
    "drifts, 1+19": Errors(1, 19, noise=drifting),
    "within the README's tolerance (×1.2), bursts, 1+19": Errors(1, 19, noise=with_bursts, times=1.2),
    "within the README's tolerance (×1.2), clusters, 1+19": Errors(1, 19, cluster=CLUSTER, times=1.2),
    "no history, clusters, 1+3": Errors(1, 3, cluster=CLUSTER, has_history=False),
    "no history, clusters, 20+20": Errors(20, 20, cluster=CLUSTER, has_history=False),
    "no history, clusters, 1+1": Errors(1, 1, cluster=CLUSTER, has_history=False),
    "no history, bursts, 1+3": Errors(1, 3, noise=with_bursts, has_history=False),
    "differ for good by 15 %, 1+3": Errors(1, 3, lasting=0.15),
    "differ for good by 15 %, 1+19": Errors(1, 19, lasting=0.15),
    "differ for good by 15 %, 3+9": Errors(3, 9, lasting=0.15),
    "differ for good by 15 %, 1+1": Errors(1, 1, lasting=0.15),
    "differ for good by 15 %, no history, 1+3": Errors(1, 3, lasting=0.15, has_history=False),
    "differ for good by 30 %, 1+9": Errors(1, 9, lasting=0.3),
    "differ for half an hour by 30 %, 1+9": Errors(1, 9, noise=with_bad_hours),
    "latency, differ by 5 % in speed, 1+9": Latencies(1, 9),
    "latency, differ by 5 % in speed, 1+3": Latencies(1, 3),
    "latency, differ by 5 % in speed, 3+9": Latencies(3, 9),
    "no history, latency, clusters, 1+3": Latencies(1, 3, lasting=0.0, cluster=5, has_history=False),
    "no history, latency, clusters, 1+3, 50 rps": Latencies(1, 3, 50.0, 0.0, cluster=5, has_history=False),
    "users differ by 10 %, 1+3": Errors(1, 3, users=1.1),
    "restarts, 1+3": Errors(1, 3, restarts=True),
    "max, 1+3": Bounded(Errors(1, 3), MAX),
    "max, clusters, 1+3": Bounded(Errors(1, 3, cluster=CLUSTER), MAX),
    "max, bursts, 1+3": Bounded(Errors(1, 3, noise=with_bursts), MAX_OF_BURSTS),
    "max, restarts, 1+3": Bounded(Errors(1, 3, restarts=True), MAX),
    "max, no history, bursts, 1+3": Bounded(Errors(1, 3, noise=with_bursts, has_history=False), MAX_OF_BURSTS),
    "min, bursts, 1+3": Bounded(Errors(1, 3, noise=with_bursts), MIN_OF_BURSTS),
    "min, restarts, 1+3": Bounded(Errors(1, 3, restarts=True), ({**RIGHT, "min": "99%"}, {**RIGHT, "min": "98.5%"})),
    "groups, 1+3": Bounded(Errors(1, 3, groups=TWO_GROUPS), GROUPS),
    "groups, bursts, 1+3": Bounded(Errors(1, 3, groups=TWO_GROUPS, noise=with_bursts), GROUPS),
    "groups, bursts, 1+19": Bounded(Errors(1, 19, groups=TWO_GROUPS, noise=with_bursts), GROUPS),
    "groups, restarts, 1+3": Bounded(Errors(1, 3, groups=TWO_GROUPS, restarts=True), GROUPS),
}


def cell(name: str, runs: int, seed: int, advance: Callable[[int], None] = lambda runs: None) -> Found:
    """So many releases of a cell; the same for the same seed."""
    world = CELLS[name]
    strict, readme = (Release(metric) for metric in world.metrics)
    found = [_judged(world, np.random.default_rng([seed, run]), strict, readme, advance) for run in range(runs)]
    return Found(runs, *(sum(column) for column in zip(*found, strict=True)))


def _judged(
    world: World, rng: Generator, strict: Release, readme: Release, advance: Callable[[int], None]
) -> tuple[bool, bool, bool]:
    """Whether one release was taken back, without a tolerance and with one, and whether that was announced."""
    samples, past = world.draw(rng, strict)
    noted = [release.usual(past) for release in (strict, readme)]
    taken_back = [
        release.is_taken_back(samples, prior_of(usual), "hard")
        for release, usual in zip((strict, readme), noted, strict=True)
    ]
    advance(1)
    return taken_back[0], taken_back[1], _is_announced(world, strict, noted[0])


def _is_announced(world: World, release: Release, noted: UsualMetric) -> bool:
    """Whether the operator has spoken of just what is unlike here, users or pods."""
    of_users = remark(release.analysis.metrics[0], prior_of(noted), release.stretches)
    if not world.are_users_alike:
        return of_users is not None
    return noted.note not in (None, of_users)


def hard_pods(runs: int, seed: int, progress: Progress, names: Iterable[str] = CELLS) -> Table:
    """The table of all cells."""
    return Table(
        "Equal candidates whose pods or users are not alike: taken back, %",
        ("cell", "strict", "README", "announced"),
        tuple(_rows(runs, seed, progress, names)),
        (
            "Errors 1 %, 500 requests/s, 5/25/50 % for 20 minutes each; n+m: pods of candidate and stable.",
            "In brackets: between which shares the true one lies (Clopper & Pearson, 95 %).",
        ),
    )


def _rows(runs: int, seed: int, progress: Progress, names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    for name in names:
        progress.begin(name, runs)
        found = cell(name, runs, seed, progress.advance)
        rates = (with_bounds(runs, hits) for hits in (found.strict, found.readme))
        yield (name, *rates, percent(found.announced / runs, runs))
