"""Restored from a backup: without a status, as most tools restore, or with a status that is older than the route.

Whoever serves goes on serving, and a revision that the route remembers as taken back is not tried again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, PODS, SERVICES
from tests import builders
from tests.fakes.cluster import copied
from tests.fakes.town import Town, releasing

NO_STATUS = {"observedGeneration": 0}
"""As the API server shows it by the definition's default."""
GATEWAY = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}
SERVICE = {"port": 8080, "service": {}}
ROUTERS = pytest.mark.parametrize("traffic", [GATEWAY, SERVICE], ids=["gateway", "service"])


def at(phase: Phase, weight: int | None = None) -> Callable[[Town], None]:
    def is_there(town: Town) -> bool:
        stage = town.status.stage
        at_weight = weight is None or (stage is not None and stage.weight == weight and town.share(town.new) > 0)
        return town.status.phase is phase and at_weight

    return lambda town: town.run(until=is_there, minutes=30)


def rolled_back(town: Town) -> None:
    at(Phase.PROGRESSING, 25)(town)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)


def healthy(town: Town) -> None:
    town.go(Phase.HEALTHY)


STATES = pytest.mark.parametrize(
    "reached",
    [at(Phase.PENDING), at(Phase.PROGRESSING, 25), at(Phase.PROMOTING), at(Phase.BAKING), healthy, rolled_back],
    ids=["starting", "at-25", "promoting", "baking", "healthy", "rolled-back"],
)


def town_at(reached: Callable[[Town], None], traffic: dict[str, Any]) -> Town:
    town = releasing(traffic=traffic, stages=[builders.canary(25, 100, hold="20s")])
    reached(town)
    return town


def with_status(town: Town, status: Manifest) -> None:
    """What a restore leaves: the spec with another status, and a process that knows nothing."""
    found = town.cluster.get(MODEL_ROLLOUTS, "fraud")
    assert found is not None
    town.cluster.put({**found, "status": copied(status)})
    town.restart()


def served(town: Town) -> float:
    """Percent of users who reach ready pods."""
    (shares,) = town.shares().values()
    return sum(share for revision, share in shares.items() if town.pods(revision) > 0)


def watched(town: Town, revision: str) -> tuple[list[float], list[float]]:
    """From now on, at each write: how many are served, and a revision's share."""
    all_, one = [served(town)], [town.share(revision)]

    def look(*_: object) -> None:
        all_.append(served(town))
        one.append(town.share(revision))

    town.cluster.witnesses.append(look)
    return all_, one


@ROUTERS
@STATES
def test_without_a_status_everybody_goes_on_being_served(
    reached: Callable[[Town], None], traffic: dict[str, Any]
) -> None:
    town = town_at(reached, traffic)
    with_status(town, NO_STATUS)
    everybody, _ = watched(town, town.new)
    town.run(minutes=12)
    assert set(everybody) == {100}
    assert town.phase in (Phase.HEALTHY, Phase.ROLLED_BACK)
    assert town.share(town.old if town.phase is Phase.ROLLED_BACK else town.new) == 100


@ROUTERS
def test_without_a_status_a_version_that_was_taken_back_gets_no_user_again(traffic: dict[str, Any]) -> None:
    town = town_at(rolled_back, traffic)
    reason, good = town.status.rejected[0].reason, dict.fromkeys(("1", "2"), 0.0)
    with_status(town, NO_STATUS)
    town.metrics.bad = good  # a second try would pass
    _, shares = watched(town, town.new)
    town.run(minutes=12)
    assert (town.phase, set(shares)) == (Phase.ROLLED_BACK, {0})
    assert [(entry.revision, entry.reason) for entry in town.status.rejected] == [(town.new, reason)]


@ROUTERS
@pytest.mark.parametrize("before", [at(Phase.PENDING), at(Phase.PROGRESSING, 25)], ids=["starting", "at-25"])
def test_a_status_from_before_the_rollback_tries_nothing_again(
    before: Callable[[Town], None], traffic: dict[str, Any]
) -> None:
    town = town_at(before, traffic)
    older = copied(town.manifest["status"])
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    with_status(town, older)
    town.metrics.bad = {}
    everybody, shares = watched(town, town.new)
    town.run(minutes=12)
    assert (town.phase, set(shares), set(everybody)) == (Phase.ROLLED_BACK, {0}, {100})


@ROUTERS
@STATES
def test_a_status_from_before_the_release_takes_nobody_away(
    reached: Callable[[Town], None], traffic: dict[str, Any]
) -> None:
    town = releasing(traffic=traffic, stages=[builders.canary(25, 100, hold="20s")])
    older = copied(town.manifest["status"])
    reached(town)
    with_status(town, older)
    everybody, _ = watched(town, town.new)
    town.run(minutes=12)
    assert set(everybody) == {100}
    assert town.phase in (Phase.HEALTHY, Phase.ROLLED_BACK)


def test_into_an_empty_cluster_the_wished_version_is_installed() -> None:
    """Workloads and routes are the operator's to make; nobody is served before, so nobody can be worse off."""
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    for resource in (HTTP_ROUTES, SERVICES, DEPLOYMENTS, PODS):
        for one in town.cluster.all(resource):
            town.cluster.remove(resource, one["metadata"]["name"])
    with_status(town, NO_STATUS)
    town.go(Phase.HEALTHY, minutes=2)
    assert (town.share(town.new), town.status.history[0].outcome) == (100, "Installed")


def test_pods_that_start_slowly_change_nothing_of_that() -> None:
    town = town_at(at(Phase.PROGRESSING, 25), GATEWAY)
    with_status(town, NO_STATUS)
    town.cluster.slow = timedelta(seconds=40)
    everybody, shares = watched(town, town.new)
    town.run(until=lambda town: town.share(town.new) == 100, minutes=12)
    assert set(everybody) == {100}
    assert [share for share, _ in itertools.groupby(shares)] == [25, 0, 25, 100]
