"""Where the gateway has to listen: a Gateway's ports, and every Service's ports on its ClusterIP. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from localcluster.gateway.attach import listeners
from localcluster.gateway.backends import Object, ports

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A port that clients of the cluster know; on this machine it may be behind another address."""

    kind: Literal["gateway", "service"]
    namespace: str
    name: str
    port: int

    @property
    def label(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}:{self.port}"


Addresses = Mapping[Door, Address]


def doors(gateways: Iterable[Object], services: Iterable[Object]) -> dict[Door, Address | None]:
    """Each door with the address it should have, if that is one of this machine's own."""
    return {**dict(_gateway_doors(gateways)), **dict(_service_doors(services))}


def _gateway_doors(gateways: Iterable[Object]) -> Iterator[tuple[Door, None]]:
    for gateway in gateways:
        metadata = gateway["metadata"]
        for listener in listeners(gateway):
            if listener.finding is None:
                yield Door("gateway", metadata["namespace"], metadata["name"], listener.port), None


def _service_doors(services: Iterable[Object]) -> Iterator[tuple[Door, Address | None]]:
    for service in services:
        spec = service.get("spec") or {}
        address = spec.get("clusterIP")
        if not address or address == "None" or not spec.get("selector"):
            continue  # without a selector (the API server's own Service) somebody else knows where it leads
        for backend, _ in ports(service):
            door = Door("service", backend.namespace, backend.service, backend.port)
            yield door, (address, backend.port) if ipaddress.ip_address(address).is_loopback else None
