"""The steps of all stages in a row, and where a rollout stands among them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.stages import Stage
from modelrollout.api.stages import Step as StepSpec
from modelrollout.api.status import StageStatus

PROMOTION = "promotion"
"""Name of what follows the last stage, in status.stage."""


@dataclass(frozen=True, slots=True)
class Step:
    """One weight to be held."""

    index: int  # of the stage
    stage: str
    step: int
    weight: int
    hold: timedelta


def steps(spec: ModelRolloutSpec) -> tuple[Step, ...]:
    return tuple(
        Step(index, stage.name, number, step.weight, (step.hold or stage.canary.hold).timedelta)
        for index, stage in enumerate(spec.stages)
        for number, step in enumerate(_canary_steps(stage))
    )


def position(all_steps: tuple[Step, ...], stage: StageStatus) -> int:
    """The number of the current step. Where an edit took it away: the last one that asks for no more traffic, and does
    not belong to a stage that is yet to come."""
    numbered = list(enumerate(all_steps))
    named = [number for number, step in numbered if step.stage == stage.name]
    # The stage may have moved among the others, or have been given another name.
    own = named or [number for number, step in numbered if step.index == stage.index]
    for number in own:
        if (all_steps[number].step, all_steps[number].weight) == (stage.step, stage.weight):
            return number
    reached = named[-1] + 1 if named else len(all_steps)
    lower = [number for number, step in numbered[:reached] if step.weight <= stage.weight]
    return lower[-1] if lower else named[0] if named else 0


def _canary_steps(stage: Stage) -> tuple[StepSpec, ...]:
    canary = stage.canary
    return canary.steps or tuple(StepSpec(weight=weight) for weight in canary.weights or ())
