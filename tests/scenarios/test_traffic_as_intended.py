"""A gateway that does not follow the weights of its route. Requests show it; the route's status never does."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from tests.fakes.town import Town, releasing

MORE, FEWER = "MoreThanIntended", "FewerThanIntended"


def at_five(part: float | None) -> Town:
    """A rollout at 5 %, whose gateway sends the candidate another part of the requests."""
    town = releasing()
    town.metrics.candidates_part = part
    town.go(Phase.PROGRESSING, 5)
    return town


def contradiction(town: Town) -> str | None:
    return next((one.reason for one in town.status.conditions if one.type == "TrafficAsIntended"), None)


@pytest.mark.parametrize("part", [0.5, 0.999])
def test_twice_as_many_users_as_intended_take_the_candidate_back(part: float) -> None:
    town = at_five(part)
    town.run(until=lambda town: town.phase is Phase.ROLLED_BACK, seconds=50)
    assert town.status.rejected[0].reason == MORE
    assert town.share(town.new) == 0


def test_too_few_users_hold_the_step_until_the_gateway_is_mended() -> None:
    town = at_five(0.0001)
    town.run(until=lambda town: contradiction(town) == FEWER, seconds=50)
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 5)
    assert town.events.count(FEWER) == 1
    assert "5 % were intended. Either the gateway does not follow" in (town.status.message or "")
    town.metrics.candidates_part = None
    town.run(until=lambda town: contradiction(town) is None, minutes=10)
    town.go(Phase.HEALTHY)
    assert town.events.count("TrafficAsIntended") == 1


def test_a_bit_too_many_users_hold_the_step() -> None:
    town = at_five(0.08)
    town.run(until=lambda town: contradiction(town) == MORE, minutes=2)
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 5)


def test_a_restarted_operator_knows_what_was_told_and_tells_it_once() -> None:
    town = at_five(0.0001)
    town.run(until=lambda town: contradiction(town) == FEWER, seconds=50)
    before = town.status.conditions
    for _ in range(5):
        town.restart()
        town.run(seconds=20)
    assert town.events.count(FEWER) == 1
    assert [one for one in town.status.conditions if one.type == "TrafficAsIntended"] == [
        one for one in before if one.type == "TrafficAsIntended"
    ]


def test_as_intended_nothing_is_told() -> None:
    town = at_five(None)
    town.go(Phase.HEALTHY)
    assert not {MORE, FEWER} & set(town.events)
