"""The steps of a release in a row, and where a rollout stands among them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.api.scalars import fine_percent, in_percent
from modelrollout.api.status import ModelRolloutStatus, Phase, StageStatus
from modelrollout.traffic.exposure import Exposure, Match
from modelrollout.trial.trial import Place, Step


def exposure_at(stage: StageStatus) -> Exposure:
    """The exposure that a status records."""
    return Exposure(stage.weight, in_percent(stage.mirror), frozenset(_matches(stage)))


def _matches(stage: StageStatus) -> Iterator[Match]:
    for text in stage.asked:
        try:
            yield Match.parse(text)
        except ValueError:  # anybody may edit a status; a match that cannot be read exposes nobody
            continue


def recorded(place: Place, exposure: Exposure) -> dict[str, object]:
    """What a status records of a step."""
    return {
        "index": place.index,
        "name": place.stage,
        "step": place.number,
        "weight": exposure.weight,
        "mirror": fine_percent(exposure.mirror),
        "asked": tuple(map(str, sorted(exposure.asked))),
    }


def current(way: Sequence[Step], status: ModelRolloutStatus) -> Step:
    """The step that a rollout is at; before the first, that which it waits for."""
    if status.stage is None or status.phase is None:
        return way[0]
    return way[position(way, status.phase, status.stage)]


def position(way: Sequence[Step], phase: Phase, stage: StageStatus) -> int:
    """The number of the step that a status records.

    Where an edit took it away: the last one, at or before the same place, that exposes nobody more.
    """
    if phase in (Phase.PROMOTING, Phase.BAKING):
        return next(number for number, step in enumerate(way) if step.phase is phase)
    numbered = [(number, step) for number, step in enumerate(way) if step.phase is Phase.PROGRESSING]
    named = [number for number, step in numbered if step.place.stage == stage.name]
    # The stage may have moved among the others, or have been given another name.
    own = named or [number for number, step in numbered if step.place.index == stage.index]
    live = exposure_at(stage)
    for number in own:
        if (way[number].place.number, way[number].exposure) == (stage.step, live):
            return number
    for number in own if live.asked else ():  # whoever stays with the candidate is not sent away so that more may
        if way[number].place.number == stage.step and live <= way[number].exposure:
            return number
    reached = own[-1] + 1 if own else len(numbered)
    lower = [number for number, step in numbered[:reached] if step.exposure <= live]
    return lower[-1] if lower else own[0] if own else 0
