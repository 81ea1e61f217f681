"""The growth of counters in each tick, from their raw samples. Pure.

The rules, for each series (statistics: no rate() and no increase(), which extrapolate):
- An increment is the difference of two neighbouring samples; after a reset it is the later sample.
- The first sample of a series is its baseline if its target (the scraped process) appears in the same scrape: the time
  of the counts before it is unknown.
- A series that appears later than its target grew from 0: the target was scraped before without it. Most client
  libraries show the first error of a process like this, and it must not be lost.
- A gap between scrapes loses nothing, up to the look-back. Beyond it earlier samples are unknown.
- Impossible values of a counter (NaN, ±Inf, negative numbers, numbers too large to grow by one) are no samples.
- Pods are scraped at different moments. So that both arms are compared over the same instants, an increment is spread
  evenly over the time between its two samples, and each tick takes its part. Splitting an increment keeps the tests
  valid: E[e^a] ≤ E[e]^a for a part a of it (Jensen).
- During the warm-up of a new pod its increments are dropped.
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
"""A target that missed this many scrapes is gone, and the frontier no longer waits for it."""
NEW_SCRAPES = 1.5
"""A target that appears later than this many scrapes into the look-back is new."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The valid samples of one series, oldest first."""

    labels: Mapping[str, str]
    times: Floats
    values: Floats


@dataclass(frozen=True, slots=True)
class SampleWindow:
    """How samples are read: the time from which they were asked for, and the look-back and warm-up in seconds."""

    since: float
    look_back: float
    warm_up: float


def clean(series: Iterable[Series]) -> list[Samples]:
    """Each series once, sorted by labels, its samples sorted by time; series without samples are left out."""
    merged: defaultdict[Target, list[tuple[float, float]]] = defaultdict(list)
    for one in series:
        merged[tuple(sorted(one.labels.items()))].extend(one.samples)
    cleaned = (_clean(labels, merged[labels]) for labels in sorted(merged))
    return [one for one in cleaned if one.times.size]


def _clean(labels: Target, samples: Sequence[tuple[float, float]]) -> Samples:
    table = np.array(samples, dtype=np.float64).reshape(-1, 2)
    table = table[(table[:, 1] >= 0) & (table[:, 1] <= LARGEST_COUNT)]  # both comparisons are false for NaN
    if (table[1:, 0] > table[:-1, 0]).all():
        return Samples(dict(labels), table[:, 0], table[:, 1])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    # Of two values for one moment (a page read twice, a second writer) the larger one: it is the newer count.
    is_last = np.append(table[1:, 0] != table[:-1, 0], True)[: len(table)]
    return Samples(dict(labels), table[is_last, 0], table[is_last, 1])


def target_of(labels: Mapping[str, str]) -> Target | None:
    """The labels that identify the scraped process; None when no label does."""
    named = {name for name in labels if "pod" in name or "instance" in name}
    if not named:
        return None
    return tuple(sorted((name, labels[name]) for name in named | ({"job", "namespace", "container"} & set(labels))))


@dataclass(frozen=True, slots=True)
class Scrapes:
    """When the targets of one arm were scraped. `warm`: the end of each new target's warm-up."""

    first: Mapping[Target, float]
    spacing: float
    frontier: float
    """Up to here all samples are there: the earliest last scrape of the targets that still answer."""
    newest: float
    warm: Mapping[Target, float]


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """One arm's counters of all requests and of bad or good ones (`part`), and when they were scraped."""

    part: str
    events: list[Samples]
    total: list[Samples]
    scrapes: Scrapes


def scrapes_of(parts: Iterable[Sequence[Samples]], window: SampleWindow) -> Scrapes | None:
    """The scrapes of an arm, from its series; None without samples."""
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
        for target, at in latest.items():  # the parts of a ratio may be one scrape apart: the older one counts
            last[target] = min(last.get(target, math.inf), at)
    newest = max(float(one.times[-1]) for part in parts for one in part)
    alive = [at for at in last.values() if at >= newest - ALIVE_SCRAPES * spacing] or [newest]
    new_after = window.since + NEW_SCRAPES * (spacing if spacing < math.inf else 0.0)
    warm = {target: at + window.warm_up for target, at in first.items() if at > new_after and target}
    return Scrapes(first, spacing, min(alive), newest, warm)


def _spacing(samples: Iterable[Samples]) -> float:
    """The median time between two scrapes; infinite while nothing was scraped twice."""
    gaps = [np.diff(one.times[-20:]) for one in samples if one.times.size > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else math.inf


NEVER: Floats = np.array([])


def growth(one: Samples, edges: Floats, arm: Scrapes, window: SampleWindow, resets: Floats = NEVER) -> Floats:
    """The growth of a series between neighbouring edges. `resets`: times of known resets."""
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
    drop = np.diff(times) > window.look_back
    if (warm := arm.warm.get(target or ())) is not None:
        drop |= times[:-1] < warm
    if drop.any():
        steps = np.where(drop, 0.0, steps)
    sums = np.concatenate(([0.0], steps.cumsum()))
    return np.diff(np.interp(edges, times, sums))


def _grows_from_zero_since(one: Samples, target: Target | None, arm: Scrapes) -> float | None:
    """The time from which a series that appears later than its target grew from 0; None for any other series.

    It has to be later by half a scrape, since some stores give the samples of one scrape different times. Taking an old
    series for a new one is the costly mistake: its whole count would be growth.
    """
    first = arm.first.get(target, math.inf) if target else math.inf
    at = float(one.times[0])
    if arm.spacing == math.inf or at <= first + arm.spacing / 2:
        return None
    return max(at - arm.spacing, first)


def total_growth(samples: Sequence[Samples], edges: Floats, arm: Scrapes, window: SampleWindow) -> Floats:
    """The growth of all series together between neighbouring edges."""
    if not samples:
        return np.zeros(len(edges) - 1)
    return np.asarray(np.sum([growth(one, edges, arm, window) for one in samples], axis=0), dtype=np.float64)


def by_target(samples: Sequence[Samples], edges: Floats, arm: Scrapes, window: SampleWindow) -> dict[Target, Floats]:
    """The same for each target by itself."""
    found: dict[Target, Floats] = {}
    for one in samples:
        target = target_of(one.labels) or ()
        more = growth(one, edges, arm, window)
        found[target] = found[target] + more if target in found else more
    return found
