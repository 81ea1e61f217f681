"""What a GatewayClass says that it can do, held against what a release asks for. Pure.

The names are those of the Gateway API's conformance tests. A class that publishes nothing, or may not be read, is
taken at its route's word: then `Accepted` has to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelrollout.api.findings import Finding
from modelrollout.objects.access import READ, Access, Integration, Where
from modelrollout.objects.manifests import Manifest, Ref
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import GATEWAY_CLASSES, GATEWAYS
from modelrollout.traffic.exposure import Exposure
from modelrollout.traffic.router import Copied, Wanted

_GROUP = "gateway.networking.k8s.io"
GATEWAYS_ARE_READ = tuple(
    Access(one, READ, Integration.GATEWAY_API, where=Where.ANYWHERE) for one in (GATEWAYS, GATEWAY_CLASSES)
)


def gateways_of(parents: Iterable[Manifest], namespace: str) -> tuple[Ref, ...]:
    """The Gateways among the parents of a route in a namespace."""
    names = (
        (one.get("namespace") or namespace, one.get("name"))
        for one in parents
        if (one.get("group", _GROUP), one.get("kind", "Gateway")) == (_GROUP, "Gateway")
    )
    return tuple(dict.fromkeys(Ref(GATEWAYS, place, str(name)) for place, name in names if name))


def class_of(gateway: Ref, there: Objects) -> Ref | None:
    """None where the Gateway does not exist, or may not be read."""
    found = there.get(gateway)
    name = (found.get("spec") or {}).get("gatewayClassName") if isinstance(found, dict) else None
    return Ref(GATEWAY_CLASSES, "", str(name)) if name else None


def lacking(gateways: Iterable[Ref], there: Objects, wanted: Iterable[Wanted]) -> Finding | None:
    """The first thing asked for that the class of a Gateway is known not to do."""
    asked_for = list(wanted)
    for gateway in gateways:
        ref = class_of(gateway, there)
        if ref is None or (published := _published(there.get(ref))) is None:
            continue
        for exposure, copied in asked_for:
            if missing := [name for name in _needed(exposure, copied) if name not in published]:
                why = f"GatewayClass '{ref.name}' of {gateway} does not list {missing[0]} in status.supportedFeatures"
                by_header = "keep users by sticky.bucketHeader, " if exposure.is_kept else ""
                mend = f"{by_header}leave that stage out, or use a Gateway of another class"
                return Finding("GatewayCannot", f"{why}, and a stage asks for {exposure}: {mend}.")
    return None


def _needed(exposure: Exposure, copied: Copied) -> Iterator[str]:
    """Weights and matches by a header's exact value are Core: every implementation has them.

    A match by regular expression has no name in that list, and neither have filters of a backend's answers; those of
    its requests are the nearest to them that has one.
    """
    if exposure.is_kept:
        yield "HTTPRouteResponseHeaderModification"
        yield "HTTPRouteBackendRequestHeaderModification"
    if not exposure.mirror:
        return
    yield "HTTPRouteRequestMirror"
    if exposure.mirror != 100:
        yield "HTTPRouteRequestPercentageMirror"
    if copied.methods:
        yield "HTTPRouteMethodMatching"


def _published(found: Manifest | Finding | None) -> frozenset[str] | None:
    """None where nothing is known. Earlier versions of the Gateway API had the bare names in that list."""
    status = (found.get("status") or {}) if isinstance(found, dict) else {}
    listed = [one.get("name") if isinstance(one, dict) else one for one in status.get("supportedFeatures") or ()]
    return frozenset(map(str, listed)) or None
