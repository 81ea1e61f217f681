"""Counts as Prometheus has them: raw samples of cumulative counters, pod by pod, with all that goes wrong in scraping.

For tests of the whole way from samples to verdict: what is put in is exactly what a careful reader gets out, however
the habits below are set, because nothing is lost that could be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from benchmarks.analysis.trials import Floats, Ints
from modelrollout.promql.query import Series

Labels = tuple[tuple[str, str], ...]

CANDIDATE, STABLE, BAD, TOTAL = "candidate", "stable", "bad", "total"


@dataclass(frozen=True, slots=True)
class Habits:
    """How pods are scraped. Shares are per scrape, rates per pod and hour, times in seconds."""

    interval: float = 10.0
    staggered: bool = True
    """Each pod has its own offset within the interval, as Prometheus gives every target."""
    missed: float = 0.0
    """Share of scrapes that bring no sample; the next one brings the sum."""
    duplicated: float = 0.0
    """Share of samples that are delivered twice, with the same time."""
    late: float = 0.0
    """Share of samples that can be read only `late_by` seconds after their time."""
    late_by: float = 30.0
    resets: float = 0.0
    """A pod's process starts again under the same name: its counters begin at zero."""
    churn: float = 0.0
    """A pod is replaced by one with another name, whose first sample is zero."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The samples of one series in order of time, and when each can be read, unix seconds."""

    labels: Labels
    times: Floats
    values: Floats
    readable: Floats

    def read(self, start: float, end: float, now: float) -> Series:
        """Samples with start < time ≤ end that have arrived by now."""
        seen = (self.times > start) & (self.times <= end) & (self.readable <= now)
        samples = zip(self.times[seen].tolist(), self.values[seen].tolist(), strict=True)
        return Series(dict(self.labels), tuple(samples))


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Everything that was scraped of some pods."""

    timelines: tuple[Timeline, ...]

    def read(self, start: float, end: float, now: float | None = None, **labels: str) -> tuple[Series, ...]:
        """The series with these labels that have samples in start < time ≤ end; `now` is `end` when left out."""
        found = (
            timeline.read(start, end, end if now is None else now)
            for timeline in self.timelines
            if labels.items() <= dict(timeline.labels).items()
        )
        return tuple(series for series in found if series.samples)


@dataclass(frozen=True, slots=True)
class _Life:
    """One pod's process or the successor of it: sample indexes first..last, the counters being zero at `first`."""

    name: str
    first: int
    last: int


def scraped(rng: Generator, pods: Mapping[str, Mapping[Labels, Ints]], habits: Habits, start: float = 0.0) -> Scrapes:
    """pods: name to its counters, each with increments (ticks,); tick k lies between a pod's scrapes k and k + 1.

    The first sample is at `start` plus the pod's offset, and the last one is never missed.
    """
    return Scrapes(tuple(line for name, counters in pods.items() for line in _pod(rng, name, counters, habits, start)))


def _pod(
    rng: Generator, name: str, counters: Mapping[Labels, Ints], habits: Habits, start: float
) -> Iterator[Timeline]:
    increments = np.stack(list(counters.values()))
    ticks = increments.shape[1]
    before = rng.integers(0, 1000, len(increments))
    for life in _lives(rng, name, ticks, habits):
        offset = rng.random() * habits.interval if habits.staggered else 0.0
        base = before if life.first == 0 else np.zeros_like(before)
        values, resets = _values(rng, base, increments[:, life.first : life.last], habits)
        kept: npt.NDArray[np.bool_] = np.asarray(rng.random(values.shape[1]) >= habits.missed)
        kept[[0, -1]] = True
        kept[resets] = kept[np.maximum(resets - 1, 0)] = True  # a reset between two gaps would hide what came before it
        index = np.flatnonzero(kept)
        twice = np.repeat(index, 1 + (rng.random(len(index)) < habits.duplicated))
        times: Floats = np.asarray(start + offset + (life.first + twice) * habits.interval, dtype=np.float64)
        readable: Floats = times + np.where(rng.random(len(times)) < habits.late, habits.late_by, 0.0)
        for labels, row in zip(counters, values, strict=True):
            yield Timeline((*labels, ("pod", life.name)), times, row[twice].astype(np.float64), readable)


def _lives(rng: Generator, name: str, ticks: int, habits: Habits) -> Iterator[_Life]:
    ends = np.flatnonzero(rng.random(ticks) < habits.churn * habits.interval / 3600)
    edges = [0, *(int(end) for end in ends if 0 < end < ticks), ticks]
    for number, (first, last) in enumerate(pairwise(edges)):
        yield _Life(name if number == 0 else f"{name}-{number}", first, last)


def _values(rng: Generator, base: Ints, increments: Ints, habits: Habits) -> tuple[Ints, npt.NDArray[np.intp]]:
    """Cumulative values at each scrape (counters, scrapes), and the scrapes that are the first after a reset.

    A process is never begun again where its counters would not be seen to fall: nobody could count that.
    """
    wanted = np.asarray(rng.random(increments.shape[1]) < habits.resets * habits.interval / 3600)
    values = np.empty((len(base), increments.shape[1] + 1), dtype=np.int64)
    values[:, 0] = current = base
    resets = []
    for tick, more in enumerate(increments.T):
        if wanted[tick] and bool(np.all((more < current) | (current == 0))):
            resets.append(tick + 1)
            current = np.zeros_like(base)
        values[:, tick + 1] = current = current + more
    return values, np.asarray(resets, dtype=np.intp)


def errors(rng: Generator, bad: Ints, n: Ints, habits: Habits, start: float = 0.0, arm: str = STABLE) -> Scrapes:
    """Of one run's (ticks, pods): series errors_total and requests_total, with the labels `part`, `arm` and `pod`."""
    return scraped(
        rng,
        {
            f"{arm}-{pod}": {
                (("__name__", "errors_total"), ("part", BAD), ("arm", arm)): bad[:, pod],
                (("__name__", "requests_total"), ("part", TOTAL), ("arm", arm)): n[:, pod],
            }
            for pod in range(bad.shape[1])
        },
        habits,
        start,
    )


def latencies(
    rng: Generator, buckets: Ints, edges: Floats, habits: Habits, start: float = 0.0, arm: str = CANDIDATE
) -> Scrapes:
    """Of one run's (ticks, pods, buckets): the cumulative series of a classic histogram, with the label `le`."""
    upto = np.cumsum(buckets, axis=2)
    return scraped(
        rng,
        {
            f"{arm}-{pod}": {
                (("__name__", "latency_bucket"), ("arm", arm), ("le", "+Inf" if np.isinf(edge) else f"{edge:g}")): upto[
                    :, pod, number
                ]
                for number, edge in enumerate(edges)
            }
            for pod in range(buckets.shape[1])
        },
        habits,
        start,
    )
