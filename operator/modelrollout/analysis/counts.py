"""How much counters grew inside a window, from their raw samples. Pure.

The rules, for each series (statistics: no rate() and no increase(), which extrapolate):
- An increment is the difference of two samples that follow one another, or the later one after a reset to less.
- The first sample is the baseline when its target (the scraped process) is first seen in that very scrape: what it
  counted before is not known to belong to this window, be it new or merely not scraped until now.
- A series that appears later than its target grew from 0: the target was scraped before, and had counted nothing there.
  That is how most client libraries show the first error of a process, which must not be lost.
- A gap between scrapes loses nothing: the increment across it is counted. A series that vanished keeps what was seen.
- What no counter can show (NaN, ±Inf, negative numbers, numbers too large to grow by one) is no sample.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.queries import Series

Floats = npt.NDArray[np.float64]
Target = tuple[tuple[str, str], ...]

LARGEST = 2.0**53


@dataclass(frozen=True, slots=True)
class Growth:
    """The increments of one series: how much it grew until each of these times (unix seconds)."""

    labels: Mapping[str, str]
    times: Floats
    amounts: Floats

    def between(self, start: float, end: float) -> float:
        """The sum of the increments that ended in (start, end]."""
        return float(self.amounts[(self.times > start) & (self.times <= end)].sum())


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last sample of one arm, and how long it usually is from one to the next."""

    first: float
    last: float
    spacing: float


@dataclass(frozen=True, slots=True)
class Samples:
    """The clean samples of one series, oldest first."""

    labels: Mapping[str, str]
    times: Floats
    values: Floats

    def until(self, end: float) -> Samples:
        keep = self.times <= end
        return Samples(self.labels, self.times[keep], self.values[keep])


def clean(series: Iterable[Series]) -> list[Samples]:
    """Each series once, in order of its labels, its samples in order of time; series without any are left out."""
    merged: defaultdict[Target, list[tuple[float, float]]] = defaultdict(list)
    for one in series:
        merged[tuple(sorted(one.labels.items()))].extend(one.samples)
    cleaned = (_clean(labels, merged[labels]) for labels in sorted(merged))
    return [one for one in cleaned if one.times.size]


def _clean(labels: Target, samples: Sequence[tuple[float, float]]) -> Samples:
    table = np.array(samples, dtype=np.float64).reshape(-1, 2)
    table = table[(table[:, 1] >= 0) & (table[:, 1] <= LARGEST)]  # neither holds for NaN
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


def first_scrapes(*parts: Iterable[Samples]) -> dict[Target, float]:
    """Until when each target's first scrape lasts: a series that is first seen after that was not in it.

    Half a scrape interval is allowed for, as not everything that stores samples gives those of a scrape one time. To
    take an old series for a new one is the dear mistake: all that it ever counted would count for this window.
    """
    samples = [one for part in parts for one in part]
    first: dict[Target, float] = {}
    for one in samples:
        if (target := target_of(one.labels)) is not None:
            first[target] = min(first.get(target, math.inf), float(one.times[0]))
    allowed = spacing(samples) / 2
    return {target: at + allowed for target, at in first.items()}


def spacing(samples: Iterable[Samples]) -> float:
    """How long it usually is from one scrape to the next; infinite while nothing was scraped twice."""
    gaps = [np.diff(one.times) for one in samples if one.times.size > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else math.inf


NEVER: Floats = np.array([])


def growth(samples: Samples, first_scrape: Mapping[Target, float], resets: Floats = NEVER) -> Growth:
    """The increments of a series by the rules above; `resets` are times at which it is known to have started anew."""
    later = samples.values[1:]
    steps = later - samples.values[:-1]
    is_reset = (steps < 0) | np.isin(samples.times[1:], resets) if resets.size else steps < 0
    amounts = np.where(is_reset, later, steps)
    target = target_of(samples.labels)
    if target is not None and first_scrape.get(target, math.inf) < samples.times[0]:
        return Growth(samples.labels, samples.times, np.concatenate((samples.values[:1], amounts)))
    return Growth(samples.labels, samples.times[1:], amounts)


def same_scrapes(part: Sequence[Samples], total: Sequence[Samples]) -> tuple[list[Samples], list[Samples]]:
    """Both parts of a ratio up to the last scrape that both have, target by target.

    The two are asked one after the other, and a scrape may be stored in between. Only that one scrape is left out: a
    part that fell silent earlier (a restarted process that has not failed yet) ends nothing.
    """
    last_part, last_total = _last_scrapes(part), _last_scrapes(total)
    until: dict[Target, float] = {}
    for target in last_part.keys() & last_total.keys():
        newest, scrapes = last_part[target][-1], last_total[target]
        if newest > scrapes[-1]:
            until[target] = scrapes[-1]
        elif newest in scrapes:  # the last but one: what part lacks is the very last scrape
            until[target] = newest
    return _cut(part, until), _cut(total, until)


def _last_scrapes(part: Iterable[Samples]) -> dict[Target, list[float]]:
    """The last two moments at which each target was scraped."""
    times: defaultdict[Target, set[float]] = defaultdict(set)
    for one in part:
        if (target := target_of(one.labels)) is not None:
            times[target].update(one.times[-2:].tolist())
    return {target: sorted(seen)[-2:] for target, seen in times.items()}


def _cut(part: Iterable[Samples], until: Mapping[Target, float]) -> list[Samples]:
    cut = (one.until(until.get(target_of(one.labels) or (), math.inf)) for one in part)
    return [one for one in cut if one.times.size]


def span(samples: Iterable[Samples]) -> Span | None:
    """The time that an arm's samples reach over; None without samples."""
    seen = list(samples)
    if not seen:
        return None
    return Span(min(float(one.times[0]) for one in seen), max(float(one.times[-1]) for one in seen), spacing(seen))


def shared(one: Span, other: Span) -> tuple[float, float]:
    """The time over which both arms were seen: increments that ended in (start, end] are compared.

    While one arm is not seen the other must not be judged against it: an incident of that time would blame one alone.
    Targets are scraped at different moments, so an arm's last increment may end a scrape later than the other's.
    """
    return max(one.first, other.first), min(one.last, other.last) + max(one.spacing, other.spacing)
