"""The kinds of routes that the gateway serves. In all that is not in this table they are the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from localcluster.gateway import grpc_matches, http_matches
from localcluster.gateway.backends import Backend, Object
from localcluster.gateway.durations import duration

# For a whole answer, when the route does not say; Envoy's own 15 s is short for a model.
PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RouteKind:
    """How a kind of route matches, which answer says that nobody is there, and how long an answer may take."""

    name: str
    everything: Object  # the match of a rule that has none
    precedence: Callable[[Object], tuple[Any, ...]]
    envoy_match: Callable[[Object], dict[str, Any]]
    expressions: Callable[[Object], Iterator[str]]
    cluster: Callable[[Backend], str]  # the name of the Envoy cluster that speaks the kind's protocol
    nowhere: tuple[int, str]  # the status for a backend that does not resolve, and Envoy's word for it
    limits: Callable[[Object], dict[str, Any]]  # a rule's timeouts, as fields of an Envoy route


def _http_limits(rule: Object) -> dict[str, Any]:
    """The shorter of the two that are set: without retries both mean the same. Zero is none."""
    timeouts = rule.get("timeouts") or {}
    limits = [duration(timeouts[name]) for name in ("request", "backendRequest") if timeouts.get(name)]
    if not limits:
        return {"timeout": _seconds(PATIENCE)}
    return {"timeout": _seconds(min((limit for limit in limits if limit), default=timedelta()))}


def _grpc_limits(_: Object) -> dict[str, Any]:
    """The deadline is the client's, which says it in the header grpc-timeout; a stream without one may last."""
    return {"timeout": _seconds(timedelta()), "max_stream_duration": {"grpc_timeout_header_max": "0s"}}


def _seconds(limit: timedelta) -> str:
    return f"{limit.total_seconds():.3f}s"


HTTP_ROUTE = RouteKind(
    name="HTTPRoute",
    everything=http_matches.EVERYTHING,
    precedence=http_matches.precedence,
    envoy_match=http_matches.envoy_match,
    expressions=http_matches.expressions,
    cluster=lambda backend: backend.cluster,
    nowhere=(500, "INTERNAL_SERVER_ERROR"),
    limits=_http_limits,
)
GRPC_ROUTE = RouteKind(
    name="GRPCRoute",
    everything=grpc_matches.EVERYTHING,
    precedence=grpc_matches.precedence,
    envoy_match=grpc_matches.envoy_match,
    expressions=grpc_matches.expressions,
    cluster=lambda backend: backend.http2_cluster,
    nowhere=(503, "SERVICE_UNAVAILABLE"),  # Envoy tells a gRPC client UNAVAILABLE for it
    limits=_grpc_limits,
)
ROUTE_KINDS = {kind.name: kind for kind in (HTTP_ROUTE, GRPC_ROUTE)}


def kind_of(route: Object) -> RouteKind:
    return ROUTE_KINDS[route.get("kind", HTTP_ROUTE.name)]
