"""All routers, by the field of spec.traffic that chooses them. A new one is a file and a line here. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Owner, Ref, Write
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.grpc_route import GRPC_ROUTE
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.istio import IstioRouter
from modelrollout.traffic.lent_route import made_up
from modelrollout.traffic.plain_service import ServiceRouter
from modelrollout.traffic.route_ref import RouteRefRouter
from modelrollout.traffic.router import Router

_ALL: tuple[Router, ...] = (HTTP_ROUTE, GRPC_ROUTE, RouteRefRouter(), IstioRouter(), ServiceRouter())

ROUTERS: Mapping[str, Router] = {router.field: router for router in _ALL}


def route_refs(owner: Owner) -> tuple[Ref, ...]:
    """The objects that a rollout's traffic may go by, whichever router its spec chooses."""
    return tuple(dict.fromkeys(ref for router in ROUTERS.values() for ref in router.refs(owner)))


def given_up(owner: Owner, there: Objects, kept: Collection[Ref] = ()) -> tuple[Write, ...]:
    """The writes by which objects of all routers are the rollout's no more, but for those that are kept."""
    return tuple(
        write
        for router in ROUTERS.values()
        for ref in router.refs(owner)
        if ref not in kept
        for write in router.given_up(owner, there, ref)
    )


def lent(owner: Owner, traffic: Traffic | None, there: Objects) -> tuple[str, ...]:
    """The user's routes to be remembered: the spec's, and those in which the rollout has, or may have, a rule."""
    named = traffic.route_ref.name if traffic is not None and traffic.route_ref is not None else None
    return tuple(name for name in owner.lent if name == named or _has_a_rule_in(owner, name, there))


def _has_a_rule_in(owner: Owner, name: str, there: Objects) -> bool:
    ref = Ref(HTTP_ROUTES, owner.namespace, name)
    return isinstance(there.get(ref), Finding) or bool(ROUTERS["routeRef"].given_up(owner, there, ref))


def presumed(owner: Owner, traffic: Traffic) -> tuple[Owner, Objects]:
    """The objects of the user's that a router needs, for worlds in which all goes well; and their borrower."""
    if traffic.route_ref is None:
        return owner, {}
    ref = Ref(HTTP_ROUTES, owner.namespace, traffic.route_ref.name)
    return replace(owner, lent=(ref.name,)), {ref: made_up(ref, traffic.route_ref.rule)}


def router_of(traffic: Traffic) -> Router:
    """The router that a spec chooses; its rules have seen to it that there is exactly one."""
    return next(router for field, router in ROUTERS.items() if field in traffic.to_wire())
