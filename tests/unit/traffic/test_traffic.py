"""Routers: what a routing looks like in the cluster, and what the cluster's objects say about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import (
    REJECTED,
    REVISION_LABEL,
    ROLLOUT_LABEL,
    Manifest,
    Owner,
    Ref,
    is_applied,
    ref_of,
)
from modelrollout.objects.resources import HTTP_ROUTES, SERVICES
from modelrollout.traffic import revision_service
from modelrollout.traffic.exposure import Exposure
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.plain_service import WEIGHT
from modelrollout.traffic.router import SINCE, Backend, InForce, Notes, Router, Routing
from modelrollout.traffic.router_table import ROUTERS

OWNER = Owner("ml", "fraud", "uid-fraud")
OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
GATEWAY, PLAIN = HTTP_ROUTE, ROUTERS["service"]
TRAFFIC = {
    "gatewayAPI": {"port": 80, "gatewayAPI": {"parentRefs": [{"name": "g"}], "hostnames": ["a.example.com"]}},
    "service": {"port": 80, "service": {}},
}
EVERY_ROUTER = pytest.mark.parametrize("router", [GATEWAY, PLAIN], ids=["gateway", "services"])


def rendered(router: Router, weight: int, **notes: Any) -> Manifest:
    traffic, candidate = Traffic.model_validate(TRAFFIC[router.field]), NEW if weight else None
    routing = Routing(OLD, candidate, Exposure(weight), Notes(**notes))
    (write,) = router.render(OWNER, traffic, routing, {})
    return write.manifest


def in_force(router: Router, route: Manifest | None) -> InForce:
    there = {} if route is None else {router.refs(OWNER)[0]: route}
    return router.in_force(OWNER, there, OLD)


def weight_off_stable(router: Router, route: Manifest | None) -> int:
    return in_force(router, route).exposure.weight


def retreated(router: Router, route: Manifest, rejected: str | None = None) -> Manifest:
    (write,) = router.retreat(OWNER, {ref_of(route): route}, OLD, Notes(rejected=rejected))
    return write.manifest


def of_ours(route: Manifest) -> Manifest:
    """With all that makes it a route of our rollout."""
    return {**rendered(GATEWAY, 0), **route, "metadata": {**rendered(GATEWAY, 0)["metadata"], **route["metadata"]}}


# What every router keeps to


@EVERY_ROUTER
@pytest.mark.parametrize("weight", [0, 1, 5, 50, 99, 100])
def test_weight_that_was_rendered_is_the_weight_that_is_read(router: Router, weight: int) -> None:
    route = rendered(router, weight)
    assert weight_off_stable(router, route) == weight
    found = in_force(router, route)
    assert (found.reaches(OLD.service), found.reaches(NEW.service)) == (weight < 100, weight > 0)


@EVERY_ROUTER
@pytest.mark.parametrize("weight", [1, 50, 100])
def test_retreat_needs_nothing_but_the_route_and_leaves_all_on_stable(router: Router, weight: int) -> None:
    back = retreated(router, {**rendered(router, weight), "status": {"x": 1}}, rejected="why")
    assert weight_off_stable(router, back) == 0
    assert not in_force(router, back).reaches(NEW.service)
    assert back["metadata"]["annotations"][REJECTED] == "why"
    assert SINCE not in back["metadata"]["annotations"]
    assert "status" not in back


@EVERY_ROUTER
def test_retreat_keeps_an_earlier_note(router: Router) -> None:
    back = retreated(router, rendered(router, 5, rejected="earlier"))
    assert back["metadata"]["annotations"][REJECTED] == "earlier"


@EVERY_ROUTER
def test_route_without_a_candidate_is_what_is_left_after_a_retreat(router: Router) -> None:
    """Else every retreat would be followed by another write of the route."""
    before = rendered(router, 50)
    assert is_applied(rendered(router, 0)["spec"], retreated(router, before)["spec"])


@EVERY_ROUTER
def test_no_route_sends_nobody_anywhere(router: Router) -> None:
    assert weight_off_stable(router, None) == 0
    assert not in_force(router, None).reaches(OLD.service)


@EVERY_ROUTER
def test_notes_are_written_together_with_the_weight(router: Router) -> None:
    noon = datetime(2026, 1, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    annotations = rendered(router, 5, rejected="why", since=noon)["metadata"]["annotations"]
    assert (annotations[REJECTED], annotations[SINCE]) == ("why", "2026-01-01T12:00:00Z")
    assert not {REJECTED, SINCE} & rendered(router, 5)["metadata"]["annotations"].keys()


def test_time_of_a_weight_is_the_same_in_every_zone() -> None:
    noon = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert Notes(since=noon).annotations == Notes(since=noon.astimezone(timezone(timedelta(hours=-5)))).annotations


# Gateway API


def test_httproute_has_one_rule_whose_weights_sum_to_100_and_names_no_backend_in_vain() -> None:
    route = rendered(GATEWAY, 25)
    assert route["spec"] == {
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"}],
        "hostnames": ["a.example.com"],
        "rules": [
            {
                "backendRefs": [
                    {"name": "fraud-old", "port": 80, "weight": 75},
                    {"name": "fraud-new", "port": 80, "weight": 25},
                ]
            }
        ],
    }
    for weight, name in ((0, "fraud-old"), (100, "fraud-new")):
        backends = rendered(GATEWAY, weight)["spec"]["rules"][0]["backendRefs"]
        assert backends == [{"name": name, "port": 80, "weight": 100}]


@pytest.mark.parametrize(
    ("rules", "weight"),
    [
        (None, 0),
        ([], 0),
        ([{}], 0),
        ([{"filters": []}], 0),
        ([{"backendRefs": [{"name": "fraud-old"}]}], 0),
        ([{"backendRefs": [{"name": "fraud-old"}, {"name": "fraud-new"}]}], 50),
        ([{"backendRefs": [{"name": "fraud-old", "weight": None}, {"name": "theirs", "weight": 3}]}], 75),
        ([{"backendRefs": [{"name": "fraud-old", "weight": 1}, {"name": "fraud-old", "weight": 1}]}], 0),
        ([{"backendRefs": [{"name": "fraud-old", "weight": 0}]}], 0),
        ([{"backendRefs": [{"name": "theirs", "weight": 100}]}], 100),
        ([{"backendRefs": [{"name": "fraud-old"}]}, {"backendRefs": [{"name": "fraud-new"}]}], 100),
    ],
)
def test_weight_off_stable_of_rules_that_somebody_edited(rules: Any, weight: int) -> None:
    assert weight_off_stable(GATEWAY, of_ours({"metadata": {}, "spec": {"rules": rules}})) == weight


def test_retreat_sends_every_rule_to_stable_and_keeps_what_is_beside_the_weights() -> None:
    matched = {"matches": [{"path": {"type": "Exact", "value": "/v2"}}], "backendRefs": [{"name": "fraud-new"}]}
    route = rendered(GATEWAY, 50)
    route["spec"]["rules"].append(matched)
    back = retreated(GATEWAY, route)
    assert back["spec"]["rules"][1]["matches"] == matched["matches"]
    assert weight_off_stable(GATEWAY, back) == 0


@pytest.mark.parametrize(
    ("conditions", "refusal"),
    [
        ([], None),
        ([{"type": "Accepted", "status": "True", "observedGeneration": 3}], None),
        ([{"type": "Accepted", "status": "False", "observedGeneration": 2, "message": "of an older one"}], None),
        ([{"type": "Programmed", "status": "False", "observedGeneration": 3}], None),
        (
            [
                {
                    "type": "Accepted",
                    "status": "False",
                    "observedGeneration": 3,
                    "reason": "NoMatch",
                    "message": "no host",
                }
            ],
            "Gateway 'g' does not take the route: no host (NoMatch).",
        ),
        (
            [{"type": "ResolvedRefs", "status": "False", "observedGeneration": 4, "message": "no Service"}],
            "Gateway 'g' does not take the route: no Service (ResolvedRefs).",
        ),
    ],
)
def test_gateway_that_does_not_take_the_route_says_why(conditions: list[Manifest], refusal: str | None) -> None:
    parents = [{"parentRef": {"name": "g"}, "conditions": conditions}]
    route = of_ours({"metadata": {"generation": 3}, "status": {"parents": parents}})
    assert in_force(GATEWAY, route).refusal == refusal
    assert in_force(GATEWAY, of_ours({"metadata": {}})).refusal is None


def test_gateway_gives_the_candidate_all_pods_from_the_start() -> None:
    assert [GATEWAY.pods(Exposure(weight), 4) for weight in (1, 50, 100)] == [4, 4, 4]
    assert GATEWAY.pods(Exposure(5), None) is None


# Plain Services


@pytest.mark.parametrize(("weight", "revision"), [(0, "old"), (100, "new"), (1, None), (99, None)])
def test_selector_is_exact_at_both_ends_and_mixes_between(weight: int, revision: str | None) -> None:
    exact = {REVISION_LABEL: revision} if revision else {}
    assert rendered(PLAIN, weight)["spec"]["selector"] == {ROLLOUT_LABEL: "fraud", **exact}


@pytest.mark.parametrize(("weight", "port"), [(0, 8080), (5, 8080), (99, 8080), (100, 9090)])
def test_front_service_reaches_the_port_of_whoever_serves(weight: int, port: int) -> None:
    assert rendered(PLAIN, weight)["spec"]["ports"][0]["targetPort"] == port


def test_front_and_revision_are_not_scraped_by_one_name_of_a_port() -> None:
    front, own = rendered(PLAIN, 5), revision_service.render(OWNER, NEW)
    assert [one["spec"]["ports"][0]["name"] for one in (front, own)] == ["http-front", "http"]


def test_front_service_keeps_the_name_of_a_port_that_is_there() -> None:
    older = rendered(PLAIN, 5)
    older["spec"]["ports"][0]["name"] = "http"
    added = {"name": "grpc", "port": 9000, "protocol": "TCP", "targetPort": 9000}
    older["spec"]["ports"].insert(0, added)
    traffic = Traffic.model_validate(TRAFFIC["service"])
    (changed,) = PLAIN.render(OWNER, traffic, Routing(OLD, NEW, Exposure(25)), {ref_of(older): older})
    assert [port["name"] for port in changed.manifest["spec"]["ports"]] == ["http"]
    assert [port["name"] for port in retreated(PLAIN, older)["spec"]["ports"]] == ["http"]


@pytest.mark.parametrize(("text", "weight"), [("5", 5), ("99", 99), (None, 99), ("", 99), ("100", 99), ("0", 99)])
def test_weight_of_a_mix_is_its_annotation_or_the_most_that_it_can_be(text: str | None, weight: int) -> None:
    annotations = {} if text is None else {WEIGHT: text}
    metadata = {**rendered(PLAIN, 0)["metadata"], "annotations": annotations}
    front = {"metadata": metadata, "spec": {"selector": {ROLLOUT_LABEL: "fraud"}}}
    assert weight_off_stable(PLAIN, front) == weight


@pytest.mark.parametrize(
    ("pods", "of_weights"),
    [
        (1, {1: 1, 50: 1, 99: 1, 100: 1}),
        (4, {1: 1, 5: 1, 25: 1, 33: 1, 34: 2, 50: 4, 75: 4, 100: 4}),
        (10, {5: 1, 10: 1, 20: 2, 25: 3, 50: 10, 100: 10}),
        (100, {1: 1, 2: 2, 5: 5, 25: 33, 50: 100}),
    ],
)
def test_candidate_gets_the_pods_that_come_nearest_without_exceeding_but_one_at_least(
    pods: int, of_weights: dict[int, int]
) -> None:
    assert {weight: PLAIN.pods(Exposure(weight), pods) for weight in of_weights} == of_weights


# The Service of each revision


def test_service_of_a_revision_selects_its_pods_alone_on_a_port_that_never_changes() -> None:
    service = revision_service.render(OWNER, NEW)
    assert service["spec"] == {
        "selector": {ROLLOUT_LABEL: "fraud", REVISION_LABEL: "new"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9090}],
    }
    assert revision_service.container_port(service) == 9090


def test_kinds_of_routes() -> None:
    assert [(ref, GATEWAY.splits_by_pods) for ref in GATEWAY.refs(OWNER)] == [
        (Ref(HTTP_ROUTES, "ml", name), False) for name in ("fraud", "fraud-preview")
    ]
    assert [(ref, PLAIN.splits_by_pods) for ref in PLAIN.refs(OWNER)] == [
        (Ref(SERVICES, "ml", name), True) for name in ("fraud", "fraud-preview")
    ]
