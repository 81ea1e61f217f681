"""What the gateway's controller says of routes, Gateways and classes."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcluster.gateway import GATEWAY, GATEWAY_CLASS
from localcluster.gateway.backends import Backend
from localcluster.gateway.doors import Door
from localcluster.gateway.status import statuses
from localcluster.gateway.translate import World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KNOWN = {Backend("ml", "v1", 80): ()}
ADDRESSES = {Door("gateway", "default", "sandbox", 80): ("127.0.0.1", 40000)}
PARENT = {"name": "sandbox", "namespace": "default"}


def route(*backends: str, parents: tuple[dict[str, Any], ...] = (PARENT,), **rule: Any) -> dict[str, Any]:
    refs = [{"name": name, "port": 80} for name in backends]
    spec = {"parentRefs": list(parents), "rules": [{"backendRefs": refs, **rule}]}
    return {"kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "ml", "generation": 3}, "spec": spec}


def told(*routes: Any, gateway: Any = GATEWAY, refusal: str = "", now: datetime = NOON) -> dict[str, Any]:
    """The statuses that should be written, by kind."""
    world = World(classes=(GATEWAY_CLASS,), gateways=(gateway,), routes=routes)
    return {item["kind"]: status for item, status in statuses(world, KNOWN, ADDRESSES, refusal, now)}


def conditions(said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in said["conditions"]}


def parent(said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    [entry] = said["HTTPRoute"]["parents"]
    return conditions(entry)


def test_a_good_route_is_accepted_and_resolved() -> None:
    assert told(route("v1"))["HTTPRoute"] == {
        "parents": [
            {
                "parentRef": PARENT,
                "controllerName": "localcluster.internal/envoy",
                "conditions": [
                    {
                        "type": kind,
                        "status": "True",
                        "reason": kind,
                        "message": message,
                        "observedGeneration": 3,
                        "lastTransitionTime": "2026-01-01T12:00:00Z",
                    }
                    for kind, message in [
                        ("Accepted", "Served by the local cluster's Envoy."),
                        ("ResolvedRefs", "Every backend exists."),
                    ]
                ],
            }
        ]
    }


def test_a_backend_that_is_not_there_is_named() -> None:
    said = told(route("v1", "nobody"))
    assert parent(said) == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("False", "BackendNotFound")}
    [entry] = said["HTTPRoute"]["parents"]
    assert entry["conditions"][1]["message"] == "There is no Service 'nobody' with port 80."


def test_a_mirror_to_nowhere_is_told_as_well() -> None:
    lost = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "nobody", "port": 80}}}
    assert parent(told(route("v1", filters=[lost])))["ResolvedRefs"] == ("False", "BackendNotFound")


def test_a_listener_that_is_not_there_is_told() -> None:
    wrong = {**PARENT, "sectionName": "https"}
    assert parent(told(route("v1", parents=(wrong,))))["Accepted"] == ("False", "NoMatchingParent")


def test_a_filter_that_is_not_done_makes_a_route_unaccepted_and_one_of_two_rules_partly_invalid() -> None:
    shared = route("v1", filters=[{"type": "CORS", "cors": {}}])
    assert parent(told(shared))["Accepted"] == ("False", "UnsupportedValue")
    shared["spec"]["rules"].append({"backendRefs": [{"name": "v1", "port": 80}]})
    said = parent(told(shared))
    assert said["Accepted"] == ("True", "Accepted")
    assert said["PartiallyInvalid"] == ("True", "UnsupportedValue")


def test_a_prefix_that_is_replaced_of_paths_matched_otherwise_is_not_done() -> None:
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    exact = route("v1", filters=[rewrite], matches=[{"path": {"type": "Exact", "value": "/a"}}])
    [entry] = told(exact)["HTTPRoute"]["parents"]
    assert entry["conditions"][0]["message"] == (
        "Rule 0 asks for replacePrefixMatch where a match is not by PathPrefix, "
        "which the local cluster does not do; it answers 500."
    )


# Two kinds of routes


def grpc(created: str, *hosts: str) -> dict[str, Any]:
    made = route("v1")
    metadata = {**made["metadata"], "name": "g", "creationTimestamp": created}
    return {**made, "kind": "GRPCRoute", "metadata": metadata, "spec": {**made["spec"], "hostnames": list(hosts)}}


def of(kind: str, said: dict[str, Any]) -> dict[str, tuple[str, str]]:
    [entry] = said[kind]["parents"]
    return conditions(entry)


GOOD = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
BEATEN = {"Accepted": ("False", "HostnameConflict"), "ResolvedRefs": ("True", "ResolvedRefs")}


def test_a_grpc_route_is_accepted_and_resolved() -> None:
    assert of("GRPCRoute", told(grpc("2026-01-01T00:00:00Z"))) == GOOD


def test_of_an_http_and_a_grpc_route_for_one_hostname_the_older_is_served() -> None:
    http = route("v1")
    http["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    said = told(http, grpc("2026-01-01T00:00:00Z", "a.example.com"))
    assert (of("HTTPRoute", said), of("GRPCRoute", said)) == (BEATEN, GOOD)
    said = told(http, grpc("2026-01-03T00:00:00Z", "a.example.com"))
    assert (of("HTTPRoute", said), of("GRPCRoute", said)) == (GOOD, BEATEN)
    [entry] = said["GRPCRoute"]["parents"]
    assert entry["conditions"][0]["message"] == (
        "HTTPRoute 'ml/r' has a hostname of this route at listener 'http' and is older; "
        "a hostname is for one kind of route."
    )
    [listener] = said["Gateway"]["listeners"]
    assert listener["attachedRoutes"] == 1


def test_two_kinds_of_routes_share_a_listener_by_hostname() -> None:
    http = route("v1")
    http["spec"]["hostnames"] = ["b.example.com"]
    said = told(http, grpc("2026-01-03T00:00:00Z", "a.example.com"))
    assert (of("HTTPRoute", said), of("GRPCRoute", said)) == (GOOD, GOOD)


def test_a_listener_that_allows_one_kind_turns_the_other_away() -> None:
    only = deepcopy(GATEWAY)
    only["spec"]["listeners"][0]["allowedRoutes"]["kinds"] = [{"kind": "GRPCRoute"}]
    said = told(route("v1"), grpc("2026-01-03T00:00:00Z"), gateway=only)
    assert of("HTTPRoute", said)["Accepted"] == ("False", "NotAllowedByListeners")
    assert of("GRPCRoute", said) == GOOD
    [listener] = said["Gateway"]["listeners"]
    assert listener["supportedKinds"] == [{"group": "gateway.networking.k8s.io", "kind": "GRPCRoute"}]


def test_a_route_of_somebody_elses_gateway_is_left_alone() -> None:
    assert "HTTPRoute" not in told(route("v1", parents=({"name": "istio"},)))


def test_what_other_controllers_said_stays() -> None:
    theirs = {"parentRef": {"name": "istio"}, "controllerName": "istio.io/gateway-controller", "conditions": []}
    both = route("v1", parents=({"name": "istio"}, PARENT)) | {"status": {"parents": [theirs]}}
    first, second = told(both)["HTTPRoute"]["parents"]
    assert first == theirs
    assert second["parentRef"] == PARENT


def test_what_was_said_of_a_parent_goes_with_the_parent() -> None:
    left = route("v1", parents=({"name": "istio"},)) | {"status": told(route("v1"))["HTTPRoute"]}
    assert told(left)["HTTPRoute"] == {"parents": []}


def test_a_gateway_says_where_it_listens_and_how_many_routes_it_took() -> None:
    said = told(route("v1"))["Gateway"]
    assert conditions(said) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert said["conditions"][1]["message"] == "Listens at http://127.0.0.1:40000."
    assert said["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    [listener] = said["listeners"]
    assert (listener["name"], listener["attachedRoutes"]) == ("http", 1)


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ({"protocol": "TLS"}, {"Accepted": ("False", "UnsupportedProtocol"), "Programmed": ("False", "Invalid")}),
        (
            {"allowedRoutes": {"kinds": [{"kind": "TCPRoute"}]}},
            {
                "Accepted": ("True", "Accepted"),
                "Programmed": ("False", "Invalid"),
                "ResolvedRefs": ("False", "InvalidRouteKinds"),
            },
        ),
    ],
)
def test_a_listener_that_cannot_be_served_says_why(
    listener: dict[str, Any], expected: dict[str, tuple[str, str]]
) -> None:
    broken = deepcopy(GATEWAY)
    broken["spec"]["listeners"][0].update(listener)
    said = told(gateway=broken)["Gateway"]
    assert conditions(said["listeners"][0]) == expected
    assert conditions(said) == {"Accepted": ("False", "ListenersNotValid"), "Programmed": ("False", "Invalid")}


def test_what_envoy_refused_is_told_at_the_gateway() -> None:
    said = told(refusal="Envoy refused it.")["Gateway"]
    assert conditions(said)["Programmed"] == ("False", "Invalid")
    assert said["conditions"][1]["message"] == "Envoy refused it."


def test_a_route_is_not_accepted_anew_while_envoy_refuses_what_came_of_it() -> None:
    was_told = route("v1") | {"status": told(route("v1"))["HTTPRoute"]}
    assert "HTTPRoute" not in told(was_told, refusal="Envoy refused it.")
    was_told["metadata"]["generation"] = 4
    assert "HTTPRoute" not in told(was_told, refusal="Envoy refused it.")
    assert told(was_told)["HTTPRoute"]["parents"][0]["conditions"][0]["observedGeneration"] == 4
    was_told["spec"]["hostnames"] = ["elsewhere.example.com"]
    gateway = deepcopy(GATEWAY)
    gateway["spec"]["listeners"][0]["hostname"] = "here.example.com"
    (entry,) = told(was_told, gateway=gateway, refusal="Envoy refused it.")["HTTPRoute"]["parents"]
    assert conditions(entry)["Accepted"][0] == "False"


def test_what_is_said_already_is_not_said_again() -> None:
    first = told(route("v1"))
    known = World(
        classes=({**GATEWAY_CLASS, "status": first["GatewayClass"]},),
        gateways=({**GATEWAY, "status": first["Gateway"]},),
        routes=({**route("v1"), "status": first["HTTPRoute"]},),
    )
    assert list(statuses(known, KNOWN, ADDRESSES, "", NOON + timedelta(hours=1))) == []


def test_the_time_of_a_condition_moves_with_its_status_alone() -> None:
    before = route("v1") | {"status": told(route("v1"))["HTTPRoute"]}
    before["metadata"]["generation"] = 4
    before["spec"]["rules"][0]["backendRefs"][0]["name"] = "nobody"
    [entry] = told(before, now=NOON + timedelta(hours=1))["HTTPRoute"]["parents"]
    assert [(c["observedGeneration"], c["lastTransitionTime"]) for c in entry["conditions"]] == [
        (4, "2026-01-01T12:00:00Z"),
        (4, "2026-01-01T13:00:00Z"),
    ]
