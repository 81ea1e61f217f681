"""The smallest regression that a plan can detect at the present traffic, before it starts. Pure.

No rule beats the information in the events. To detect a candidate that is ρ times as bad, with a false rollback rate of
α, any rule needs ln(1/α) nats, and a second at weight w brings M·kl(q1, q0) of them (statistics: 4.1). The tests here
need about half as much again. If the planned time is too short for that, the user learns it before the rollout starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.error_budget import share_of_bound
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.kinds.metric_kind import Sensitivity
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.sequential.levels import widening
from modelrollout.sequential.proportions import Bound

OVERHEAD = 1.4
"""Nats that the tests need, as a multiple of the lower limit; statistics: 3.2."""
DOUBLING = 2.0
"""A plan that cannot detect a share this many times the tolerated one deserves a warning."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A planned time at one weight: the candidate's part of the traffic (0–1), and seconds.

    `is_copied`: stable answers that part as well, so both see it.
    """

    weight: float
    seconds: float
    is_copied: bool = False

    @property
    def stable(self) -> float:
        """Stable's part of the traffic."""
        return 1.0 if self.is_copied else 1 - self.weight

    @property
    def seen(self) -> float:
        """What both see together, as a multiple of the traffic."""
        return self.weight + self.stable

    @property
    def part(self) -> float:
        """The candidate's part of that."""
        return self.weight / self.seen

    def __str__(self) -> str:
        percent = f"{100 * self.weight:g} %"
        return f"a copy of {percent}" if self.is_copied else percent


def smallest_share(prior: Prior, bound: Bound, alpha: float, stretches: Sequence[Stretch]) -> float:
    """The smallest detectable share of bad events in these stretches; infinite if not even a share of 1 is."""
    if prior.rate is None or prior.share is None:
        return math.inf
    needed = OVERHEAD * math.log(1 / alpha) * prior.inflation
    bound = bound.widened(width_of_one_pod(prior))

    def gained(share: float) -> float:
        return sum(_nats(prior, bound, share, one) for one in stretches)

    low, high = min(float(bound.at(usual_share(prior))), 1.0), 1.0
    if gained(high) < needed:
        return math.inf
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if gained(middle) >= needed else (middle, high)
    return high


def width_of_one_pod(prior: Prior) -> float:
    """How many times stable's share a candidate of one pod may have, because pods differ for good."""
    return float(widening(prior.reach, np.sqrt(1 + 1 / np.array([max(prior.pods or 1, 1)])))[0])


def usual_share(prior: Prior) -> float:
    """Stable's share; a tiny one where it has no bad events."""
    return max(prior.share or 0.0, 1e-6)


def _nats(prior: Prior, bound: Bound, worse: float, stretch: Stretch) -> float:
    """The information on a share of `worse` against the bound, for Poisson counts: Σ_a r_a·KL at the nearest null."""
    rate, usually = prior.rate or 0.0, usual_share(prior)
    mine, theirs = rate * stretch.weight * stretch.seconds, rate * stretch.stable * stretch.seconds
    if worse <= bound.factor * usually + bound.margin or mine <= 0 or theirs <= 0:
        return 0.0
    low, high = usually, worse / max(bound.factor, 1e-9)
    for _ in range(50):  # bisection: at the nearest point the derivative along the null is 0
        middle = (low + high) / 2
        limit = bound.factor * middle + bound.margin
        slope = mine * bound.factor * (1 - worse / limit) + theirs * (1 - usually / middle)
        low, high = (middle, high) if slope < 0 else (low, middle)
    limit = bound.factor * low + bound.margin
    return mine * _poisson(worse, limit) + theirs * _poisson(usually, low)


def _poisson(there: float, null: float) -> float:
    return there * math.log(there / null) - there + null


def sentence(metric: Metric, analysis: Analysis, prior: Prior, stretches: Sequence[Stretch]) -> str | None:
    """The smallest regressions that the plan can detect, in words; None without a comparison or a history."""
    sensitivity = _sensitivity(metric)
    if prior.rate is None or prior.share is None or not stretches or sensitivity is None:
        return None
    first, whole = stretches[:1], _compared(stretches)
    start = _visible(metric, analysis, sensitivity, prior, first)
    rest = _visible(metric, analysis, sensitivity, prior, whole)
    there = f"{metric.name}: at {prior.rate:.3g} requests/s{sensitivity.usual(metric, prior.share)}"
    step = f"{first[0]} for {_long(first[0].seconds)}"
    plan = f"the whole plan of {_long(sum(one.seconds for one in whole))}"
    return f"{there}, {step} can see {start}; {plan} {rest.partition(' as slow')[0]}"


def sees_a_doubling(metric: Metric, analysis: Analysis, prior: Prior, stretches: Sequence[Stretch]) -> bool:
    """Whether the plan detects a candidate twice as bad, or twice beyond the tolerance, where that is more."""
    sensitivity = _sensitivity(metric)
    if prior.rate is None or prior.share is None or sensitivity is None:
        return True
    bound = sensitivity.bound(metric)
    limit = min(DOUBLING * float(bound.at(usual_share(prior))), 1.0)
    smallest = smallest_share(prior, bound, _alpha(metric, analysis), _compared(stretches))
    return smallest <= limit * (1 + 1e-9)


def _sensitivity(metric: Metric) -> Sensitivity | None:
    return kind_of(metric).sensitivity if metric.tolerance is not None else None


def _compared(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches in which stable has traffic, too."""
    return [one for one in stretches if one.stable > 0]


def _alpha(metric: Metric, analysis: Analysis) -> float:
    return analysis.false_rollback_rate.value * share_of_bound(metric, "tolerance", analysis)


def _visible(
    metric: Metric, analysis: Analysis, sensitivity: Sensitivity, prior: Prior, stretches: Sequence[Stretch]
) -> str:
    smallest = smallest_share(prior, sensitivity.bound(metric), _alpha(metric, analysis), stretches)
    return "nothing" if smallest == math.inf else sensitivity.visible(metric, usual_share(prior), smallest)


def _long(seconds: float) -> str:
    return wording.duration(timedelta(seconds=seconds))
