"""The whole way of a release: the steps of all its stages, promotion and bake. Pure.

A new kind of stage is a file beside this one and a line in STAGES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelrollout.api.blue_green import BlueGreen
from modelrollout.api.findings import Finding
from modelrollout.api.shadow import Shadow
from modelrollout.api.stages import Canary, StageKind
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import blue_green, canary, promotion, shadow
from modelrollout.trial.trial import Step

StepsOf = Callable[[int, str, Any, Wish], Iterator[Step]]
"""From a stage's number and name, its settings, and the wish that it is a part of."""

STAGES: Mapping[type[StageKind], StepsOf] = {
    Shadow: shadow.steps,
    Canary: canary.steps,
    BlueGreen: blue_green.steps,
}


def way(wish: Wish) -> tuple[Step, ...]:
    """All steps, in order."""
    stages = wish.spec.stages
    found = [
        step for index, one in enumerate(stages) for step in STAGES[type(one.kind)](index, one.name, one.kind, wish)
    ]
    return (*found, *promotion.steps(len(stages), wish))


def after(step: Step, wish: Wish) -> Step | None:
    """The step that follows; None after the last one."""
    row = way(wish)
    number = [(one.phase, one.place) for one in row].index((step.phase, step.place)) + 1
    return row[number] if number < len(row) else None


def fault(wish: Wish) -> Finding | None:
    """The first request of a stage that the router cannot fulfil."""
    traffic, can = wish.spec.traffic, wish.router.can
    return next((why for step in way(wish) if (why := can(traffic, step.exposure, step.copied)) is not None), None)
