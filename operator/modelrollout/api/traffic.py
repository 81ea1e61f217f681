"""How users reach the model server: ``spec.traffic``. Pure.

Limits and patterns are those of Gateway API v1, or its API server would refuse later what was accepted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import not_
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from modelrollout.api.base import Model
from modelrollout.api.filters import GRPCFilters, HTTPFilters
from modelrollout.api.istio import Istio
from modelrollout.api.matches import MOST_MATCHES, GRPCMatch, HTTPMatch
from modelrollout.api.names import OBJECT_NAME, Group, Hostname, Kind, Namespace, ObjectName
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scalars import Duration

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class ParentRef(Model):
    """The Gateway (or a section of it) that users come through."""

    group: Annotated[Group, Field(description="API group of the parent.")] = "gateway.networking.k8s.io"
    kind: Annotated[Kind, Field(description="Kind of the parent.")] = "Gateway"
    namespace: Annotated[Namespace | None, Field(description="The rollout's own namespace when left out.")] = None
    name: Annotated[ObjectName, Field(description="Name of the Gateway.")]
    section_name: Annotated[
        ObjectName | None, Field(description="One listener of the Gateway; all of them when left out.")
    ] = None
    port: Annotated[Port | None, Field(description="Only the listeners on this port.")] = None


def _have_sections(refs: Sequence[ParentRef]) -> bool:
    sections: dict[tuple[str | None, ...], list[str | None]] = {}
    for ref in refs:
        sections.setdefault((ref.group, ref.kind, ref.namespace, ref.name), []).append(ref.section_name)
    several = [names for names in sections.values() if len(names) > 1]
    return all(None not in names and len({*names}) == len(names) for names in several)


def _equal(field: str, default: str) -> str:
    """The field of `p` and of `o` are the same, each with its default; in CEL."""
    p, o = (f"(has({ref}.{field}) ? {ref}.{field} : '{default}')" for ref in "po")
    return f"{p} == {o}"


_SAME_PARENT = (
    f"o.name == p.name && {_equal('__namespace__', '')} && {_equal('kind', 'Gateway')}"
    f" && {_equal('group', 'gateway.networking.k8s.io')}"
)
_SECTIONS = Rule(
    _have_sections,
    "two of these name the same parent: give each a sectionName of its own, or remove one",
    f"self.all(p, self.exists_one(o, {_SAME_PARENT} && (!has(o.sectionName) || !has(p.sectionName)"
    " || o.sectionName == p.sectionName)))",
)


class _OwnRoute(Model):
    """What the routes that the operator makes have in common."""

    parent_refs: Annotated[
        tuple[ParentRef, ...],
        Field(min_length=1, max_length=32, description="The Gateways that the route belongs to."),
        _SECTIONS,
    ]
    hostnames: Annotated[
        tuple[Hostname, ...],
        Field(max_length=16, description="Host names that the route answers to; all of the Gateway's when left out."),
        Rule(
            lambda names: len(set(names)) == len(names),
            "each host name may stand here once: remove the second one",
            "self.all(h, self.exists_one(o, o == h))",
        ),
    ] = ()


_ROUTE_DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"


class RouteDuration(Duration):
    """A duration of the Gateway API (GEP-2257): no days, no fractions."""

    __slots__ = ()
    pattern = _ROUTE_DURATION
    expected = "a duration such as 10s, 1m30s or 500ms"


def _try_ends_first(timeouts: Timeouts) -> bool:
    if timeouts.request is None or timeouts.backend_request is None or not timeouts.request.timedelta:
        return True
    return timeouts.backend_request.timedelta <= timeouts.request.timedelta


class Timeouts(Model):
    """How long a request may take; 0s is for ever, and a gateway has its own default where one is left out."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            _try_ends_first,
            "backendRequest is longer than request, of which it is a part: make it shorter",
            "!has(self.request) || !has(self.backendRequest)"
            f" || [self.request, self.backendRequest].exists(t, !t.matches(r'{_ROUTE_DURATION}'))"
            " || duration(self.request) == duration('0s')"
            " || duration(self.backendRequest) <= duration(self.request)",
        ),
    )

    request: Annotated[
        RouteDuration | None, Field(description="From the request's arrival to the end of the answer, tries included.")
    ] = None
    backend_request: Annotated[
        RouteDuration | None, Field(description="For one try at a model server; at most as long as request.")
    ] = None


_MATCHES = Field(
    max_length=MOST_MATCHES,
    exclude_if=not_,
    description="Which requests are for this model, any one of these; all that come to the host names when left out.",
)


def _have_the_prefix(gateway: GatewayAPI) -> bool:
    if not gateway.matches or not any(filter_.replaces_prefix for filter_ in gateway.filters):
        return True
    return [match.path.type for match in gateway.matches] == ["PathPrefix"]


class GatewayAPI(_OwnRoute):
    """Split traffic by weight in an HTTPRoute that the operator makes and owns, named after the rollout."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            _have_the_prefix,
            "a filter with ReplacePrefixMatch needs exactly one match, by a path of type PathPrefix: leave one match, "
            "or use ReplaceFullPath",
            "!has(self.matches) || size(self.matches) == 0 || !has(self.filters) || !self.filters.exists(f,"
            " has(f.urlRewrite) && has(f.urlRewrite.path) && f.urlRewrite.path.type == 'ReplacePrefixMatch')"
            " || size(self.matches) == 1 && (!has(self.matches[0].path) || !has(self.matches[0].path.type)"
            " || self.matches[0].path.type == 'PathPrefix')",
        ),
    )

    matches: Annotated[tuple[HTTPMatch, ...], _MATCHES] = ()
    filters: HTTPFilters = ()
    timeouts: Timeouts | None = None


class GRPC(_OwnRoute):
    """Split gRPC calls by weight in a GRPCRoute that the operator makes and owns, named after the rollout."""

    matches: Annotated[tuple[GRPCMatch, ...], _MATCHES] = ()
    filters: GRPCFilters = ()


def _is_place(rule: Any) -> bool:
    """A name or a number; True is a whole number to Python, and to nobody else."""
    return (
        len(rule) <= 253 and OBJECT_NAME.holds(rule) if isinstance(rule, str) else type(rule) is int and 0 <= rule <= 15
    )


# The operator alone checks it: of a value that may be either, CEL cannot bound the cost.
_PLACE = Rule(_is_place, "this is neither the name of a rule nor its place in the route, from 0 to 15", cel=None)


class RouteRef(Model):
    """Split traffic by weight in one rule of an HTTPRoute of yours. All else in it stays as you write it, and the rule
    is given back as it was found."""

    name: Annotated[ObjectName, Field(description="Name of the HTTPRoute, in the namespace of the rollout.")]
    rule: Annotated[
        int | str,
        PlainValidator(_PLACE.check),
        WithJsonSchema({"x-kubernetes-int-or-string": True}),
        Field(description="The rule, by its name or by its place in the route, counted from 0."),
    ]


class ServiceTraffic(Model):
    """Plain Services, no gateway: one Service named after the rollout. 0 and 100 % are exact; between them the share is
    that of ready pods, and the status says which share that is."""


class Traffic(Model):
    """How users reach the model server. Exactly one router."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("gatewayAPI", "grpc", "routeRef", "istio", "service"),
            message="traffic needs exactly one router: set one of traffic.gatewayAPI, traffic.grpc, traffic.routeRef, "
            "traffic.istio and traffic.service",
        ),
    )

    port: Annotated[Port, Field(description="The port that the model server's container listens on.")]
    gateway_api: Annotated[GatewayAPI | None, Field(alias="gatewayAPI")] = None
    grpc: GRPC | None = None
    route_ref: RouteRef | None = None
    istio: Istio | None = None
    service: ServiceTraffic | None = None
