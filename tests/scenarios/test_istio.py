"""A release by a VirtualService of Istio, which says nothing of what it has taken."""

from __future__ import annotations

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, VIRTUAL_SERVICES
from tests.fakes.town import Town, releasing

MESH: Manifest = {"port": 8080, "istio": {"hosts": ["fraud.ml.svc.cluster.local"], "gateways": ["mesh"]}}
GATEWAY: Manifest = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}


def split(town: Town) -> dict[str, int]:
    route = town.cluster.get(VIRTUAL_SERVICES, "fraud")
    assert route is not None
    return {one["destination"]["host"]: one["weight"] for one in route["spec"]["http"][-1]["route"]}


def test_release_goes_through_its_steps_and_waits_for_no_word_of_istio() -> None:
    town = releasing(traffic=MESH)
    town.run(until=lambda town: split(town).get(f"fraud-{town.new}") == 25, minutes=10)
    assert split(town) == {f"fraud-{town.old}": 75, f"fraud-{town.new}": 25}
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert (split(town), town.condition("Ready")) == ({f"fraud-{town.new}": 100}, "True")


def test_failing_candidate_is_taken_back() -> None:
    town = releasing(traffic=MESH)
    town.run(until=lambda town: split(town).get(f"fraud-{town.new}") == 25, minutes=10)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    assert split(town) == {f"fraud-{town.old}": 100}


def test_route_of_the_gateway_api_goes_once_the_virtual_service_is_there_and_the_other_way_round() -> None:
    town = releasing(traffic=GATEWAY)
    town.wish("2", traffic=MESH)
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert town.cluster.get(HTTP_ROUTES, "fraud") is None
    assert split(town) == {f"fraud-{town.new}": 100}
    town.wish("2", traffic=GATEWAY)
    town.run(minutes=1)
    assert town.cluster.get(VIRTUAL_SERVICES, "fraud") is None
    assert town.weights == {f"fraud-{town.new}": 100}
