"""spec.traffic.istio: a VirtualService that is ours as a whole, with a rule for those who ask in front. Pure.

Each revision has a Service of its own, so there are no subsets and no DestinationRule. Weights are drawn anew for each
request; a DestinationRule's consistentHash would choose a pod within a revision and never the revision, so who is to
stay with one of them has a match in front of the weights, as those who ask have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic.alias_generators import to_camel

from modelrollout.api.findings import Finding
from modelrollout.api.istio import Istio
from modelrollout.api.traffic import Traffic
from modelrollout.objects.access import OWN, Access, Integration
from modelrollout.objects.manifests import (
    REJECTED,
    Apply,
    Manifest,
    Owner,
    Ref,
    annotation,
    is_applied,
)
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import VIRTUAL_SERVICES
from modelrollout.traffic import requests, virtual_service
from modelrollout.traffic.drawing import Part
from modelrollout.traffic.edits import Edit, is_as_written_for, told
from modelrollout.traffic.exposure import COOKIE, Exposure
from modelrollout.traffic.gateway_api import ASKED, asked, asked_by
from modelrollout.traffic.route_rules import Rules
from modelrollout.traffic.router import (
    ALL_REQUESTS,
    MANAGER,
    SINCE,
    Backend,
    Copied,
    InForce,
    Notes,
    Routing,
    Wanted,
    WholeObjects,
    led_back,
    own,
)

_MENDS = {"match": "matches", "hosts": "hosts", "gateways": "gateways"}
"""The field of the spec that makes a part of the VirtualService, where it has another name."""


class IstioRouter(WholeObjects):
    field = "istio"
    access = (Access(VIRTUAL_SERVICES, OWN, Integration.ISTIO),)
    splits_by_pods = False

    def refs(self, owner: Owner, traffic: Traffic | None = None) -> tuple[Ref, ...]:
        return (Ref(VIRTUAL_SERVICES, owner.namespace, owner.name),)

    def fault(self, owner: Owner, traffic: Traffic, there: Objects, wanted: Iterable[Wanted] = ()) -> Finding | None:
        foreign = next(_hosts_of_others(_settings(traffic), owner.namespace), None)
        return foreign or super().fault(owner, traffic, there, wanted)

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        found = next(_faults(traffic.istio, exposure, copied), None) if traffic.istio else None
        return Finding("RouterCannot", found) if found else None

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Apply, ...]:
        (ref,) = self.refs(owner)
        found = there.get(ref)
        wanted = _wanted(owner, _settings(traffic), routing, found if isinstance(found, dict) else None)
        is_in_force = isinstance(found, dict) and is_applied(wanted, found) and not [*_differences(wanted, found)]
        return () if is_in_force else (Apply(wanted, MANAGER),)

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        (ref,) = self.refs(owner)
        if (found := own(owner, there, ref)) is None:
            return None
        for before in (None, found):
            written = _wanted(owner, _settings(traffic), routing, before)
            if is_as_written_for(written, found):
                return told(ref, [*_edits(written, found)])
        return None

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Apply, ...]:
        (ref,) = self.refs(owner)
        if (found := own(owner, there, ref)) is None:
            return ()
        return (led_back(owner, found, virtual_service.led_back(found["spec"], to.service), notes),)

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        (ref,) = self.refs(owner)
        if (found := own(owner, there, ref)) is None:
            return InForce()
        rules = Rules(owner.namespace, virtual_service.rules_of(found), asked_by(annotation(found, ASKED)))
        return InForce(
            exists=True,
            exposure=rules.exposure(stable.service),
            services=rules.services(),
            since=annotation(found, SINCE),
            rejected=annotation(found, REJECTED),
            refusal=_refusal(found),
        )

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        return size


def _hosts_of_others(istio: Istio, namespace: str) -> Iterator[Finding]:
    """All sidecars follow a VirtualService, whatever its namespace: it could take the callers of any Service.

    A Gateway says by itself whose hosts it serves.
    """
    gateways = {*istio.gateways, *(gateway for match in istio.matches for gateway in match.gateways)}
    for host in istio.hosts if "mesh" in gateways or not istio.gateways else ():
        _, *rest = host.removesuffix(".cluster.local").split(".")
        is_a_services = host == "*" or host.endswith((".svc", ".local"))
        if is_a_services and rest != [namespace, "svc"]:
            yield Finding(
                "HostOfOthers",
                f"spec.traffic.istio.hosts: {host} is not a Service of namespace '{namespace}', and its callers in the "
                "whole mesh would come here: name a Service of this namespace, or leave the mesh out of gateways.",
            )


# Writing


def _settings(traffic: Traffic) -> Istio:
    if traffic.istio is None:
        raise ValueError("traffic.istio is not set")
    return traffic.istio


def _wanted(owner: Owner, settings: Istio, routing: Routing, present: Manifest | None) -> Manifest:
    theirs = (present or {}).get("spec") or {}
    # A list that we never wrote stays when we leave it out.
    others: Manifest = {name: [] for name in ("gateways", "exportTo", "tls", "tcp") if theirs.get(name) is not None}
    gateways = {"gateways": list(settings.gateways)} if settings.gateways else {}
    return owner.object(
        VIRTUAL_SERVICES,
        owner.name,
        annotations=routing.notes.annotations | asked(routing, present),
        spec={**others, "hosts": list(settings.hosts), **gateways, "http": [*_rules(settings, routing)]},
    )


def _rules(settings: Istio, routing: Routing) -> Iterator[Manifest]:
    """The first that fits is taken: for those who ask, those whom a cookie keeps, those whose requests are copied if
    not all are, and the rest."""
    matches, mirrors = [match.to_wire() for match in settings.matches], _mirrors(routing)
    candidate = routing.candidate
    *kept, others = routing.parts
    asking = virtual_service.asking(matches, routing.exposure.asking) if candidate else []
    if candidate is not None and asking:
        yield _rule(settings, asking, [], _route(Routing(candidate)))
    for part in kept:
        yield _rule(settings, virtual_service.having(matches, [part.header]), [], _route(routing, part))
    is_partly_copied = bool(mirrors) and routing.copied != ALL_REQUESTS
    if is_partly_copied and (some := virtual_service.copied(matches, routing.copied)):
        yield _rule(settings, some, mirrors, _route(routing, others))
    yield _rule(settings, matches, [] if is_partly_copied else mirrors, _route(routing, others))


def _rule(settings: Istio, matches: list[Manifest], mirrors: list[Manifest], route: list[Manifest]) -> Manifest:
    said = settings.to_wire()
    parts: Manifest = {name: said.get(name) for name in ("rewrite", "timeout", "retries")}
    whole: Manifest = {"match": matches, "mirrors": mirrors, **parts, "route": route}
    return {name: part for name, part in whole.items() if part}


def _route(routing: Routing, part: Part | None = None) -> list[Manifest]:
    """A destination that gets nothing is left out: Istio refuses requests to a Service that is gone."""
    shared = routing.shared(part or routing.parts[-1])
    return [
        {"destination": virtual_service.destination(one.service), "weight": weight, **_setting(cookie)}
        for one, weight, cookie in shared
    ]


def _setting(cookie: str | None) -> Manifest:
    return {"headers": {"response": {"add": {"set-cookie": cookie}}}} if cookie else {}


def _mirrors(routing: Routing) -> list[Manifest]:
    percent, to = routing.exposure.mirror, routing.copies_to or routing.candidate
    if routing.candidate is None or to is None or not percent:
        return []
    return [{"destination": virtual_service.destination(to.service), "percentage": {"value": float(percent)}}]


# Comparing


def _differences(wanted: Manifest, found: Manifest) -> Iterator[str]:
    """The fields of the spec that are not as they are wanted; what is left out and what is empty are the same."""
    mine, theirs = wanted["spec"], found.get("spec") or {}
    for name in sorted({*mine, *theirs}):
        if (mine.get(name) or None) != (theirs.get(name) or None):
            yield name


def _edits(written: Manifest, found: Manifest) -> Iterator[Edit]:
    for name in _differences(written, found):
        if name == "http" and len(written["spec"]["http"]) == len(found["spec"].get("http") or ()):
            yield from _edits_of_rules(written["spec"]["http"], found["spec"]["http"])
        else:
            yield Edit(f"spec.{name}", (found.get("spec") or {}).get(name), _mend(name))


def _edits_of_rules(written: list[Manifest], found: list[Manifest]) -> Iterator[Edit]:
    for number, (mine, other) in enumerate(zip(written, found, strict=True)):
        for part in sorted(part for part in {*mine, *other} if mine.get(part) != other.get(part)):
            yield Edit(f"spec.http[{number}].{part}", other.get(part), _mend(part))


def _mend(part: str) -> str:
    if part == "route" or part in virtual_service.COPIES:
        return "who is served is decided by spec.stages"
    field = _MENDS.get(part, part)
    if field in {to_camel(name) for name in Istio.model_fields}:
        return f"to keep it, put it in spec.traffic.istio.{field}"
    return "the spec has no field for it; a VirtualService of your own can have it, for other requests"


# What cannot be done, and what Istio says


def _faults(settings: Istio, exposure: Exposure, of: Copied) -> Iterator[str]:
    matches = [match.to_wire() for match in settings.matches]
    yield from requests.faults_of_asking(
        "spec.traffic.istio", exposure, lambda asked: virtual_service.asking(matches, [asked])
    )
    if exposure.is_kept and any(COOKIE in match.get("headers", {}) for match in matches):
        yield requests.keeps_nobody("spec.traffic.istio")
    if not exposure.mirror or of == ALL_REQUESTS:
        return
    if of.paths and settings.rewrite is not None and settings.rewrite.uri is not None:
        yield "rewrite.uri replaces what a match says of the path, so one for some paths changes it: leave paths out."
    if not virtual_service.copied(matches, of):
        yield (
            "none of spec.traffic.istio.matches is for the requests that are to be copied, as far as that can be told: "
            "name the methods and paths that they are for, and write them without regex."
        )


def _refusal(found: Manifest) -> str | None:
    """What Istio says against it as it is now. Where it keeps no status it says nothing, and nothing is awaited."""
    status, generation = found.get("status") or {}, int(found["metadata"].get("generation") or 0)
    if int(status.get("observedGeneration") or 0) < generation:
        return None
    for message in status.get("validationMessages") or ():
        if message.get("level") in ("ERROR", 3):
            kind = message.get("type") or {}
            more = f": {url}" if (url := message.get("documentationUrl")) else ""
            words = f"{kind.get('name') or 'an error'} ({kind.get('code') or '?'}){more}"
            return (
                f"Istio finds VirtualService '{found['metadata']['name']}' wrong, in its validationMessages: {words}."
            )
    return None
