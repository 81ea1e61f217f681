"""How long a candidate that is like stable needs until it passes, at one weight and the usual traffic. Pure."""

from __future__ import annotations

import math

import numpy as np

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds import request_shares
from modelrollout.analysis.kinds.edges import choose_edges
from modelrollout.analysis.kinds.ratio_bounds import bounds_of, counts_good
from modelrollout.analysis.kinds.request_shares import Totals
from modelrollout.analysis.kinds.tails import RuleOut, pairs_to_rule_out
from modelrollout.api.metric import Metric
from modelrollout.sequential.proportions import Counts

MUCH = 1e9
"""Requests from which a drift is computed: so many that an estimate from them is the true share."""


def of_ratio(metric: Metric, prior: Prior, weight: float, nats: float) -> float:
    """Seconds at a weight (0–1) until `nats` of evidence rule out everything unacceptable; infinite if nothing can."""
    share, noise = min(prior.share or 0.0, 1.0), (prior.inflation, prior.inflation)
    drifts = []
    if metric.tolerance is not None:
        totals = Totals(share * MUCH * weight, MUCH * weight, share * MUCH * (1 - weight), MUCH * (1 - weight))
        drifts.append(request_shares.comparison_drifts(totals, *bounds_of(metric), noise)[1])
    good = counts_good(metric)
    for limit, is_high in ((metric.max, True), (metric.min, False)):
        if limit is not None:
            hits = share if good != is_high else 1 - share
            allowed = limit.value if is_high else 1 - limit.value
            drifts.append(request_shares.limit_drifts(hits * MUCH, MUCH, allowed, noise)[1])
    return _seconds(drifts, prior, weight, nats)


def of_histogram(metric: Metric, prior: Prior, weight: float, nats: float) -> float:
    """The same for a histogram, until its unacceptable tail is ruled out; NaN where its buckets are unknown."""
    within = prior.buckets or {}
    total = within.get(math.inf, 0.0)
    if total <= 0:
        return math.nan
    finite = sorted(edge for edge in within if edge < math.inf)
    edges = choose_edges(finite, finite, metric.tolerance, None, within)
    tails = np.array([1 - within[edge] / total for edge in edges.all])
    places, fars, bound = pairs_to_rule_out(metric, edges)
    if not places.size:
        return math.inf
    at = int(np.abs(np.log(np.maximum(tails[places], 1e-12)) - math.log(1 - metric.quantile_share)).argmin())
    near, far = places[at], fars[at]
    parts = (tails[far], 1.0, tails[near] * (1 - weight) / weight, (1 - weight) / weight)
    each = Counts(*(np.array([part]) for part in parts))
    rule = RuleOut(each, each, np.array([tails[near] * MUCH]), np.array([MUCH]), bound)
    return _seconds([rule.drift() / prior.inflation], prior, weight, nats)


def _seconds(drifts: list[float], prior: Prior, weight: float, nats: float) -> float:
    """`drifts`: nats from each request of the candidate, for each bound that has to be cleared."""
    rate = (prior.rate or 0.0) * weight
    slowest = min(drifts, default=math.inf)
    return nats / (slowest * rate) if slowest * rate > 0 else math.inf
