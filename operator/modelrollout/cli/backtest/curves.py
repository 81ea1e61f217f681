"""What both arms measured over time, for people to look at: the judgement rests on ticks, not on these. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.look import Missing
from modelrollout.analysis.queries import BAD, CANDIDATE_WRONG, GOOD, HISTOGRAM, STABLE_WRONG, SUM, TOTAL, VALUE
from modelrollout.analysis.samples.buckets import counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.counters import Reading, clean, scrapes_of, total_growth
from modelrollout.api.metric import Metric
from modelrollout.promql.query import Series

Floats = npt.NDArray[np.float64]


def measured(metric: Metric, parts: Mapping[str, Sequence[Series]], edges: Floats, look_back: float) -> list[float]:
    """One arm's value between neighbouring edges; NaN where there is none.

    A ratio as it is written (bad or good), a histogram's quantile in the unit of its edges, the mean of users or of
    an expression, and of pairs the part that only the candidate got wrong.
    """
    reading = Reading(float(edges[0]) - look_back, look_back, 0.0)
    if metric.ratio is not None:
        part = BAD if metric.ratio.bad is not None else GOOD
        return _quotient(parts.get(part, ()), parts.get(TOTAL, ()), edges, reading)
    if metric.histogram is not None:
        return _quantiles(metric.quantile_share, parts.get(HISTOGRAM, ()), edges, reading)
    if metric.mean is not None:
        return _quotient(parts.get(SUM, ()), parts.get(TOTAL, ()), edges, reading)
    if metric.pairs is not None:
        either = (*parts.get(CANDIDATE_WRONG, ()), *parts.get(STABLE_WRONG, ()))
        return _quotient(parts.get(CANDIDATE_WRONG, ()), either, edges, reading)
    return _means(parts.get(VALUE, ()), edges)


def _quotient(of: Sequence[Series], by: Sequence[Series], edges: Floats, reading: Reading) -> list[float]:
    events, total = clean(of), clean(by)
    arm = scrapes_of((total, events), reading)
    if arm is None or not total:
        return [math.nan] * (len(edges) - 1)
    some, every = (total_growth(one, edges, arm, reading) for one in (events, total))
    return _numbers(np.divide(some, every, out=np.full_like(every, math.nan), where=every > 0))


def _quantiles(q: float, series: Sequence[Series], edges: Floats, reading: Reading) -> list[float]:
    side = histograms_of(series, "this arm", reading)
    if isinstance(side, Missing) or not side.edges:
        return [math.nan] * (len(edges) - 1)
    slower, total = counts_beyond(side, side.edges, edges, reading)
    found = [quantile(side.edges, row, float(all_), q) if all_ > 0 else math.nan
             for row, all_ in zip(slower, total, strict=True)]  # fmt: skip
    return [side.edges[-1] if math.isinf(value) else value for value in found]


def _means(series: Sequence[Series], edges: Floats) -> list[float]:
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
