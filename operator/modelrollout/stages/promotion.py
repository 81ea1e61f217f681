"""After the last stage: the candidate gets all traffic and is judged for a while; the old version stays warm. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.exposure import EVERYBODY
from modelrollout.trial.checks import (
    evidence_is_missing,
    hold_is_not_over,
    is_not_ready,
    route_is_not_accepted,
    weight_is_not_in_force,
)
from modelrollout.trial.trial import Check, Place, Step

PROMOTION = "promotion"
"""Name of what follows the last stage, in status.stage."""

# Before the bake begins: all traffic has to be there.
PROMOTING_WAITS: tuple[Check, ...] = (is_not_ready, weight_is_not_in_force, route_is_not_accepted)

# Before the old version may go. Stable serves nobody now, so it is not asked.
BAKING_WAITS: tuple[Check, ...] = (*PROMOTING_WAITS, hold_is_not_over, evidence_is_missing)


def steps(index: int, wish: Wish) -> Iterator[Step]:
    version, bake, place = wish.model.version, wish.spec.promotion.bake, Place(index, PROMOTION, 0)
    yield Step(
        place=place,
        phase=Phase.PROMOTING,
        exposure=EVERYBODY,
        hold=bake.timedelta,
        begins=Finding("Promoting", f"Version {version} passed all stages and gets all traffic."),
        waits=PROMOTING_WAITS,
        is_judged=False,  # it is over as soon as the route is written
    )
    why = f"Version {version} has all traffic and is judged for {bake} more; the old version stays warm."
    yield Step(
        place=place,
        phase=Phase.BAKING,
        exposure=EVERYBODY,
        hold=bake.timedelta,
        begins=Finding("Baking", why),
        waits=BAKING_WAITS,
    )
