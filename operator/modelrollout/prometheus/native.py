"""Native histograms, as the query API shows them, made into the cumulative buckets that classic ones have. Pure.

A sample is [t, {"count", "sum", "buckets": [[rule, left, right, count], …]}], numbers as text, empty buckets left out.
How many observations were at most an edge is known exactly unless a bucket reaches across it. So each series gets the
edges that no bucket in any of its samples reaches across: those of the coarser resolution, when it changed in mid-life.

Which edges to ask about is decided once for all series of an answer, and does not stop where observations do. Arms and
pods are compared on edges that both have, and where one has no observation the other may have its slow ones. Edges of
exponential buckets are powers of 2^(2^-schema), and one edge is always the same number, whoever computed it.

Sources: https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms and
https://prometheus.io/docs/specs/native_histograms/ (schemas, the zero bucket, custom edges).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from modelrollout.promql.query import Series

MAX_EDGES = 160  # as many buckets as a server keeps of a histogram by default; a comparison uses fewer
FINEST, COARSEST = 8, -4  # schemas
BEYOND = 10  # edges at powers of two on either side of what was observed: a thousand times as slow, or as fast
FARTHEST = 1_000  # octaves from 1; beyond that lies no measurement, only the end of what a double holds

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """One sample: its buckets in rising order, each with something in it, and the number of all observations."""

    at: float
    total: float  # NaN is counted here, and is in no bucket
    left: Floats
    right: Floats
    within: Floats  # how many were in this bucket or in one before it

    def at_most(self, edges: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """How many observations were at most each edge, and whether that is certain."""
        before = np.searchsorted(self.right, edges, side="right")  # so many buckets end there or earlier
        counts = np.concatenate(([0.0], self.within))[before]
        return counts, np.append(self.left, math.inf)[before] >= edges


@dataclass(frozen=True, slots=True)
class Native:
    """One native series: its labels, and its samples, oldest first."""

    labels: Mapping[str, str]
    samples: tuple[Histogram, ...]


def native(labels: Mapping[str, str], samples: Sequence[tuple[float, Mapping[str, Any]]]) -> Native:
    """Read from JSON. Raises KeyError, TypeError or ValueError for what is no native histogram."""
    return Native(labels, tuple(_histogram(at, shown) for at, shown in samples))


def as_classic(found: Sequence[Native], most: int = MAX_EDGES) -> list[Series]:
    """Cumulative series of all, told apart by the label `le`: `most` edges each, and +Inf."""
    edges = edges_of([sample for one in found for sample in one.samples], most)
    return [series for one in found if one.samples for series in _cumulative(one, edges)]


def edges_of(samples: Sequence[Histogram], most: int = MAX_EDGES) -> Floats:
    """Finite edges to ask all of these samples about, rising; not each is certain in each sample."""
    table = [np.stack((sample.left, sample.right)) for sample in samples if sample.right.size]
    if not table:
        return np.array([])
    left, right = np.unique(np.concatenate(table, axis=1), axis=1)
    widths = _widths(left, right)
    # What is on no grid: the bucket around zero, custom edges, and the ends of what a double holds.
    others = np.concatenate((left[(widths == 0) & (left > 0)], right[widths == 0]))
    others = np.unique(others[np.isfinite(others)])
    edges = others
    if (exponential := widths[widths > 0]).size:
        outer = np.concatenate((left[widths > 0], right[widths > 0]))
        for schema in range(FINEST - int(exponential.min()).bit_length() + 1, COARSEST - 1, -1):
            edges = np.unique(np.concatenate((others, _grid(outer, schema))))
            if edges.size <= most:
                break
    return edges[np.unique(np.linspace(0, edges.size - 1, most).astype(int))] if edges.size > most else edges


def _widths(left: Floats, right: Floats) -> npt.NDArray[np.int64]:
    """Of exponential buckets, in steps of the finest schema (a power of two, as each schema's are); 0 of all others."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (np.log2(np.abs(edge)) * 2**FINEST for edge in (left, right))
        width = np.abs(high - low)
        is_outer = ((left > 0) | (right < 0)) & (np.maximum(np.abs(low), np.abs(high)) <= FARTHEST * 2**FINEST)
        is_aligned = np.abs(low / width - np.round(low / width)) < 1e-6
    whole = np.round(np.where(is_outer, width, 0)).astype(np.int64)
    is_schema = (whole > 0) & (whole & (whole - 1) == 0) & (whole <= 2 ** (FINEST - COARSEST))
    return np.where(is_outer & is_aligned & is_schema, whole, 0)


def _grid(bounds: Floats, schema: int) -> Floats:
    """The schema's edges from the lowest to the highest bound, and powers of two farther out; on both sides of 0."""
    sides = []
    for sign in (-1.0, 1.0):
        octaves = np.log2(bounds[np.sign(bounds) == sign] * sign)
        if not octaves.size:
            continue
        low, high = math.floor(octaves.min() * 2.0**schema + 1e-6), math.ceil(octaves.max() * 2.0**schema - 1e-6)
        inside = [step / 2.0**schema for step in range(low, high + 1)]
        below = [math.floor(inside[0]) - step for step in range(BEYOND)]
        above = [math.ceil(inside[-1]) + step for step in range(BEYOND)]
        octaves_all = (octave for octave in (*below, *inside, *above) if abs(octave) <= FARTHEST)
        sides.append(np.array([sign * _power(octave) for octave in octaves_all]))
    return np.concatenate(sides)


@lru_cache(maxsize=8_192)
def _power(octave: float) -> float:
    """2 to this power, in as many digits as all who compute it agree on."""
    return float(f"{2.0**octave:.12g}")


@lru_cache(maxsize=8_192)  # the same few edges come back in every sample
def _edge(text: str) -> float:
    """An edge as the API writes it; one of the finest grid as we compute it."""
    edge = float(text)
    if math.isnan(edge):
        raise ValueError(text)
    if edge == 0 or math.isinf(edge):
        return edge
    steps = math.log2(abs(edge)) * 2**FINEST
    is_on_grid = abs(steps - round(steps)) < 1e-6 and abs(steps) <= FARTHEST * 2**FINEST
    return math.copysign(_power(round(steps) / 2**FINEST), edge) if is_on_grid else edge


def _histogram(at: float, shown: Mapping[str, Any]) -> Histogram:
    read = [(_edge(left), _edge(right), float(count)) for _, left, right, count in shown.get("buckets") or ()]
    table = np.array(sorted(read, key=lambda bucket: bucket[1]), dtype=np.float64).reshape(-1, 3)
    return Histogram(at, float(shown["count"]), table[:, 0], table[:, 1], np.cumsum(table[:, 2]))


def _cumulative(one: Native, edges: Floats) -> list[Series]:
    read = [sample.at_most(edges) for sample in one.samples]
    is_certain = np.all([certain for _, certain in read], axis=0)
    counts = np.array([numbers[is_certain] for numbers, _ in read]).T.tolist()
    totals = [sample.total for sample in one.samples]
    names = [*(repr(edge) for edge in edges[is_certain].tolist()), "+Inf"]
    times = [sample.at for sample in one.samples]
    return [
        Series({**one.labels, "le": name}, tuple(zip(times, numbers, strict=True)))
        for name, numbers in zip(names, [*counts, totals], strict=True)
    ]
