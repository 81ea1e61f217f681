"""GRPCRoutes as Envoy's virtual hosts and clusters: what sets them apart from HTTPRoutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcluster.gateway import GATEWAY, GATEWAY_CLASS
from localcluster.gateway.doors import Door
from localcluster.gateway.translate import World, translate

WAY_IN = Door("gateway", "default", "sandbox", 80)
SERVICE = "inference.GRPCInferenceService"


def route(*rules: dict[str, Any], name: str = "r", kind: str = "GRPCRoute") -> dict[str, Any]:
    spec = {"parentRefs": [{"name": "sandbox", "namespace": "default"}], "rules": list(rules)}
    metadata = {"name": name, "namespace": "ml", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": kind, "metadata": metadata, "spec": spec}


def rule(*matches: dict[str, Any], **more: Any) -> dict[str, Any]:
    backends = [{"name": "v1", "port": 8001, "weight": 9}, {"name": "v2", "port": 8001, "weight": 1}]
    return {"matches": list(matches), "backendRefs": backends, **more}


def method(service: str = "", name: str = "", kind: str = "Exact", **more: Any) -> dict[str, Any]:
    named = {**({"service": service} if service else {}), **({"method": name} if name else {})}
    return {"method": {"type": kind, **named}, **more}


def translated(*routes: dict[str, Any]) -> Any:
    services = tuple(
        {"metadata": {"name": name, "namespace": "ml"}, "spec": {"selector": {"app": name}, "ports": [{"port": 8001}]}}
        for name in ("v1", "v2")
    )
    world = World(classes=(GATEWAY_CLASS,), gateways=(GATEWAY,), routes=routes, services=services)
    return translate(world, {WAY_IN: ("127.0.0.1", 40000)}, Path("/envoy"))


def entries(*routes: dict[str, Any]) -> list[dict[str, Any]]:
    [host] = translated(*routes).routes[WAY_IN.label]["virtual_hosts"]
    found: list[dict[str, Any]] = host["routes"]
    return found


def protocol(cluster: dict[str, Any]) -> str:
    [options] = cluster["typed_extension_protocol_options"].values()
    [name] = options["explicit_http_config"]
    return str(name)


@pytest.mark.parametrize(
    ("matches", "expected"),
    [
        ((), {"prefix": "/"}),
        ((method(SERVICE, "ModelInfer"),), {"path": f"/{SERVICE}/ModelInfer"}),
        ((method(SERVICE),), {"prefix": f"/{SERVICE}/"}),
        ((method(name="ModelInfer"),), {"safe_regex": {"regex": "/[^/]+/ModelInfer"}}),
        (
            (method("inference.*", "Model(Infer|Ready)", "RegularExpression"),),
            {"safe_regex": {"regex": "/(?:inference.*)/(?:Model(Infer|Ready))"}},
        ),
        ((method("a|b", kind="RegularExpression"),), {"safe_regex": {"regex": "/(?:a|b)/(?:[^/]+)"}}),
        (
            ({"headers": [{"name": "x-arm", "value": "b"}]},),
            {"prefix": "/", "headers": [{"name": "x-arm", "string_match": {"exact": "b"}}]},
        ),
    ],
)
def test_matches_services_methods_and_headers_of_grpc_alone(
    matches: tuple[dict[str, Any], ...], expected: dict[str, Any]
) -> None:
    [entry] = entries(route(rule(*matches)))
    assert entry["match"] == {**expected, "grpc": {}}


def test_the_longer_service_then_the_longer_method_then_more_headers_go_first() -> None:
    header = {"headers": [{"name": "x-arm", "value": "b"}]}
    ordered = [
        method("a.Longer"),
        method("a.Short", "Method", **header),
        method("a.Short", "Method"),
        method("a.Short"),
        method(name="Method"),
        header,
        {},
    ]
    forwards = entries(route(*(rule(match) for match in ordered)))
    assert forwards == entries(route(rule(*ordered[::-1])))
    assert [entry["match"].get("prefix") for entry in forwards] == [
        "/a.Longer/",
        None,
        None,
        "/a.Short/",
        None,
        "/",
        "/",
    ]


def test_weights_lead_to_the_clusters_that_speak_http2() -> None:
    [entry] = entries(route(rule()))
    shares = entry["route"]["weighted_clusters"]["clusters"]
    assert [(share["name"], share["weight"]) for share in shares] == [("ml/v1:8001/http2", 9), ("ml/v2:8001/http2", 1)]
    found = translated(route(rule()))
    assert {name: protocol(cluster) for name, cluster in found.clusters.items()} == {
        "ml/v1:8001": "http_protocol_options",
        "ml/v2:8001": "http_protocol_options",
        "ml/v1:8001/http2": "http2_protocol_options",
        "ml/v2:8001/http2": "http2_protocol_options",
    }
    assert found.endpoints.keys() == found.clusters.keys()


def test_without_a_grpc_route_there_is_no_cluster_for_http2() -> None:
    assert translated(route(rule(), kind="HTTPRoute")).clusters.keys() == {"ml/v1:8001", "ml/v2:8001"}


def test_a_mirror_speaks_http2_as_well() -> None:
    copy = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8001}, "percent": 50}}
    asked = rule(filters=[copy]) | {"backendRefs": [{"name": "v1", "port": 8001}]}
    [entry] = entries(route(asked))
    assert [policy["cluster"] for policy in entry["route"]["request_mirror_policies"]] == ["ml/v2:8001/http2"]
    assert "ml/v2:8001/http2" in translated(route(asked)).clusters


def test_the_deadline_is_the_clients() -> None:
    [entry] = entries(route(rule()))
    assert entry["route"]["timeout"] == "0.000s"
    assert entry["route"]["max_stream_duration"] == {"grpc_timeout_header_max": "0s"}


def test_a_backend_that_does_not_resolve_is_unavailable() -> None:
    [entry] = entries(route(rule() | {"backendRefs": [{"name": "nobody", "port": 8001}]}))
    assert entry["route"]["cluster_not_found_response_code"] == "SERVICE_UNAVAILABLE"
    [nowhere] = entries(route(rule() | {"backendRefs": []}))
    assert nowhere["direct_response"] == {"status": 503}


def test_an_expression_that_envoy_would_refuse_never_reaches_it() -> None:
    assert entries(route(rule(method("a(", kind="RegularExpression")))) == []


def test_the_younger_of_two_kinds_of_routes_for_one_hostname_is_left_out() -> None:
    http = route({"backendRefs": [{"name": "v1", "port": 8001}]}, name="a", kind="HTTPRoute")
    [entry] = entries(route(rule(), name="b"), http)
    assert [share["name"] for share in entry["route"]["weighted_clusters"]["clusters"]] == ["ml/v1:8001"]
