"""spec.traffic.grpc: a GRPCRoute that the operator owns. Pure."""

from __future__ import annotations

from modelrollout.api.traffic import Traffic
from modelrollout.objects.resources import GRPC_ROUTES
from modelrollout.traffic.gateway_api import GatewayRouter, RouteSettings


def _settings(traffic: Traffic) -> RouteSettings | None:
    if (route := traffic.grpc) is None:
        return None
    return RouteSettings(
        parent_refs=[ref.to_wire() for ref in route.parent_refs],
        hostnames=route.hostnames,
        matches=[match.to_wire() for match in route.matches],
        filters=[one.to_wire() for one in route.filters],
    )


GRPC_ROUTE = GatewayRouter("grpc", GRPC_ROUTES, {}, _settings)
