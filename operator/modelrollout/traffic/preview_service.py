"""The preview of a router that does not look into requests: one more Service, which leads to the candidate alone. Pure.

Taken back it leads to stable until it is deleted, so whoever uses it is never left without an answer.
"""

from __future__ import annotations

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Apply, Manifest, Owner, Ref, is_applied
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic.edits import is_as_written_for, told
from modelrollout.traffic.exposure import BY_SERVICE, EVERYBODY, NOBODY, Exposure
from modelrollout.traffic.router import MANAGER, Backend, Routing, own
from modelrollout.traffic.selection import edits_of_service, ours_among, selects_the_same

PORT_NAME = "http-preview"
"""Another name than that of the front and of the revisions' Services, so that no monitor finds a pod through two."""


def ref(owner: Owner) -> Ref:
    """No revision is called so; another rollout may be, and then its own front Service has the name."""
    return Ref(SERVICES, owner.namespace, f"{owner.name}-preview")


def render(owner: Owner, routing: Routing, there: Objects) -> tuple[Apply, ...]:
    """The write that makes it lead to the candidate, or back to stable once nobody asks for the candidate any more."""
    if routing.exposure == EVERYBODY:
        return ()  # who comes through it is served by the candidate, like everybody
    if routing.candidate is None or BY_SERVICE not in routing.exposure.asked:
        return retreat(owner, there, routing.stable)
    wanted, found = _leading_to(routing.candidate, owner), there.get(ref(owner))
    return () if isinstance(found, dict) and _is_in_force(wanted, found) else (Apply(wanted, MANAGER),)


def retreat(owner: Owner, there: Objects, to: Backend) -> tuple[Apply, ...]:
    exposure, _ = in_force(owner, there, to)
    return () if exposure == NOBODY else (Apply(_leading_to(to, owner), MANAGER),)


def edits(owner: Owner, routing: Routing, there: Objects) -> Finding | None:
    """What others made of it since it was written to lead to the candidate."""
    found = own(owner, there, ref(owner))
    if found is None or routing.candidate is None or BY_SERVICE not in routing.exposure.asked:
        return None
    wanted = _leading_to(routing.candidate, owner)
    return told(ref(owner), [*edits_of_service(wanted, found)]) if is_as_written_for(wanted, found) else None


def in_force(owner: Owner, there: Objects, stable: Backend) -> tuple[Exposure, frozenset[str]]:
    """Who is led anywhere but to stable, and by which revision's Service that is known."""
    if (found := own(owner, there, ref(owner))) is None:
        return NOBODY, frozenset()
    revision = (found["spec"].get("selector") or {}).get(REVISION_LABEL)
    if revision == stable.revision:
        return NOBODY, frozenset()
    return Exposure(asked=frozenset({BY_SERVICE})), frozenset({f"{owner.name}-{revision}"})


def _leading_to(backend: Backend, owner: Owner) -> Manifest:
    port = {"name": PORT_NAME, "port": backend.port, "protocol": "TCP", "targetPort": backend.port}
    selector = {ROLLOUT_LABEL: owner.name, REVISION_LABEL: backend.revision}
    return owner.object(SERVICES, ref(owner).name, spec={"selector": selector, "ports": [port]})


def _is_in_force(wanted: Manifest, found: Manifest) -> bool:
    """Ports that somebody added beside ours stay: the API server merges the lists."""
    is_all_there = is_applied(wanted, {**found, "spec": {**found["spec"], "ports": ours_among(wanted, found)}})
    return is_all_there and selects_the_same(wanted, found)
