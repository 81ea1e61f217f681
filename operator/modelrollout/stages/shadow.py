"""`shadow`: the candidate gets copies of users' requests, is judged by them, and answers nobody. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.scalars import in_percent
from modelrollout.api.shadow import ALL_METHODS, Copies, Shadow
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.stages import comparison, smoke
from modelrollout.traffic.exposure import Exposure
from modelrollout.traffic.router import Copied
from modelrollout.trial.checks import EXPOSED_WAITS
from modelrollout.trial.trial import Place, Step


def steps(index: int, name: str, shadow: Shadow, wish: Wish) -> Iterator[Step]:
    exposure = Exposure(mirror=in_percent(shadow.percent))
    before = [*smoke.steps(Place(index, name, 0), shadow, exposure)]
    yield from before
    told = f"{name}: the candidate gets {exposure} {described(shadow)}; stable answers everybody."
    step = Step(
        place=Place(index, name, len(before)),
        phase=Phase.PROGRESSING,
        exposure=exposure,
        hold=shadow.hold.timedelta,
        begins=Finding("StepStarted", told),
        waits=EXPOSED_WAITS,
        copied=copied(shadow),
    )
    yield comparison.with_comparer(step, shadow)


def copied(copies: Copies) -> Copied:
    """The requests that a spec wants copied."""
    methods = () if {*copies.methods} == ALL_METHODS else tuple(sorted(copies.methods))
    return Copied(methods, tuple(sorted(copies.paths)))


def described(copies: Copies) -> str:
    """The same in words."""
    which = copied(copies)
    under = f" to {' and '.join(which.paths)}" if which.paths else ""
    return f"of {', '.join(which.methods) or 'all'} requests{under}"
