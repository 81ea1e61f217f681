"""The route that the operator writes for a shadow stage, as Envoy's configuration. Pure."""

from __future__ import annotations

from pathlib import Path

from localcluster.gateway import GATEWAY, GATEWAY_CLASS, NAMESPACE, PORT
from localcluster.gateway import NAME as GATEWAY_NAME
from localcluster.gateway.doors import Address, Door
from localcluster.gateway.translate import Configuration, World, translate
from modelrollout.api.traffic import GatewayAPI, ParentRef, Traffic
from modelrollout.objects.manifests import Manifest, Owner
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.router import SERVICE_PORT, Backend, Routing

OWNER = Owner(NAMESPACE, "fraud", "uid-fraud")
TRAFFIC = Traffic(port=8080, gateway_api=GatewayAPI(parent_refs=(ParentRef(name=GATEWAY_NAME),)))
STABLE, CANDIDATE = Backend("fraud-stable", "stable", 8080), Backend("fraud-candidate", "candidate", 8080)


def configuration(address: Address, folder: Path, stable: int, shadow: int | None) -> Configuration:
    """Users reach `address`; both versions are ports of this machine. A copy of each request goes to the shadow."""
    exposure = NOBODY if shadow is None else Exposure(mirror=100)
    [write] = HTTP_ROUTE.render(OWNER, TRAFFIC, Routing(STABLE, CANDIDATE, exposure), {})
    ports = {STABLE.service: stable} | ({} if shadow is None else {CANDIDATE.service: shadow})
    world = World(
        (GATEWAY_CLASS,),
        (GATEWAY,),
        (_as_the_api_server_keeps_it(write.manifest),),
        tuple(_service(name, port) for name, port in ports.items()),
        tuple(_pod(name) for name in ports),
    )
    return translate(world, {Door("gateway", NAMESPACE, GATEWAY_NAME, PORT): address}, folder)


def _as_the_api_server_keeps_it(route: Manifest) -> Manifest:
    metadata = {**route["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {**route, "metadata": metadata}


def _service(name: str, port: int) -> Manifest:
    spec = {"selector": {"app": name}, "ports": [{"port": SERVICE_PORT, "targetPort": port}]}
    return {"metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}


def _pod(name: str) -> Manifest:
    status = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"namespace": NAMESPACE, "name": name, "labels": {"app": name}}, "spec": {}, "status": status}
