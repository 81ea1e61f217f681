"""Which routes are let in by which listeners of our Gateways, and for which hostnames.

Pure. Rules: the Gateway API's reference (gateway-api.sigs.k8s.io/reference/spec) on ParentReference and Listener.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from localcluster.gateway.backends import Object
from localcluster.gateway.kinds import ROUTE_KINDS, kind_of

CONTROLLER = "localcluster.internal/envoy"
GROUP = "gateway.networking.k8s.io"
ANY = "*"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something is not as the user wrote it: the reason and message of a condition."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener of one Gateway; `finding` says why it serves nobody, if so."""

    namespace: str
    gateway: str
    name: str
    port: int
    hostname: str
    admits: str  # routes of which namespaces: All, Same or Selector
    kinds: tuple[str, ...]  # of routes
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A route let in by a listener, for the hostnames that both agree on."""

    listener: Listener
    route: Object
    hostnames: tuple[str, ...]


def our_classes(classes: Iterable[Object]) -> list[Object]:
    return [c for c in classes if c["spec"]["controllerName"] == CONTROLLER]


def our_gateways(classes: Iterable[Object], gateways: Iterable[Object]) -> list[Object]:
    names = {c["metadata"]["name"] for c in our_classes(classes)}
    return [g for g in gateways if g["spec"]["gatewayClassName"] in names]


def listeners(gateway: Object) -> tuple[Listener, ...]:
    return tuple(_listener(gateway, spec) for spec in gateway["spec"]["listeners"])


def our_parents(route: Object, gateways: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    """The route's parentRefs that lead to one of these Gateways, each with the Gateway."""
    known = {(g["metadata"]["namespace"], g["metadata"]["name"]): g for g in gateways}
    for ref in route["spec"].get("parentRefs") or ():
        where = (ref.get("namespace", route["metadata"]["namespace"]), ref["name"])
        if (ref.get("group", GROUP), ref.get("kind", "Gateway")) == (GROUP, "Gateway") and where in known:
            yield ref, known[where]


def attachments(routes: Iterable[Object], gateways: Sequence[Object]) -> list[Attachment]:
    """All that is let in; the same listener takes the same route once, however many parentRefs lead there.

    A hostname of a listener is for one kind of route: the older route has it (GRPCRouteSpec.hostnames).
    """
    found: dict[tuple[int, Listener], Attachment] = {}
    for number, route in enumerate(routes):
        for ref, gateway in our_parents(route, gateways):
            outcome = attach(route, ref, gateway)
            if not isinstance(outcome, Finding):
                found |= {(number, a.listener): a for a in outcome}
    let_in: list[Attachment] = []
    for attachment in sorted(found.values(), key=lambda a: age(a.route)):
        if rival(attachment, let_in) is None:
            let_in.append(attachment)
    return let_in


def rival(attachment: Attachment, others: Iterable[Attachment]) -> Attachment | None:
    """One of another kind among these that has a hostname of it at the same listener."""
    kind = kind_of(attachment.route)
    for other in others:
        if other.listener == attachment.listener and kind_of(other.route) is not kind:
            pairs = ((mine, theirs) for mine in attachment.hostnames for theirs in other.hostnames)
            if any(covers(mine, theirs) or covers(theirs, mine) for mine, theirs in pairs):
                return other
    return None


def age(route: Object) -> tuple[str, str]:
    """Sorts routes: the older first, then by name."""
    metadata = route["metadata"]
    return metadata.get("creationTimestamp") or "", f"{metadata['namespace']}/{metadata['name']}"


def attach(route: Object, ref: Object, gateway: Object) -> tuple[Attachment, ...] | Finding:
    """The listeners that this parentRef attaches the route to, or why there are none."""
    named = [li for li in listeners(gateway) if _is_meant(li, ref)]
    if not named:
        return Finding("NoMatchingParent", f"Gateway '{ref['name']}' has no listener that this parentRef fits.")
    open_to_it = [li for li in named if li.finding is None and _lets_in(li, route)]
    if not open_to_it:
        why = next((li.finding.message for li in named if li.finding), "its allowedRoutes leave this route out.")
        return Finding("NotAllowedByListeners", f"No listener of Gateway '{ref['name']}' takes this route: {why}")
    wanted = tuple(h.lower() for h in route["spec"].get("hostnames") or (ANY,))
    agreed = [Attachment(li, route, names) for li in open_to_it if (names := _common(li.hostname, wanted))]
    if not agreed:
        message = f"No listener of Gateway '{ref['name']}' has a hostname in common with {', '.join(wanted)}."
        return Finding("NoMatchingListenerHostname", message)
    return tuple(agreed)


def covers(wide: str, narrow: str) -> bool:
    """Whether every host that `narrow` names is also one that `wide` names."""
    return wide in (ANY, narrow) or (wide.startswith("*.") and narrow.endswith(wide[1:]))


def specificity(hostname: str) -> tuple[bool, int]:
    """Sorts hostnames: an exact one before a wildcard, then the longer one."""
    return not hostname.startswith(ANY), len(hostname)


def _common(ours: str, wanted: Sequence[str]) -> tuple[str, ...]:
    narrower = (name if covers(ours, name) else ours if covers(name, ours) else None for name in wanted)
    return tuple(sorted({name for name in narrower if name is not None}))


def _listener(gateway: Object, spec: Object) -> Listener:
    allowed = spec.get("allowedRoutes") or {}
    return Listener(
        namespace=gateway["metadata"]["namespace"],
        gateway=gateway["metadata"]["name"],
        name=spec["name"],
        port=spec["port"],
        hostname=spec.get("hostname", ANY).lower(),
        admits=(allowed.get("namespaces") or {}).get("from", "Same"),
        kinds=_kinds(allowed),
        finding=_finding(spec["protocol"], allowed),
    )


def _finding(protocol: str, allowed: Object) -> Finding | None:
    if protocol != "HTTP":
        return Finding("UnsupportedProtocol", f"The local cluster serves listeners of protocol HTTP, not {protocol}.")
    if (allowed.get("namespaces") or {}).get("from") == "Selector":
        return Finding(
            "UnsupportedValue", "The local cluster knows allowedRoutes.namespaces from: All or Same, not Selector."
        )
    if not _kinds(allowed):
        served = " and ".join(f"{kind}s" for kind in ROUTE_KINDS)
        return Finding("InvalidRouteKinds", f"The local cluster serves {served}, and allowedRoutes.kinds has none.")
    return None


def _kinds(allowed: Object) -> tuple[str, ...]:
    """The kinds of routes that are served here and allowed there."""
    named = [each["kind"] for each in allowed.get("kinds") or () if each.get("group", GROUP) == GROUP]
    return tuple(kind for kind in ROUTE_KINDS if kind in named or not allowed.get("kinds"))


def _is_meant(listener: Listener, ref: Object) -> bool:
    return (ref.get("sectionName", listener.name), ref.get("port", listener.port)) == (listener.name, listener.port)


def _lets_in(listener: Listener, route: Object) -> bool:
    namespace: str = route["metadata"]["namespace"]
    return kind_of(route).name in listener.kinds and (listener.admits == "All" or namespace == listener.namespace)
