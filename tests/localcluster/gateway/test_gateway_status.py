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
    rewritten = route("v1", filters=[{"type": "URLRewrite", "urlRewrite": {}}])
    assert parent(told(rewritten))["Accepted"] == ("False", "UnsupportedValue")
    rewritten["spec"]["rules"].append({"backendRefs": [{"name": "v1", "port": 80}]})
    said = parent(told(rewritten))
    assert said["Accepted"] == ("True", "Accepted")
    assert said["PartiallyInvalid"] == ("True", "UnsupportedValue")


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
