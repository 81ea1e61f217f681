"""The form of an Istio VirtualService: its rules in the terms of the Gateway API, and which requests they take. Pure.

`rules_of` is the only reader of destinations, so that whom a VirtualService sends where is read as it is of any route.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from modelrollout.objects.manifests import Manifest
from modelrollout.traffic.drawing import header_of
from modelrollout.traffic.exposure import Match
from modelrollout.traffic.requests import is_under
from modelrollout.traffic.route_rules import MIRROR
from modelrollout.traffic.router import SERVICE_PORT, Copied

SECTIONS = ("http", "tls", "tcp")
_TYPES = {"exact": "Exact", "regex": "RegularExpression"}
"""Ways to compare a header, as the Gateway API calls them."""
COPIES = ("mirror", "mirrors", "mirrorPercent", "mirrorPercentage")
_ELSEWHERE = ("redirect", "directResponse", "delegate")
"""What a rule may have in place of destinations."""


# Reading


def rules_of(found: Manifest) -> tuple[Manifest, ...]:
    """Its rules, written as those of an HTTPRoute."""
    namespace, spec = found["metadata"].get("namespace") or "", found.get("spec") or {}
    return tuple(_as_rule(rule, namespace) for section in SECTIONS for rule in spec.get(section) or ())


def _as_rule(rule: Manifest, namespace: str) -> Manifest:
    return {
        "matches": [{"headers": [*_headers(match)]} for match in rule.get("match") or ()],
        "backendRefs": [*_backends(rule, namespace)],
        "filters": [*_mirrors(rule, namespace)],
    }


def _headers(match: Manifest) -> Iterator[Manifest]:
    for name, how in (match.get("headers") or {}).items():
        for way, type_ in _TYPES.items():
            if value := (how or {}).get(way):
                yield {"type": type_, "name": name, "value": value}


def _backends(rule: Manifest, namespace: str) -> Iterator[Manifest]:
    routes = rule.get("route") or ()
    for route in routes:
        # A single destination gets everything, and of several each without a weight gets nothing.
        weight = 1 if len(routes) == 1 else int(route.get("weight") or 0)
        yield {**_ref(route.get("destination") or {}, namespace), "weight": weight}
    if (delegate := rule.get("delegate")) is not None:
        yield {"group": "networking.istio.io", "kind": "VirtualService", "name": delegate.get("name") or "?"}


def _mirrors(rule: Manifest, namespace: str) -> Iterator[Manifest]:
    if (one := rule.get("mirror")) is not None:
        whole = rule.get("mirrorPercent")
        older = {"value": whole} if whole is not None else None
        yield _mirror(_ref(one, namespace), rule.get("mirrorPercentage", older))
    for each in rule.get("mirrors") or ():
        yield _mirror(_ref(each.get("destination") or {}, namespace), each.get("percentage"))


def _mirror(ref: Manifest, percentage: Manifest | None) -> Manifest:
    """Left out it is all of them, and without a value none."""
    part = Fraction(1) if percentage is None else Fraction(str(percentage.get("value") or 0)) / 100
    fraction = {"numerator": part.numerator, "denominator": part.denominator}
    return {"type": MIRROR, "requestMirror": {"backendRef": ref, "fraction": fraction}}


def _ref(destination: Manifest, namespace: str) -> Manifest:
    """Istio reads a name without dots in the namespace of the VirtualService."""
    host = str(destination.get("host") or "?")
    name, *rest = host.split(".")
    if not rest or (rest[0] == namespace and (len(rest) == 1 or rest[1] == "svc")):
        return {"name": name}
    return {"group": "networking.istio.io", "kind": "Host", "name": host}


# Writing


def destination(service: str) -> Manifest:
    return {"host": service, "port": {"number": SERVICE_PORT}}


def led_back(spec: Manifest, service: str) -> Manifest:
    """The same requests, all of them answered by this Service and none of them copied."""
    gone = (*COPIES, *_ELSEWHERE)
    to = [{"destination": destination(service), "weight": 100}]
    sections = {
        section: [
            {**{name: part for name, part in rule.items() if name not in gone}, "route": to}
            for rule in spec[section] or ()
        ]
        for section in SECTIONS
        if section in spec
    }
    return {**spec, **sections}


# Which requests


def asking(matches: Sequence[Manifest], asked: Iterable[Match]) -> list[Manifest]:
    """The matches of those requests that ask for the candidate."""
    return having(matches, [header_of(one) for one in sorted(asked)])


def having(matches: Sequence[Manifest], headers: Iterable[Manifest]) -> list[Manifest]:
    """The matches of those requests that have one of these headers, as the Gateway API writes them."""
    each = (_having(match, one) for match in matches or [{}] for one in headers)
    return [match for match in each if match is not None]


def _having(match: Manifest, header: Manifest) -> Manifest | None:
    """None where they have another value in that header."""
    way = next(way for way, type_ in _TYPES.items() if type_ == header["type"])
    headers, name, mine = match.get("headers") or {}, header["name"], {way: header["value"]}
    return {**match, "headers": {**headers, name: mine}} if headers.get(name, mine) == mine else None


def copied(matches: Sequence[Manifest], of: Copied) -> list[Manifest]:
    """The matches of those requests that are to be copied; none of a match by regex, of which no part can be."""
    within = (found for match in matches or [{}] for found in _within(match, of.paths))
    return [found for match in within for found in _by_method(match, of.methods)]


def _within(match: Manifest, prefixes: Sequence[str]) -> Iterator[Manifest]:
    uri = match.get("uri") or {"prefix": "/"}
    text = str(uri.get("exact") or uri.get("prefix") or "")
    if not prefixes or (text and any(is_under(text, prefix) for prefix in prefixes) and _ends_a_part(uri)):
        yield match
    elif "prefix" in uri:
        # Istio compares letters, and a path that only begins alike is another one.
        for prefix in (prefix.rstrip("/") for prefix in prefixes if prefix.startswith(text)):
            yield {**match, "uri": {"exact": prefix or "/"}}
            yield {**match, "uri": {"prefix": f"{prefix}/"}}


def _ends_a_part(uri: Manifest) -> bool:
    """Whether all that begins like this is below it."""
    return "exact" in uri or str(uri.get("prefix")).endswith("/")


def _by_method(match: Manifest, methods: Sequence[str]) -> Iterator[Manifest]:
    how = match.get("method")
    if not methods or (how or {}).get("exact") in methods:
        yield match
    elif how is None:
        yield from ({**match, "method": {"exact": method}} for method in methods)
