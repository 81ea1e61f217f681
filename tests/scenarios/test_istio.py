"""A release by a VirtualService of Istio, which says nothing of what it has taken."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    "hosts",
    [
        {"hosts": ["fraud.other-team.svc.cluster.local"]},
        {"hosts": ["fraud.ml.svc.cluster.local", "*"], "gateways": ["mesh", "istio-ingress/public"]},
        {"hosts": ["*.svc.cluster.local"]},
        {"hosts": ["*.local"], "gateways": ["public"], "matches": [{"gateways": ["mesh"]}]},
    ],
)
def test_callers_in_the_mesh_of_somebody_elses_services_are_not_taken(hosts: Manifest) -> None:
    town = Town()
    town.wish("1", traffic={"port": 8080, "istio": hosts})
    town.run(minutes=1)
    assert town.phase is Phase.INVALID
    assert (
        "is not a Service of namespace 'ml', and its callers in the whole mesh would come here" in town.status.message
    )
    assert town.cluster.all(VIRTUAL_SERVICES) == []


@pytest.mark.parametrize(
    "hosts",
    [
        {"hosts": ["fraud"]},
        {"hosts": ["*.ml.svc.cluster.local", "fraud.example.com"], "gateways": ["mesh", "public"]},
        {"hosts": ["*"], "gateways": ["istio-ingress/public"]},  # whose servers say which namespaces they serve
    ],
)
def test_hosts_of_ones_own_and_of_a_gateway_are_taken(hosts: Manifest) -> None:
    town = Town()
    town.wish("1", traffic={"port": 8080, "istio": hosts})
    town.go(Phase.HEALTHY)


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
