"""How much counters grew in each tick, from their raw samples. Pure.

The rules, for each series (statistics: no rate() and no increase(), which extrapolate):
- An increment is the difference of two samples that follow one another, or the later one after a reset to less.
- The first sample is the baseline when its target (the scraped process) is first seen in that very scrape: what it
  counted before is not known to belong to this time, be it new or merely not scraped until now.
- A series that appears later than its target grew from 0: the target was scraped before, and had counted nothing there.
  That is how most client libraries show the first error of a process, which must not be lost.
- A gap between scrapes loses nothing, up to the look-back: beyond it nobody can tell whether there was a sample before.
- What no counter can show (NaN, ±Inf, negative numbers, numbers too large to grow by one) is no sample.
- Pods are scraped at different moments. So that both arms are compared over the same instants, an increment is spread
  evenly over the time between its two samples, and ticks take their parts of it. Splitting an increment keeps the tests
  valid: E[e^a] ≤ E[e]^a for a part a of it (Jensen).
- While a pod is new (its warm-up), nothing of it counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.promql.query import Series

Floats = npt.NDArray[np.float64]
Target = tuple[tuple[str, str], ...]

LARGEST_COUNT = 2.0**53
ALIVE_SCRAPES = 2.5
"""Scrapes after which a target that was not seen any more holds nobody up."""
NEW_SCRAPES = 1.5
"""Scrapes into the look-back after which a target that was not seen before is new."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The clean samples of one series, oldest first."""

    labels: Mapping[str, str]
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class Reading:
    """How samples are read: from where they were asked for, and what of them does not count (seconds)."""

    since: float
    look_back: float
    warm_up: float


def clean(series: Iterable[Series]) -> list[Samples]:
    """Each series once, in order of its labels, its samples in order of time; series without any are left out."""
    merged: defaultdict[Target, list[tuple[float, float]]] = defaultdict(list)
    for one in series:
        merged[tuple(sorted(one.labels.items()))].extend(one.samples)
    cleaned = (_clean(labels, merged[labels]) for labels in sorted(merged))
    return [one for one in cleaned if one.times.size]


def _clean(labels: Target, samples: Sequence[tuple[float, float]]) -> Samples:
    table = np.array(samples, dtype=np.float64).reshape(-1, 2)
    table = table[(table[:, 1] >= 0) & (table[:, 1] <= LARGEST_COUNT)]  # neither holds for NaN
    if (table[1:, 0] > table[:-1, 0]).all():
        return Samples(dict(labels), table[:, 0], table[:, 1])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    # Of two values for one moment (a list that was read twice, a second writer) the larger: it has seen more.
    is_last = np.append(table[1:, 0] != table[:-1, 0], True)[: len(table)]
    return Samples(dict(labels), table[is_last, 0], table[is_last, 1])


def target_of(labels: Mapping[str, str]) -> Target | None:
    """What tells the scraped process that counted this from others; None when no label does."""
    named = {name for name in labels if "pod" in name or "instance" in name}
    if not named:
        return None
    return tuple(sorted((name, labels[name]) for name in named | ({"job", "namespace", "container"} & set(labels))))


@dataclass(frozen=True, slots=True)
class Scrapes:
    """When the targets of one arm were scraped: first, last, how often, and until when each is new."""

    first: Mapping[Target, float]
    spacing: float
    frontier: float
    """Up to here everything is known: the earliest last scrape of those targets that still answer."""
    newest: float
    warm: Mapping[Target, float]


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """One arm's counters, of all and of those of interest (`part`: bad or good); and when they were scraped."""

    part: str
    events: list[Samples]
    total: list[Samples]
    scrapes: Scrapes


def scrapes_of(parts: Iterable[Sequence[Samples]], reading: Reading) -> Scrapes | None:
    """What the scrapes of an arm's series tell; None without samples."""
    first: dict[Target, float] = {}
    last: dict[Target, float] = {}
    parts = [part for part in parts if part]
    if not parts:
        return None
    spacing = _spacing([one for part in parts for one in part])
    for part in parts:
        latest: dict[Target, float] = {}
        for one in part:
            target = target_of(one.labels) or ()
            first[target] = min(first.get(target, math.inf), float(one.times[0]))
            latest[target] = max(latest.get(target, -math.inf), float(one.times[-1]))
        for target, at in latest.items():  # the parts of a ratio may be a scrape apart: the older one counts
            last[target] = min(last.get(target, math.inf), at)
    newest = max(float(one.times[-1]) for part in parts for one in part)
    alive = [at for at in last.values() if at >= newest - ALIVE_SCRAPES * spacing] or [newest]
    new_after = reading.since + NEW_SCRAPES * (spacing if spacing < math.inf else 0.0)
    warm = {target: at + reading.warm_up for target, at in first.items() if at > new_after and target}
    return Scrapes(first, spacing, min(alive), newest, warm)


def _spacing(samples: Iterable[Samples]) -> float:
    """How long it usually is from one scrape to the next; infinite while nothing was scraped twice."""
    gaps = [np.diff(one.times[-20:]) for one in samples if one.times.size > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else math.inf


NEVER: Floats = np.array([])


def grown(one: Samples, edges: Floats, arm: Scrapes, reading: Reading, resets: Floats = NEVER) -> Floats:
    """How much a series grew between neighbouring edges; at `resets` it is known to have started anew."""
    times, values = one.times, one.values
    target = target_of(one.labels)
    start = _grows_from_zero_since(one, target, arm)
    if start is not None:
        times, values = np.append(start, times), np.append(0.0, values)
    steps = np.diff(values)
    is_reset = steps < 0
    if resets.size:
        is_reset |= np.isin(times[1:], resets)
    steps = np.where(is_reset, values[1:], steps)
    drop = np.diff(times) > reading.look_back
    if (warm := arm.warm.get(target or ())) is not None:
        drop |= times[:-1] < warm
    if drop.any():
        steps = np.where(drop, 0.0, steps)
    sums = np.concatenate(([0.0], steps.cumsum()))
    return np.diff(np.interp(edges, times, sums))


def _grows_from_zero_since(one: Samples, target: Target | None, arm: Scrapes) -> float | None:
    """Since when a series that its target did not show before has been growing from 0.

    Half a scrape is allowed for, as not everything that stores samples gives those of a scrape one time. To take an old
    series for a new one is the dear mistake: all that it ever counted would count.
    """
    first = arm.first.get(target, math.inf) if target else math.inf
    at = float(one.times[0])
    if arm.spacing == math.inf or at <= first + arm.spacing / 2:
        return None
    return max(at - arm.spacing, first)


def total_growth(samples: Sequence[Samples], edges: Floats, arm: Scrapes, reading: Reading) -> Floats:
    """How much all series together grew between neighbouring edges."""
    if not samples:
        return np.zeros(len(edges) - 1)
    return np.asarray(np.sum([grown(one, edges, arm, reading) for one in samples], axis=0), dtype=np.float64)


def by_target(samples: Sequence[Samples], edges: Floats, arm: Scrapes, reading: Reading) -> dict[Target, Floats]:
    """The same for each target by itself."""
    found: dict[Target, Floats] = {}
    for one in samples:
        target = target_of(one.labels) or ()
        more = grown(one, edges, arm, reading)
        found[target] = found[target] + more if target in found else more
    return found
