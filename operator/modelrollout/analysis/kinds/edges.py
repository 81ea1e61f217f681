"""Which bucket edges of two histograms are compared under a tolerance, and which regressions they hide. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.analysis import wording
from modelrollout.api.metric import Metric, Tolerance

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-9  # edges are decimal: 0.1 × 1.1 is not quite 0.11
MOST_EDGES = 24
"""The most edges of stable that are compared: more hardly detect more, and each costs time and room."""
KEPT_TAILS = (0.95, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.004, 0.001, 1e-4, 1e-6)
"""Of more edges, those are kept beyond which stable has about these shares of its requests; statistics: 2.3."""


@dataclass(frozen=True, slots=True)
class Edges:
    """All edges in use, rising, and the places of the compared ones: `near` of stable, `far` of the candidate."""

    all: tuple[float, ...]
    near: tuple[int, ...]
    far: tuple[int, ...]

    def reach(self, tolerance: Tolerance) -> dict[int, int]:
        """For each edge, by place, the first edge at or above it plus the tolerance."""
        return _first_beyond_tolerance(self.all, range(len(self.all)), tolerance)


def choose_edges(
    shared: Sequence[float],
    own: Sequence[float],
    tolerance: Tolerance | None,
    limit: float | None,
    usual: Mapping[float, float] | None,
) -> Edges:
    """The edges to use. `shared`: those of both arms. `own`: the candidate's. `usual`: stable's requests up to each."""
    nears = thin(shared, usual)
    wanted = set(nears)
    if tolerance is not None:
        places = _first_beyond_tolerance(shared, [shared.index(near) for near in nears], tolerance)
        wanted |= {shared[far] for far in places.values()}
    if limit is not None:
        wanted |= set(first_edge_beyond(own, limit))
    edges = tuple(sorted(wanted))
    return pair_edges(edges, [edges.index(near) for near in nears], tolerance)


def pair_edges(edges: tuple[float, ...], nears: Sequence[int], tolerance: Tolerance | None) -> Edges:
    """Pairs each edge of the candidate with the largest edge of stable that plus the tolerance is not beyond it."""
    pairs = _first_beyond_tolerance(edges, nears, tolerance) if tolerance is not None else {}
    by_far = {far: near for near, far in sorted(pairs.items())}
    far = tuple(sorted(by_far))
    return Edges(edges, tuple(by_far[at] for at in far), far)


def first_edge_beyond(edges: Sequence[float], limit: float) -> list[float]:
    """The first edge at or above a limit, if there is one: any request beyond it breaks the limit."""
    return [edge for edge in edges if edge >= limit * (1 - ROUNDING)][:1]


def slack(value: float, tolerance: Tolerance) -> float:
    """The value plus its tolerance."""
    return value + tolerance.relative.value * abs(value) + tolerance.absolute.value


def thin(edges: Sequence[float], usual: Mapping[float, float] | None) -> tuple[float, ...]:
    """At most MOST_EDGES of the edges: by stable's tails where its history is known, else evenly spaced."""
    if len(edges) <= MOST_EDGES:
        return tuple(edges)
    within = usual or {}
    total = within.get(math.inf, 0.0)
    if total <= 0 or any(edge not in within for edge in edges):
        places = np.unique(np.linspace(0, len(edges) - 1, MOST_EDGES).round().astype(int))
        return tuple(edges[place] for place in places)
    tails = np.array([1 - within[edge] / total for edge in edges])
    distance = np.abs(np.log(np.maximum(tails, 1e-9))[None, :] - np.log(np.array(KEPT_TAILS))[:, None])
    return tuple(edges[place] for place in sorted(set(distance.argmin(axis=1).tolist())))


def _first_beyond_tolerance(edges: Sequence[float], nears: Sequence[int], tolerance: Tolerance) -> dict[int, int]:
    found = {}
    for near in nears:
        least = slack(edges[near], tolerance)
        far = bisect_left(edges, least - ROUNDING * abs(least))
        if far < len(edges):
            found[near] = far
    return found


def what_edges_hide(
    edges: Edges, tolerance: Tolerance, usual: float, total: float, q: float, unit: wording.Unit
) -> list[str]:
    """A note on regressions around stable's quantile that the buckets hide, if the tolerance forbids those."""
    if total <= 0 or not edges.all or usual == math.inf:
        return []
    last, name = edges.all[-1], f"p{100 * q:g}"
    sure = min(
        (edges.all[far] for near, far in zip(edges.near, edges.far, strict=True) if edges.all[near] >= usual),
        default=math.inf,
    )
    limit = slack(usual, tolerance)
    if sure <= limit + max(limit - usual, abs(usual) / 4):
        return []
    known = f"only beyond {wording.text(sure, unit)}"
    seen = known if sure < math.inf else f"not at all (edges end at {wording.text(last, unit)})"
    mend = f"edges at {wording.text(usual, unit)} and {wording.text(limit, unit)} would do"
    return [f"the buckets are too coarse for this tolerance: a slower {name} is sure to be seen {seen}; {mend}"]


def unit_of_edges(metric: Metric) -> wording.Unit:
    """Seconds where the histogram's name says so, else as its bounds are written."""
    return "seconds" if "seconds" in (metric.histogram or "") else wording.unit_of_bounds(metric)
