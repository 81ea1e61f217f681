"""Classic histograms: buckets added up over pods, quantiles for people, and shares slower than an edge. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.counts import Growth, Samples, Span, Target, clean, first_scrapes, growth, span
from modelrollout.analysis.evidence import Missing
from modelrollout.analysis.queries import Series
from modelrollout.analysis.significance import Count
from modelrollout.api.status import Verdict

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many requests took at most as long as each edge (rising, finite), and how many there were."""

    edges: tuple[float, ...]
    within: tuple[float, ...]
    total: float

    def slower(self, edge: float) -> Count:
        """Those that took longer than one of the edges."""
        return Count(self.total - self.within[self.edges.index(edge)], self.total)

    def quantile(self, q: float) -> float:
        """By straight lines between edges, as histogram_quantile does; infinite beyond the last edge."""
        rank = q * self.total
        if self.total <= 0:
            return math.inf
        at = next((index for index, within in enumerate(self.within) if within >= rank and within > 0), None)
        if at is None:
            return math.inf
        upper = self.edges[at]
        lower, before = (self.edges[at - 1], self.within[at - 1]) if at else (min(0.0, upper), 0.0)
        return lower + (upper - lower) * (rank - before) / (self.within[at] - before)

    def merged(self, edges: Sequence[float]) -> Buckets:
        """The same requests on fewer edges."""
        return Buckets(tuple(edges), tuple(self.within[self.edges.index(edge)] for edge in edges), self.total)


@dataclass(frozen=True, slots=True)
class Histogram:
    """One pod's histogram (one set of labels): the growth of each bucket, by its edge."""

    buckets: dict[float, Growth]

    def between(self, start: float, end: float) -> Buckets:
        edges = sorted(self.buckets)
        grown = np.array([self.buckets[edge].between(start, end) for edge in edges])
        # Buckets are cumulative; a scrape that tore one apart must not yield negative numbers of requests.
        within = np.minimum(np.maximum.accumulate(grown), grown[-1])
        return Buckets(tuple(edges[:-1]), tuple(within[:-1].tolist()), float(grown[-1]))


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's histograms, and the time over which they were seen."""

    histograms: tuple[Histogram, ...]
    span: Span

    def buckets(self, start: float = -math.inf, end: float = math.inf) -> Buckets:
        """All requests of the increments that ended in (start, end], on the edges that all busy pods share."""
        found = [one.between(start, end) for one in self.histograms]
        busy = [one for one in found if one.total > 0] or found
        edges = common_edges(busy)
        merged = [one.merged(edges) for one in busy]
        within = tuple(math.fsum(one.within[at] for one in merged) for at in range(len(edges)))
        return Buckets(tuple(edges), within, math.fsum(one.total for one in merged))


def common_edges(buckets: Iterable[Buckets]) -> list[float]:
    """The edges that all have: merging to them loses resolution, but never moves a request."""
    return sorted(set.intersection(*(set(one.edges) for one in buckets)))


def arm_of(series: Sequence[Series], who: str) -> Arm | Missing:
    """One arm's histograms, or why they cannot be read."""
    samples = clean(_with_edge(one) for one in series)
    reach = span(samples)
    if reach is None:
        return Missing(Verdict.NO_DATA, f"the histogram has no samples of {who}")
    if not all(one.labels["le"] for one in samples):
        why = f"series of {who} have no bucket edge (label le); select the …_bucket series of a classic histogram"
        return Missing(Verdict.NO_DATA, why, mistake=True)
    groups: defaultdict[tuple[tuple[str, str], ...], dict[float, Samples]] = defaultdict(dict)
    for one in samples:
        others = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        groups[others][float(one.labels["le"])] = one
    if any(math.inf not in group for group in groups.values()):
        # The slowest requests are in no other bucket: without it nobody knows how many there were.
        return Missing(Verdict.NO_DATA, f'series of {who} lack the bucket le="+Inf"; select all buckets', mistake=True)
    first = first_scrapes(samples)
    return Arm(tuple(_histogram(group, first) for group in groups.values()), reach)


def _with_edge(series: Series) -> Series:
    """The series with its edge written in one way ("1", "1.0" and "1e0" are one bucket); empty when it has none."""
    try:
        edge = float(series.labels.get("le", ""))
    except ValueError:
        edge = math.nan
    is_edge = not math.isnan(edge) and edge != -math.inf
    return Series({**series.labels, "le": repr(edge) if is_edge else ""}, series.samples)


def _histogram(group: Mapping[float, Samples], first: Mapping[Target, float]) -> Histogram:
    """Buckets of one process start anew together, though some may have caught up with where they were."""
    resets = np.concatenate([one.times[1:][np.diff(one.values) < 0] for one in group.values()])
    return Histogram({edge: growth(one, first, resets) for edge, one in group.items()})
