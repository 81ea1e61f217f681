"""The Service that each revision has for itself, whatever the router. Pure."""

from __future__ import annotations

from modelrollout.api.findings import Finding
from modelrollout.objects.access import OWN, Access
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, is_applied, ref_of
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic.edits import is_as_written_for, told
from modelrollout.traffic.router import SERVICE_PORT, Backend
from modelrollout.traffic.selection import edits_of_service, selects_the_same

ACCESS = (Access(SERVICES, OWN),)


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


def url(namespace: str, name: str, found: object) -> str:
    """Where a revision is asked, past every route: by its address if that is known, so that nobody looks it up."""
    address = (found.get("spec") or {}).get("clusterIP") if isinstance(found, dict) else None
    if not address or address == "None":
        address = f"{name}.{namespace}.svc"
    return f"http://{f'[{address}]' if ':' in address else address}:{SERVICE_PORT}"


def is_in_force(wanted: Manifest, found: Manifest) -> bool:
    return is_applied(wanted, found) and selects_the_same(wanted, found)


def edits(owner: Owner, backend: Backend, found: Manifest) -> Finding | None:
    """What others made of it since it was written for this backend, with the mend."""
    wanted = render(owner, backend)
    return told(ref_of(found), [*edits_of_service(wanted, found)]) if is_as_written_for(wanted, found) else None


def has_port(service: Manifest, owner: Owner, backend: Backend) -> bool:
    """Whether it was last written for this backend, whatever somebody made of it since."""
    return is_as_written_for(render(owner, backend), service) or container_port(service) in (None, backend.port)


def container_port(service: Manifest) -> int | None:
    """The port that a revision's containers listen on, as its own Service has kept it; None when it was edited away."""
    (first, *_) = service["spec"].get("ports") or [{}]
    port = first.get("targetPort")
    return port if isinstance(port, int) else None
