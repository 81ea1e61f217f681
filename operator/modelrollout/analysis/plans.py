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
from modelrollout.analysis.evidence import Usual
from modelrollout.analysis.queries import BAD
from modelrollout.analysis.ratio import bounds_of
from modelrollout.analysis.sequential.counts import Bound
from modelrollout.api.spec import Analysis, Metric

OVERHEAD = 1.4
"""Nats that the tests need over the limit; statistics: 3.2."""
DOUBLING = 2.0
"""A plan that cannot see a doubling is worth a warning."""
MOST = 1000.0
LEAST = 1e-6
"""What stable's share is taken to be at least, where it shows no errors at all."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the candidate is planned to have so much of the traffic (0–1), in seconds."""

    weight: float
    seconds: float


def smallest_factor(usual: Usual, bound: Bound, alpha: float, stretches: Sequence[Stretch]) -> float:
    """The smallest factor over stable's share that these stretches can tell; infinite when not even all going wrong can."""
    if usual.rate is None or usual.share is None:
        return math.inf
    needed = OVERHEAD * math.log(1 / alpha) * usual.inflation

    def gained(factor: float) -> float:
        return sum(_nats(usual, bound, factor, one) for one in stretches)

    low, high = 1.0, max(MOST, 1 / max(usual.share, LEAST))
    if gained(high) < needed:
        return math.inf
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gained(middle) >= needed else (middle, high)
    return high


def _nats(usual: Usual, bound: Bound, factor: float, stretch: Stretch) -> float:
    """The information on `factor` against the bound, for Poisson counts: Σ_a r_a·KL at the nearest null."""
    rate, share = usual.rate or 0.0, max(usual.share or 0.0, LEAST)
    mine, theirs = rate * stretch.weight * stretch.seconds, rate * (1 - stretch.weight) * stretch.seconds
    worse = min(factor * share, 1.0)
    if worse <= bound.factor * share + bound.margin or mine <= 0 or theirs <= 0:
        return 0.0
    low, high = share, worse / max(bound.factor, 1e-9)
    for _ in range(50):  # the nearest point is where the derivative along the null changes its sign
        middle = (low + high) / 2
        limit = bound.factor * middle + bound.margin
        slope = mine * bound.factor * (1 - worse / limit) + theirs * (1 - share / middle)
        low, high = (middle, high) if slope < 0 else (low, middle)
    limit = bound.factor * low + bound.margin
    return mine * _poisson(worse, limit) + theirs * _poisson(share, low)


def _poisson(there: float, null: float) -> float:
    return there * math.log(there / null) - there + null


def sentence(metric: Metric, analysis: Analysis, usual: Usual, stretches: Sequence[Stretch]) -> str | None:
    """What the plan can see in a metric, in words; None where there is nothing to compare, or no history to tell."""
    if metric.tolerance is None or metric.ratio is None or usual.rate is None or usual.share is None or not stretches:
        return None
    bound, _ = bounds_of(metric)
    alpha = analysis.false_rollback_rate.value / len(analysis.metrics)
    first, whole = stretches[:1], [one for one in stretches if one.weight < 1]
    start = _seen(metric, usual, smallest_factor(usual, bound, alpha, first))
    rest = _seen(metric, usual, smallest_factor(usual, bound, alpha, whole))
    what = "errors" if metric.ratio.bad is not None else "wrong ones"
    there = f"{metric.name}: at {usual.rate:.3g} requests/s and {wording.share(usual.share)} {what}"
    step = f"{100 * first[0].weight:g} % for {_long(first[0].seconds)}"
    plan = f"the whole plan of {_long(sum(one.seconds for one in whole))}"
    return f"{there}, {step} can see {start}; {plan} {rest}"


def sees_a_doubling(metric: Metric, analysis: Analysis, usual: Usual, stretches: Sequence[Stretch]) -> bool:
    """Whether the plan tells what is twice as bad, or twice beyond what is tolerated, where that is more."""
    if metric.ratio is None or usual.rate is None or usual.share is None:
        return True
    bound, _ = bounds_of(metric)
    share = max(usual.share, LEAST)
    alpha = analysis.false_rollback_rate.value / len(analysis.metrics)
    limit = DOUBLING * (bound.factor * share + bound.margin) / share
    return smallest_factor(usual, bound, alpha, [one for one in stretches if one.weight < 1]) <= limit * (1 + 1e-9)


def _seen(metric: Metric, usual: Usual, factor: float) -> str:
    if factor == math.inf:
        return "nothing"
    share = max(usual.share or 0.0, LEAST) * factor
    part = BAD if metric.ratio is not None and metric.ratio.bad is not None else ""
    if part != BAD:
        return f"{wording.share(1 - min(share, 1.0))} right or less"
    return f"{wording.share(min(share, 1.0))} or more" if factor > 50 else f"{factor:.2g} times as many or more"


def _long(seconds: float) -> str:
    return wording.duration(timedelta(seconds=seconds))
