"""spec.traffic.gatewayAPI: an HTTPRoute that the operator owns. Pure."""

from __future__ import annotations

from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.gateway_api import GatewayRouter
from modelrollout.traffic.requests import EVERY_PATH

EVERY_REQUEST: Manifest = {"path": EVERY_PATH}
"""A match that says nothing, as the API server keeps it."""

HTTP_ROUTE = GatewayRouter("gatewayAPI", HTTP_ROUTES, EVERY_REQUEST, lambda traffic: traffic.gateway_api)
