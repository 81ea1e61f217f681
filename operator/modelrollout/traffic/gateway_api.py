"""Gateway API: a route that is ours as a whole, HTTPRoute or GRPCRoute, with weights in one rule. Pure.

Its list of rules is atomic under server-side apply, so weights alone cannot be shared with another owner. Requests that
ask for the candidate have a rule of their own in front, which is told from the others by an annotation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import (
    APPLIED,
    REJECTED,
    Apply,
    Manifest,
    Owner,
    Ref,
    annotation,
    is_applied,
    seal,
)
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import Resource
from modelrollout.traffic.exposure import NOBODY, Exposure, Match
from modelrollout.traffic.router import KEPT, MANAGER, SERVICE_PORT, SINCE, Backend, InForce, Notes, Routing, own

ASKED = f"{GROUP}/asked-by"
"""Annotation on the route: the headers by which requests ask for the candidate, one a line."""

MIRROR = "RequestMirror"


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What a spec says of its route: `matches`, `filters` and `timeouts` as the route has them."""

    parent_refs: Sequence[Manifest]
    hostnames: Sequence[str] = ()
    matches: Sequence[Manifest] = ()
    filters: Sequence[Manifest] = ()
    timeouts: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class GatewayRouter:
    """`default`: what the API server fills into a match that leaves it out. `settings` reads the spec."""

    field: str
    resource: Resource
    default: Manifest
    settings: Callable[[Traffic], RouteSettings | None]
    splits_by_pods: bool = False

    def refs(self, owner: Owner) -> tuple[Ref, ...]:
        return (Ref(self.resource, owner.namespace, owner.name),)

    def can(self, exposure: Exposure) -> Finding | None:
        return None

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Apply, ...]:
        if (settings := self.settings(traffic)) is None:
            raise ValueError(f"traffic.{self.field} is not set")
        hostnames = {"hostnames": list(settings.hostnames)} if settings.hostnames else {}
        asked = {ASKED: "\n".join(map(str, sorted(routing.exposure.asked)))} if routing.exposure.asked else {}
        wanted = owner.object(
            self.resource,
            owner.name,
            annotations=routing.notes.annotations | asked,
            spec={"parentRefs": list(settings.parent_refs), **hostnames, "rules": _rules_for(settings, routing)},
        )
        (ref,) = self.refs(owner)
        found = there.get(ref)
        is_in_force = isinstance(found, dict) and is_applied(wanted, found) and self._is_untouched(wanted, found)
        return () if is_in_force else (Apply(wanted, MANAGER),)

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Apply, ...]:
        (ref,) = self.refs(owner)
        if (route := own(owner, there, ref)) is None:
            return ()
        metadata = route["metadata"]
        noted = {name: text for name in (APPLIED, REJECTED) if (text := annotation(route, name)) is not None}
        if notes.rejected:
            noted[REJECTED] = notes.rejected
        back = _backend_refs(Routing(to))
        rules = [
            _without_copies({**rule, "backendRefs": back}, to.service) for rule in route["spec"].get("rules") or ()
        ]
        manifest = {
            "apiVersion": route["apiVersion"],
            "kind": route["kind"],
            "metadata": {**{key: metadata[key] for key in KEPT if key in metadata}, "annotations": noted},
            "spec": {**route["spec"], "rules": rules},
        }
        return (Apply(seal(manifest), MANAGER),)

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        (ref,) = self.refs(owner)
        if (route := own(owner, there, ref)) is None:
            return InForce()
        known = _asked_by(route)
        exposure, services = NOBODY, set[str]()
        for rule in route["spec"].get("rules") or ():
            exposure |= _exposure(rule, stable.service, known)
            services |= _services(rule)
        return InForce(
            exists=True,
            exposure=exposure,
            services=frozenset(services),
            since=annotation(route, SINCE),
            rejected=annotation(route, REJECTED),
            refusal=_refusal(route),
        )

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        return size

    def _is_untouched(self, wanted: Manifest, found: Manifest) -> bool:
        """Whether nobody added anything that decides who is served: an addition to our list is no default."""
        mine, theirs = wanted["spec"], found["spec"]
        return (mine.get("hostnames") or []) == (theirs.get("hostnames") or []) and all(
            self._decides(one) == self._decides(other)
            for one, other in zip(mine["rules"], theirs["rules"], strict=True)
        )

    def _decides(self, rule: Manifest) -> Manifest:
        """What of a rule decides who is served and how, with the defaults of the Gateway API filled in."""
        matches = rule.get("matches") or ([{}] if self.default else [])
        filters = [_filled_in(one) for one in rule.get("filters") or ()]
        of_backends = [ref["filters"] for ref in rule.get("backendRefs") or () if ref.get("filters")]
        others = {name: rule.get(name) or None for name in ("timeouts", "retry", "sessionPersistence")}
        return {
            "matches": [self._with_types(match) for match in matches],
            "filters": filters,
            "of backends": of_backends,
            **others,
        }

    def _with_types(self, match: Manifest) -> Manifest:
        whole = {**self.default, **match}
        for name in ("headers", "queryParams"):
            if whole.get(name):
                whole[name] = [{"type": "Exact", **one} for one in whole[name]]
        if isinstance(method := whole.get("method"), dict):
            whole["method"] = {"type": "Exact", **method}
        if "path" in whole:
            whole["path"] = {**self.default.get("path", {}), **whole["path"]}
        return whole


def _rules_for(settings: RouteSettings, routing: Routing) -> list[Manifest]:
    """Requests that ask for the candidate come first: their matches are more specific, and their order says so, too."""
    matches = list(settings.matches)
    common: Manifest = {"timeouts": dict(settings.timeouts)} if settings.timeouts else {}
    rules: list[Manifest] = []
    if routing.candidate is not None and routing.exposure.asked:
        headers = [{"type": "Exact", "name": m.header, "value": m.value} for m in sorted(routing.exposure.asked)]
        asked = [
            {**match, "headers": [*match.get("headers", ()), header]} for match in matches or [{}] for header in headers
        ]
        rules.append(_rule(asked, settings.filters, common, Routing(routing.candidate)))
    rules.append(_rule(matches, [*settings.filters, *_mirrors(routing)], common, routing))
    return rules


def _rule(matches: Sequence[Manifest], filters: Sequence[Manifest], common: Manifest, routing: Routing) -> Manifest:
    parts: Manifest = {"matches": list(matches), "filters": list(filters)}
    present = {name: part for name, part in parts.items() if part}
    return {**present, **common, "backendRefs": _backend_refs(routing)}


def _backend_refs(routing: Routing) -> list[Manifest]:
    """A backend that gets nothing is left out: a route that names a Service which is gone is not resolved."""
    weight = routing.exposure.weight
    shares = {routing.stable.service: 100 - weight}
    if routing.candidate:
        shares[routing.candidate.service] = weight
    return [{"name": name, "port": SERVICE_PORT, "weight": share} for name, share in shares.items() if share]


def _mirrors(routing: Routing) -> list[Manifest]:
    percent = routing.exposure.mirror
    if routing.candidate is None or not percent:
        return []
    part = {} if percent == 100 else {"percent": percent}
    ref = {"name": routing.candidate.service, "port": SERVICE_PORT}
    return [{"type": MIRROR, "requestMirror": {"backendRef": ref, **part}}]


def _without_copies(rule: Manifest, stable: str) -> Manifest:
    filters = [one for one in rule.get("filters") or () if _copied_to(one) in (None, stable)]
    bare = {name: part for name, part in rule.items() if name != "filters"}
    return {**bare, "filters": filters} if filters else bare


def _copied_to(one: Manifest) -> str | None:
    """The Service that a filter copies requests to; None of a filter that copies none."""
    return str(one["requestMirror"]["backendRef"]["name"]) if one.get("type") == MIRROR else None


def _exposure(rule: Manifest, stable: str, known: frozenset[Match]) -> Exposure:
    """Whom a rule sends, or copies, anywhere but to stable."""
    weights = _weights(rule)
    away = 100 - round(100 * weights[stable] / weights.total()) if weights.total() else 0
    away = max(away, 1) if len(+weights) > (weights[stable] > 0) else away  # one in a thousand is somebody
    asked = _asks(rule, known)
    mirror = max(map(_percent, _mirrors_off(rule, stable)), default=0)
    if asked and away and not mirror:
        return Exposure(asked=asked)
    return Exposure(away, mirror)


def _asks(rule: Manifest, known: frozenset[Match]) -> frozenset[Match]:
    """The known headers by which requests come to a rule; none where it has other requests, too."""
    found = set[Match]()
    for match in rule.get("matches") or ():
        mine = {Match(header["name"], header["value"]) for header in match.get("headers") or ()} & known
        if not mine:
            return frozenset()
        found |= mine
    return frozenset(found)


def _mirrors_off(rule: Manifest, stable: str) -> Iterator[Manifest]:
    for one in rule.get("filters") or ():
        if _copied_to(one) not in (None, stable):
            yield one["requestMirror"]


def _percent(mirror: Manifest) -> int:
    """Of requests that are copied; a small part is somebody, too."""
    if (fraction := mirror.get("fraction")) is None:
        return int(mirror.get("percent", 100))
    return max(1, min(100, round(100 * int(fraction["numerator"]) / int(fraction.get("denominator") or 100))))


def _services(rule: Manifest) -> set[str]:
    copied = (_copied_to(one) for one in rule.get("filters") or ())
    return {name for name, weight in _weights(rule).items() if weight > 0} | {name for name in copied if name}


def _weights(rule: Manifest) -> Counter[str]:
    """Weights by Service."""
    weights: Counter[str] = Counter()
    for ref in rule.get("backendRefs") or ():
        weights[ref["name"]] += 1 if ref.get("weight") is None else int(ref["weight"])
    return weights


def _asked_by(route: Manifest) -> frozenset[Match]:
    try:
        return frozenset(map(Match.parse, (annotation(route, ASKED) or "").splitlines()))
    except ValueError:  # an annotation is anybody's to edit; what is not understood counts as weight
        return frozenset()


def _filled_in(one: Manifest) -> Manifest:
    if one.get("type") != MIRROR:
        return one
    mirror = one["requestMirror"]
    ref = {"group": "", "kind": "Service", **mirror["backendRef"]}
    return {**one, "requestMirror": {**mirror, "backendRef": ref}}


def _refusal(route: Manifest) -> str | None:
    """What a gateway says against the route as it is now."""
    generation = int(route["metadata"].get("generation") or 0)
    for parent in (route.get("status") or {}).get("parents") or ():
        for condition in parent.get("conditions") or ():
            if _speaks_against(condition, generation):
                gateway = (parent.get("parentRef") or {}).get("name", "?")
                return (
                    f"Gateway '{gateway}' does not take the route: {condition.get('message', '')} "
                    f"({condition.get('reason', condition['type'])})."
                )
    return None


def _speaks_against(condition: Manifest, generation: int) -> bool:
    is_current = int(condition.get("observedGeneration") or 0) >= generation
    return is_current and condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False"
