"""From what the API server holds to the whole of Envoy's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.gateway import CRDS, GATEWAY, GATEWAY_CLASS, envoy_config
from localcluster.gateway.backends import Backend, backends
from localcluster.gateway.doors import Door, doors
from localcluster.gateway.translate import World, translate

FOLDER = Path("/envoy")
WAY_IN = Door("gateway", "default", "sandbox", 80)
FRONT = Door("service", "ml", "front", 8080)


def pod(name: str, ip: str | None = "127.64.0.1", *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": str(ready)}], **({"podIP": ip} if ip else {})}
    ports = [{"name": "http", "containerPort": 9000}]
    return {
        "metadata": {"name": name, "namespace": "ml", "labels": {"app": "digits", "pod": name}, **metadata},
        "spec": {"containers": [{"name": "log"}, {"name": "server", "ports": ports}]},
        "status": status,
    }


def service(name: str = "front", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 8080, "targetPort": "http"}]
    whole = {"selector": {"app": "digits"}, "ports": ports, "clusterIP": "127.96.0.9", **spec}
    return {"metadata": {"name": name, "namespace": "ml"}, "spec": whole}


def addresses(*pods: dict[str, Any], of: dict[str, Any] | None = None) -> tuple[tuple[str, int], ...]:
    [(_, found)] = backends([of or service()], pods).items()
    return found


# Which pods answer


def test_ready_pods_that_the_selector_names_answer_at_the_named_port() -> None:
    found = addresses(
        pod("b", "127.64.0.2"), pod("a"), pod("other", labels={"app": "else"}), pod("gone", namespace="x")
    )
    assert found == (("127.64.0.1", 9000), ("127.64.0.2", 9000))


@pytest.mark.parametrize(
    "silent",
    [
        pod("a", ready=False),
        pod("a", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("a", ip=None),
        pod("a") | {"status": {"podIP": "127.64.0.1"}},
    ],
    ids=["not ready", "leaving", "without an address", "never probed"],
)
def test_a_pod_that_is_not_ready_or_leaving_answers_nobody(silent: dict[str, Any]) -> None:
    assert addresses(silent) == ()


@pytest.mark.parametrize(("target", "expected"), [(9100, 9100), (None, 8080), ("metrics", None)])
def test_the_target_port_is_a_number_a_name_or_the_same(target: int | str | None, expected: int | None) -> None:
    port = {"port": 8080, **({"targetPort": target} if target else {})}
    assert addresses(pod("a"), of=service(ports=[port])) == ((("127.64.0.1", expected),) if expected else ())


def test_a_service_without_selector_is_there_and_has_nobody() -> None:
    assert addresses(pod("a"), of=service(selector=None)) == ()


def test_an_external_name_and_ports_that_are_not_tcp_are_no_backends() -> None:
    outside = service("outside", type="ExternalName", externalName="example.com")
    assert backends([outside, service(ports=[{"port": 53, "protocol": "UDP"}])], []) == {}


# Where it listens


def test_opens_a_gateways_ports_and_every_services_cluster_ip() -> None:
    assert doors([GATEWAY], [service()]) == {WAY_IN: None, FRONT: ("127.96.0.9", 8080)}


def test_an_address_that_is_not_this_machines_own_is_given_another() -> None:
    assert doors([], [service(clusterIP="10.96.0.9")]) == {FRONT: None}


def test_a_service_without_address_or_selector_has_no_door() -> None:
    assert (
        doors([], [service("headless", clusterIP="None"), service("new", clusterIP=""), service(selector=None)]) == {}
    )


def test_a_listener_of_another_protocol_is_not_opened() -> None:
    listeners = [{"name": "tls", "port": 443, "protocol": "TLS"}]
    assert doors([GATEWAY | {"spec": {"gatewayClassName": "sandbox", "listeners": listeners}}], []) == {}


# The whole


def world(**more: Any) -> World:
    return World(classes=(GATEWAY_CLASS,), gateways=(GATEWAY,), services=(service(),), pods=(pod("a"),), **more)


def translated(world: World) -> Any:
    return translate(world, {WAY_IN: ("127.0.0.1", 40000), FRONT: ("127.96.0.9", 8080)}, FOLDER)


def test_every_service_port_is_a_cluster_with_its_endpoints() -> None:
    found = translated(world())
    assert (
        found.clusters.keys() == found.endpoints.keys() == {Backend("ml", "front", 8080).cluster} == {"ml/front:8080"}
    )
    [locality] = found.endpoints["ml/front:8080"]["endpoints"]
    assert locality["lb_endpoints"] == [
        {"endpoint": {"address": {"socket_address": {"address": "127.64.0.1", "port_value": 9000}}}}
    ]


def test_listens_once_for_each_door() -> None:
    found = translated(world())
    sockets = {name: item["address"]["socket_address"] for name, item in found.listeners.items()}
    assert sockets == {
        "gateway/default/sandbox:80": {"address": "127.0.0.1", "port_value": 40000},
        "service/ml/front:8080": {"address": "127.96.0.9", "port_value": 8080},
    }
    assert found.routes.keys() == {"gateway/default/sandbox:80"}


@pytest.mark.parametrize(("protocol", "filter_name"), [(None, "http"), ("http", "http"), ("tcp", "tcp")])
def test_a_service_port_is_balanced_by_request_unless_it_says_it_is_not_http(
    protocol: str | None, filter_name: str
) -> None:
    port = {"port": 8080, "targetPort": "http", **({"appProtocol": protocol} if protocol else {})}
    found = translate(World(services=(service(ports=[port]),)), {FRONT: ("127.96.0.9", 8080)}, FOLDER)
    [chain] = found.listeners["service/ml/front:8080"]["filter_chains"]
    assert [item["name"] for item in chain["filters"]] == [filter_name]


def test_new_weights_change_the_routes_and_nothing_else() -> None:
    def routed(weight: int) -> Any:
        backends = [{"name": "front", "port": 8080, "weight": weight}, {"name": "other", "port": 8080, "weight": 1}]
        spec = {"parentRefs": [{"name": "sandbox", "namespace": "default"}], "rules": [{"backendRefs": backends}]}
        return translated(world(routes=({"metadata": {"name": "r", "namespace": "ml"}, "spec": spec},)))

    before, after = routed(5), routed(25)
    assert before.routes != after.routes
    assert (before.clusters, before.endpoints, before.listeners) == (after.clusters, after.endpoints, after.listeners)


def test_the_order_in_which_objects_were_read_changes_nothing() -> None:
    pods, services = (pod("a"), pod("b", "127.64.0.2")), (service("a"), service("b"))
    one = translate(World(services=services, pods=pods), {}, FOLDER)
    other = translate(World(services=services[::-1], pods=pods[::-1]), {}, FOLDER)
    assert json.dumps([one.clusters, one.endpoints]) == json.dumps([other.clusters, other.endpoints])


def test_a_watched_file_carries_a_version_that_tells_its_content() -> None:
    def version(*names: str) -> str:
        text = envoy_config.discovery("clusters", [{"name": name} for name in names])
        return str(json.loads(text)["version_info"])

    assert version("a") == version("a") != version("b")


# What is shipped


@pytest.mark.parametrize("path", sorted(CRDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_ships_the_gateway_apis_schemas(path: Path) -> None:
    crd = yaml.safe_load(path.read_text())
    assert crd["metadata"]["name"] == f"{path.stem}.gateway.networking.k8s.io"
    [version] = crd["spec"]["versions"]
    assert (version["name"], version["subresources"]) == ("v1", {"status": {}})


def test_lists_in_routes_merge_as_those_of_the_gateway_api_do() -> None:
    """Server-side apply of one weight replaces the whole list of rules; were it a map, two owners could share it."""
    crd = yaml.safe_load((CRDS / "httproutes.yaml").read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    rule = spec["rules"]["items"]["properties"]
    lists = [
        spec["parentRefs"],
        spec["hostnames"],
        spec["rules"],
        rule["matches"],
        rule["filters"],
        rule["backendRefs"],
    ]
    assert {item["x-kubernetes-list-type"] for item in lists} == {"atomic"}
    assert rule["backendRefs"]["items"]["properties"]["weight"]["default"] == 1
    assert rule["matches"]["default"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
