"""How people reach into routes: one line for each, with the routers whose objects it can be done to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from modelrollout.objects.manifests import APPLIED, REVISION_LABEL, Manifest
from modelrollout.traffic.gateway_api import ASKED, GatewayRouter
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.istio import IstioRouter
from modelrollout.traffic.plain_service import WEIGHT, ServiceRouter
from modelrollout.traffic.route_ref import RouteRefRouter
from modelrollout.traffic.router import SINCE, Router
from tests.contract.routers.town_hall import Place

Edit = Callable[[Manifest], Any]


@dataclass(frozen=True)
class Hand:
    """`edit` changes a route in place."""

    name: str
    edit: Edit

    async def reaches_into(self, place: Place) -> None:
        before, route = await place.route(), await place.route()
        self.edit(route)
        annotations = route["metadata"]["annotations"]
        gone = dict.fromkeys(before["metadata"]["annotations"].keys() - annotations.keys())
        await place.edited(metadata={"annotations": {**annotations, **gone}}, spec=route["spec"])
        if (await place.route())["spec"] == before["spec"] and annotations == before["metadata"]["annotations"]:
            pytest.skip("the API server drops this field: its Gateway API has none of that name")


def _rule(route: Manifest) -> Manifest:
    """The rule with the weights."""
    return next(rule for rule in route["spec"]["rules"] if {"fraud-old", "fraud-new"} == _names(rule))


def _names(rule: Manifest) -> set[str]:
    return {ref["name"] for ref in rule["backendRefs"]}


def _filter(one: Manifest) -> Edit:
    return lambda route: _rule(route).setdefault("filters", []).append(one)


def _ref(route: Manifest) -> Manifest:
    return _rule(route)["backendRefs"][0]  # type: ignore[no-any-return]


def _mirror(**ref: Any) -> Manifest:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "fraud-new", "port": 80, **ref}}}


def _redirected(route: Manifest) -> None:
    """A rule that redirects may have no backends; another is added that still sends users to the candidate."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "evil.example.com"}}
    route["spec"]["rules"].append({"filters": [redirect]})


def _edited(**fields: Any) -> Edit:
    return lambda route: _rule(route).update(fields)


def _noted(name: str, text: str | None) -> Edit:
    def edit(route: Manifest) -> None:
        annotations = route["metadata"]["annotations"]
        if text is None:
            del annotations[name]
        else:
            annotations[name] = text

    return edit


_OF_ALL = {
    "time changed": _noted(SINCE, "2020-01-01T00:00:00Z"),
    "time removed": _noted(SINCE, None),
    "digest changed": _noted(APPLIED, "none"),
    "digest removed": _noted(APPLIED, None),
}
_OF_GATEWAYS: dict[str, Edit] = {
    "weights changed": lambda route: _ref(route).update(weight=90),
    "weights of a thousand": lambda route: [ref.update(weight=999) for ref in _rule(route)["backendRefs"][1:]],
    "backend removed": lambda route: _rule(route)["backendRefs"].pop(),
    "backend of another namespace": lambda route: _ref(route).update(namespace="theirs"),
    "backend of another kind": lambda route: _ref(route).update(group="multicluster.x-k8s.io", kind="ServiceImport"),
    "backend on another port": lambda route: _ref(route).update(port=81),
    "third backend": lambda route: _rule(route)["backendRefs"].append({"name": "theirs", "port": 80, "weight": 1}),
    "copies to the candidate": _filter(_mirror()),
    "copies to a third party": _filter(_mirror(name="theirs")),
    "copies to one of stable's name elsewhere": _filter(_mirror(name="fraud-old", namespace="theirs")),
    "copies to stable": _filter(_mirror(name="fraud-old")),
    "filter of a backend": lambda route: _ref(route).update(
        filters=[{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["authorization"]}}]
    ),
    "copies by a backend": lambda route: _ref(route).update(filters=[_mirror()]),
    "headers changed": _filter({"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["cookie"]}}),
    "users turned away": _edited(matches=[{"headers": [{"name": "x-friend", "value": "1"}]}]),
    "rule added": lambda route: route["spec"]["rules"].append({"backendRefs": [{"name": "fraud-new", "port": 80}]}),
    "rule in front": lambda route: route["spec"]["rules"].insert(0, {"backendRefs": [{"name": "theirs", "port": 80}]}),
    "host name added": lambda route: route["spec"].setdefault("hostnames", []).append("b.example.com"),
    "parent added": lambda route: route["spec"]["parentRefs"].append({"name": "another"}),
    "listener chosen": lambda route: route["spec"]["parentRefs"][0].update(sectionName="admin"),
    "port of the parent chosen": lambda route: route["spec"]["parentRefs"][0].update(port=8443),
    "said to be asked for": _noted(ASKED, "x-friend: 1"),
    "retry added": _edited(retry={"attempts": 9}),
    "session persistence added": _edited(sessionPersistence={"sessionName": "x"}),
}
_OF_HTTP: dict[str, Edit] = {
    "redirect added": _redirected,
    "timeouts added": _edited(timeouts={"request": "1s"}),
    "small part copied": _filter(
        {
            "type": "RequestMirror",
            "requestMirror": {
                "backendRef": {"name": "fraud-new", "port": 80},
                "fraction": {"numerator": 1, "denominator": 9999},
            },
        }
    ),
}
_OF_LENT_RULES = [
    "weights changed",
    "weights of a thousand",
    "backend removed",
    "backend of another namespace",
    "backend of another kind",
    "backend on another port",
    "third backend",
    "copies to the candidate",
    "filter of a backend",
    "copies by a backend",
    "rule added",
    "said to be asked for",
    "small part copied",
]
"""All else in a route of the user's is theirs to edit."""
OF_THE_USER: dict[str, Edit] = {
    **{name: _OF_GATEWAYS[name] for name in ("headers changed", "copies to a third party", "users turned away")},
    **{name: _OF_GATEWAYS[name] for name in ("rule in front", "host name added", "parent added", "retry added")},
    "timeouts added": _OF_HTTP["timeouts added"],
    "rule behind": lambda route: route["spec"]["rules"].append({"backendRefs": [{"name": "theirs", "port": 80}]}),
    "other rule changed": lambda route: route["spec"]["rules"][0]["backendRefs"][0].update(name="theirs"),
    "other rule removed": lambda route: route["spec"]["rules"].pop(),
    "rules turned round": lambda route: route["spec"]["rules"].reverse(),
}
_OF_SERVICES: dict[str, Edit] = {
    "weight changed": _noted(WEIGHT, "90"),
    "weight removed": _noted(WEIGHT, None),
    "selector narrowed": lambda route: route["spec"]["selector"].update(tier="gold"),
    "selector of one revision": lambda route: route["spec"]["selector"].update({REVISION_LABEL: "new"}),
    "port changed": lambda route: route["spec"]["ports"][0].update(targetPort=1),
}


def _istio_rule(route: Manifest) -> Manifest:
    return route["spec"]["http"][0]  # type: ignore[no-any-return]


def _istio_edited(**fields: Any) -> Edit:
    return lambda route: _istio_rule(route).update(fields)


def _destination(host: str, **more: Any) -> Manifest:
    return {"destination": {"host": host, "port": {"number": 80}}, **more}


def _istio_route(*route: Manifest) -> Edit:
    return _istio_edited(route=list(route))


_OF_ISTIO: dict[str, Edit] = {
    "weights changed": _istio_route(_destination("fraud-old", weight=10), _destination("fraud-new", weight=90)),
    "weights of a thousand": _istio_route(_destination("fraud-old", weight=1), _destination("fraud-new", weight=999)),
    "destination removed": lambda route: _istio_rule(route)["route"].pop(),
    "weight left out": _istio_route(_destination("fraud-new")),
    "long name": _istio_route(_destination("fraud-new.theirs.svc.cluster.local")),
    "third destination": lambda route: _istio_rule(route)["route"].append(_destination("theirs", weight=1)),
    "subset chosen": lambda route: _istio_rule(route)["route"][0]["destination"].update(subset="v1"),
    "port changed": lambda route: _istio_rule(route)["route"][0]["destination"]["port"].update(number=81),
    "headers of a destination": lambda route: _istio_rule(route)["route"][0].update(
        headers={"request": {"remove": ["authorization"]}}
    ),
    "copies to the candidate": _istio_edited(mirrors=[_destination("fraud-new")]),
    "copies as Istio had them before": _istio_edited(mirror=_destination("fraud-new")["destination"]),
    "small part copied": _istio_edited(mirrors=[_destination("theirs", percentage={"value": 0.0001})]),
    "redirect": lambda route: route["spec"]["http"].append({"redirect": {"authority": "evil.example.com"}}),
    "answered at once": lambda route: route["spec"]["http"].insert(0, {"directResponse": {"status": 503}}),
    "delegated": lambda route: route["spec"]["http"].insert(0, {"delegate": {"name": "theirs"}}),
    "rule added": lambda route: route["spec"]["http"].append({"route": [_destination("fraud-new")]}),
    "rule in front": lambda route: route["spec"]["http"].insert(0, {"route": [_destination("theirs")]}),
    "users turned away": _istio_edited(match=[{"headers": {"x-friend": {"exact": "1"}}}]),
    "timeout changed": _istio_edited(timeout="1s"),
    "retries added": _istio_edited(retries={"attempts": 9}),
    "faults injected": _istio_edited(fault={"abort": {"httpStatus": 500}}),
    "host added": lambda route: route["spec"]["hosts"].append("b.example.com"),
    "gateway added": lambda route: route["spec"].setdefault("gateways", []).append("theirs"),
    "hidden from others": lambda route: route["spec"].update(exportTo=["."]),
    "plain connections to the candidate": lambda route: route["spec"].update(
        tcp=[{"route": [_destination("fraud-new")]}]
    ),
    "said to be asked for": _noted(ASKED, "x-friend: 1"),
}


def hands(router: Router) -> list[Hand]:
    """All that can be done to a router's objects."""
    edits = dict(_OF_ALL)
    edits |= _OF_GATEWAYS if isinstance(router, GatewayRouter) else {}
    edits |= _OF_HTTP if router is HTTP_ROUTE else {}
    if isinstance(router, RouteRefRouter):
        edits |= {name: {**_OF_GATEWAYS, **_OF_HTTP}[name] for name in _OF_LENT_RULES}
    edits |= _OF_ISTIO if isinstance(router, IstioRouter) else {}
    edits |= _OF_SERVICES if isinstance(router, ServiceRouter) else {}
    return [Hand(name, edit) for name, edit in edits.items()]


def said_by_a_gateway(conditions: dict[str, str], generation: int) -> list[Manifest]:
    """The parents of a route's status."""
    return [
        {
            "parentRef": {"name": "g"},
            "controllerName": "example.com/gateway",
            "conditions": [
                {
                    "type": type_,
                    "status": status,
                    "reason": "Said",
                    "message": "no listener" if status == "False" else "",
                    "observedGeneration": generation,
                    "lastTransitionTime": "2026-01-01T12:00:00Z",
                }
                for type_, status in conditions.items()
            ],
        }
    ]
