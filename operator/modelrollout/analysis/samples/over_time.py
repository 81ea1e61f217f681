"""One arm's value over time, from raw samples: for people only, no verdict uses it. Pure.

Every function yields one value between neighbouring edges, NaN where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.look import Missing
from modelrollout.analysis.samples.buckets import counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.counters import SampleWindow, clean, scrapes_of, total_growth
from modelrollout.promql.query import Series

Floats = npt.NDArray[np.float64]
SeriesOfArm = Mapping[str, Sequence[Series]]
"""By part of the metric."""


def quotients(of: Sequence[Series], by: Sequence[Series], edges: Floats, window: SampleWindow) -> list[float]:
    """The growth of one counter over that of another."""
    events, total = clean(of), clean(by)
    scrapes = scrapes_of((total, events), window)
    if scrapes is None or not total:
        return [math.nan] * (len(edges) - 1)
    some, every = (total_growth(one, edges, scrapes, window) for one in (events, total))
    return _numbers(np.divide(some, every, out=np.full_like(every, math.nan), where=every > 0))


def quantiles(q: float, series: Sequence[Series], edges: Floats, window: SampleWindow) -> list[float]:
    """A quantile of a histogram, in the unit of its edges."""
    side = histograms_of(series, "this arm", window)
    if isinstance(side, Missing) or not side.edges:
        return [math.nan] * (len(edges) - 1)
    slower, total = counts_beyond(side, side.edges, edges, window)
    found = [
        quantile(side.edges, row, float(all_), q) if all_ > 0 else math.nan
        for row, all_ in zip(slower, total, strict=True)
    ]
    return [side.edges[-1] if math.isinf(value) else value for value in found]


def means(series: Sequence[Series], edges: Floats) -> list[float]:
    """The mean of the readings of one series."""
    if len(series) != 1:
        return [math.nan] * (len(edges) - 1)
    table = np.array(series[0].samples, dtype=np.float64).reshape(-1, 2)
    table = table[np.isfinite(table[:, 1])]
    place = np.searchsorted(edges, table[:, 0] - 1e-6, side="left") - 1
    inside = (place >= 0) & (place < len(edges) - 1)
    count = np.bincount(place[inside], minlength=len(edges) - 1)
    total = np.bincount(place[inside], weights=table[inside, 1], minlength=len(edges) - 1)
    return _numbers(np.divide(total, count, out=np.full(len(edges) - 1, math.nan), where=count > 0))


def _numbers(values: Floats) -> list[float]:
    return [float(value) for value in values]
