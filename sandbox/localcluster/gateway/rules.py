"""Routes that were let in, as Envoy's virtual hosts. Pure.

A backend that does not resolve keeps its share and answers an error, one without ready pods answers 503, nothing is
retried: what an operator does to users has to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from localcluster.gateway.attach import Attachment, Finding, Listener, age, covers, specificity
from localcluster.gateway.backends import Backend, Backends, Object
from localcluster.gateway.filters import header_changes, mirrors, not_done, resolve
from localcluster.gateway.kinds import RouteKind, kind_of
from localcluster.gateway.matches import is_re2
from localcluster.gateway.paths import lacks_prefix, redirect, rewrite

NOWHERE = "unresolved"  # no cluster has this name, and Envoy answers an error for its share


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


def invalid(kind: RouteKind, rule: Object) -> str | None:
    """The features of the rule that the local cluster lacks, in words."""
    filters, refs = rule.get("filters") or (), rule.get("backendRefs") or ()
    if why := not_done(filters, of="rule"):
        return f"filter {why}"
    for ref in refs:
        if why := not_done(ref.get("filters") or (), of="backend"):
            return f"filter {why} of backend '{ref['name']}'"
    for match in _matches(kind, rule):
        if text := _bad_expression(kind, match):
            return f"the regular expression {text!r}"
    if lacks_prefix(filters, _matches(kind, rule)):
        return "replacePrefixMatch where a match is not by PathPrefix"
    return None


def references(rule: Object) -> Iterator[Object]:
    """Every reference to a backend in it, of mirrors too."""
    yield from rule.get("backendRefs") or ()
    for item in rule.get("filters") or ():
        if item["type"] == "RequestMirror":
            yield item["requestMirror"]["backendRef"]


def clusters(route: Object, known: Backends) -> Iterator[tuple[str, Backend]]:
    """The Envoy clusters that the route leads to, each with its backend."""
    for rule in rules(route):
        for ref in references(rule):
            if isinstance(backend := resolve(ref, route["metadata"]["namespace"], known), Backend):
                yield kind_of(route).cluster(backend), backend


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
    kind = kind_of(route)
    for number, rule in enumerate(rules(route)):
        for place, match in enumerate(_matches(kind, rule)):
            if _bad_expression(kind, match) is None:
                order = (*kind.precedence(match), *age(route), number, place)
                yield order, {"match": kind.envoy_match(match), **_action(route, rule, match, known)}


def _matches(kind: RouteKind, rule: Object) -> Sequence[Object]:
    return rule.get("matches") or (kind.everything,)


def _bad_expression(kind: RouteKind, match: Object) -> str | None:
    """A regular expression in it that Envoy would refuse."""
    return next((text for text in kind.expressions(match) if not is_re2(text)), None)


def _action(route: Object, rule: Object, match: Object, known: Backends) -> dict[str, Any]:
    kind, filters = kind_of(route), rule.get("filters") or ()
    if invalid(kind, rule):
        return _error(kind)
    if elsewhere := redirect(filters, match):
        return {**elsewhere, **header_changes(filters)}
    shares = [share for ref in rule.get("backendRefs") or () if (share := _share(ref, route, known))["weight"]]
    if not shares:
        return _error(kind)
    copies = mirrors(filters, route, known)
    return {
        "route": {
            "weighted_clusters": {"clusters": shares},
            "cluster_not_found_response_code": kind.nowhere[1],
            **kind.limits(rule),
            **rewrite(filters, match),
            **({"request_mirror_policies": copies} if copies else {}),
        },
        **header_changes(filters),
    }


def _share(ref: Object, route: Object, known: Backends) -> dict[str, Any]:
    backend = resolve(ref, route["metadata"]["namespace"], known)
    return {
        "name": NOWHERE if isinstance(backend, Finding) else kind_of(route).cluster(backend),
        "weight": ref.get("weight", 1),
        **header_changes(ref.get("filters") or ()),
    }


def _error(kind: RouteKind) -> dict[str, Any]:
    return {"direct_response": {"status": kind.nowhere[0]}}
