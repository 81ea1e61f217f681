"""HTTPRoutes as Envoy's virtual hosts: who is let in, what is matched first, where it goes."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.gateway.attach import Attachment, Finding, attach, attachments, listeners, our_gateways
from localcluster.gateway.backends import Backend
from localcluster.gateway.rules import virtual_hosts

V1, V2 = Backend("ml", "v1", 80), Backend("ml", "v2", 80)
KNOWN = {V1: (("127.64.0.1", 8080),), V2: ()}
CLASS = {"metadata": {"name": "sandbox"}, "spec": {"controllerName": "localcluster.internal/envoy"}}


def gateway(*specs: dict[str, Any], name: str = "front") -> dict[str, Any]:
    every = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    return {
        "metadata": {"name": name, "namespace": "infra"},
        "spec": {"gatewayClassName": "sandbox", "listeners": [{**every, **spec} for spec in specs or ({},)]},
    }


def to(name: str, weight: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, "weight": weight, **more}


def rule(*backends: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"backendRefs": list(backends), **more}


def path(value: str, kind: str = "PathPrefix", **more: Any) -> dict[str, Any]:
    return {"path": {"type": kind, "value": value}, **more}


def route(*rules: dict[str, Any], name: str = "route", hosts: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": "front", "namespace": "infra"}], "hostnames": list(hosts), "rules": list(rules)}
    metadata = {"name": name, "namespace": "ml", "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z")}
    return {"metadata": metadata, "spec": {**spec, **more}}


def hosts(*routes: dict[str, Any], at: dict[str, Any] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Envoy's routes by domain."""
    front = at or gateway()
    found = virtual_hosts(listeners(front), attachments(routes, [front]), KNOWN)
    return {host["domains"][0]: host["routes"] for host in found}


def only(*routes: dict[str, Any]) -> dict[str, Any]:
    """The one Envoy route that comes of these."""
    [entry] = hosts(*routes)["*"]
    return entry


def shares(entry: dict[str, Any]) -> dict[str, int]:
    return {share["name"]: share["weight"] for share in entry["route"]["weighted_clusters"]["clusters"]}


def targets(entries: list[dict[str, Any]]) -> list[str]:
    return [name for entry in entries for name in shares(entry)]


# Where it goes


def test_weights_are_relative_and_a_weight_of_zero_gets_nothing() -> None:
    assert shares(only(route(rule(to("v1", 3), to("v2", 1))))) == {"ml/v1:80": 3, "ml/v2:80": 1}
    assert shares(only(route(rule(to("v1", 100), to("v2", 0))))) == {"ml/v1:80": 100}


def test_a_backend_without_a_weight_counts_one() -> None:
    assert shares(only(route(rule({"name": "v1", "port": 80}, to("v2", 1))))) == {"ml/v1:80": 1, "ml/v2:80": 1}


@pytest.mark.parametrize(
    "lost",
    [
        to("nobody", 50),
        to("v2", 50, port=81),
        to("v2", 50, kind="Bucket", group="example.com"),
        to("v2", 50, namespace="other"),
    ],
    ids=["no such service", "no such port", "no service", "another namespace"],
)
def test_a_backend_that_does_not_resolve_keeps_its_share_and_answers_500(lost: dict[str, Any]) -> None:
    entry = only(route(rule(to("v1", 50), lost)))
    assert shares(entry) == {"ml/v1:80": 50, "unresolved": 50}
    assert entry["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


@pytest.mark.parametrize("backends", [(), (to("v1", 0), to("v2", 0))], ids=["none", "all of weight 0"])
def test_a_rule_that_goes_nowhere_answers_500(backends: tuple[dict[str, Any], ...]) -> None:
    assert only(route(rule(*backends)))["direct_response"] == {"status": 500}


def test_nothing_is_ever_retried() -> None:
    assert "retry_policy" not in only(route(rule(to("v1"))))["route"]


@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        ({}, "60.000s"),
        ({"request": "1500ms"}, "1.500s"),
        ({"backendRequest": "2s", "request": "1m"}, "2.000s"),
        ({"request": "0s"}, "0.000s"),
        ({"request": "0s", "backendRequest": "2s"}, "2.000s"),
    ],
)
def test_the_shorter_timeout_counts_and_zero_is_none(timeouts: dict[str, str], expected: str) -> None:
    assert only(route(rule(to("v1"), timeouts=timeouts)))["route"]["timeout"] == expected


# Filters


def mirror(**more: Any) -> dict[str, Any]:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 80}, **more}}


@pytest.mark.parametrize(
    ("share", "millionths"),
    [({}, 1_000_000), ({"percent": 5}, 50_000), ({"fraction": {"numerator": 1, "denominator": 8}}, 125_000)],
)
def test_a_mirror_takes_its_share_and_keeps_the_hostname(share: dict[str, Any], millionths: int) -> None:
    [policy] = only(route(rule(to("v1"), filters=[mirror(**share)])))["route"]["request_mirror_policies"]
    assert policy == {
        "cluster": "ml/v2:80",
        "runtime_fraction": {"default_value": {"numerator": millionths, "denominator": "MILLION"}},
        "disable_shadow_host_suffix_append": True,
    }


def test_a_mirror_to_nowhere_is_left_out() -> None:
    lost = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "nobody", "port": 80}}}
    assert "request_mirror_policies" not in only(route(rule(to("v1"), filters=[lost])))["route"]


def test_headers_are_set_added_and_removed_for_a_rule_and_for_one_backend() -> None:
    changes = {"set": [{"name": "a", "value": "50%"}], "add": [{"name": "b", "value": "1"}], "remove": ["c"]}
    request = {"type": "RequestHeaderModifier", "requestHeaderModifier": changes}
    response = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}}
    entry = only(route(rule(to("v1", filters=[request]), filters=[response])))
    assert entry["response_headers_to_remove"] == ["server"]
    [share] = entry["route"]["weighted_clusters"]["clusters"]
    assert share["request_headers_to_remove"] == ["c"]
    assert share["request_headers_to_add"] == [
        {"header": {"key": "a", "value": "50%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        {"header": {"key": "b", "value": "1"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
    ]


@pytest.mark.parametrize(
    "asked",
    [
        rule(to("v1"), filters=[{"type": "CORS", "cors": {}}]),
        rule(to("v1", filters=[mirror()])),
        rule(
            to("v1"),
            filters=[
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "Host", "value": "x"}]}}
            ],
        ),
    ],
    ids=["CORS", "a mirror of one backend", "another Host"],
)
def test_a_rule_with_a_filter_that_is_not_done_answers_500_instead_of_skipping_it(asked: dict[str, Any]) -> None:
    assert only(route(asked))["direct_response"] == {"status": 500}


# What is matched


def test_a_rule_without_matches_takes_every_request() -> None:
    assert only(route(rule(to("v1"))))["match"] == {"prefix": "/"}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (path("/a", "Exact"), {"path": "/a"}),
        (path("/a"), {"path_separated_prefix": "/a"}),
        (path("/a/"), {"path_separated_prefix": "/a"}),
        (path("/a.*", "RegularExpression"), {"safe_regex": {"regex": "/a.*"}}),
        (
            {"method": "POST"},
            {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        ),
        (
            {"headers": [{"name": "Arm", "value": "b"}, {"name": "arm", "value": "ignored"}]},
            {"prefix": "/", "headers": [{"name": "Arm", "string_match": {"exact": "b"}}]},
        ),
        (
            {"headers": [{"name": "cookie", "type": "RegularExpression", "value": "(.*; )?arm=b(;.*)?"}]},
            {
                "prefix": "/",
                "headers": [{"name": "cookie", "string_match": {"safe_regex": {"regex": "(.*; )?arm=b(;.*)?"}}}],
            },
        ),
        (
            {"queryParams": [{"name": "arm", "value": "b"}]},
            {"prefix": "/", "query_parameters": [{"name": "arm", "string_match": {"exact": "b"}}]},
        ),
    ],
)
def test_matches_paths_methods_headers_cookies_and_queries(match: dict[str, Any], expected: dict[str, Any]) -> None:
    assert only(route(rule(to("v1"), matches=[match])))["match"] == expected


def test_the_more_precise_match_goes_first_wherever_it_is_written() -> None:
    ordered = [
        path("/a/b", "Exact"),
        path("/.*", "RegularExpression"),
        path("/a/b"),
        path("/a", method="POST"),
        path("/a", headers=[{"name": "x", "value": "1"}, {"name": "y", "value": "1"}]),
        path("/a", headers=[{"name": "x", "value": "1"}]),
        path("/a", queryParams=[{"name": "q", "value": "1"}]),
        path("/a"),
        path("/"),
    ]
    forwards = hosts(route(*(rule(to("v1"), matches=[match]) for match in ordered)))["*"]
    backwards = hosts(route(rule(to("v1"), matches=ordered[::-1])))["*"]
    assert forwards == backwards
    assert [entry["match"] for entry in forwards][:3] == [
        {"path": "/a/b"},
        {"safe_regex": {"regex": "/.*"}},
        {"path_separated_prefix": "/a/b"},
    ]


def test_of_equal_matches_the_older_route_then_the_name_then_the_first_rule_wins() -> None:
    young = route(rule(to("v2")), name="a", created="2026-02-01T00:00:00Z")
    old = route(rule(to("v1")), rule(to("v2")), name="b")
    assert targets(hosts(young, old)["*"]) == ["ml/v1:80", "ml/v2:80", "ml/v2:80"]
    twins = (route(rule(to("v2")), name="b"), route(rule(to("v1")), name="a"))
    assert targets(hosts(*twins)["*"]) == ["ml/v1:80", "ml/v2:80"]


@pytest.mark.parametrize("expression", ["a(", "(?=a)", r"(a)\1", "a++", "(?>a)"])
def test_an_expression_that_envoy_would_refuse_never_reaches_it(expression: str) -> None:
    headers = [{"name": "cookie", "type": "RegularExpression", "value": expression}]
    assert hosts(route(rule(to("v1"), matches=[{"headers": headers}])))["*"] == []


# Hostnames


def test_a_request_meets_the_routes_of_the_most_precise_hostname_first_and_the_wider_ones_after() -> None:
    routes = (
        route(rule(to("v2")), name="any"),
        route(rule(to("v2")), name="wild", hosts=("*.example.com",)),
        route(rule(to("v1"), matches=[path("/a")]), name="exact", hosts=("a.example.com",)),
    )
    found = hosts(*routes)
    assert {name: len(entries) for name, entries in found.items()} == {"*": 1, "*.example.com": 2, "a.example.com": 3}
    assert targets(found["a.example.com"]) == ["ml/v1:80", "ml/v2:80", "ml/v2:80"]


def test_a_route_is_served_only_for_hostnames_that_its_listener_has_too() -> None:
    at = gateway({"hostname": "*.example.com"})
    wanted = route(rule(to("v1")), hosts=("a.example.com", "a.example.org", "*.b.example.com"))
    assert {name for name, entries in hosts(wanted, at=at).items() if entries} == {"a.example.com", "*.b.example.com"}


def test_a_request_belongs_to_the_listener_that_names_its_host_best_and_to_no_other() -> None:
    at = gateway({"name": "wide"}, {"name": "narrow", "hostname": "a.example.com"})
    wide = route(rule(to("v1")), parentRefs=[{"name": "front", "namespace": "infra", "sectionName": "wide"}])
    assert hosts(wide, at=at)["a.example.com"] == []
    assert targets(hosts(wide, at=at)["*"]) == ["ml/v1:80"]


# Who is let in


def outcome(wanted: dict[str, Any], at: dict[str, Any]) -> str:
    """The names of the listeners that let it in, or the reason why none does."""
    found = attach(wanted, wanted["spec"]["parentRefs"][0], at)
    return found.reason if isinstance(found, Finding) else ",".join(a.listener.name for a in found)


@pytest.mark.parametrize(
    ("listener", "ref", "expected"),
    [
        ({}, {}, "http"),
        ({}, {"sectionName": "http"}, "http"),
        ({}, {"sectionName": "https"}, "NoMatchingParent"),
        ({}, {"port": 81}, "NoMatchingParent"),
        ({"hostname": "other.example"}, {}, "NoMatchingListenerHostname"),
        ({"protocol": "TCP"}, {}, "NotAllowedByListeners"),
        ({"allowedRoutes": {}}, {}, "NotAllowedByListeners"),
        ({"allowedRoutes": {"namespaces": {"from": "Selector"}}}, {}, "NotAllowedByListeners"),
        (
            {"allowedRoutes": {"kinds": [{"kind": "TCPRoute"}], "namespaces": {"from": "All"}}},
            {},
            "NotAllowedByListeners",
        ),
        ({"allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}], "namespaces": {"from": "All"}}}, {}, "http"),
    ],
)
def test_lets_in_what_the_listener_and_the_parent_reference_agree_on(
    listener: dict[str, Any], ref: dict[str, Any], expected: str
) -> None:
    parent = {"name": "front", "namespace": "infra", **ref}
    assert outcome(route(rule(to("v1")), hosts=("a.example",), parentRefs=[parent]), gateway(listener)) == expected


def test_a_gateway_of_its_own_namespace_needs_no_permission() -> None:
    front = gateway({"allowedRoutes": {}})
    front["metadata"]["namespace"] = "ml"
    wanted = route(rule(to("v1")), parentRefs=[{"name": "front"}])
    assert [type(a) for a in attachments([wanted], [front])] == [Attachment]


def test_two_references_to_one_listener_let_a_route_in_once() -> None:
    parents = [{"name": "front", "namespace": "infra"}, {"name": "front", "namespace": "infra", "sectionName": "http"}]
    assert len(attachments([route(rule(to("v1")), parentRefs=parents)], [gateway()])) == 1


def test_serves_only_gateways_of_its_own_class() -> None:
    foreign = {"metadata": {"name": "istio"}, "spec": {"controllerName": "istio.io/gateway-controller"}}
    other = gateway(name="other")
    other["spec"]["gatewayClassName"] = "istio"
    assert our_gateways([CLASS, foreign], [gateway(), other]) == [gateway()]
