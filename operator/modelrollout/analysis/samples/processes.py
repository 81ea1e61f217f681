"""Each process is counted once, though it may be scraped under several label sets. Pure.

Two scrape jobs, two Services before one pod, a pair of Prometheus, a pod with two addresses: all yield the counters of
a process several times. Added up, every request would be evidence as often. Two scrapes of a pod are of one process if

- no label says otherwise: the ports of their instances, and all labels that both have and no scrape sets by itself, are
  equal (a second container or port is another process; a label that only one of them has is of its scrape);
- and their counters agree: what one shows lies between what the other showed half a scrape and more before and after.
  At the very same moment both have to show the same: samples of one scrape have one time, so those may be two series of
  an application that has a label such as `endpoint` of its own.

Where labels leave no doubt but the counters do not agree, nothing can be counted, and that is said. Where labels leave
doubt the counters decide: series that disagree are counted each.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.samples.histogram_forms import EDGE
from modelrollout.promql.query import Series

Floats = npt.NDArray[np.float64]
LabelSet = tuple[tuple[str, str], ...]

SURELY_OF_SCRAPES = frozenset(("job", "instance", "prometheus", "prometheus_replica"))
"""Labels that Prometheus or its operator sets: an application's own would be renamed, with `exported_` before it."""
PERHAPS_OF_SCRAPES = frozenset(("service", "endpoint", "replica", "prometheus_group", "monitor", "kubernetes_name"))
POD_LABELS = ("pod", "kubernetes_pod_name", "pod_name", "k8s_pod_name", "exported_pod")
MOST_SCRAPES = 8
"""Nobody scrapes a process more often than this; a label with more values is the application's."""
STARTS_LATE, ENDS_EARLY = 1.5, 2.5
"""Scrapes by which the samples of one scrape may be shorter than those of the other, and still cover the time."""
_PORT = re.compile(r":(\d+)$")


@dataclass(frozen=True, slots=True)
class Once:
    """The series to count. `places` where a process showed repeatedly, the labels that differ, a `conflict` if any."""

    series: tuple[Series, ...]
    places: int = 0
    differing: str = ""
    conflict: str | None = None


class _Kinship(Enum):
    SAME = auto()
    APART = auto()
    IN_CONFLICT = auto()


@dataclass(frozen=True, slots=True)
class _Scrape:
    """The series of one pod that one scrape yielded. `spacing`: seconds from sample to sample."""

    labels: LabelSet
    series: Sequence[Series]
    first: float
    last: float
    spacing: float

    @property
    def port(self) -> str | None:
        found = _PORT.search(dict(self.labels).get("instance", ""))
        return found[1] if found else None

    @property
    def names(self) -> frozenset[str]:
        """The labels that no scrape sets by itself."""
        return frozenset(name for one in self.series for name in one.labels if not _is_of_scrape(name))

    def by_labels(self, names: Iterable[str]) -> dict[LabelSet, Series] | None:
        """Its series by the values of some labels; None where these do not tell them apart."""
        kept = sorted(names)
        found = {tuple((name, one.labels.get(name, "")) for name in kept): one for one in self.series}
        return found if len(found) == len(self.series) else None


def each_process_once(series: Sequence[Series], *, is_stepped: bool = False) -> Once:
    """The series of counters, without those that show a process again.

    `is_stepped`: the samples are values at given moments, and not at those of scrapes.
    """
    places: defaultdict[str, defaultdict[LabelSet, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        if one.samples:
            places[_place_of(one.labels)][_labels_of_scrape(one.labels)].append(one)
    dropped: set[int] = set()
    repeated: list[str] = []
    for place, found in places.items():
        if not 1 < len(found) <= MOST_SCRAPES:
            continue
        again = _repeated(found, is_stepped=is_stepped)
        if isinstance(again, str):
            return Once(tuple(series), conflict=f"{place} is scraped more than once ({again})")
        dropped |= again.keys()
        repeated += list(again.values())[:1]
    kept = tuple(one for one in series if id(one) not in dropped) if dropped else tuple(series)
    return Once(kept, len(repeated), repeated[0] if repeated else "")


def _repeated(found: Mapping[LabelSet, Sequence[Series]], *, is_stepped: bool) -> dict[int, str] | str:
    """The series of a pod that show a process again, with the labels that differ; or what is in conflict."""
    scrapes = _preferred_first([_scrape(labels, some) for labels, some in found.items()])
    processes: list[_Scrape] = []
    again: dict[int, str] = {}
    for scrape in scrapes:
        for known in processes:
            kinship, shared = _compare(known, scrape, is_stepped=is_stepped)
            if kinship is _Kinship.IN_CONFLICT:
                return _differing(known.labels, scrape.labels)
            if kinship is _Kinship.SAME:
                again |= dict.fromkeys(shared, _differing(known.labels, scrape.labels))
                break
        else:
            processes.append(scrape)
    return again


def _scrape(labels: LabelSet, series: Sequence[Series]) -> _Scrape:
    longest = max(series, key=lambda one: len(one.samples))
    gaps = np.diff([at for at, _ in longest.samples])
    first = min(one.samples[0][0] for one in series)
    last = max(one.samples[-1][0] for one in series)
    return _Scrape(labels, series, first, last, float(np.median(gaps)) if gaps.size else math.inf)


def _preferred_first(scrapes: Sequence[_Scrape]) -> list[_Scrape]:
    """Those that cover the whole time, by their labels, so that each look prefers the same; then the longest."""
    first, last = min(one.first for one in scrapes), max(one.last for one in scrapes)

    def rank(one: _Scrape) -> tuple[float, LabelSet]:
        covers = one.first <= first + STARTS_LATE * one.spacing and one.last >= last - ENDS_EARLY * one.spacing
        return (
            0.0 if covers and one.spacing < math.inf else 1 - (one.last - one.first) / (last - first + 1)
        ), one.labels

    return sorted(scrapes, key=rank)


def _compare(known: _Scrape, other: _Scrape, *, is_stepped: bool) -> tuple[_Kinship, list[int]]:
    """Whether two scrapes are of one process, and which series of the other one show it again."""
    half = max((one.spacing for one in (known, other) if one.spacing < math.inf), default=math.inf) / 2
    is_together = known.first <= other.last + half and other.first <= known.last + half
    if not is_together or half == math.inf or (known.port and other.port and known.port != other.port):
        return _Kinship.APART, []
    shared = known.names & other.names
    mine, theirs = known.by_labels(shared), other.by_labels(shared)
    both = mine.keys() & theirs.keys() if mine is not None and theirs is not None else set()
    if mine is None or theirs is None or not both:
        return _Kinship.APART, []
    if _agree([(mine[key], theirs[key]) for key in both], half, is_stepped=is_stepped):
        known_again = {
            _without_edge(key) for key in both
        }  # an edge of a native histogram may be unknown to one of them
        return _Kinship.SAME, [id(series) for key, series in theirs.items() if _without_edge(key) in known_again]
    return _Kinship.IN_CONFLICT if _is_one_for_sure(known, other) else _Kinship.APART, []


def _without_edge(labels: LabelSet) -> LabelSet:
    return tuple((name, value) for name, value in labels if name != EDGE)


def _is_one_for_sure(one: _Scrape, other: _Scrape) -> bool:
    """Whether labels alone say so: the same port of a pod, and only labels differ that no application sets."""
    differing = {name for name, _ in set(one.labels) ^ set(other.labels)}
    return one.port is not None and one.port == other.port and differing <= SURELY_OF_SCRAPES


def _agree(pairs: Iterable[tuple[Series, Series]], half: float, *, is_stepped: bool) -> bool:
    """Whether two scrapes agree in all series that both have. Series of one scrape mostly share their times."""
    together: defaultdict[tuple[bytes, bytes], list[tuple[Floats, Floats]]] = defaultdict(list)
    for one, other in pairs:
        mine, theirs = _valid(one), _valid(other)
        if mine.size and theirs.size:
            together[mine[0].tobytes(), theirs[0].tobytes()].append((mine, theirs))
    return all(
        _lies_between(
            (tables[0][0][0], np.stack([mine[1] for mine, _ in tables])),
            (tables[0][1][0], np.stack([theirs[1] for _, theirs in tables])),
            half,
            is_stepped=is_stepped,
        )
        for tables in together.values()
    )


def _lies_between(one: tuple[Floats, Floats], other: tuple[Floats, Floats], half: float, *, is_stepped: bool) -> bool:
    """Whether each sample of `other` lies between the samples of `one` around it; around a reset nothing is known.

    Both as times and values (series × times).
    """
    (times, values), (moments, shown) = one, other
    last = times.size - 1
    before = np.searchsorted(times, moments - half, side="right") - 1
    after = np.searchsorted(times, moments + half, side="left")
    has_before, has_after = before >= 0, after <= last
    before, after = np.maximum(before, 0), np.minimum(after, last)
    since = np.maximum(np.searchsorted(moments, times[before], side="right") - 1, 0)
    until = np.minimum(np.searchsorted(moments, times[after], side="left"), moments.size - 1)
    resets, other_resets = _resets(values), _resets(shown)
    is_known = (resets[:, after] == resets[:, before]) & (other_resets[:, until] == other_resets[:, since])
    is_outside = is_known & ((has_before & (shown < values[:, before])) | (has_after & (shown > values[:, after])))
    if not is_stepped:
        at = np.minimum(np.searchsorted(times, moments), last)
        is_outside |= (times[at] == moments) & (values[:, at] != shown)
    return not bool(is_outside.any())


def _valid(one: Series) -> Floats:
    """Times and values, as two rows."""
    table = np.array(one.samples, dtype=np.float64).reshape(-1, 2)
    return table[table[:, 1] >= 0].T  # false for NaN


def _resets(values: Floats) -> npt.NDArray[np.int64]:
    """How often each counter began anew up to each of its samples."""
    falls = np.diff(values, axis=1) < 0
    return np.concatenate((np.zeros((len(values), 1), dtype=np.int64), falls.cumsum(axis=1)), axis=1)


def _place_of(labels: Mapping[str, str]) -> str:
    """Where a series says that its process is: its pod, else its instance."""
    for label in POD_LABELS:
        if pod := labels.get(label):
            return f"pod {pod}"
    return labels.get("instance") or "a process"


def _labels_of_scrape(labels: Mapping[str, str]) -> LabelSet:
    return tuple(sorted((name, value) for name, value in labels.items() if _is_of_scrape(name)))


@lru_cache(maxsize=4096)
def _is_of_scrape(label: str) -> bool:
    return label in SURELY_OF_SCRAPES or label in PERHAPS_OF_SCRAPES or label.endswith("_replica")


def _differing(one: LabelSet, other: LabelSet) -> str:
    """The first label that differs, with both values."""
    mine, theirs = dict(one), dict(other)
    names = [name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)]
    name = min(names, key=lambda name: (name == "instance", name))  # an address says least to people
    return f'{name} "{mine.get(name, "")}" and "{theirs.get(name, "")}"'
