"""Which pods answer for which port of which Service: what kube-proxy would know.

Pure. Endpoints come from the pods themselves: a real API server refuses loopback addresses in EndpointSlices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """One port of one Service."""

    namespace: str
    service: str
    port: int

    @property
    def cluster(self) -> str:
        """The name of its Envoy cluster; Envoy writes the colon as an underscore in the names of statistics."""
        return f"{self.namespace}/{self.service}:{self.port}"

    @property
    def http2_cluster(self) -> str:
        """The name of the Envoy cluster that speaks HTTP/2 to the same pods."""
        return f"{self.cluster}/http2"


Backends = Mapping[Backend, tuple[Endpoint, ...]]


def backends(services: Iterable[Object], pods: Iterable[Object]) -> dict[Backend, tuple[Endpoint, ...]]:
    """Every TCP port of every Service, each with the addresses of its ready pods, which may be none."""
    ready: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        if is_ready(pod):
            ready[pod["metadata"]["namespace"]].append(pod)
    return {
        backend: _endpoints(port, selected)
        for service in services
        for selected in [_selected(service, ready[service["metadata"]["namespace"]])]
        for backend, port in ports(service)
    }


def ports(service: Object) -> Iterator[tuple[Backend, Object]]:
    """The Service's TCP ports; an ExternalName has none, since nothing here resolves it."""
    spec, metadata = service.get("spec") or {}, service["metadata"]
    if spec.get("type") == "ExternalName":
        return
    for port in spec.get("ports") or ():
        if port.get("protocol", "TCP") == "TCP":
            yield Backend(metadata["namespace"], metadata["name"], port["port"]), port


def is_ready(pod: Object) -> bool:
    """As the endpoints controller sees it: ready, not on its way out, and with an address."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or not status.get("podIP"):
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())


def _selected(service: Object, pods: Sequence[Object]) -> list[Object]:
    wanted = (service.get("spec") or {}).get("selector") or {}
    if not wanted:  # its endpoints would be written by hand, which nobody does here
        return []
    return [pod for pod in pods if wanted.items() <= (pod["metadata"].get("labels") or {}).items()]


def _endpoints(port: Object, pods: Sequence[Object]) -> tuple[Endpoint, ...]:
    found = ((pod["status"]["podIP"], _target(port, pod)) for pod in pods)
    return tuple(sorted((address, number) for address, number in found if number is not None))


def _target(port: Object, pod: Object) -> int | None:
    """The pod's port number; None when the Service names a port that this pod does not have."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    named = (
        candidate["containerPort"]
        for container in pod["spec"].get("containers") or ()
        for candidate in container.get("ports") or ()
        if candidate.get("name") == target
    )
    return next(named, None)
