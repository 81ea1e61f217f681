"""The samples that were fetched, kept as arrays and cut to the window of a look. Pure.

A reel holds the samples of one query, piece after piece. Samples that no later look can ask for are dropped, so a year
takes no more memory than a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modelrollout.promql.matchers import NAME
from modelrollout.promql.query import Series
from modelrollout.promql.selectors import BUCKET

Floats = npt.NDArray[np.float64]
LabelSet = tuple[tuple[str, str], ...]
EDGE_LABEL = "le"
SAME_MOMENT = 5e-4  # seconds; Prometheus knows no finer moments than milliseconds


@dataclass(slots=True)
class Strip:
    """One series: samples, oldest first."""

    labels: Mapping[str, str]
    times: Floats
    values: Floats

    def cut(self, start: float, end: float) -> Series | None:
        """Samples with start < t ≤ end; None without any."""
        first, last = np.searchsorted(self.times, (start + SAME_MOMENT, end + SAME_MOMENT)).tolist()
        if first >= last:
            return None
        pairs = zip(self.times[first:last].tolist(), self.values[first:last].tolist(), strict=True)
        return Series(self.labels, tuple(pairs))


@dataclass(slots=True)
class Reel:
    """What one query has yielded so far, for samples up to `reach`."""

    reach: float
    label: str | None = None  # that tells pods apart
    strips: dict[LabelSet, Strip] = field(default_factory=dict)
    by_pod: defaultdict[str, list[Strip]] = field(default_factory=lambda: defaultdict(list))
    samples: int = 0  # fetched, also those forgotten since

    def append(self, series: Iterable[Series], reach: float) -> None:
        """Appends samples from the old `reach` to the new one."""
        for one in _filled(tuple(series), self.strips):
            self._add(one)
        self.reach = reach

    def _add(self, one: Series) -> None:
        table = np.array(one.samples, dtype=np.float64).reshape(-1, 2)
        self.samples += len(table)
        key = tuple(sorted(one.labels.items()))
        known = self.strips.get(key)
        if known is None:
            self.strips[key] = known = Strip(one.labels, table[:, 0], table[:, 1])
            self.by_pod[one.labels.get(self.label or "", "")].append(known)
            return
        table = table[table[:, 0] > known.times[-1] + SAME_MOMENT] if known.times.size else table
        known.times = np.concatenate((known.times, table[:, 0]))
        known.values = np.concatenate((known.values, table[:, 1]))

    def forget(self, before: float) -> None:
        """Drop samples before a moment, and series that are empty then."""
        gone = []
        for key, strip in self.strips.items():
            first = int(np.searchsorted(strip.times, before))
            if first:
                strip.times, strip.values = strip.times[first:].copy(), strip.values[first:].copy()
            if not strip.times.size:
                gone.append(key)
        for key in gone:
            del self.strips[key]
        if gone:
            kept = defaultdict(list)
            for strip in self.strips.values():
                kept[strip.labels.get(self.label or "", "")].append(strip)
            self.by_pod = kept

    def cut(self, start: float, end: float, of: Callable[[str], bool] | None = None) -> tuple[Series, ...]:
        """The samples with start < t ≤ end; `of`: the pods meant, by their label."""
        strips = (
            self.strips.values()
            if of is None
            else (strip for pod, strips in self.by_pod.items() if of(pod) for strip in strips)
        )
        return tuple(series for strip in strips if (series := strip.cut(start, end)) is not None)

    def pods(self, start: float, end: float) -> set[str]:
        """The pods that were there all the time: seen near both ends."""
        found = set()
        for pod, strips in self.by_pod.items():
            times = [strip.times for strip in strips if strip.times.size]
            if pod and times and min(t[0] for t in times) <= start and max(t[-1] for t in times) >= end:
                found.add(pod)
        return found

    def shown_by(self, pod: str) -> list[Series]:
        """The series of a pod, for their labels only."""
        return [Series(strip.labels, ()) for strip in self.by_pod.get(pod, ())]


def _filled(series: Sequence[Series], known: Mapping[LabelSet, Strip]) -> Iterator[Series]:
    """Gives native histograms the same edges in every piece: their edges depend on the samples in an answer.

    Nothing was counted between an edge that is left out and the nearest lower one.
    """
    groups: defaultdict[LabelSet, dict[float, Series]] = defaultdict(dict)
    for one in series:
        if _is_native(one.labels):
            groups[_without_edge(one.labels)][float(one.labels[EDGE_LABEL])] = one
        else:
            yield one
    before: defaultdict[LabelSet, dict[float, Series]] = defaultdict(dict)
    for strip in known.values() if groups else ():
        if _is_native(strip.labels) and strip.times.size:
            whole = tuple(zip(strip.times.tolist(), strip.values.tolist(), strict=True))
            before[_without_edge(strip.labels)][float(strip.labels[EDGE_LABEL])] = Series(strip.labels, whole)
    for group, now in groups.items():
        then = before.get(group, {})
        for edge in sorted(set(now) | set(then)):
            labels = now[edge].labels if edge in now else then[edge].labels
            early = then[edge].samples if edge in then else _at_edge(then, edge)
            late = now[edge].samples if edge in now else _at_edge(now, edge)
            yield Series(labels, late if edge in then else early + late)


def _at_edge(group: Mapping[float, Series], edge: float) -> tuple[tuple[float, float], ...]:
    """A native histogram's samples at an edge that it was not given."""
    lower = max((one for one in group if one < edge), default=None)
    if lower is not None:
        return group[lower].samples
    return tuple((at, 0.0) for at, _ in next(iter(group.values())).samples) if group else ()


def _is_native(labels: Mapping[str, str]) -> bool:
    return EDGE_LABEL in labels and not labels.get(NAME, BUCKET).endswith(BUCKET)


def _without_edge(labels: Mapping[str, str]) -> LabelSet:
    return tuple(sorted((name, value) for name, value in labels.items() if name != EDGE_LABEL))


ReelKey = tuple[str, str, str]
"""Metric, arm (or pod), part."""


@dataclass(slots=True)
class Tape:
    """All reels."""

    reels: dict[ReelKey, Reel] = field(default_factory=dict)

    def forget(self, before: float) -> None:
        for reel in self.reels.values():
            reel.forget(before)

    @property
    def samples(self) -> int:
        return sum(reel.samples for reel in self.reels.values())
