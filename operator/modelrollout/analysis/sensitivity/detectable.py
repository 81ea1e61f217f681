"""What a plan can and cannot see at the traffic that there is, before it starts. Pure.

Nothing beats the information in the events: to tell a candidate that is ρ times as bad with a false rollback rate of α,
any rule needs ln(1/α) nats, of which a second at weight w brings M·kl(q1, q0) (statistics: 4.1). The tests here need
about half as much again. What cannot be reached in the planned time is said before anybody waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.error_budget import share_of_bound
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.ratio import bounds_of
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.sequential.proportions import Bound

OVERHEAD = 1.4
"""Nats that the tests need over the limit; statistics: 3.2."""
DOUBLED = 2.0
"""A plan that cannot see a doubling is worth a warning."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the candidate is planned to have so much of the traffic (0–1), in seconds."""

    weight: float
    seconds: float


def smallest_share(usual: Prior, bound: Bound, alpha: float, stretches: Sequence[Stretch]) -> float:
    """The smallest share of bad events that these stretches can tell; infinite when not even all of them bad can be."""
    if usual.rate is None or usual.share is None:
        return math.inf
    needed = OVERHEAD * math.log(1 / alpha) * usual.inflation

    def gained(share: float) -> float:
        return sum(_nats(usual, bound, share, one) for one in stretches)

    low, high = min(float(bound.at(_usual(usual))), 1.0), 1.0
    if gained(high) < needed:
        return math.inf
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gained(middle) >= needed else (middle, high)
    return high


def _usual(usual: Prior) -> float:
    """Stable's share; where nothing ever went wrong, next to nothing."""
    return max(usual.share or 0.0, 1e-6)


def _nats(usual: Prior, bound: Bound, worse: float, stretch: Stretch) -> float:
    """The information on a share of `worse` against the bound, for Poisson counts: Σ_a r_a·KL at the nearest null."""
    rate, usually = usual.rate or 0.0, _usual(usual)
    mine, theirs = rate * stretch.weight * stretch.seconds, rate * (1 - stretch.weight) * stretch.seconds
    if worse <= bound.factor * usually + bound.margin or mine <= 0 or theirs <= 0:
        return 0.0
    low, high = usually, worse / max(bound.factor, 1e-9)
    for _ in range(50):  # the nearest point is where the derivative along the null changes its sign
        middle = (low + high) / 2
        limit = bound.factor * middle + bound.margin
        slope = mine * bound.factor * (1 - worse / limit) + theirs * (1 - usually / middle)
        low, high = (middle, high) if slope < 0 else (low, middle)
    limit = bound.factor * low + bound.margin
    return mine * _poisson(worse, limit) + theirs * _poisson(usually, low)


def _poisson(there: float, null: float) -> float:
    return there * math.log(there / null) - there + null


def sentence(metric: Metric, analysis: Analysis, usual: Prior, stretches: Sequence[Stretch]) -> str | None:
    """What the plan can see in a metric, in words; None where there is nothing to compare, or no history to tell."""
    if usual.rate is None or usual.share is None or not stretches or (bound := _bound(metric)) is None:
        return None
    alpha = analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis)
    first, whole = stretches[:1], [one for one in stretches if one.weight < 1]
    start = _seen(metric, usual, smallest_share(usual, bound, alpha, first))
    rest = _seen(metric, usual, smallest_share(usual, bound, alpha, whole))
    there = f"{metric.name}: at {usual.rate:.3g} requests/s{_usually(metric, usual.share)}"
    step = f"{100 * first[0].weight:g} % for {_long(first[0].seconds)}"
    plan = f"the whole plan of {_long(sum(one.seconds for one in whole))}"
    return f"{there}, {step} can see {start}; {plan} {rest.partition(' as slow')[0]}"


def sees_a_doubling(metric: Metric, analysis: Analysis, usual: Prior, stretches: Sequence[Stretch]) -> bool:
    """Whether the plan tells what is twice as bad, or twice beyond what is tolerated, where that is more."""
    if usual.rate is None or usual.share is None or (bound := _bound(metric)) is None:
        return True
    alpha = analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis)
    limit = min(DOUBLED * float(bound.at(_usual(usual))), 1.0)
    return smallest_share(usual, bound, alpha, [one for one in stretches if one.weight < 1]) <= limit * (1 + 1e-9)


def _bound(metric: Metric) -> Bound | None:
    """What is tolerated, of a share: of bad requests, or of those as slow as the slowest beyond the quantile."""
    if metric.tolerance is None:
        return None
    if metric.histogram is not None:
        return Bound(1.0)
    return bounds_of(metric)[0] if metric.ratio is not None else None


def _usually(metric: Metric, share: float) -> str:
    if metric.ratio is None:
        return ""
    return f" and {wording.share(share)} {'errors' if metric.ratio.bad is not None else 'wrong ones'}"


def _seen(metric: Metric, usual: Prior, worse: float) -> str:
    if worse == math.inf:
        return "nothing"
    if metric.ratio is not None and metric.ratio.bad is None:
        return f"{wording.share(1 - worse)} right or less"
    if metric.histogram is not None:
        return f"{wording.share(worse)} or more as slow as the slowest {wording.share(_usual(usual))} were"
    return f"{wording.share(worse)} or more"


def _long(seconds: float) -> str:
    return wording.duration(timedelta(seconds=seconds))
