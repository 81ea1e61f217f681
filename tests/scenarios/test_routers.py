"""What becomes of a release when the spec asks for another router in the middle of it."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, SERVICES
from tests.fakes.town import releasing

GATEWAY = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}
PLAIN = {"port": 8080, "service": {}}
BOTH_WAYS = pytest.mark.parametrize(("before", "after"), [(GATEWAY, PLAIN), (PLAIN, GATEWAY)])


@BOTH_WAYS
def test_failing_candidate_loses_its_traffic_on_the_old_route_too(before: Manifest, after: Manifest) -> None:
    town = releasing(traffic=before)
    town.run(until=lambda town: town.share(town.new) == 50, minutes=10)
    assert town.wish("2", traffic=after) == town.new
    town.run(seconds=20)
    assert [shares[town.new] for shares in town.shares().values()] == [50, 50]
    town.metrics.bad = {"2": 0.5}
    town.run(until=lambda town: town.phase is Phase.ROLLING_BACK, minutes=2)
    assert town.shares() == {"httproutes": {town.old: 100}, "services": {town.old: 100}}


@BOTH_WAYS
def test_candidate_that_is_not_ready_loses_its_traffic_on_the_old_route_too(before: Manifest, after: Manifest) -> None:
    town = releasing(traffic=before)
    town.go(Phase.PROGRESSING)
    town.run(seconds=10)
    town.wish("2", traffic=after)
    town.cluster.broken = {"2"}
    town.step()
    town.step()
    assert all(shares == {town.old: 100} for shares in town.shares().values())


@BOTH_WAYS
def test_old_route_goes_once_the_new_one_is_there_and_the_release_is_over(before: Manifest, after: Manifest) -> None:
    town = releasing(traffic=before)
    town.go(Phase.PROGRESSING)
    town.wish("2", traffic=after)
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    kinds = {HTTP_ROUTES.plural, SERVICES.plural} & town.shares().keys()
    assert kinds == {"services" if after is PLAIN else "httproutes"}
    assert town.share(town.new) == 100
