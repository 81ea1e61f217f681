"""`canary`: a growing share of the traffic, judged at each step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.stages import Canary, CanaryStep
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import smoke
from modelrollout.traffic.exposure import Exposure
from modelrollout.trial.checks import EXPOSED_WAITS, in_words
from modelrollout.trial.trial import Place, Step


def steps(index: int, name: str, canary: Canary, wish: Wish) -> Iterator[Step]:
    planned = canary.all_steps[0].weight
    row = beginning_at(canary, wish.first_weights.get(name, planned))
    before = [*smoke.steps(Place(index, name, 0), canary, Exposure(weight=row[0].weight))]
    yield from before
    for number, step in enumerate(row):
        exposure = Exposure(weight=step.weight)
        told = f"{name} {in_words(exposure, wish)}: this share of the traffic goes to the candidate."
        if number == 0 and step.weight > planned:
            told += f" It begins with more than {planned} %, which could not tell within its hold at this traffic."
        yield Step(
            place=Place(index, name, len(before) + number),
            phase=Phase.PROGRESSING,
            exposure=exposure,
            hold=(step.hold or canary.hold).timedelta,
            begins=Finding("StepStarted", told),
            waits=EXPOSED_WAITS,
            needs_approval=step.approval,
        )


def beginning_at(canary: Canary, weight: int) -> tuple[CanaryStep, ...]:
    """The steps with another first weight: no less than planned, and no more than the user allows for the first one.

    Later steps that would not rise from it are left out, and so is no approval that one of them wants.
    """
    first, *later = canary.all_steps
    most = canary.first_weight_at_most or first.weight
    begins = max(first.weight, min(weight, most))
    approval = any(step.approval for step in canary.all_steps if step.weight <= begins)
    raised = CanaryStep(weight=begins, hold=first.hold, approval=approval)
    return (raised, *(step for step in later if step.weight > begins))
