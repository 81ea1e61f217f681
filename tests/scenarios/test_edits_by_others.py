"""What others wrote into routes and Services of ours goes, and is told before it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import EVENTS, HTTP_ROUTES, SERVICES, Resource
from modelrollout.traffic.plain_service import WEIGHT
from tests.fakes.cluster import copied
from tests.fakes.town import Town, releasing

PLAIN = {"port": 8080, "service": {}}
HEADER = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-seen", "value": "yes"}]}}
TOLD = "was edited by somebody else, and the operator puts it back"


def edit(town: Town, resource: Resource, name: str, change: Callable[[Manifest], Any]) -> None:
    found = copied(town.cluster.get(resource, name))
    change(found)
    town.cluster.put(found)


def told(town: Town) -> list[str]:
    events = [event for event in town.cluster.all(EVENTS) if event["reason"] == "EditedByOthers"]
    return [event["message"] for event in sorted(events, key=lambda event: event["lastTimestamp"])]


def rule(route: Manifest) -> Manifest:
    return route["spec"]["rules"][0]  # type: ignore[no-any-return]


def filtered(route: Manifest) -> None:
    rule(route)["filters"] = [HEADER]


GATEWAY_EDITS: dict[str, tuple[Callable[[Manifest], Any], tuple[str, ...]]] = {
    "filter": (filtered, ("spec.rules[0].filters was [", "x-seen", "put it in spec.traffic.gatewayAPI.filters")),
    "match": (
        lambda route: rule(route).update(matches=[{"path": {"type": "Exact", "value": "/v2"}}]),
        ("spec.rules[0].matches was", "/v2", "put it in spec.traffic.gatewayAPI.matches"),
    ),
    "timeout": (
        lambda route: rule(route).update(timeouts={"request": "7s"}),
        ("spec.rules[0].timeouts was", "7s", "put it in spec.traffic.gatewayAPI.timeouts"),
    ),
    "retry": (
        lambda route: rule(route).update(retry={"attempts": 9}),
        ("spec.rules[0].retry was", "the spec has no field for it"),
    ),
    "rule": (
        lambda route: route["spec"]["rules"].append({"backendRefs": [{"name": "theirs", "port": 80}]}),
        ("spec.rules was [", "theirs", "make a route of your own"),
    ),
    "weights": (
        lambda route: rule(route).update(backendRefs=[{"name": "theirs", "port": 80, "weight": 1}]),
        ("spec.rules[0].backendRefs was", "theirs", "decided by spec.stages"),
    ),
    "host name": (
        lambda route: route["spec"].update(hostnames=["b.example.com"]),
        ('spec.hostnames was ["b.example.com"]', "put it in spec.traffic.gatewayAPI.hostnames"),
    ),
    "parent": (
        lambda route: route["spec"]["parentRefs"].append({"name": "another"}),
        ("spec.parentRefs was", "another", "put it in spec.traffic.gatewayAPI.parentRefs"),
    ),
}


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.HEALTHY])
@pytest.mark.parametrize("name", GATEWAY_EDITS)
def test_what_is_taken_off_a_route_is_told_once_with_the_mend_for_a(name: str, phase: Phase) -> None:
    change, words = GATEWAY_EDITS[name]
    town = releasing()
    town.go(phase)
    town.run(seconds=10)
    before = copied(town.cluster.get(HTTP_ROUTES, "fraud"))["spec"]
    edit(town, HTTP_ROUTES, "fraud", change)
    town.run(seconds=10)
    (message,) = told(town)
    assert message.startswith(f"HTTPRoute 'ml/fraud' {TOLD}: ")
    assert all(word in message for word in words), message
    found = town.cluster.get(HTTP_ROUTES, "fraud")
    assert found is not None
    assert {name: part for name, part in found["spec"].items() if part} == before
    assert town.condition("Edited") is None


def test_edit_is_told_although_the_candidate_is_taken_back_in_the_same_pass() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=5)
    edit(town, HTTP_ROUTES, "fraud", filtered)
    town.cluster.crash(f"fraud-{town.new}", 3)
    town.go(Phase.ROLLED_BACK)
    town.run(seconds=10)
    (message,) = told(town)
    assert "x-seen" in message


def test_edit_is_told_although_the_next_step_begins_in_the_same_pass() -> None:
    town = releasing(analysis={"readinessOnly": True})
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=5)
    stage = town.status.stage
    assert stage is not None
    assert stage.since is not None
    town.now = stage.since.replace(minute=stage.since.minute + 1)
    edit(town, HTTP_ROUTES, "fraud", filtered)
    town.run(until=lambda town: town.share(town.new) == 50, seconds=5)
    (message,) = told(town)
    assert "x-seen" in message


def test_edit_that_is_made_again_is_told_again_and_one_that_stays_is_not() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(seconds=10)
    for times in (1, 2):
        edit(town, HTTP_ROUTES, "fraud", filtered)
        town.run(seconds=10)
        assert len(told(town)) == times
    town.cluster.hook = refuse
    edit(town, HTTP_ROUTES, "fraud", filtered)
    town.run(minutes=20)
    assert (len(told(town)), town.condition("Edited")) == (3, "True")


def refuse(moment: str, verb: str, plural: str, name: str) -> None:
    if (moment, verb, plural) == ("before", "apply", "httproutes"):
        raise Refused(422, "admission webhook denied the request", name)


def test_edit_of_the_users_own_spec_is_nobody_elses() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    traffic = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}], "filters": [HEADER]}}
    town.wish("2", traffic=traffic)
    town.run(minutes=1)
    town.wish("2")
    town.run(minutes=1)
    assert told(town) == []


@pytest.mark.parametrize("phase", [Phase.PROGRESSING, Phase.HEALTHY])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda service: service["spec"]["selector"].update(tier="gold"), ("spec.selector was", "gold")),
        (lambda service: service["spec"]["ports"][0].update(targetPort=1), ("spec.ports was", "spec.traffic.port")),
    ],
    ids=["selector", "port"],
)
@pytest.mark.parametrize("name", ["front", "revision"])
def test_service_that_others_edit_is_put_back_and_that_is_told(
    name: str, change: Callable[[Manifest], Any], words: tuple[str, ...], phase: Phase
) -> None:
    town = releasing(traffic=PLAIN)
    town.go(phase)
    town.run(seconds=10)
    called = "fraud" if name == "front" else f"fraud-{town.new}"
    before = copied(town.cluster.get(SERVICES, called))["spec"]
    edit(town, SERVICES, called, change)
    town.run(seconds=10)
    (message,) = told(town)
    assert message.startswith(f"Service 'ml/{called}' {TOLD}: ")
    assert all(word in message for word in words), message
    found = town.cluster.get(SERVICES, called)
    assert found is not None
    assert found["spec"] == before


def test_weight_of_a_mix_that_others_edit_is_told() -> None:
    town = releasing(traffic=PLAIN)
    town.go(Phase.PROGRESSING)
    town.run(seconds=10)
    edit(town, SERVICES, "fraud", lambda service: service["metadata"]["annotations"].update({WEIGHT: "90"}))
    town.run(seconds=10)
    (message,) = told(town)
    assert f'metadata.annotations[{WEIGHT}] was "90"; who is served is decided by spec.stages' in message
