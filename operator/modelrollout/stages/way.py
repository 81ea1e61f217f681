"""The whole way of a release: the steps of all its stages, promotion and bake. Pure.

A new kind of stage is a file beside this one and a line in STAGES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.api.stages import Canary
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import canary, promotion
from modelrollout.trial.trial import Step

StepsOf = Callable[[int, str, Any, Wish], Iterator[Step]]
"""From a stage's number and name, its settings, and the wish that it is a part of."""

STAGES: Mapping[type, StepsOf] = {
    Canary: canary.steps,
}


def way(wish: Wish) -> tuple[Step, ...]:
    """All steps, in order."""
    stages = wish.spec.stages
    found = [
        step for index, one in enumerate(stages) for step in STAGES[type(one.kind)](index, one.name, one.kind, wish)
    ]
    return (*found, *promotion.steps(len(stages), wish))


def fault(wish: Wish) -> Finding | None:
    """The first request of a stage that the router cannot fulfil."""
    return next((why for step in way(wish) if (why := wish.router.can(step.exposure)) is not None), None)
