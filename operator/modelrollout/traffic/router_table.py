"""All routers, by the field of spec.traffic that chooses them. A new one is a file and a line here. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Owner, Ref
from modelrollout.traffic.grpc_route import GRPC_ROUTE
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.plain_service import ServiceRouter
from modelrollout.traffic.router import Router

_ALL: tuple[Router, ...] = (HTTP_ROUTE, GRPC_ROUTE, ServiceRouter())

ROUTERS: Mapping[str, Router] = {router.field: router for router in _ALL}


def route_refs(owner: Owner) -> tuple[Ref, ...]:
    """The objects that a rollout's traffic may go by, whichever router its spec chooses."""
    return tuple(ref for router in ROUTERS.values() for ref in router.refs(owner))


def router_of(traffic: Traffic) -> Router:
    """The router that a spec chooses; its rules have seen to it that there is exactly one."""
    return next(router for field, router in ROUTERS.items() if field in traffic.to_wire())
