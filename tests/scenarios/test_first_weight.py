"""A canary that may begin with more users where the usual traffic is too thin for its first weight to tell anything."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import EVENTS
from tests import builders
from tests.fakes.town import Town, releasing


def with_thin_traffic(rps: float = 10, **fields: Any) -> Town:
    town = releasing(stages=[builders.canary(5, 25, 50, 100, hold="5m", **fields)])
    town.metrics.rps, town.metrics.bad = rps, {"1": 0.02, "2": 0.02}
    return town


def first_weight(town: Town) -> int:
    town.run(until=lambda town: town.status.stage is not None, minutes=2)
    assert town.status.stage is not None
    return town.status.stage.weight


def test_the_first_weight_is_raised_to_the_smallest_that_can_tell_and_says_so() -> None:
    town = with_thin_traffic(firstWeightAtMost=50)
    weight = first_weight(town)
    assert 5 < weight < 50
    assert town.status.candidate is not None
    assert town.status.candidate.first_weights == {"canary": weight}
    told = f"canary {weight} %: this share of the traffic goes to the candidate. It begins with more than 5 %"
    (begun,) = [event["message"] for event in town.cluster.all(EVENTS) if event["reason"] == "StepStarted"]
    assert begun.startswith(told)
    weights = [stage.weight for stage in _stages(town)]
    assert weights == [weight, *(planned for planned in (25, 50, 100) if planned > weight)]


def test_it_is_never_raised_beyond_what_the_user_allows() -> None:
    assert first_weight(with_thin_traffic(rps=1, firstWeightAtMost=12)) == 12


def test_without_leave_it_stays_as_it_is() -> None:
    assert first_weight(with_thin_traffic()) == 5


def test_enough_traffic_leaves_it_as_it_is() -> None:
    assert first_weight(with_thin_traffic(rps=5_000, firstWeightAtMost=50)) == 5


def test_unknown_traffic_leaves_it_as_it_is() -> None:
    town = with_thin_traffic(firstWeightAtMost=50)
    town.metrics.is_silent = True
    assert first_weight(town) == 5


def test_the_choice_outlives_a_restart_and_other_traffic() -> None:
    town = with_thin_traffic(firstWeightAtMost=50)
    weight = first_weight(town)
    town.metrics.rps = 5_000
    town.restart()
    town.run(seconds=30)
    assert town.status.stage is not None
    assert town.status.stage.weight == weight


@pytest.mark.parametrize("most", [5, 10])
def test_a_bound_that_is_lowered_on_the_way_holds_at_once(most: int) -> None:
    town = with_thin_traffic(rps=1, firstWeightAtMost=25)
    assert first_weight(town) == 25
    town.wish("2", stages=[builders.canary(5, 25, 50, 100, hold="5m", firstWeightAtMost=most)])
    town.run(seconds=30)
    assert town.status.stage is not None
    assert town.status.stage.weight == 25  # where it stands is a planned weight
    assert town.status.phase is Phase.PROGRESSING


def _stages(town: Town) -> list[Any]:
    seen: list[Any] = []
    while town.status.phase is Phase.PROGRESSING and town.status.stage is not None:
        if not seen or seen[-1].weight != town.status.stage.weight:
            seen.append(town.status.stage)
        town.run(minutes=1)
    return seen
