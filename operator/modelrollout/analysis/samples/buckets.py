"""Histograms: the growth of an arm's buckets in each tick, and quantiles for people. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.look import Missing
from modelrollout.analysis.samples.counters import Samples, SampleWindow, Scrapes, clean, growth, scrapes_of
from modelrollout.analysis.samples.histogram_forms import in_one_form
from modelrollout.api.status import Verdict
from modelrollout.promql.matchers import NAME
from modelrollout.promql.query import Series
from modelrollout.promql.selectors import BUCKET

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmHistograms:
    """One arm's histograms, one for each set of labels: samples by bucket edge; and when they were scraped."""

    histograms: tuple[Mapping[float, Samples], ...]
    scrapes: Scrapes

    @property
    def is_native(self) -> bool:
        """Whether all are native histograms: those have edges only around values that occurred."""
        return all(one[math.inf].labels.get(NAME, BUCKET).endswith(BUCKET) is False for one in self.histograms)

    @property
    def edges(self) -> tuple[float, ...]:
        """The finite edges that all processes share: merging to them loses resolution, but moves no request.

        Processes without requests are left out, so that they remove no edge.
        """
        busy = [one for one in self.histograms if (counted := one[math.inf].values)[0] != counted[-1]]
        shared = set.intersection(*(set(one) for one in busy or self.histograms))
        return tuple(sorted(edge for edge in shared if edge < math.inf))


def histograms_of(series: Sequence[Series], who: str, window: SampleWindow) -> ArmHistograms | Missing:
    """The histograms of one arm, or why they cannot be read."""
    samples = clean(_with_edge(one) for one in in_one_form(series))
    arm = scrapes_of((samples,), window)
    if arm is None:
        return Missing(Verdict.NO_DATA, f"the histogram has no samples of {who}")
    if not all(one.labels["le"] for one in samples):
        why = f"series of {who} have no bucket edge (label le); select the …_bucket series of a classic histogram"
        return Missing(Verdict.NO_DATA, why, mistake=True)
    groups: defaultdict[tuple[tuple[str, str], ...], dict[float, Samples]] = defaultdict(dict)
    for one in samples:
        others = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        groups[others][float(one.labels["le"])] = one
    if any(math.inf not in group for group in groups.values()):
        # The slowest requests are in no other bucket: without it their number is unknown.
        return Missing(Verdict.NO_DATA, f'series of {who} lack the bucket le="+Inf"; select all buckets', mistake=True)
    return ArmHistograms(tuple(groups.values()), arm)


def counts_beyond(
    side: ArmHistograms,
    bounds: Sequence[float],
    edges: Floats,
    window: SampleWindow,
    *,
    in_doubt: Literal["fewer", "more"] = "more",
) -> tuple[Floats, Floats]:
    """Requests beyond each of the bucket `bounds` in each tick between `edges` (ticks × bounds), and all (ticks).

    A native histogram may lose edges when its resolution falls. Requests around a lost edge are counted as beyond it
    (`more`) or not (`fewer`), so that doubt favours the candidate: its requests count as faster, stable's as slower.
    """
    total = np.zeros(len(edges) - 1)
    slower = np.zeros((len(edges) - 1, len(bounds)))
    for group in side.histograms:
        # All buckets of one process reset together, though some may have grown past their old value since.
        falls = [one.times[1:][one.values[1:] < one.values[:-1]] for one in group.values()]
        resets = np.concatenate(falls)
        requests = growth(group[math.inf], edges, side.scrapes, window, resets)
        total += requests
        if not bounds:
            continue
        below = [_bucket_up_to(group, bound, in_doubt) for bound in bounds]
        within = np.stack(
            [
                np.zeros_like(requests) if one is None else growth(one, edges, side.scrapes, window, resets)
                for one in below
            ],
            axis=1,
        ).reshape(len(requests), len(bounds))
        # Buckets are cumulative; a scrape in the middle of an update must not yield negative numbers of requests.
        within = np.minimum(np.maximum.accumulate(within, axis=1), requests[:, None])
        slower += requests[:, None] - within
    return slower, total


def _bucket_up_to(group: Mapping[float, Samples], bound: float, in_doubt: Literal["fewer", "more"]) -> Samples | None:
    """The bucket up to a bound, else up to a neighbouring edge; classic histograms always have the bound."""
    if bound in group:
        return group[bound]
    if in_doubt == "fewer":
        return group[min(edge for edge in group if edge > bound)]  # the last one is infinite, so there is one
    lower = [edge for edge in group if edge < bound]
    return group[max(lower)] if lower else None


def _with_edge(series: Series) -> Series:
    """The series with its edge in one spelling ("1", "1.0" and "1e0" are one bucket); empty when it has no edge."""
    try:
        edge = float(series.labels.get("le", ""))
    except ValueError:
        edge = math.nan
    is_edge = not math.isnan(edge) and edge != -math.inf
    return Series({**series.labels, "le": repr(edge) if is_edge else ""}, series.samples)


def quantile(bounds: Sequence[float], beyond_each: Floats, total: float, q: float) -> float:
    """The quantile by linear interpolation, as histogram_quantile does; infinite beyond the last bound."""
    if total <= 0 or not len(bounds):
        return math.inf
    rank = q * total
    within = total - beyond_each
    at = next((index for index, count in enumerate(within) if count >= rank and count > 0), None)
    if at is None:
        return math.inf
    upper = bounds[at]
    lower, before = (bounds[at - 1], float(within[at - 1])) if at else (min(0.0, upper), 0.0)
    return float(lower + (upper - lower) * (rank - before) / (within[at] - before))
