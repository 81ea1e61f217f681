"""Translates the objects of the API server into the whole of Envoy's configuration. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.gateway import envoy_config
from localcluster.gateway.attach import Attachment, Listener, attachments, listeners, our_gateways
from localcluster.gateway.backends import Backend, Backends, Object, backends, ports
from localcluster.gateway.doors import Addresses, Door
from localcluster.gateway.kinds import GRPC_ROUTE, kind_of
from localcluster.gateway.rules import clusters, virtual_hosts

Resources = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class World:
    """The objects that were read, in no particular order."""

    classes: tuple[Object, ...] = ()
    gateways: tuple[Object, ...] = ()
    routes: tuple[Object, ...] = ()
    services: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()

    @property
    def ours(self) -> list[Object]:
        """The Gateways that this controller serves."""
        return our_gateways(self.classes, self.gateways)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Envoy's resources by name, each kind in its own words."""

    clusters: Resources
    endpoints: Resources
    listeners: Resources
    routes: Resources


def translate(world: World, addresses: Addresses, folder: Path, *, access_log: Path | None = None) -> Configuration:
    """Only doors with an address are opened; files that Envoy watches for more are in `folder`."""
    known = backends(world.services, world.pods)
    ways_in = _gateway_ports(world)
    routes = {
        door.label: envoy_config.route_table(door.label, virtual_hosts(*ways_in[door], known))
        for door in addresses
        if door in ways_in
    }
    protocols = {
        Door("service", b.namespace, b.service, b.port): port.get("appProtocol", "http")
        for service in world.services
        for b, port in ports(service)
    }
    http = {backend.cluster: backend for backend in sorted(known)}
    http2 = _http2_clusters(world, known)
    return Configuration(
        clusters={
            **{name: envoy_config.cluster(name, folder) for name in http},
            **{name: envoy_config.cluster(name, folder, protocol="http2") for name in http2},
        },
        endpoints={name: envoy_config.endpoints(name, known[backend]) for name, backend in {**http, **http2}.items()},
        listeners={
            door.label: _listener(door, addresses, protocols, folder, access_log)
            for door in sorted(addresses)
            if door in ways_in or door in protocols
        },
        routes=routes,
    )


def _gateway_ports(world: World) -> dict[Door, tuple[list[Listener], list[Attachment]]]:
    """By port of each Gateway: its listeners and the routes attached to them."""
    found: dict[Door, tuple[list[Listener], list[Attachment]]] = defaultdict(lambda: ([], []))
    ours = world.ours
    for gateway in ours:
        for listener in listeners(gateway):
            if listener.finding is None:
                found[_door(listener)][0].append(listener)
    for attachment in attachments(world.routes, ours):
        found[_door(attachment.listener)][1].append(attachment)
    return dict(found)


def _http2_clusters(world: World, known: Backends) -> dict[str, Backend]:
    """Those that GRPCRoutes lead to. They stand beside the ones for HTTP/1.1: a port does not say what it speaks."""
    wanted = (clusters(route, known) for route in world.routes if kind_of(route) is GRPC_ROUTE)
    return dict(sorted(pair for pairs in wanted for pair in pairs))


def _door(listener: Listener) -> Door:
    return Door("gateway", listener.namespace, listener.gateway, listener.port)


def _listener(
    door: Door, addresses: Addresses, protocols: Mapping[Door, str], folder: Path, access_log: Path | None
) -> dict[str, Any]:
    if door.kind == "gateway":
        chain = envoy_config.http(door.label, envoy_config.watched_routes(door.label, folder), access_log)
    else:
        cluster = Backend(door.namespace, door.name, door.port).cluster
        if protocols[door] == "http":
            chain = envoy_config.http(door.label, envoy_config.only_route(cluster), access_log)
        else:
            chain = envoy_config.tcp(door.label, cluster)
    return envoy_config.listener(door.label, addresses[door], chain)
