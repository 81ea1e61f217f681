"""spec.traffic.gatewayAPI: an HTTPRoute that the operator owns. Pure."""

from __future__ import annotations

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.gateway_api import GatewayRouter, RouteSettings

_EVERY_PATH: Manifest = {"path": {"type": "PathPrefix", "value": "/"}}


def _settings(traffic: Traffic) -> RouteSettings | None:
    if (route := traffic.gateway_api) is None:
        return None
    return RouteSettings(
        parent_refs=[ref.to_wire() for ref in route.parent_refs],
        hostnames=route.hostnames,
        matches=[match.to_wire() for match in route.matches],
        filters=[one.to_wire() for one in route.filters],
        timeouts=route.timeouts.to_wire() if route.timeouts else None,
    )


HTTP_ROUTE = GatewayRouter("gatewayAPI", HTTP_ROUTES, _EVERY_PATH, _settings)
