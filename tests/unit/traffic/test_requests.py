"""Requests that have a rule of their own: the ones that are copied, and the ones that ask for the candidate."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest, Owner, ref_of
from modelrollout.traffic import requests
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import STICKY, Exposure, Match
from modelrollout.traffic.grpc_route import GRPC_ROUTE
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.router import ALL_REQUESTS, Backend, Copied, Routing

OWNER = Owner("ml", "fraud", "uid-fraud")
OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
COMPARER = Backend("fraud-comparer", "new", 8080)
POSTS, PREVIEW = Copied(("POST",)), Match("x-preview", "1")
COPIES = Exposure(mirror=100)


def path(value: str, type_: str = "PathPrefix") -> Manifest:
    return {"path": {"type": type_, "value": value}}


@pytest.mark.parametrize(
    ("match", "of", "copied"),
    [
        ({}, POSTS, [{"method": "POST"}]),
        ({"method": "POST"}, POSTS, [{"method": "POST"}]),
        ({"method": "GET"}, POSTS, []),
        (path("/v1"), Copied(("GET", "POST")), [{**path("/v1"), "method": one} for one in ("GET", "POST")]),
        ({}, Copied(paths=("/v1",)), [path("/v1")]),
        (path("/v1"), Copied(paths=("/v1/models",)), [path("/v1/models")]),
        (path("/v1/models"), Copied(paths=("/v1",)), [path("/v1/models")]),
        (path("/v1/models"), Copied(paths=("/", "/v1")), [path("/v1/models")]),
        (path("/v1"), Copied(paths=("/v10",)), []),
        (path("/v1", "Exact"), Copied(paths=("/v1",)), [path("/v1", "Exact")]),
        (path("/v1", "Exact"), Copied(paths=("/v1/models",)), []),
        (path("/v1.*", "RegularExpression"), Copied(paths=("/v1",)), []),
    ],
)
def test_copied_requests_are_among_those_that_the_route_is_for(match: Manifest, of: Copied, copied: Any) -> None:
    assert requests.copied([match], of) == copied


def rendered(routing: Routing, **gateway: Any) -> list[Manifest]:
    traffic = Traffic.model_validate({"port": 80, "gatewayAPI": {"parentRefs": [{"name": "g"}], **gateway}})
    (write,) = HTTP_ROUTE.render(OWNER, traffic, routing, {})
    found = HTTP_ROUTE.in_force(OWNER, {ref_of(write.manifest): write.manifest}, OLD)
    assert found.exposure == routing.exposure
    return write.manifest["spec"]["rules"]  # type: ignore[no-any-return]


def test_requests_that_are_copied_are_treated_like_all_others() -> None:
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    copied, everybody = rendered(Routing(OLD, NEW, COPIES, copied=POSTS), filters=filters, timeouts={"request": "10s"})
    (mirror,) = copied.pop("filters")[1:]
    assert mirror["requestMirror"] == {"backendRef": {"name": "fraud-new", "port": 80}}
    assert copied == {"matches": [{"method": "POST"}], **{key: everybody[key] for key in ("timeouts", "backendRefs")}}
    assert everybody["filters"] == filters


def test_request_that_asks_is_answered_by_the_candidate_though_it_would_be_copied() -> None:
    """Gateways look at methods and paths before they look at headers."""
    both = Exposure(mirror=100, asked=frozenset({PREVIEW}))
    asking, copied, _ = rendered(Routing(OLD, NEW, both, copied=Copied(("POST",), ("/v1",))))
    header = {"headers": [{"type": "Exact", "name": "x-preview", "value": "1"}]}
    assert copied["matches"] == [{**path("/v1"), "method": "POST"}]
    assert asking["matches"] == [{**path("/v1"), "method": "POST", **header}, header]
    assert asking["backendRefs"] == [{"name": "fraud-new", "port": 80, "weight": 100}]
    assert "filters" not in asking


def test_users_are_kept_within_the_matches_of_the_route_and_treated_like_all_others() -> None:
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    kept = Exposure(25, asked=frozenset({Match(STICKY, "arm")}))
    routing = Routing(OLD, NEW, kept, draw=Draw("arm", "b41c", "Path=/; HttpOnly", (25,)))
    mine, theirs, others = rendered(routing, matches=[{**path("/v1"), "method": "POST"}], filters=filters)
    (match,) = mine.pop("matches")
    holders = {"type": "RegularExpression", "name": "cookie", "value": mine_are("[0-9]+-([0-9]|1[0-9]|2[0-5])")}
    assert match == {**path("/v1"), "method": "POST", "headers": [holders]}
    assert mine == {"filters": filters, "backendRefs": [{"name": "fraud-new", "port": 80, "weight": 100}]}
    assert theirs["matches"][0]["headers"][0]["value"] == mine_are("(2[5-9]|[3-9][0-9])-[0-9]+")
    assert theirs["backendRefs"] == [{"name": "fraud-old", "port": 80, "weight": 100}]
    assert others["matches"] == [{**path("/v1"), "method": "POST"}]
    assert [(ref["name"], ref["weight"], cookie_of(ref)) for ref in others["backendRefs"]] == [
        ("fraud-old", 75, "arm=b41c.25-100; Path=/; HttpOnly"),
        ("fraud-new", 25, "arm=b41c.0-25; Path=/; HttpOnly"),
    ]


def mine_are(numbers: str) -> str:
    return rf"^(.*; *)?arm=b41c\.{numbers}(;.*)?$"


def cookie_of(ref: Manifest) -> Any:
    ((one,),) = ([header["value"] for header in part["responseHeaderModifier"]["add"]] for part in ref["filters"])
    return one


def test_copies_go_to_whoever_compares_them() -> None:
    routing = Routing(OLD, NEW, COPIES, copies_to=COMPARER)
    (rule,) = rendered(routing)
    assert rule["filters"][0]["requestMirror"]["backendRef"]["name"] == "fraud-comparer"
    traffic = Traffic.model_validate({"port": 80, "gatewayAPI": {"parentRefs": [{"name": "g"}]}})
    (write,) = HTTP_ROUTE.render(OWNER, traffic, routing, {})
    there = {write.ref: write.manifest}
    assert HTTP_ROUTE.in_force(OWNER, there, OLD).services == {"fraud-old", "fraud-comparer"}
    assert HTTP_ROUTE.render(OWNER, traffic, routing, there) == ()
    assert HTTP_ROUTE.render(OWNER, traffic, Routing(OLD, NEW, COPIES), there) != ()


def test_each_rule_has_one_match_where_its_prefix_is_replaced() -> None:
    """So the Gateway API has it: the match says which part of the path that is."""
    replacing = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    rules = rendered(
        Routing(OLD, NEW, COPIES, copied=Copied(("GET", "POST"))), matches=[path("/v1")], filters=[replacing]
    )
    assert [rule["matches"] for rule in rules] == [
        [{**path("/v1"), "method": "GET"}],
        [{**path("/v1"), "method": "POST"}],
        [path("/v1")],
    ]


def said(exposure: Exposure, copied: Copied = ALL_REQUESTS, **gateway: Any) -> str | None:
    traffic = Traffic.model_validate({"port": 80, "gatewayAPI": {"parentRefs": [{"name": "g"}], **gateway}})
    why = HTTP_ROUTE.can(traffic, exposure, copied)
    return why.message if why else None


MANY = [path(f"/{number}") for number in range(30)]


@pytest.mark.parametrize(
    ("exposure", "copied", "gateway", "mend"),
    [
        (COPIES, Copied(("GET", "HEAD", "POST")), {"matches": MANY}, "name fewer methods"),
        (COPIES, Copied(("GET", "HEAD")), {"matches": MANY}, None),
        (Exposure(mirror=1, asked=frozenset({PREVIEW})), Copied(("GET", "HEAD")), {"matches": MANY}, "a rule takes 64"),
        (COPIES, Copied(paths=("/v1",)), {"matches": [path("/v1.*", "RegularExpression")]}, "leave paths out"),
        (COPIES, Copied(paths=("/v2",)), {"matches": [path("/v1")]}, "paths that are among its own"),
    ],
)
def test_what_would_not_fit_into_a_route_is_told_with_a_mend(
    exposure: Exposure, copied: Copied, gateway: Any, mend: str | None
) -> None:
    found = said(exposure, copied, **gateway)
    assert (found is None) if mend is None else (found is not None and mend in found)


def test_some_paths_cannot_be_copied_where_the_prefix_is_replaced() -> None:
    replacing = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    assert "leave paths out" in str(said(COPIES, Copied(paths=("/v1/a",)), matches=[path("/v1")], filters=[replacing]))


def test_all_calls_are_copied_by_the_rule_that_there_is() -> None:
    traffic = Traffic.model_validate({"port": 80, "grpc": {"parentRefs": [{"name": "g"}]}})
    assert GRPC_ROUTE.can(traffic, COPIES, POSTS) is None
    (write,) = GRPC_ROUTE.render(OWNER, traffic, Routing(OLD, NEW, COPIES, copied=POSTS), {})
    (rule,) = write.manifest["spec"]["rules"]
    assert "matches" not in rule
    assert rule["filters"][0]["requestMirror"]["backendRef"]["name"] == "fraud-new"
