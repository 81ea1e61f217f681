"""The growth of counters in each tick, from their raw samples. Pure.

The rules, for each series (statistics: no rate() and no increase(), which extrapolate):
- An increment is the difference of two neighbouring samples; after a reset it is the later sample.
- The first sample of a series is its baseline if its target (the scraped process) appears in the same scrape: the time
  of the counts before it is unknown.
- A series that appears later than its target grew from 0: the target was scraped before without it. Most client
  libraries show the first error of a process like this, and it must not be lost.
- A process that starts again begins all its counters anew. Large counters show it by falling, and it holds for all: a
  series with one error before and one after grew by one, though it never fell.
- All series of a process count up to the same scrape. One that is behind the others (a slow shard of a remote write)
  holds its process back, or errors would count before their requests.
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
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ticks import SHORTEST_LOOK_BACK
from modelrollout.promql.query import Series

Floats = npt.NDArray[np.float64]
Target = tuple[tuple[str, str], ...]

LARGEST_COUNT = 2.0**53
ALIVE_SCRAPES = 2.5
"""A target that missed this many scrapes is gone, and the frontier no longer waits for it."""
LONGEST_LAG = SHORTEST_LOOK_BACK.total_seconds()
"""Seconds by which a series may be behind the others of its process. One that is silent for longer has ended."""
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
class Process:
    """How one target was scraped. `known`: up to here all its series are there. `restarts`: the first scrapes after."""

    scrapes: Floats
    known: float
    restarts: Floats

    def scrape_before(self, moment: float, spacing: float) -> float:
        """The scrape before a sample, half a scrape apart at least: stores may give one scrape different times."""
        place = int(np.searchsorted(self.scrapes, moment - spacing / 2)) - 1
        return float(self.scrapes[place]) if place >= 0 else -math.inf


@dataclass(frozen=True, slots=True)
class RunningSum:
    """What a series grew by in all, at each of its times; linear between them. `known`: up to here all of it is there.

    `of` is kept so that nothing else gets its identity.
    """

    of: Samples
    known: float
    times: Floats
    sums: Floats


SumKey = tuple[int, SampleWindow, bytes]
"""The identity of a series, how it is read, and the resets that are known of it."""


@dataclass(frozen=True, slots=True)
class Scrapes:
    """When the targets of one arm were scraped. `warm`: the end of each new target's warm-up."""

    processes: Mapping[Target, Process]
    first: Mapping[Target, float]
    spacing: float
    frontier: float
    """Up to here all samples are there: the earliest last scrape of the targets that still answer."""
    newest: float
    warm: Mapping[Target, float]
    sums: dict[SumKey, RunningSum] = field(default_factory=dict, compare=False)
    """Each made when it is first asked for: a look asks for the growth between edges of many kinds."""


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """One arm's counters of all requests and of bad or good ones (`part`), and when they were scraped."""

    part: str
    events: list[Samples]
    total: list[Samples]
    scrapes: Scrapes


def scrapes_of(parts: Iterable[Sequence[Samples]], window: SampleWindow) -> Scrapes | None:
    """The scrapes of an arm, from its series; None without samples. Restarts show in the part that counts most."""
    parts = [part for part in parts if part]
    if not parts:
        return None
    every = [one for part in parts for one in part]
    spacing = _spacing(every)
    counting = _by_target(max(parts, key=lambda part: sum(float(one.values[-1]) for one in part)))
    groups = _by_target(every)
    processes = {target: _process(group, counting.get(target, ()), spacing) for target, group in groups.items()}
    first = {target: min(float(one.times[0]) for one in group) for target, group in groups.items()}
    known = [process.known for process in processes.values()]
    alive = (at for at in known if at >= max(known) - ALIVE_SCRAPES * spacing)
    newest = max(float(one.times[-1]) for one in every)
    new_after = window.since + NEW_SCRAPES * (spacing if spacing < math.inf else 0.0)
    warm = {target: at + window.warm_up for target, at in first.items() if at > new_after and target}
    return Scrapes(processes, first, spacing, min(alive), newest, warm)


def _by_target(samples: Iterable[Samples]) -> dict[Target, list[Samples]]:
    groups: defaultdict[Target, list[Samples]] = defaultdict(list)
    for one in samples:
        groups[target_of(one.labels) or ()].append(one)
    return groups


def _process(group: Sequence[Samples], counting: Sequence[Samples], spacing: float) -> Process:
    """`group`: all series of a target. `counting`: those of the part that counts most."""
    restarts = _restarts(counting, spacing)
    last_restart = restarts[-1] if restarts.size else -math.inf
    last = [float(one.times[-1]) for one in group]
    # A series that ended, by itself or with its process, holds nobody back.
    oldest = max(max(last) - max(LONGEST_LAG, ALIVE_SCRAPES * spacing), last_restart)
    known = min(at for at in last if at >= oldest)
    return Process(max((one.times for one in group), key=len), known, restarts)


def _restarts(counting: Sequence[Samples], spacing: float) -> Floats:
    """The first scrapes after each restart of a process: where its counters fell, and the others could have, too.

    One counter may fall alone, such as that of one worker among several that share the target's labels. So the others
    must have counted no more since the restart than those that fell.
    """
    falls = sorted(
        (float(one.times[at]), float(one.times[at + 1]))
        for one in counting
        for at in np.flatnonzero(one.values[1:] < one.values[:-1]).tolist()
    )
    between: list[tuple[float, float]] = []
    for before, after in falls:
        if between and before < between[-1][1]:  # one restart; the shortest time between two samples tells best when
            between[-1] = (max(before, between[-1][0]), min(after, between[-1][1]))
        else:
            between.append((before, after))
    return np.array([after for _, after in between if _did_all_restart(counting, after, spacing)])


def _did_all_restart(counting: Sequence[Samples], after: float, spacing: float) -> bool:
    fallen = others = 0.0
    for one in counting:
        at = int(np.searchsorted(one.times, after))
        if not 0 < at < one.times.size or one.times[at] > after + spacing / 2 or one.values[at - 1] == 0:
            continue
        if one.values[at] < one.values[at - 1]:
            fallen += float(one.values[at])
        else:
            others += float(one.values[at])
    return others <= fallen


def _spacing(samples: Iterable[Samples]) -> float:
    """The median time between two scrapes; infinite while nothing was scraped twice."""
    gaps = [np.diff(one.times[-20:]) for one in samples if one.times.size > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else math.inf


NEVER: Floats = np.array([])


def growth(one: Samples, edges: Floats, arm: Scrapes, window: SampleWindow, resets: Floats = NEVER) -> Floats:
    """The growth of a series between neighbouring edges. `resets`: known times of samples that follow a reset."""
    key = (id(one), window, resets.tobytes())
    running = arm.sums.get(key)
    if running is None:
        running = arm.sums[key] = _running_sum(one, arm, window, resets)
    at_edges = np.interp(np.minimum(edges, running.known), running.times, running.sums)
    return np.asarray(at_edges[1:] - at_edges[:-1], dtype=np.float64)


def _running_sum(one: Samples, arm: Scrapes, window: SampleWindow, resets: Floats) -> RunningSum:
    target, known = target_of(one.labels), math.inf
    if target is not None:  # without one, nothing is known of which series belong together
        process = arm.processes[target]
        known, resets = process.known, np.append(resets, process.restarts) if process.restarts.size else resets
    times, values = _with_zeros(one, target, arm, resets)
    steps = np.maximum(values[1:] - values[:-1], 0.0)  # each fall leads to a zero
    drop = times[1:] - times[:-1] > window.look_back
    if (warm := arm.warm.get(target or ())) is not None:
        drop |= times[:-1] < warm
    if drop.any():
        steps = np.where(drop, 0.0, steps)
    return RunningSum(one, known, times, np.concatenate(([0.0], steps.cumsum())))


def _with_zeros(one: Samples, target: Target | None, arm: Scrapes, resets: Floats) -> tuple[Floats, Floats]:
    """The samples, and a zero before each one from which the series grew from 0: after a birth or a reset.

    The zero is at the scrape before, which found the process without the series, or with its old count.
    """
    begins = np.flatnonzero(one.values[1:] < one.values[:-1]) + 1
    if resets.size:
        places = np.searchsorted(one.times, resets)
        begins = np.union1d(begins, places[(places > 0) & (places < one.times.size)])
    zeros = [_scrape_before(one, int(at), target, arm) for at in begins]
    if _is_born(one, target, arm):
        begins, zeros = np.append(0, begins), [_scrape_before(one, 0, target, arm), *zeros]
    if not zeros:
        return one.times, one.values
    return np.insert(one.times, begins, zeros), np.insert(one.values, begins, 0.0)


def _is_born(one: Samples, target: Target | None, arm: Scrapes) -> bool:
    """Whether a series appears later than its target.

    It has to be later by half a scrape, since some stores give the samples of one scrape different times. Taking an old
    series for a new one is the costly mistake: its whole count would be growth.
    """
    if target is None or arm.spacing == math.inf:
        return False
    return float(one.times[0]) > arm.first[target] + arm.spacing / 2


def _scrape_before(one: Samples, at: int, target: Target | None, arm: Scrapes) -> float:
    """The last time before a sample at which its process was scraped without it, else the time of the sample before."""
    earlier = float(one.times[at - 1]) if at else arm.first[target or ()]
    return earlier if target is None else max(earlier, arm.processes[target].scrape_before(one.times[at], arm.spacing))


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
