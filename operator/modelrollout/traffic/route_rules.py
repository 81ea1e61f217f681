"""The rules of a Gateway API route, whoever wrote them: whom they send where, and which of their parts decide it. Pure.

`Rules` reads one route. A backend is a name: that of the Service where it is one of the route's own namespace, and else
something that no Service of it is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from modelrollout.objects.manifests import Manifest
from modelrollout.traffic.drawing import EVERY_NUMBER, between, header_of, keeps
from modelrollout.traffic.exposure import NOBODY, STICKY, Exposure, Match

MIRROR, REDIRECT = "RequestMirror", "RequestRedirect"
_MIRROR_FIELD = "requestMirror"
_TO_SERVICE: Manifest = {"group": "", "kind": "Service"}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a route in a namespace; `known`: the headers by which requests are said to ask for the candidate."""

    namespace: str
    rules: tuple[Manifest, ...]
    known: frozenset[Match] = frozenset()

    @classmethod
    def of(cls, route: Manifest, known: frozenset[Match] = frozenset()) -> Rules:
        namespace = route["metadata"].get("namespace") or ""
        return cls(namespace, tuple((route.get("spec") or {}).get("rules") or ()), known)

    def services(self) -> frozenset[str]:
        """Whatever gets requests, or copies of them."""
        weighed = (name for rule in self.rules for name, weight in self._weights(rule).items() if weight > 0)
        copied = (self._copied_to(mirror) for rule in self.rules for mirror in _mirrors(rule))
        return frozenset((*weighed, *copied))

    def exposure(self, stable: str) -> Exposure:
        """Whom they send, or copy, anywhere but to stable."""
        whole = NOBODY
        for rule in self.rules:
            whole |= self._exposure(rule, stable)
        return whole

    def led_back(self, backends: list[Manifest], stable: str) -> list[Manifest]:
        """The same requests, all of them answered by these backends and none of them copied elsewhere."""
        return [self._led_back(rule, backends, stable) for rule in self.rules or ({},)]

    def led_to(self, rule: Manifest) -> frozenset[str]:
        """The backends of a rule, whatever their weights."""
        return frozenset(self._weights(rule))

    def copied_to(self, one: Manifest) -> str | None:
        """Where a filter copies requests to; None where it does something else."""
        return next((self._copied_to(mirror) for mirror in _mirrors_in([one])), None)

    def _exposure(self, rule: Manifest, stable: str) -> Exposure:
        weights = self._weights(rule)
        total, off = weights.total(), weights.total() - weights[stable]
        low, high = _between(rule, self.known)
        # Rounded up: one in a thousand is somebody. And who leaves stable one in a thousand does not expose all.
        away = min(ceil(low + Fraction((high - low) * off, total)), 100 if off == total else 99) if off else 0
        asked = _asks(rule, self.known)
        mirror = max((_percent(one) for one in _mirrors(rule) if self._copied_to(one) != stable), default=0)
        if asked and away == 100 and not mirror:
            return Exposure(asked=asked)
        return Exposure(away, mirror)

    def _led_back(self, rule: Manifest, backends: list[Manifest], stable: str) -> Manifest:
        # A rule that redirects may not have backends: the API server would refuse the whole route.
        filters = [
            one
            for one in rule.get("filters") or ()
            if one.get("type") != REDIRECT and all(self._copied_to(mirror) == stable for mirror in _mirrors_in([one]))
        ]
        bare = {name: part for name, part in rule.items() if name != "filters"} | {"backendRefs": backends}
        return {**bare, "filters": filters} if filters else bare

    def _weights(self, rule: Manifest) -> Counter[str]:
        weights: Counter[str] = Counter()
        for ref in rule.get("backendRefs") or ():
            weights[self.name_of(ref)] += 1 if ref.get("weight") is None else int(ref["weight"])
        return weights

    def _copied_to(self, mirror: Manifest) -> str:
        return self.name_of(mirror.get("backendRef") or {})

    def name_of(self, ref: Manifest) -> str:
        """A Service of another namespace, or something that is no Service, may have the name of one of ours."""
        name, namespace = str(ref.get("name") or "?"), ref.get("namespace") or self.namespace
        kind = f"{ref.get('group') or ''}/{ref.get('kind') or 'Service'}"
        return name if (kind, namespace) == ("/Service", self.namespace) else f"{kind} {namespace}/{name}"


def deciding(rule: Manifest, default: Manifest) -> Manifest:
    """The parts of a rule that decide who is served and how, with the defaults of the Gateway API filled in.

    `default`: what the API server fills into a match that leaves it out.
    """
    matches = rule.get("matches") or ([{}] if default else [])
    others = {name: rule.get(name) or None for name in ("timeouts", "retry", "sessionPersistence")}
    return {
        "matches": [_with_types(match, default) for match in matches],
        "filters": _filters_filled_in(rule),
        "backendRefs": [
            {**_TO_SERVICE, "weight": 1, **ref, "filters": _filters_filled_in(ref)}
            for ref in rule.get("backendRefs") or ()
        ],
        **others,
    }


def _filters_filled_in(place: Manifest) -> list[Manifest]:
    return [_filled_in(one) for one in place.get("filters") or ()]


def _filled_in(one: Manifest) -> Manifest:
    if one.get("type") != MIRROR:
        return one
    mirror = one.get(_MIRROR_FIELD) or {}
    return {**one, _MIRROR_FIELD: {**mirror, "backendRef": {**_TO_SERVICE, **(mirror.get("backendRef") or {})}}}


def _with_types(match: Manifest, default: Manifest) -> Manifest:
    whole = {**default, **match}
    for name in ("headers", "queryParams"):
        if whole.get(name):
            whole[name] = [{"type": "Exact", **one} for one in whole[name]]
    if isinstance(method := whole.get("method"), dict):
        whole["method"] = {"type": "Exact", **method}
    if "path" in whole:
        whole["path"] = {**default.get("path", {}), **whole["path"]}
    return whole


def _mirrors(rule: Manifest) -> Iterator[Manifest]:
    """Of the rule, and of its backends: an HTTPRoute's may have filters of their own."""
    yield from _mirrors_in(rule.get("filters") or ())
    for ref in rule.get("backendRefs") or ():
        yield from _mirrors_in(ref.get("filters") or ())


def _mirrors_in(filters: list[Manifest] | tuple[Manifest, ...]) -> Iterator[Manifest]:
    return (one.get(_MIRROR_FIELD) or {} for one in filters if one.get("type") == MIRROR)


def _percent(mirror: Manifest) -> int | Fraction:
    """Of requests that are copied."""
    if (fraction := mirror.get("fraction")) is not None:
        return min(Fraction(100), Fraction(100 * int(fraction["numerator"]), int(fraction.get("denominator") or 100)))
    return 100 if mirror.get("percent") is None else int(mirror["percent"])


def _asks(rule: Manifest, known: frozenset[Match]) -> frozenset[Match]:
    """The known headers by which requests come to a rule; none where it has other requests, too."""
    meant = {_told(header_of(match)): match for match in known if match.header != STICKY}
    keeping = [match for match in known if match.header == STICKY]
    found = set[Match]()
    for match in rule.get("matches") or ():
        headers = [{"type": "Exact", **header} for header in match.get("headers") or ()]
        mine = {meant[told] for header in headers if (told := _told(header)) in meant}
        mine |= {one for one in keeping for header in headers if keeps(one, header)}
        if not mine:
            return frozenset()
        found |= mine
    return frozenset(found)


def _between(rule: Manifest, known: frozenset[Match]) -> tuple[int, int]:
    """Where the numbers lie of the users who come to a rule: of any user, where no known cookie says it."""
    if not (keeping := [match for match in known if match.header == STICKY]):
        return EVERY_NUMBER
    found = set[tuple[int, int]]()
    for match in rule.get("matches") or ():
        told = (between(one, header) for one in keeping for header in match.get("headers") or ())
        found.add(next(filter(None, told), EVERY_NUMBER))
    return found.pop() if len(found) == 1 else EVERY_NUMBER


def _told(header: Manifest) -> tuple[str, str, str]:
    return header["type"], header["name"].lower(), header["value"]
