"""A place with one route in it: a router, the cluster that keeps its objects, and the hands that reach into them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from modelrollout.api.traffic import Traffic
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import APPLIED, REJECTED, Manifest, Owner, Ref, Write, ref_of
from modelrollout.objects.reads import Objects, Reads, conditional
from modelrollout.shell.apply import Applier
from modelrollout.shell.reader import Direct
from modelrollout.traffic import acceptance, revision_service
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import BY_SERVICE, COOKIE, EVERYBODY, HOST, NOBODY, STICKY, Exposure, Match
from modelrollout.traffic.gateway_api import ASKED, GatewayRouter
from modelrollout.traffic.lent_route import LENT, noted_as
from modelrollout.traffic.route_ref import RouteRefRouter
from modelrollout.traffic.router import ALL_REQUESTS, MANAGER, SINCE, Backend, InForce, Move, Notes, Router, Routing
from modelrollout.traffic.router_table import ROUTERS

OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
NOON = "2026-01-01T12:00:00Z"
BY_HOST = Match(HOST, "preview.example.com")
PREVIEW, TENANT = Match("x-preview", "1"), Match("x-tenant", "acme: eu")
BETA, KEPT = Match(COOKIE, "beta=a.b"), Match(STICKY, "fraud-arm")

EXPOSURES = [
    *(Exposure(weight) for weight in (0, 1, 50, 99, 100)),
    *(Exposure(mirror=percent) for percent in (1, 50, 100)),
    Exposure(mirror=Fraction(1, 2)),
    Exposure(asked=frozenset({BY_SERVICE})),
    Exposure(5, asked=frozenset({BY_SERVICE})),
    Exposure(asked=frozenset({PREVIEW})),
    Exposure(asked=frozenset({PREVIEW, TENANT})),
    Exposure(5, asked=frozenset({BY_HOST, PREVIEW})),
    Exposure(5, 20),
    Exposure(5, asked=frozenset({TENANT})),
    Exposure(asked=frozenset(Match("x-bucket", f"b{number:02d}") for number in range(32))),
    Exposure(99, 100, frozenset({PREVIEW, TENANT})),
    Exposure(5, asked=frozenset({BETA, PREVIEW})),
    Exposure(5, asked=frozenset({KEPT})),
    Exposure(60, asked=frozenset({KEPT, BETA})),
]
DRAW = Draw("fraud-arm", "b41c7d9f03", "Path=/; Max-Age=60; HttpOnly", (5, 25, 50))

OWN_WORDS: dict[str, Any] = {
    "gatewayAPI": {
        "parentRefs": [{"name": "g", "namespace": "infra", "sectionName": "web"}],
        "hostnames": ["a.example.com"],
        "matches": [
            {"path": {"value": "/v1"}, "headers": [{"name": "X-Team", "value": "risk"}], "method": "POST"},
            {"path": {"type": "Exact", "value": "/v2"}, "queryParams": [{"name": "q", "value": "1"}]},
        ],
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/predict"}}},
        ],
        "timeouts": {"request": "10s", "backendRequest": "2s"},
    },
    "routeRef": {"name": "fraud", "rule": 1},
    "istio": {
        "hosts": ["fraud.example.com", "fraud.ml.svc.cluster.local"],
        "gateways": ["mesh", "istio-ingress/public"],
        "matches": [
            {"uri": {"prefix": "/v1"}, "headers": {"x-team": {"exact": "risk"}}, "method": {"exact": "POST"}},
            {"uri": {"exact": "/v2"}, "queryParams": {"q": {"regex": "[0-9]+"}}, "sourceLabels": {"app": "web"}},
        ],
        "rewrite": {"uri": "/predict"},
        "timeout": "10s",
        "retries": {"attempts": 2, "perTryTimeout": "2s", "retryOn": "connect-failure"},
    },
    "grpc": {
        "parentRefs": [{"name": "g"}],
        "matches": [
            {"method": {"service": "inference.GRPCInferenceService"}},
            {"headers": [{"name": "a", "value": "b"}]},
        ],
        "filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}}],
    },
}
"""For routers whose specs have more to say than the least."""


LEAST: dict[str, Any] = {
    "routeRef": {"name": "fraud", "rule": "predict"},
    "istio": {"hosts": ["fraud"]},
}
"""Of routers that need to be told something of their own."""


def least(field: str) -> Traffic:
    """The shortest spec that chooses a router."""
    if field in LEAST:
        return Traffic.model_validate({"port": 8080, field: LEAST[field]})
    try:
        return Traffic.model_validate({"port": 8080, field: {}})
    except ValidationError:
        return Traffic.model_validate({"port": 8080, field: {"parentRefs": [{"name": "g"}]}})


def specs(router: Router) -> list[Traffic]:
    words = OWN_WORDS.get(router.field)
    return [least(router.field), *([Traffic.model_validate({"port": 8080, router.field: words})] if words else [])]


ALL = list(ROUTERS.values())
GATEWAYS = [router for router in ALL if isinstance(router, GatewayRouter | RouteRefRouter)]


def possible(router: Router) -> list[Exposure]:
    return [exposure for exposure in EXPOSURES if router.can(least(router.field), exposure, ALL_REQUESTS) is None]


THEIRS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "fraud", "annotations": {"team": "risk"}},
    "spec": {
        "parentRefs": [{"name": "g"}],
        "hostnames": ["theirs.example.com"],
        "rules": [
            {
                "name": "health",
                "matches": [{"path": {"type": "Exact", "value": "/health"}}],
                "backendRefs": [{"name": "health", "port": 80}],
            },
            {
                "name": "predict",
                "matches": [
                    {"path": {"type": "PathPrefix", "value": "/predict"}},
                    {
                        "path": {"type": "PathPrefix", "value": "/"},
                        "headers": [{"type": "Exact", "name": "model", "value": "fraud"}],
                    },
                ],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}},
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}},
                ],
                "backendRefs": [{"name": "fraud", "port": 8080, "weight": 3}, {"name": "fraud-v0", "port": 8080}],
            },
            {"name": "rest", "backendRefs": [{"name": "site", "port": 80}]},
        ],
    },
}
"""A route of the user's, who lends its second rule."""


@dataclass
class Place:
    """Where a router's route is."""

    cluster: Cluster
    router: Router
    owner: Owner
    old: Backend = OLD
    new: Backend = NEW
    services: tuple[Ref, ...] = ()

    async def prepared(self) -> Place:
        """With what a user has to have there before."""
        if isinstance(self.router, RouteRefRouter):
            self.owner = replace(self.owner, lent=("fraud",))
            await self.cluster.create({**THEIRS, "metadata": {**THEIRS["metadata"], "namespace": self.owner.namespace}})
        return self

    def noted_as(self, name: str) -> str:
        """How an annotation of ours is called on the router's route."""
        is_shared = isinstance(self.router, RouteRefRouter) and name in (APPLIED, REJECTED, SINCE, ASKED, LENT)
        return noted_as(self.owner.name, name) if is_shared else name

    @property
    def _route(self) -> Ref:
        return self.router.refs(self.owner)[0]

    async def there(self) -> Objects:
        refs = (*self.router.refs(self.owner), *self.services)
        found = {ref: await self.cluster.read(ref.resource, ref.namespace, ref.name) for ref in refs}
        return {ref: one for ref, one in found.items() if one is not None}

    async def route(self) -> Manifest:
        found = (await self.there())[self._route]
        assert isinstance(found, dict)
        route = copy.deepcopy(found)
        notes = {self.noted_as(name): name for name in (APPLIED, REJECTED, SINCE, ASKED)}
        annotations = route["metadata"].get("annotations") or {}
        route["metadata"]["annotations"] = {notes.get(name, name): text for name, text in annotations.items()}
        return route

    async def applied(self, writes: tuple[Write, ...], there: Objects | None = None) -> None:
        """On condition of what was there, or is there now."""
        there = there or await self.there()
        for write in writes:
            await Applier(self.cluster, Direct(self.cluster)).carry_out(conditional(write, Reads(), there))

    async def wanted(self, exposure: Exposure, traffic: Traffic | None = None, **notes: Any) -> tuple[Move, ...]:
        """What the router would write now."""
        candidate = self.new if exposure != NOBODY else None
        routing = Routing(self.old, candidate, exposure, Notes(**notes), draw=DRAW)
        return self.router.render(self.owner, traffic or least(self.router.field), routing, await self.there())

    async def put(self, exposure: Exposure, traffic: Traffic | None = None, **notes: Any) -> None:
        await self.applied(await self.wanted(exposure, traffic, **notes))

    async def retreat(self, rejected: str | None = None) -> None:
        await self.applied(self.router.retreat(self.owner, await self.there(), self.old, Notes(rejected=rejected)))

    async def serve(self) -> None:
        """Has the revisions' Services there, as a pass reads them."""
        for backend in (self.old, self.new):
            service = revision_service.render(self.owner, backend)
            self.services = (*self.services, ref_of(service))
            await self.cluster.apply(service, manager=MANAGER)

    async def in_force(self) -> InForce:
        return self.router.in_force(self.owner, await self.there(), self.old)

    async def accepted(self) -> None:
        """By all of the gateways that the route names, as it is now."""
        if self.router in GATEWAYS:
            route = await self.route()
            parents = [
                {
                    **parent,
                    "controllerName": "example.com/gateway",
                    "conditions": [{**one, "lastTransitionTime": NOON} for one in parent["conditions"]],
                }
                for parent in acceptance.accepted(route)["status"]["parents"]
            ]
            await self.cluster.replace_status({**route, "status": {"parents": parents}})

    async def edited(self, **patch: Any) -> None:
        """By somebody else's hand."""
        if annotations := (patch.get("metadata") or {}).get("annotations"):
            named = {self.noted_as(name): text for name, text in annotations.items()}
            patch["metadata"] = {**patch["metadata"], "annotations": named}
        ref = self._route
        await self.cluster.patch(ref.resource, ref.namespace, ref.name, patch)

    async def taken_from_us(self, *, by_a_controller: bool) -> None:
        """The route is somebody else's from now on."""
        if by_a_controller:
            owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "uid-x", "controller": True}
            await self.edited(metadata={"ownerReferences": [owner]})
        elif isinstance(self.router, RouteRefRouter):
            notes = dict.fromkeys((APPLIED, REJECTED, SINCE, ASKED, LENT))
            await self.edited(metadata={"annotations": notes}, spec=THEIRS["spec"])
        else:
            await self.edited(metadata={"ownerReferences": None, "labels": None})


def reached(exposure: Exposure) -> tuple[bool, bool]:
    """Whether anybody's request, or a copy, gets to the one and to the other."""
    return exposure != EVERYBODY, exposure != NOBODY
