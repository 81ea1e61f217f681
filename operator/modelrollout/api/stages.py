"""What the candidate goes through before it serves everybody: ``spec.stages``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field

from modelrollout.api.ab_test import AbTest
from modelrollout.api.base import Model
from modelrollout.api.blue_green import BlueGreen
from modelrollout.api.names import Name
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scalars import Duration
from modelrollout.api.shadow import Shadow
from modelrollout.api.smoke import Smoked

DEFAULT_HOLD = Duration("5m")
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]


def _rise(weights: Sequence[int]) -> bool:
    return all(one < next_one for one, next_one in pairwise(weights))


class CanaryStep(Model):
    """One weight of a canary, and how long it is held at least."""

    weight: Annotated[Percent, Field(description="Percent of the traffic that the candidate gets.")]
    hold: Annotated[
        Duration | None, Field(description="Shortest time at this weight; the canary's hold when left out.")
    ] = None
    approval: Annotated[bool, Field(description="Whether a person approves this step before the next one begins.")] = (
        False
    )


Weights = Annotated[
    tuple[Percent, ...],
    Field(min_length=1, max_length=32),
    Rule(
        _rise,
        "weights must rise from one to the next, such as [5, 25, 50, 100]",
        "self.isSorted() && self.all(w, self.exists_one(o, o == w))",
    ),
]
CanarySteps = Annotated[
    tuple[CanaryStep, ...],
    Field(min_length=1, max_length=32),
    Rule(
        lambda steps: _rise([step.weight for step in steps]),
        "the weights of steps must rise from one to the next, such as 5, 25, 50, 100",
        "self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(o, o.weight == s.weight))",
    ),
]


def _may_only_rise(canary: Canary) -> bool:
    most, steps = canary.first_weight_at_most, canary.all_steps
    return most is None or not steps or steps[0].weight <= most


class Canary(Smoked):
    """The candidate gets a growing share of the traffic, judged at each step."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("weights", "steps"),
            message="a canary needs either weights, such as [5, 25, 50, 100], or steps, not both",
        ),
        Rule(
            _may_only_rise,
            "firstWeightAtMost is below the first weight, which it may only raise: make it larger, or leave it out",
            "!has(self.firstWeightAtMost)"
            " || (!has(self.weights) || size(self.weights) == 0 || self.weights[0] <= self.firstWeightAtMost)"
            " && (!has(self.steps) || size(self.steps) == 0 || self.steps[0].weight <= self.firstWeightAtMost)",
        ),
    )

    weights: Annotated[Weights | None, Field(description="Percent of the traffic at each step, rising.")] = None
    steps: Annotated[CanarySteps | None, Field(description="The same step by step, where holds differ.")] = None
    hold: Annotated[Duration, Field(description="Shortest time at each step.")] = DEFAULT_HOLD
    first_weight_at_most: Annotated[
        Percent | None,
        Field(
            description="Where the first weight could not tell within its hold, at the usual traffic, whether the "
            "candidate is unacceptable, the release begins with the smallest weight that can, up to this one."
        ),
    ] = None

    @property
    def all_steps(self) -> tuple[CanaryStep, ...]:
        """The steps, however they were written."""
        return self.steps or tuple(CanaryStep(weight=weight) for weight in self.weights or ())

    @property
    def copies(self) -> None:
        """Nobody gets any."""

    @property
    def holds(self) -> tuple[Duration, ...]:
        return tuple(step.hold or self.hold for step in self.all_steps)


StageKind = Canary | Shadow | BlueGreen | AbTest
"""What a stage does. Each kind says in `holds` how long its steps last at least, and which requests it has copied."""

_KINDS = ("canary", "shadow", "blueGreen", "abTest")
_ANY_KIND = f"{', '.join(_KINDS[:-1])} or {_KINDS[-1]}"


class Stage(Model):
    """One stage of the release, of exactly one kind."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(*_KINDS, message=f"a stage does exactly one thing: set {_ANY_KIND}"),
    )

    name: Annotated[Name, Field(description="What people call it; unique among the stages.")]
    canary: Canary | None = None
    shadow: Shadow | None = None
    blue_green: BlueGreen | None = None
    ab_test: AbTest | None = None
    approval: Annotated[
        bool, Field(description="Whether a person approves the stage before what follows it begins.")
    ] = False

    @property
    def kind(self) -> StageKind:
        """What the stage does."""
        kinds = (self.canary, self.shadow, self.blue_green, self.ab_test)
        return next(kind for kind in kinds if kind is not None)


def default_stages() -> tuple[Stage, ...]:
    """One canary, 5 → 25 → 50 → 100 %."""
    return (Stage(name="canary", canary=Canary(weights=(5, 25, 50, 100))),)
