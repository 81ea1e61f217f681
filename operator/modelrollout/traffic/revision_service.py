"""The Service that each revision has for itself, whatever the router. Pure."""

from __future__ import annotations

from modelrollout.objects.manifests import APPLIED, REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, annotation
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic.router import SERVICE_PORT, Backend


def render(owner: Owner, backend: Backend) -> Manifest:
    return owner.object(
        SERVICES,
        backend.service,
        labels={REVISION_LABEL: backend.revision},
        spec={
            "selector": {ROLLOUT_LABEL: owner.name, REVISION_LABEL: backend.revision},
            "ports": [{"name": "http", "port": SERVICE_PORT, "protocol": "TCP", "targetPort": backend.port}],
        },
    )


def has_port(service: Manifest, owner: Owner, backend: Backend) -> bool:
    """Whether it was last written for this backend, whatever somebody made of it since."""
    is_as_written = annotation(service, APPLIED) == annotation(render(owner, backend), APPLIED)
    return is_as_written or container_port(service) in (None, backend.port)


def container_port(service: Manifest) -> int | None:
    """The port that a revision's containers listen on, as its own Service has kept it; None when it was edited away."""
    (first, *_) = service["spec"].get("ports") or [{}]
    port = first.get("targetPort")
    return port if isinstance(port, int) else None
