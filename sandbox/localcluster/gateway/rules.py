"""Routes that were let in, as Envoy's virtual hosts. Pure.

A backend that does not resolve keeps its share and answers 500, one without ready pods answers 503, nothing is retried:
what an operator does to users has to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from localcluster.gateway.attach import Attachment, Finding, Listener, covers, specificity
from localcluster.gateway.backends import Backends, Object
from localcluster.gateway.durations import duration
from localcluster.gateway.filters import header_changes, mirrors, not_done, resolve
from localcluster.gateway.matches import bad_expression, envoy_match, precedence

PATIENCE = timedelta(
    seconds=60
)  # for a whole answer, when the route does not say; Envoy's own 15 s is short for a model
NOWHERE = "unresolved"  # no cluster has this name, and Envoy answers 500 for its share
EVERYTHING: Object = {"path": {"type": "PathPrefix", "value": "/"}}


def virtual_hosts(
    listeners: Sequence[Listener], attached: Sequence[Attachment], known: Backends
) -> list[dict[str, Any]]:
    """Envoy's virtual hosts for listeners that share a port: one for every hostname that any of them names."""
    names = {li.hostname for li in listeners} | {name for a in attached for name in a.hostnames}
    return [
        {"name": name, "domains": [name], "routes": _routes(name, listeners, attached, known)} for name in sorted(names)
    ]


def rules(route: Object) -> Sequence[Object]:
    return route["spec"].get("rules") or ({},)


def invalid(rule: Object) -> str | None:
    """What the rule asks for that the local cluster cannot do, in words."""
    filters, refs = rule.get("filters") or (), rule.get("backendRefs") or ()
    if why := not_done(filters, mirrors_too=True):
        return f"filter {why}"
    for ref in refs:
        if why := not_done(ref.get("filters") or (), mirrors_too=False):
            return f"filter {why} of backend '{ref['name']}'"
    for match in rule.get("matches") or ():
        if text := bad_expression(match):
            return f"the regular expression {text!r}"
    return None


def references(rule: Object) -> Iterator[Object]:
    """Every reference to a backend in it, of mirrors too."""
    yield from rule.get("backendRefs") or ()
    for item in rule.get("filters") or ():
        if item["type"] == "RequestMirror":
            yield item["requestMirror"]["backendRef"]


def _routes(
    host: str, listeners: Sequence[Listener], attached: Sequence[Attachment], known: Backends
) -> list[dict[str, Any]]:
    # A request belongs to the listener that names its host best, and to no other.
    owner = max((li for li in listeners if covers(li.hostname, host)), key=lambda li: specificity(li.hostname))
    entries = []
    for attachment in attached:
        fitting = [name for name in attachment.hostnames if covers(name, host)]
        if attachment.listener == owner and fitting:
            best = max(map(specificity, fitting))
            for order, entry in _entries(attachment.route, known):
                entries.append(((not best[0], -best[1], *order), entry))
    return [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]


def _entries(route: Object, known: Backends) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The route's matches with what is done about each, and what decides which goes first."""
    metadata = route["metadata"]
    age = (metadata.get("creationTimestamp") or "", f"{metadata['namespace']}/{metadata['name']}")
    for number, rule in enumerate(rules(route)):
        wrong = invalid(rule)
        action = _error(500) if wrong else _action(rule, metadata["namespace"], known)
        for place, match in enumerate(rule.get("matches") or (EVERYTHING,)):
            if bad_expression(match) is None:
                yield (*precedence(match), *age, number, place), {"match": envoy_match(match), **action}


def _action(rule: Object, namespace: str, known: Backends) -> dict[str, Any]:
    shares = [share for ref in rule.get("backendRefs") or () if (share := _share(ref, namespace, known))["weight"]]
    if not shares:
        return _error(500)
    filters = rule.get("filters") or ()
    copies = mirrors(filters, namespace, known)
    return {
        "route": {
            "weighted_clusters": {"clusters": shares},
            "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
            "timeout": _seconds(_timeout(rule.get("timeouts") or {})),
            **({"request_mirror_policies": copies} if copies else {}),
        },
        **header_changes(filters),
    }


def _share(ref: Object, namespace: str, known: Backends) -> dict[str, Any]:
    backend = resolve(ref, namespace, known)
    return {
        "name": NOWHERE if isinstance(backend, Finding) else backend.cluster,
        "weight": ref.get("weight", 1),
        **header_changes(ref.get("filters") or ()),
    }


def _timeout(timeouts: Object) -> timedelta:
    """The shorter of the two that are set: without retries both mean the same. Zero is none."""
    limits = [duration(timeouts[name]) for name in ("request", "backendRequest") if timeouts.get(name)]
    if not limits:
        return PATIENCE
    return min((limit for limit in limits if limit), default=timedelta())


def _seconds(limit: timedelta) -> str:
    return f"{limit.total_seconds():.3f}s"


def _error(status: int) -> dict[str, Any]:
    return {"direct_response": {"status": status}}
