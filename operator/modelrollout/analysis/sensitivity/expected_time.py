"""How long a plan will probably take, said before it starts: each step lasts until every metric has passed. Pure.

A step ends when its hold is over and everything unacceptable is ruled out. At little traffic the second takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from modelrollout.analysis import wording
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.sensitivity import detectable
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric

LONGER = 1.25
"""Nothing is said of a plan that takes hardly longer than its holds."""


def outlook(metric: Metric, analysis: Analysis, prior: Prior, stretches: Sequence[Stretch]) -> str | None:
    """What the plan can detect in a metric, and how long it will probably take."""
    told = (detectable.sentence(metric, analysis, prior, stretches), sentence(metric, analysis, prior, stretches))
    return "; ".join(filter(None, told)) or None


def sentence(metric: Metric, analysis: Analysis, prior: Prior, stretches: Sequence[Stretch]) -> str | None:
    """How long the plan will probably take because of this metric; None where its holds are long enough, or unknown."""
    needed = [seconds_to_pass(metric, analysis, prior, one) for one in stretches]
    planned = sum(one.seconds for one in stretches)
    probably = sum(max(one.seconds, time) for one, time in zip(stretches, needed, strict=True))
    if not stretches or math.isnan(probably) or probably <= LONGER * planned:
        return None
    slowest = max(range(len(needed)), key=needed.__getitem__)
    patience = analysis.step_deadline.timedelta
    alone = f"{stretches[slowest]} alone {_about(needed[slowest])}"
    if needed[slowest] > max(patience.total_seconds(), stretches[slowest].seconds):
        does = {"hold": "waits for a person", "promote": "moves on", "rollback": "is taken back"}
        alone += (
            f", longer than stepDeadline ({analysis.step_deadline}), after which it {does[analysis.on_inconclusive]}"
        )
    return f"at this traffic the plan will probably take {_about(probably)} ({alone})"


def seconds_to_pass(metric: Metric, analysis: Analysis, prior: Prior, stretch: Stretch) -> float:
    """Until a candidate that is like stable passes; NaN where the traffic is unknown, 0 where nothing is compared."""
    kind = kind_of(metric)
    if kind.sensitivity is None or metric.tolerance is None or not prior.rate:
        return math.nan
    if stretch.weight <= 0 or stretch.stable <= 0:
        return 0.0
    nats = math.log(1 / analysis.false_promotion_rate.value)
    fewest = kind.fewest_samples(metric) / (prior.rate * min(stretch.weight, stretch.stable))
    seen = replace(prior, rate=prior.rate * stretch.seen)
    return max(kind.sensitivity.seconds_to_pass(metric, seen, stretch.part, nats), fewest)


def _about(seconds: float) -> str:
    return f"about {wording.duration(timedelta(seconds=seconds))}" if seconds < 30 * 86_400 else "over a month"
