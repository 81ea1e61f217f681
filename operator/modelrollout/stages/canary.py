"""`canary`: a growing share of the traffic, judged at each step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.stages import Canary
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.exposure import Exposure
from modelrollout.trial.checks import EXPOSED_WAITS, in_words
from modelrollout.trial.trial import Place, Step


def steps(index: int, name: str, canary: Canary, wish: Wish) -> Iterator[Step]:
    for number, step in enumerate(canary.all_steps):
        exposure = Exposure(weight=step.weight)
        told = f"{name} {in_words(exposure, wish)}: this share of the traffic goes to the candidate."
        yield Step(
            place=Place(index, name, number),
            phase=Phase.PROGRESSING,
            exposure=exposure,
            hold=(step.hold or canary.hold).timedelta,
            begins=Finding("StepStarted", told),
            waits=EXPOSED_WAITS,
        )
