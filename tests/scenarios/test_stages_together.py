"""Stages of several kinds in one release: copies, then a share of the users, then a preview and everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.traffic.exposure import Exposure, Match
from modelrollout.trial.steps import exposure_at
from tests import builders
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

PREVIEW = {"header": {"name": "x-preview", "value": "1"}}
ASKED = Exposure(asked=frozenset({Match("x-preview", "1")}))
WAY = [
    builders.shadow(methods=["POST"], hold="1m"),
    builders.canary(5, 20, hold="1m"),
    builders.blue_green(preview=PREVIEW, previewHold="1m", hold="1m"),
]
EXPOSURES = [Exposure(mirror=100), Exposure(5), Exposure(20), ASKED, Exposure(100)]


def seen_until(town: Town, phase: Phase) -> list[Exposure]:
    """The exposures of the steps on the way there."""
    seen: list[Exposure] = []

    def is_over(town: Town) -> bool:
        stage = town.status.stage
        if stage is not None and exposure_at(stage) not in seen[-1:] and town.phase is Phase.PROGRESSING:
            seen.append(exposure_at(stage))
        return town.phase is phase

    town.run(until=is_over, minutes=40)
    return seen


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)], ids=str)
def test_good_candidate_goes_through_all_stages_in_any_order(order: tuple[int, ...]) -> None:
    of_each = [EXPOSURES[:1], EXPOSURES[1:3], EXPOSURES[3:]]
    town = releasing(stages=[WAY[number] for number in order])
    Witness(town)
    assert seen_until(town, Phase.HEALTHY) == [exposure for number in order for exposure in of_each[number]]
    assert town.status.history[0].outcome == "Promoted"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_candidate_that_turns_bad_is_taken_back_from_whatever_stage_compares_it(at: int) -> None:
    town = releasing(stages=WAY)
    Witness(town)
    town.run(
        until=lambda town: town.status.stage is not None and exposure_at(town.status.stage) == EXPOSURES[at], minutes=9
    )
    town.metrics.bad = {"2": 0.3}
    assert seen_until(town, Phase.ROLLED_BACK)[-1] == EXPOSURES[at]
    assert town.tried_by == {}
    assert town.share(town.old) == 100
    town.run(minutes=20)
    assert town.share(town.old) == 100


@pytest.mark.parametrize("killed_after", [0, 90, 225, 315, 450])
def test_operator_that_is_started_again_goes_on_where_it_was(killed_after: int) -> None:
    town = releasing(stages=WAY)
    Witness(town)
    town.run(seconds=killed_after) if killed_after else None
    town.restart()
    seen_until(town, Phase.HEALTHY)
    assert town.status.history[0].outcome == "Promoted"


def test_operator_that_is_started_again_all_the_time_is_no_slower() -> None:
    """Many times in each step, and so that no two steps are met at the same moments."""
    steady, restless = releasing(stages=WAY), releasing(stages=WAY)
    Witness(restless)
    steady.go(Phase.HEALTHY)
    while restless.now < steady.now + timedelta(seconds=15):
        restless.run(seconds=11)
        restless.restart()
    assert restless.phase is Phase.HEALTHY
    assert restless.status.history[0].outcome == "Promoted"


def test_stage_that_is_edited_away_leads_back_to_one_that_exposes_nobody_more() -> None:
    town = releasing(stages=WAY)
    Witness(town)
    town.go(Phase.PROGRESSING, 20)
    town.wish("2", stages=[WAY[0], builders.canary(5, 50, hold="1m"), WAY[2]])
    town.run(seconds=5)
    assert town.status.stage is not None
    assert exposure_at(town.status.stage) == Exposure(5)
    town.go(Phase.HEALTHY)


def test_weights_may_fall_from_one_stage_to_the_next() -> None:
    town = releasing(stages=[builders.canary(50, hold="1m", name="wide"), builders.canary(5, hold="1m")])
    witness = Witness(town)
    town.go(Phase.HEALTHY)
    assert _changes(witness, town.new) == [50, 5, 100]


def _changes(witness: Witness, revision: str) -> list[float]:
    seen: list[Any] = []
    for shares in witness.history:
        if (share := shares.get(revision, 0)) not in seen[-1:]:
            seen.append(share)
    return seen
