"""A change of the container's port is a release: whoever serves keeps the port that its pods listen on."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic import revision_service
from tests.fakes.cluster import merged
from tests.fakes.town import Town

ONLY_ALL = [{"name": "all", "canary": {"weights": [100], "hold": "10s"}}]
HALF = [{"name": "half", "canary": {"weights": [50], "hold": "10s"}}]
EVERY_ROUTER = pytest.mark.parametrize(("router", "stages"), [("gatewayAPI", HALF), ("service", ONLY_ALL)])


def traffic(port: int, router: str = "gatewayAPI") -> dict[str, Any]:
    own: Manifest = {"parentRefs": [{"name": "inference-gateway"}]} if router == "gatewayAPI" else {}
    return {"port": port, router: own}


def port_of(town: Town, revision: str) -> int | None:
    service = town.cluster.get(SERVICES, f"fraud-{revision}")
    return revision_service.container_port(service) if service else None


def front(town: Town) -> tuple[int, int]:
    service = town.cluster.get(SERVICES, "fraud")
    assert service is not None
    (port,) = service["spec"]["ports"]
    return port["port"], port["targetPort"]


def moving(router: str = "gatewayAPI", **changes: Any) -> Town:
    """A version serves on 8080, and the same one has just been asked for on 9090."""
    town = Town()
    town.old = town.wish("1", traffic=traffic(8080, router), **changes)
    town.go(Phase.HEALTHY, minutes=2)
    town.new = town.wish("1", traffic=traffic(9090, router), **changes)
    return town


@EVERY_ROUTER
def test_change_of_the_port_alone_is_released_like_any_other(router: str, stages: Any) -> None:
    town = moving(router, stages=stages)
    assert town.new != town.old
    seen = set[tuple[int | None, int | None]]()
    town.cluster.witnesses.append(lambda *_: seen.add((port_of(town, town.old), port_of(town, town.new))))
    town.run(until=lambda town: town.share(town.new) > 0, minutes=5)
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100
    assert seen == {(8080, None), (8080, 9090)}


@EVERY_ROUTER
def test_pods_that_do_not_listen_there_are_taken_back_and_users_never_left(router: str, stages: Any) -> None:
    town = moving(router, stages=stages)
    town.run(until=lambda town: town.share(town.new) > 0, minutes=5)
    town.cluster.crash(f"fraud-{town.new}", 3)
    town.go(Phase.ROLLED_BACK)
    assert (port_of(town, town.old), town.share(town.old)) == (8080, 100)
    assert town.wish("1", traffic=traffic(8080, router), stages=stages) == town.old
    town.go(Phase.HEALTHY, minutes=2)
    assert (port_of(town, town.old), town.status.stable.revision) == (8080, town.old)


def test_way_back_while_baking_leads_to_the_port_of_before() -> None:
    town = moving("service", stages=ONLY_ALL)
    town.run(until=lambda town: town.phase is Phase.BAKING and front(town) == (9090, 9090), minutes=5)
    town.wish("1", traffic=traffic(8080, "service"), stages=ONLY_ALL)
    town.step()
    assert front(town) == (8080, 8080)
    town.run(minutes=1)
    assert (port_of(town, town.old), front(town), town.share(town.old)) == (8080, (8080, 8080), 100)


def test_mended_port_reaches_users_although_the_wrong_one_was_rejected() -> None:
    town = moving()
    town.run(until=lambda town: town.share(town.new) > 0, minutes=5)
    town.cluster.crash(f"fraud-{town.new}", 3)
    town.go(Phase.ROLLED_BACK)
    third = town.wish("1", traffic=traffic(7070))
    town.go(Phase.HEALTHY)
    assert (town.share(third), port_of(town, third)) == (100, 7070)


def test_two_ports_are_never_mixed_behind_one_service_and_the_mend_is_told() -> None:
    town = moving("service", stages=HALF)
    town.run(minutes=10)
    assert (town.share(town.old), front(town)) == (100, (8080, 8080))
    assert "the versions listen on 8080 and 9090" in (town.status.message or "")
    assert "weights: [100]" in (town.status.message or "")
    town.wish("1", traffic=traffic(9090, "service"), stages=ONLY_ALL)
    town.go(Phase.HEALTHY)
    assert front(town) == (9090, 9090)


def test_port_of_a_service_that_somebody_edits_in_mid_release_is_put_back() -> None:
    town = moving()
    town.run(until=lambda town: town.share(town.new) > 0, minutes=5)
    for revision, port in ((town.old, 8080), (town.new, 9090)):
        service = town.cluster.get(SERVICES, f"fraud-{revision}")
        assert service is not None
        (entry,) = service["spec"]["ports"]
        town.cluster.put(merged(service, {"spec": {"ports": [{**entry, "targetPort": 1}]}}))
        town.run(seconds=2)
        assert port_of(town, revision) == port
