"""spec.traffic.grpc: a GRPCRoute that the operator owns. Pure."""

from __future__ import annotations

from modelrollout.objects.resources import GRPC_ROUTES
from modelrollout.traffic.gateway_api import GatewayRouter

GRPC_ROUTE = GatewayRouter("grpc", GRPC_ROUTES, {}, lambda traffic: traffic.grpc, sees_methods=False)
