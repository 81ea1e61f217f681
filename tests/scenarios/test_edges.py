"""The smallest and the largest of what may be asked for, and what is left when a release is over."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import DEPLOYMENTS, SERVICES
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

AT_ONCE = {"bake": "0s", "keepOld": "0s"}
ON_READINESS = {"readinessOnly": True}


def weights(town: Town) -> list[float]:
    """What version 2 got, one after the other."""
    (witness,) = (w.__self__ for w in town.cluster.witnesses)
    return [shares.get(town.new, 0) for shares in witness.history]


@pytest.mark.parametrize(
    ("steps", "seen"),
    [([100], [0, 100]), ([1], [0, 1, 100]), ([30], [0, 30, 100]), ([5, 25, 50, 100], [0, 5, 25, 50, 100])],
)
def test_any_row_of_steps_leads_to_all_traffic_without_a_detour(steps: list[int], seen: list[int]) -> None:
    town = releasing(stages=[{"name": "c", "canary": {"weights": steps, "hold": "10s"}}])
    witness = Witness(town)
    witness.look()
    town.go(Phase.HEALTHY)
    assert weights(town) == seen


def test_without_any_hold_each_weight_is_still_in_force_before_the_next() -> None:
    changes = {"promotion": AT_ONCE, "analysis": ON_READINESS}
    town = releasing(stages=[{"name": "c", "canary": {"weights": [5, 50, 100], "hold": "0s"}}], **changes)
    Witness(town).look()
    town.go(Phase.HEALTHY, minutes=1)
    assert weights(town) == [0, 5, 50, 100]


def test_bake_of_no_time_still_wants_one_look_at_all_traffic() -> None:
    town = releasing(promotion=AT_ONCE)
    town.go(Phase.BAKING, 100)
    town.metrics.is_silent = True
    town.run(minutes=5)
    assert town.phase is Phase.BAKING
    town.metrics.is_silent = False
    town.go(Phase.HEALTHY, minutes=1)


def test_old_pods_outlive_their_traffic_even_where_they_are_not_to_be_kept() -> None:
    """Gateways take a moment to hear of a switch, and slow answers are on their way."""
    changes = {"promotion": AT_ONCE, "analysis": ON_READINESS}
    town = releasing(stages=[{"name": "c", "canary": {"weights": [50], "hold": "0s"}}], **changes)
    town.run(until=lambda town: town.share(town.new) == 100, minutes=1)
    town.run(seconds=29)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is not None
    town.run(seconds=20)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is None


def test_retired_revisions_are_forgotten_once_nothing_of_them_is_left() -> None:
    town = releasing(promotion=AT_ONCE)
    for version in "3456":
        town.go(Phase.HEALTHY)
        town.wish(version, promotion=AT_ONCE)
    town.go(Phase.HEALTHY)
    assert len(town.status.retired) == 1
    town.run(minutes=2)
    assert town.status.retired == ()
    for resource in (DEPLOYMENTS, SERVICES):
        assert [m["metadata"]["name"] for m in town.cluster.all(resource)] == [town.status.stable.workload]


def test_clock_that_goes_back_a_little_shortens_no_step_and_stops_nothing() -> None:
    town = releasing()
    Witness(town)
    for _ in range(40):
        town.run(seconds=20)
        town.now -= town.now - town.now.replace(second=town.now.second // 5 * 5, microsecond=0)
    town.go(Phase.HEALTHY)
