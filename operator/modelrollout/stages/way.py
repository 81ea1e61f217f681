"""The whole way of a release: the steps of all its stages, promotion and bake. Pure.

A new kind of stage is a file beside this one and a line in STAGES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from modelrollout.api.ab_test import AbTest
from modelrollout.api.blue_green import BlueGreen
from modelrollout.api.findings import Finding
from modelrollout.api.shadow import Shadow
from modelrollout.api.stages import Canary, Stage, StageKind
from modelrollout.objects.access import Access
from modelrollout.rollout.agreement_metrics import judged_at
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import ab_test, blue_green, canary, comparison, promotion, shadow, smoke
from modelrollout.trial.trial import Step

StepsOf = Callable[[int, str, Any, Wish], Iterator[Step]]
"""From a stage's number and name, its settings, and the wish that it is a part of."""

STAGES: Mapping[type[StageKind], StepsOf] = {
    Shadow: shadow.steps,
    Canary: canary.steps,
    BlueGreen: blue_green.steps,
    AbTest: ab_test.steps,
}

FAULTS: Mapping[type[StageKind], Callable[[str, Any, Wish], Finding | None]] = {
    Shadow: comparison.fault,
    BlueGreen: comparison.fault,
    AbTest: ab_test.fault,
}
"""What a kind of stage asks of a spec beyond what its steps ask of the router."""

ACCESS: Mapping[type[StageKind], tuple[Access, ...]] = {Shadow: comparison.ACCESS, BlueGreen: comparison.ACCESS}
"""What a kind of stage does with objects beside the route and the revisions' own."""


@lru_cache(maxsize=256)  # each pass asks a dozen times, of a wish that stays the same until the spec is edited
def way(wish: Wish) -> tuple[Step, ...]:
    """All steps, in order."""
    stages = wish.spec.stages
    found = [step for index, one in enumerate(stages) for step in _steps_of(index, one, wish)]
    return tuple(_with_its_metrics(step, wish) for step in (*found, *promotion.steps(len(stages), wish)))


def _steps_of(index: int, stage: Stage, wish: Wish) -> Iterator[Step]:
    """Those of a stage; a person approves the whole of it at its last one."""
    *before, last = STAGES[type(stage.kind)](index, stage.name, stage.kind, wish)
    yield from before
    yield replace(last, needs_approval=True) if stage.approval else last


def _with_its_metrics(step: Step, wish: Wish) -> Step:
    """A stage that compares answers brings a metric, which says nothing once there are no more copies.

    Copies say nothing of a goal: nobody sees the answers, so nobody buys.
    """
    judged = judged_at(wish.spec, step.place.index if step.exposure.mirror else None)
    if step.exposure.mirror and (goals := {stage.ab_test.goal.metric for stage in wish.spec.stages if stage.ab_test}):
        judged = (judged if judged is not None else frozenset(one.name for one in wish.spec.analysis.metrics)) - goals
    return step if judged is None or step.judged is not None else replace(step, judged=judged)


def after(step: Step, wish: Wish) -> Step | None:
    """The step that follows; None after the last one."""
    row = way(wish)
    number = [(one.phase, one.place) for one in row].index((step.phase, step.place)) + 1
    return row[number] if number < len(row) else None


@lru_cache(maxsize=256)
def fault(wish: Wish) -> Finding | None:
    """The first request of a stage that cannot be fulfilled."""
    for stage in wish.spec.stages:
        check = FAULTS.get(type(stage.kind))
        if check is not None and (found := check(stage.name, stage.kind, wish)) is not None:
            return found
    if (unasked := smoke.fault(wish)) is not None:
        return unasked
    traffic, can = wish.spec.traffic, wish.router.can
    return next((why for step in way(wish) if (why := can(traffic, step.exposure, step.copied)) is not None), None)
