"""spec.traffic.gatewayAPI: an HTTPRoute that the operator owns. Pure."""

from __future__ import annotations

from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.gateway_api import GatewayRouter

EVERY_PATH: Manifest = {"path": {"type": "PathPrefix", "value": "/"}}

HTTP_ROUTE = GatewayRouter("gatewayAPI", HTTP_ROUTES, EVERY_PATH, lambda traffic: traffic.gateway_api)
