"""Gateway API: a route that is ours as a whole, HTTPRoute or GRPCRoute, with weights in one rule. Pure.

Its list of rules is atomic under server-side apply, so weights alone cannot be shared with another owner. Requests that
ask for the candidate have a rule of their own in front, which is told from the others by an annotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pydantic.alias_generators import to_camel

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.traffic import GRPC, GatewayAPI, Traffic
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
from modelrollout.objects.resources import Resource
from modelrollout.traffic import acceptance, preview_route, requests
from modelrollout.traffic.drawing import Part
from modelrollout.traffic.edits import Edit, is_as_written_for, told
from modelrollout.traffic.exposure import COOKIE, EVERYBODY, Exposure, Match
from modelrollout.traffic.features import GATEWAYS_ARE_READ, gateways_of
from modelrollout.traffic.route_rules import MIRROR, Rules, deciding
from modelrollout.traffic.router import (
    ALL_REQUESTS,
    MANAGER,
    SERVICE_PORT,
    SINCE,
    Backend,
    Copied,
    InForce,
    Notes,
    Routing,
    WholeObjects,
    led_back,
    own,
)

ASKED = f"{GROUP}/asked-by"
"""Annotation on the route: the headers by which requests ask for the candidate, one a line."""


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What a spec says of its route: `matches`, `filters` and `timeouts` as the route has them."""

    parent_refs: Sequence[Manifest]
    hostnames: Sequence[str] = ()
    matches: Sequence[Manifest] = ()
    filters: Sequence[Manifest] = ()
    timeouts: Mapping[str, str] | None = None

    @classmethod
    def of(cls, route: GatewayAPI | GRPC) -> RouteSettings:
        timeouts = route.timeouts if isinstance(route, GatewayAPI) else None
        return cls(
            parent_refs=[ref.to_wire() for ref in route.parent_refs],
            hostnames=route.hostnames,
            matches=[match.to_wire() for match in route.matches],
            filters=[one.to_wire() for one in route.filters],
            timeouts=timeouts.to_wire() if timeouts else None,
        )

    def rules(
        self, matches: Sequence[Manifest], mirrors: Sequence[Manifest], backends: Sequence[Manifest]
    ) -> Iterator[Manifest]:
        """The rule for some requests; one for each match, where the path's prefix is replaced: so it has to be."""
        common: Manifest = {"timeouts": dict(self.timeouts)} if self.timeouts else {}
        each_alone = [[match] for match in matches] if self.replaces_prefix else []
        for each in each_alone or [[*matches]]:
            parts: Manifest = {"matches": each, "filters": [*self.filters, *mirrors]}
            present = {name: part for name, part in parts.items() if part}
            yield {**present, **common, "backendRefs": list(backends)}

    @property
    def replaces_prefix(self) -> bool:
        paths = ((one.get("urlRewrite") or {}).get("path") or {} for one in self.filters)
        return any(path.get("type") == "ReplacePrefixMatch" for path in paths)


@dataclass(frozen=True, slots=True)
class GatewayRouter(WholeObjects):
    """`default`: what the API server fills into a match that leaves it out. `asked_for`: the route's part of a spec."""

    field: str
    resource: Resource
    default: Manifest
    asked_for: Callable[[Traffic], GatewayAPI | GRPC | None]
    sees_methods: bool = True  # of HTTP; else all requests have the same one
    splits_by_pods: bool = False

    @property
    def access(self) -> tuple[Access, ...]:
        route = Access(self.resource, OWN, Integration.GATEWAY_API)
        return (route, *GATEWAYS_ARE_READ) if self.sees_methods else (route,)

    def refs(self, owner: Owner, traffic: Traffic | None = None) -> tuple[Ref, ...]:
        """For a spec, that of the users: the preview's is there for a stage and goes with it."""
        front = self._front(owner)
        return (front,) if traffic is not None else (front, preview_route.ref(self.resource, owner))

    def _front(self, owner: Owner) -> Ref:
        return Ref(self.resource, owner.namespace, owner.name)

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        if (asked_for := self.asked_for(traffic)) is None:
            return None
        if exposure.mirror and (why := self._cannot_copy(asked_for, copied)) is not None:
            return Finding("RouterCannot", why)
        if not self.sees_methods and (exposure.is_kept or any(one.header == COOKIE for one in exposure.asked)):
            return Finding("RouterCannot", _NO_COOKIES.format(field=self.field, exposure=exposure))
        settings, where = RouteSettings.of(asked_for), f"spec.traffic.{self.field}"
        if (taken := preview_route.fault(where, exposure, settings.hostnames)) is not None:
            return Finding("RouterCannot", taken)
        room, others = requests.Room(is_a_rule_each=settings.replaces_prefix), preview_route.beside(exposure)
        return requests.fault(where, settings.matches, others, self._copied(copied), room)

    def gateways(self, owner: Owner, traffic: Traffic, there: Objects) -> tuple[Ref, ...]:
        asked_for = self.asked_for(traffic) if self.sees_methods else None  # of gRPC there are no such features
        return gateways_of(RouteSettings.of(asked_for).parent_refs, owner.namespace) if asked_for else ()

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Apply, ...]:
        routes = [*self._routes(owner, traffic, routing)]
        written = tuple(write for route in routes for write in self._render(owner, *route, there))
        # Who comes by the preview while everybody meets the candidate is served by it, like everybody.
        if len(routes) > 1 or routing.exposure == EVERYBODY:
            return written
        return (*written, *self._preview_taken_back(owner, there, routing.stable))

    def _routes(self, owner: Owner, traffic: Traffic, routing: Routing) -> Iterator[tuple[Ref, RouteSettings, Routing]]:
        """The route of the users, and that of the preview where some ask for the candidate by a host name."""
        settings, names = self._settings(traffic), preview_route.hosts(routing.exposure)
        yield self._front(owner), settings, replace(routing, exposure=preview_route.beside(routing.exposure))
        if routing.candidate is not None and names:
            named = preview_route.ref(self.resource, owner)
            yield named, replace(settings, hostnames=names), Routing(routing.candidate)

    def _render(
        self, owner: Owner, ref: Ref, settings: RouteSettings, routing: Routing, there: Objects
    ) -> tuple[Apply, ...]:
        found = there.get(ref)
        present = found if isinstance(found, dict) else None
        wanted = self._wanted(ref, owner, settings, routing, present)
        is_in_force = present is not None and is_applied(wanted, present) and self._is_untouched(wanted, present)
        return () if is_in_force else (Apply(wanted, MANAGER),)

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        each = (self._edited(owner, traffic, *route, there) for route in self._routes(owner, traffic, routing))
        return next((found for found in each if found is not None), None)

    def _edited(
        self, owner: Owner, traffic: Traffic, ref: Ref, settings: RouteSettings, routing: Routing, there: Objects
    ) -> Finding | None:
        if (found := own(owner, there, ref)) is None:
            return None
        # What stands for nothing was written only where it took the place of something.
        for before in (None, found):
            written = self._wanted(ref, owner, settings, routing, before)
            if is_as_written_for(written, found):
                return told(ref, [*self._edits(written["spec"], found.get("spec") or {}, traffic)])
        return None

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Apply, ...]:
        of_preview = self._preview_taken_back(owner, there, to)
        if (route := own(owner, there, self._front(owner))) is None:
            return of_preview
        rules = Rules.of(route).led_back(backend_refs(Routing(to)), to.service)
        return (led_back(owner, route, {**route["spec"], "rules": rules}, notes), *of_preview)

    def _preview_taken_back(self, owner: Owner, there: Objects, to: Backend) -> tuple[Apply, ...]:
        ref = preview_route.ref(self.resource, owner)
        return preview_route.retreat(owner, there, ref, to, backend_refs(Routing(to)))

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        preview = preview_route.in_force(owner, there, preview_route.ref(self.resource, owner), stable)
        if (route := own(owner, there, self._front(owner))) is None:
            return preview
        rules = Rules.of(route, asked_by(annotation(route, ASKED)))
        return InForce(
            exists=True,
            exposure=rules.exposure(stable.service) | preview.exposure,
            services=rules.services() | (preview.services or frozenset()),
            since=annotation(route, SINCE),
            rejected=annotation(route, REJECTED),
            refusal=acceptance.refusal(route) or preview.refusal,
            awaited=acceptance.awaited(route) or preview.awaited,
        )

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        return size

    def _settings(self, traffic: Traffic) -> RouteSettings:
        if (asked_for := self.asked_for(traffic)) is None:
            raise ValueError(f"traffic.{self.field} is not set")
        return RouteSettings.of(asked_for)

    def _wanted(
        self, ref: Ref, owner: Owner, settings: RouteSettings, routing: Routing, present: Manifest | None
    ) -> Manifest:
        return owner.object(
            self.resource,
            ref.name,
            annotations=routing.notes.annotations | asked(routing, present),
            spec={
                "parentRefs": list(settings.parent_refs),
                **_hostnames(settings, present),
                "rules": rules_for(settings, routing, self._copied(routing.copied)),
            },
        )

    def _copied(self, copied: Copied) -> Copied:
        return copied if self.sees_methods else ALL_REQUESTS

    def _cannot_copy(self, asked_for: GatewayAPI | GRPC, copied: Copied) -> str | None:
        if copied.paths and RouteSettings.of(asked_for).replaces_prefix:
            return (
                "a filter with ReplacePrefixMatch replaces what a match says of the path, so a match for some paths "
                "would change what users get: leave paths out."
            )
        if self.sees_methods:
            return None
        if copied.paths:
            return f"spec.traffic.{self.field} copies all calls that it is for: leave paths out."
        if copied.methods and "POST" not in copied.methods:
            return "a gRPC call is a POST, whatever it does: write methods: [POST] if all may be carried out twice."
        return None

    def _edits(self, written: Manifest, found: Manifest, traffic: Traffic) -> Iterator[Edit]:
        ours, theirs = self._decides(written), self._decides(found)
        for name in ("parentRefs", "hostnames"):
            if ours[name] != theirs[name]:
                yield Edit(f"spec.{name}", found.get(name), self._mend(name, traffic))
        rules = found.get("rules") or []
        if len(ours["rules"]) != len(theirs["rules"]):
            added = [rule for rule, decides in zip(rules, theirs["rules"], strict=True) if decides not in ours["rules"]]
            yield Edit("spec.rules", added, "to keep it, make a route of your own with that rule")
            return
        for number, (mine, other) in enumerate(zip(ours["rules"], theirs["rules"], strict=True)):
            for part in (part for part in mine if mine[part] != other[part]):
                yield Edit(f"spec.rules[{number}].{part}", rules[number].get(part), self._mend(part, traffic))

    def _mend(self, part: str, traffic: Traffic) -> str:
        """How to get the same by the spec of the rollout."""
        if part == "backendRefs":
            return "who is served is decided by spec.stages"
        settings = self.asked_for(traffic)
        if settings is not None and part in {to_camel(name) for name in type(settings).model_fields}:
            return f"to keep it, put it in spec.traffic.{self.field}.{part}"
        return "the spec has no field for it; a route of your own can have it"

    def _is_untouched(self, wanted: Manifest, found: Manifest) -> bool:
        """Whether nobody added anything that decides who is served: an addition to our list is no default."""
        return self._decides(wanted["spec"]) == self._decides(found["spec"])

    def _decides(self, spec: Manifest) -> Manifest:
        return {
            "parentRefs": [{**_PARENT, **ref} for ref in spec.get("parentRefs") or ()],
            "hostnames": spec.get("hostnames") or [],
            "rules": [deciding(rule, self.default) for rule in spec.get("rules") or ()],
        }


_NO_COOKIES = (
    "clients of gRPC keep no cookies, so spec.traffic.{field} cannot tell users by one, and a stage asks for "
    "{exposure}: use sticky.bucketHeader, or an audience by a header."
)
_PARENT: Manifest = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def asked_text(exposure: Exposure) -> str:
    """The value of the annotation ASKED; `asked_by` reads it."""
    return "\n".join(map(str, sorted(exposure.asked)))


def asked(routing: Routing, present: Manifest | None) -> dict[str, str]:
    """The annotation; an empty one takes the place of somebody else's, which leaving it out would not take off."""
    text = asked_text(routing.exposure)
    return {ASKED: text} if text or annotation(present, ASKED) is not None else {}


def _hostnames(settings: RouteSettings, present: Manifest | None) -> Manifest:
    """Likewise: a list that we never wrote stays when we leave it out."""
    theirs = ((present or {}).get("spec") or {}).get("hostnames")
    return {"hostnames": list(settings.hostnames)} if settings.hostnames or theirs is not None else {}


def rules_for(settings: RouteSettings, routing: Routing, copied: Copied) -> list[Manifest]:
    """Requests that ask for the candidate come first, then those of users who are kept, those that are copied, if not
    all are, and the rest.

    Their matches are more specific, and their order says so, too. A request that does both asks: gateways look at paths
    and methods before they look at headers, so the rule of those who ask has the others' paths and methods as well.
    """
    matches, mirrors, candidate = list(settings.matches), _mirrors(routing), routing.candidate
    some = requests.copied(matches, copied) if mirrors and copied != ALL_REQUESTS else []
    every = [*some, *(matches or [{}])]
    *kept, others = routing.parts
    rules: list[Manifest] = []
    if candidate and (asking := requests.asking(every, routing.exposure.asking)):
        rules += settings.rules(asking, [], backend_refs(Routing(candidate)))
    for part in kept:
        rules += settings.rules(requests.having(every, [part.header]), [], backend_refs(routing, part))
    if some:
        rules += settings.rules(some, mirrors, backend_refs(routing, others))
    return [*rules, *settings.rules(matches, [] if some else mirrors, backend_refs(routing, others))]


def backend_refs(routing: Routing, part: Part | None = None) -> list[Manifest]:
    """The backends of a part of all users, else of those without a cookie.

    One that gets nothing is left out: a route that names a Service which is gone is not resolved.
    """
    shared = routing.shared(part or routing.parts[-1])
    return [
        {"name": one.service, "port": SERVICE_PORT, "weight": weight, **({"filters": [_setting(set_)]} if set_ else {})}
        for one, weight, set_ in shared
    ]


def _setting(cookie: str) -> Manifest:
    """Added, not set: the model server's own cookies stay."""
    return {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": cookie}]},
    }


def _mirrors(routing: Routing) -> list[Manifest]:
    percent, to = routing.exposure.mirror, routing.copies_to or routing.candidate
    if routing.candidate is None or to is None or not percent:
        return []
    return [
        {"type": MIRROR, "requestMirror": {"backendRef": {"name": to.service, "port": SERVICE_PORT}, **_part(percent)}}
    ]


def _part(percent: int | Fraction) -> Manifest:
    """As whole percent where it can be: gateways learnt fractions later."""
    if percent == 100:
        return {}
    if percent == int(percent):
        return {"percent": int(percent)}
    part = Fraction(percent) / 100
    return {"fraction": {"numerator": part.numerator, "denominator": part.denominator}}


def asked_by(text: str | None) -> frozenset[Match]:
    """The headers that the annotation ASKED names."""
    try:
        return frozenset(Match.parse(line) for line in (text or "").split("\n") if line)
    except ValueError:  # an annotation is anybody's to edit; what is not understood counts as weight
        return frozenset()
