"""A place with one route in it: a router, the cluster that keeps its objects, and the hands that reach into them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from modelrollout.api.traffic import Traffic
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Apply, Manifest, Owner
from modelrollout.objects.reads import Objects
from modelrollout.traffic import acceptance
from modelrollout.traffic.exposure import BY_SERVICE, EVERYBODY, NOBODY, Exposure, Match
from modelrollout.traffic.gateway_api import GatewayRouter
from modelrollout.traffic.router import ALL_REQUESTS, Backend, InForce, Notes, Router, Routing
from modelrollout.traffic.router_table import ROUTERS

OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
NOON = "2026-01-01T12:00:00Z"
PREVIEW, TENANT = Match("x-preview", "1"), Match("x-tenant", "acme: eu")

EXPOSURES = [
    *(Exposure(weight) for weight in (0, 1, 50, 99, 100)),
    *(Exposure(mirror=percent) for percent in (1, 50, 100)),
    Exposure(mirror=Fraction(1, 2)),
    Exposure(asked=frozenset({BY_SERVICE})),
    Exposure(5, asked=frozenset({BY_SERVICE})),
    Exposure(asked=frozenset({PREVIEW})),
    Exposure(asked=frozenset({PREVIEW, TENANT})),
    Exposure(5, 20),
    Exposure(5, asked=frozenset({TENANT})),
    Exposure(99, 100, frozenset({PREVIEW, TENANT})),
]

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


def least(field: str) -> Traffic:
    """The shortest spec that chooses a router."""
    try:
        return Traffic.model_validate({"port": 8080, field: {}})
    except ValidationError:
        return Traffic.model_validate({"port": 8080, field: {"parentRefs": [{"name": "g"}]}})


def specs(router: Router) -> list[Traffic]:
    words = OWN_WORDS.get(router.field)
    return [least(router.field), *([Traffic.model_validate({"port": 8080, router.field: words})] if words else [])]


ALL = list(ROUTERS.values())
GATEWAYS = [router for router in ALL if isinstance(router, GatewayRouter)]


def possible(router: Router) -> list[Exposure]:
    return [exposure for exposure in EXPOSURES if router.can(least(router.field), exposure, ALL_REQUESTS) is None]


@dataclass
class Place:
    """Where a router's route is."""

    cluster: Cluster
    router: Router
    owner: Owner

    async def there(self) -> Objects:
        refs = self.router.refs(self.owner)
        found = {ref: await self.cluster.read(ref.resource, ref.namespace, ref.name) for ref in refs}
        return {ref: one for ref, one in found.items() if one is not None}

    async def route(self) -> Manifest:
        found = (await self.there())[self.router.refs(self.owner)[0]]
        assert isinstance(found, dict)
        return copy.deepcopy(found)

    async def applied(self, writes: tuple[Apply, ...]) -> None:
        for write in writes:
            await self.cluster.apply(write.manifest, manager=write.manager)

    async def wanted(self, exposure: Exposure, traffic: Traffic | None = None, **notes: Any) -> tuple[Apply, ...]:
        """What the router would write now."""
        candidate = NEW if exposure != NOBODY else None
        routing = Routing(OLD, candidate, exposure, Notes(**notes))
        return self.router.render(self.owner, traffic or least(self.router.field), routing, await self.there())

    async def put(self, exposure: Exposure, traffic: Traffic | None = None, **notes: Any) -> None:
        await self.applied(await self.wanted(exposure, traffic, **notes))

    async def retreat(self, rejected: str | None = None) -> None:
        await self.applied(self.router.retreat(self.owner, await self.there(), OLD, Notes(rejected=rejected)))

    async def in_force(self) -> InForce:
        return self.router.in_force(self.owner, await self.there(), OLD)

    async def accepted(self) -> None:
        """By all of the gateways that the route names, as it is now."""
        if isinstance(self.router, GatewayRouter):
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
        ref, *_ = self.router.refs(self.owner)
        await self.cluster.patch(ref.resource, ref.namespace, ref.name, patch)


def reached(exposure: Exposure) -> tuple[bool, bool]:
    """Whether anybody's request, or a copy, gets to the one and to the other."""
    return exposure != EVERYBODY, exposure != NOBODY
