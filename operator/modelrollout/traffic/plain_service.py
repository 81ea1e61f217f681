"""Plain Services, no gateway: one Service in front, whose selector decides. Pure.

0 and 100 % are exact (the selector names one revision). Between them it selects both, and each gets the share of its
ready pods: the candidate is given as many pods as come nearest to the weight without exceeding it, but at least one.
"""

from __future__ import annotations

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.access import OWN, Access
from modelrollout.objects.manifests import (
    APPLIED,
    REJECTED,
    REVISION_LABEL,
    ROLLOUT_LABEL,
    Apply,
    Manifest,
    Owner,
    Ref,
    annotation,
    is_applied,
    seal,
)
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic import preview_service
from modelrollout.traffic.edits import Edit, is_as_written_for, told
from modelrollout.traffic.exposure import BY_SERVICE, EVERYBODY, NOBODY, Exposure
from modelrollout.traffic.router import (
    MANAGER,
    SINCE,
    Backend,
    Copied,
    InForce,
    Notes,
    Routing,
    WholeObjects,
    ours,
    own,
)
from modelrollout.traffic.selection import edits_of_service, ours_among, selects_the_same

WEIGHT = f"{GROUP}/weight"
"""Annotation with the weight that a mixed selector stands for; the selector itself cannot say it."""

PORT_NAME = "http-front"
"""Another name than that of the revisions' Services: a monitor that scrapes by the rollout's label and a port's name
matches either the front or the revisions, and no pod through both. A name that is there is kept: others refer to it."""

_WEIGHTS = {str(weight): weight for weight in range(1, 100)}
_LARGEST_MIX = 99
"""Percent. A weight that cannot be read counts as this: it is taken back or written anew. It is not mistaken for the
exact switch to all, which waits for all pods."""


class ServiceRouter(WholeObjects):
    field = "service"
    access = (Access(SERVICES, OWN),)
    splits_by_pods = True

    def refs(self, owner: Owner, traffic: Traffic | None = None) -> tuple[Ref, ...]:
        return _front(owner), preview_service.ref(owner)

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        if exposure.mirror or exposure.asked - {BY_SERVICE}:
            return Finding(
                "RouterCannot",
                f"traffic.service knows weights only, and a stage asks for {exposure}: use traffic.gatewayAPI."
                + (_PREVIEW_IS_A_SERVICE if exposure.asked else ""),
            )
        return None

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Apply, ...]:
        found = there.get(_front(owner))
        wanted = _wanted(owner, routing, found)
        is_in_force = isinstance(found, dict) and _is_in_force(wanted, found)
        return (*(() if is_in_force else (Apply(wanted, MANAGER),)), *preview_service.render(owner, routing, there))

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        ref = _front(owner)
        found = own(owner, there, ref)
        wanted, of_preview = _wanted(owner, routing, found), preview_service.edits(owner, routing, there)
        if found is None or not is_as_written_for(wanted, found):
            return of_preview
        edits = [*edits_of_service(wanted, found)]
        if (weight := annotation(found, WEIGHT)) != annotation(wanted, WEIGHT):
            edits.append(Edit(f"metadata.annotations[{WEIGHT}]", weight, "who is served is decided by spec.stages"))
        return told(ref, edits) or of_preview

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Apply, ...]:
        if (route := own(owner, there, _front(owner))) is None:
            return preview_service.retreat(owner, there, to)
        back = Routing(to, notes=Notes(rejected=notes.rejected or annotation(route, REJECTED)))
        (first, *_) = ports = route["spec"].get("ports") or [{}]
        named = (port for name in (PORT_NAME, "http") for port in ports if port.get("name") == name)
        known = next(named, first)  # somebody may have added others
        port = {**known, **_port(to.port, known.get("name") or PORT_NAME)}
        manifest = {
            "apiVersion": route["apiVersion"],
            "kind": route["kind"],
            "metadata": {
                **ours(owner, route),
                "annotations": {APPLIED: "", **_annotations(back)},
            },
            "spec": {"selector": _selector(owner.name, back), "ports": [port]},
        }
        return (Apply(seal(manifest), MANAGER), *preview_service.retreat(owner, there, to))

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        asked, previewed = preview_service.in_force(owner, there, stable)
        if (route := own(owner, there, _front(owner))) is None:
            return InForce(exposure=asked, services=previewed)
        revision = (route["spec"].get("selector") or {}).get(REVISION_LABEL)
        if revision is None:
            exposure = Exposure(weight=_WEIGHTS.get(annotation(route, WEIGHT) or "", _LARGEST_MIX))
        else:
            exposure = NOBODY if revision == stable.revision else EVERYBODY
        return InForce(
            exists=True,
            exposure=exposure | asked,
            services=None if revision is None else frozenset({f"{owner.name}-{revision}"}) | previewed,
            since=annotation(route, SINCE),
            rejected=annotation(route, REJECTED),
        )

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        if size is None or exposure == EVERYBODY:
            return size
        return max(1, min(size, exposure.weight * size // (100 - exposure.weight)))


def _front(owner: Owner) -> Ref:
    return Ref(SERVICES, owner.namespace, owner.name)


_PREVIEW_IS_A_SERVICE = " For a preview leave preview.header out: it has a Service of its own."


def _wanted(owner: Owner, routing: Routing, found: Manifest | Finding | None) -> Manifest:
    # The port of whoever serves, inside and out: an edit of traffic.port must cut off neither pods nor callers.
    is_switched = routing.candidate is not None and routing.exposure == EVERYBODY
    target = routing.candidate.port if routing.candidate and is_switched else routing.stable.port
    return owner.object(
        SERVICES,
        owner.name,
        annotations=_annotations(routing),
        spec={"selector": _selector(owner.name, routing), "ports": [_port(target, _name_of_port(found, target))]},
    )


def _port(number: int, name: str) -> Manifest:
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": number}


def _name_of_port(found: Manifest | Finding | None, number: int) -> str:
    """The name that our port has already, whatever it is."""
    ports = found["spec"].get("ports") if isinstance(found, dict) else None
    same = (port for port in ports or () if (port.get("port"), port.get("protocol", "TCP")) == (number, "TCP"))
    return next((port["name"] for port in same if port.get("name")), PORT_NAME)


def _selector(rollout: str, routing: Routing) -> dict[str, str]:
    if routing.candidate and 0 < routing.exposure.weight < 100:
        return {ROLLOUT_LABEL: rollout}
    one = routing.candidate if routing.candidate and routing.exposure == EVERYBODY else routing.stable
    return {ROLLOUT_LABEL: rollout, REVISION_LABEL: one.revision}


def _annotations(routing: Routing) -> dict[str, str]:
    weight = routing.exposure.weight if routing.candidate else 0
    return {**routing.notes.annotations, WEIGHT: str(weight)}


def _is_in_force(wanted: Manifest, found: Manifest) -> bool:
    """Ports that somebody added beside ours stay: the API server merges the lists."""
    is_all_there = is_applied(wanted, {**found, "spec": {**found["spec"], "ports": ours_among(wanted, found)}})
    return is_all_there and selects_the_same(wanted, found)
