"""Histograms against their bounds: shares of requests beyond bucket edges, which buckets know exactly. Pure.

A tolerance says how much slower every request may be: `latency of candidate ≤ (1 + relative) · latency of stable +
absolute` in distribution. Then the share of the candidate slower than an edge b′ is at most the share of stable slower
than any edge b with b·(1 + relative) + absolute ≤ b′. Each such pair of edges is a test of two shares without any
interpolation, and all pairs are tested, at an even share of the level each, so the whole distribution is compared. A
candidate that is within the tolerance at every latency fails none of them; the quantile is for the limits, for people,
and for what may pass.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import partial
from itertools import accumulate

from modelrollout.analysis import significance, wording
from modelrollout.analysis.counts import shared
from modelrollout.analysis.evidence import Bound, Evidence, Missing, Parts
from modelrollout.analysis.histograms import Arm, Buckets, arm_of, common_edges
from modelrollout.analysis.queries import HISTOGRAM
from modelrollout.analysis.significance import Count
from modelrollout.api.spec import Metric, Tolerance
from modelrollout.api.status import Verdict

DEFAULT_QUANTILE = "0.99"
ROUNDING = 1e-9  # edges are decimal: 0.1 × 1.1 is not quite 0.11


def histogram_evidence(metric: Metric, candidate: Parts, stable: Parts | Missing | None) -> Evidence | Missing:
    """The evidence of a histogram. Stable None: it is not compared; Missing: it should be, and cannot."""
    arm = arm_of(candidate[HISTOGRAM], "the candidate")
    if isinstance(arm, Missing):
        return arm
    pair = _together(arm, stable)
    alone = arm.buckets()
    q = float(metric.quantile or DEFAULT_QUANTILE)
    unit = wording.unit_of(metric)
    what = f"p{100 * q:g} "
    limit, unseen = _limit(metric, alone, q)
    if pair is None or isinstance(pair, Missing) or metric.tolerance is None:
        gap = pair if isinstance(pair, Missing) else None
        return Evidence(
            "requests", what, _quantile(alone, q, unit), None, alone.total, None, limit, unseen=unseen, gap=gap
        )
    mine, theirs = pair
    return Evidence(
        unit="requests",
        what=what,
        candidate=_quantile(mine, q, unit),
        stable=_quantile(theirs, q, unit),
        samples=mine.total,
        stable_samples=theirs.total,
        bounds=(_tolerated(metric.tolerance, mine, theirs, q, unit), *limit),
        unseen=(*unseen, *_blind(metric.tolerance, mine, theirs, q, unit)),
    )


def _together(candidate: Arm, stable: Parts | Missing | None) -> tuple[Buckets, Buckets] | Missing | None:
    """Both arms over the time in which both were seen, on the edges that both have."""
    if stable is None or isinstance(stable, Missing):
        return stable
    other = arm_of(stable[HISTOGRAM], "stable")
    if isinstance(other, Missing):
        return other
    start, end = shared(candidate.span, other.span)
    mine, theirs = candidate.buckets(start, end), other.buckets(start, end)
    edges = common_edges((mine, theirs))
    if not edges:
        return Missing(Verdict.NO_DATA, "the buckets of candidate and stable have no edge in common", mistake=True)
    return mine.merged(edges), theirs.merged(edges)


def _tolerated(tolerance: Tolerance, candidate: Buckets, stable: Buckets, q: float, unit: wording.Unit) -> Bound:
    pairs = edge_pairs(candidate.edges, tolerance)
    shares = [(candidate.slower(beyond), stable.slower(edge)) for edge, beyond in pairs]
    limit = slack(stable.quantile(q), tolerance)
    quantile = candidate.quantile(q)

    def p_value_of(mine: Count, theirs: Count, growing: float) -> float:
        return min(1.0, len(pairs) * significance.beyond(mine.times(growing), theirs.times(growing), 1.0, 0.0))

    def p_value(growing: float) -> float:
        return min((p_value_of(*two, growing) for two in shares), default=1.0)

    detail = ""
    if pairs and p_value(1.0) < 1:
        worst = min(range(len(pairs)), key=lambda at: p_value_of(*shares[at], 1.0))
        (edge, beyond), (mine, theirs) = pairs[worst], shares[worst]
        detail = (
            f"{wording.share(mine.share)} took longer than {wording.text(beyond, unit)}, "
            f"of stable {wording.share(theirs.share)} longer than {wording.text(edge, unit)}"
        )
    text = f"≤ {wording.text(limit, unit)}" if limit < math.inf else "unknown"
    return Bound(text, quantile <= limit * (1 + ROUNDING) < math.inf, p_value, detail)


def edge_pairs(edges: tuple[float, ...], tolerance: Tolerance) -> list[tuple[float, float]]:
    """For each edge of the candidate the largest one of stable that, with the tolerance, is not beyond it."""
    reach = list(accumulate((slack(edge, tolerance) for edge in edges), max))
    below = [bisect_right(reach, beyond + ROUNDING * abs(beyond)) for beyond in edges]
    return [(edges[count - 1], beyond) for count, beyond in zip(below, edges, strict=True) if count]


def slack(value: float, tolerance: Tolerance) -> float:
    """The value, and what the tolerance allows above it."""
    return value + tolerance.relative.value * abs(value) + tolerance.absolute.value


def _blind(tolerance: Tolerance, candidate: Buckets, stable: Buckets, q: float, unit: wording.Unit) -> tuple[str, ...]:
    """What the buckets cannot show around the quantile, if that is more than the tolerance asks for."""
    if min(candidate.total, stable.total) <= 0:
        return ()
    usual, last, name = stable.quantile(q), stable.edges[-1], f"p{100 * q:g}"
    if usual == math.inf:
        return (f"stable's {name} is beyond the last bucket edge, {wording.text(last, unit)}, so it shows nothing",)
    upper = next(edge for edge in stable.edges if edge >= usual)
    sure = next((beyond for edge, beyond in edge_pairs(stable.edges, tolerance) if edge >= upper), math.inf)
    limit = slack(usual, tolerance)
    if sure <= limit + max(limit - usual, abs(usual) / 4):
        return ()
    seen = (
        f"only beyond {wording.text(sure, unit)}"
        if sure < math.inf
        else f"not at all (edges end at {wording.text(last, unit)})"
    )
    return (f"the buckets are too coarse for this tolerance: a slower {name} is sure to be seen {seen}",)


def _limit(metric: Metric, seen: Buckets, q: float) -> tuple[tuple[Bound, ...], tuple[str, ...]]:
    """`max` as a share: slower than an edge that is not below max may be 1 − q at most. And what stands in the way."""
    if metric.max is None:
        return (), ()
    highest = metric.max.value
    is_kept = seen.total > 0 and seen.quantile(q) <= highest
    above = next((edge for edge in seen.edges if edge >= highest * (1 - ROUNDING)), None)
    if above is None:
        note = f"no bucket edge reaches max {metric.max}, so breaking it cannot be seen"
        return (Bound(f"≤ {metric.max}", is_kept, _unseen),), (note,)
    return (Bound(f"≤ {metric.max}", is_kept, partial(_too_many, seen.slower(above), 1 - q)),), ()


def _too_many(slower: Count, allowed: float, growing: float) -> float:
    return significance.at_least(slower.times(growing), allowed) if slower.share > allowed else 1.0


def _unseen(growing: float) -> float:
    return 1.0


def _quantile(seen: Buckets, q: float, unit: wording.Unit) -> str:
    if seen.total <= 0:
        return "nothing"
    if (quantile := seen.quantile(q)) < math.inf:
        return wording.text(quantile, unit)
    return f"> {wording.text(seen.edges[-1], unit)}" if seen.edges else "unknown"
