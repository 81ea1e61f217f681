"""Stable's past, seen before a release begins: what its plan can detect, and the weight that it begins with. Pure.

The same at the start of a release and, as warnings, when a spec is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.evidence.ticks import tick_of
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.expected_time import seconds_to_pass
from modelrollout.analysis.sensitivity.preflight import prior_of, summarise_history
from modelrollout.api.analysis import Analysis
from modelrollout.api.stages import Canary
from modelrollout.api.status import ModelRolloutStatus, UsualMetric
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import way


def stretches(wish: Wish) -> list[Stretch]:
    """The exposures that are planned, each for its time."""
    judged = [step for step in way(wish) if step.is_judged]
    return [Stretch(one.reach.share, one.hold.total_seconds(), is_copied=bool(one.exposure.mirror)) for one in judged]


def summarised(
    wish: Wish, asked: Sequence[Query], answers: Mapping[Query, Answer], basis: Mapping[str, str]
) -> tuple[UsualMetric, ...]:
    """The record of each metric, for the plan as the wish has it."""
    analysis = wish.spec.analysis
    tick = tick_of(analysis.interval.timedelta).total_seconds()
    return summarise_history(analysis, asked, answers, basis, stretches(wish), tick)


def foreseen(
    wish: Wish, asked: Sequence[Query], answers: Mapping[Query, Answer], basis: Mapping[str, str]
) -> tuple[Wish, tuple[UsualMetric, ...]]:
    """The wish as its release will begin, and the record of each metric for that plan."""
    usual = summarised(wish, asked, answers, basis)
    begins = adapted(wish, usual)
    return begins, usual if begins is wish else summarised(begins, asked, answers, basis)


def adapted(wish: Wish, usual: Sequence[UsualMetric]) -> Wish:
    """The wish whose canaries begin with a weight that can tell, as far as the user allows it.

    The wish itself where every first weight can, or the traffic is unknown.
    """
    priors = {one.metric: prior_of(one) for one in usual}
    canaries = {stage.name: stage.canary for stage in wish.spec.stages if stage.canary is not None}
    chosen = {name: _first_weight(canary, wish.spec.analysis, priors) for name, canary in canaries.items()}
    raised = {name: weight for name, weight in chosen.items() if weight > canaries[name].all_steps[0].weight}
    return replace(wish, first_weights=raised) if raised else wish


def with_choice(wish: Wish, status: ModelRolloutStatus) -> Wish:
    """The wish with the first weights that were chosen for its release."""
    candidate = status.candidate
    if candidate is None or candidate.revision != wish.revision or candidate.first_weights == wish.first_weights:
        return wish
    return replace(wish, first_weights=candidate.first_weights)


def _first_weight(canary: Canary, analysis: Analysis, priors: Mapping[str, Prior]) -> int:
    """The smallest weight at which a candidate like stable passes within the hold, or comes nearest to it."""
    first, known = canary.all_steps[0], [metric for metric in analysis.metrics if metric.name in priors]
    most, hold = canary.first_weight_at_most or first.weight, (first.hold or canary.hold).timedelta.total_seconds()

    def beyond_hold(weight: int) -> float:
        stretch = Stretch(weight / 100, hold)
        needed = (seconds_to_pass(metric, analysis, priors[metric.name], stretch) for metric in known)
        # Of unknown traffic nothing is said, which is no reason for more users.
        return max((seconds - hold for seconds in needed if seconds > hold), default=0.0)

    return min(range(first.weight, most + 1), key=beyond_hold)
