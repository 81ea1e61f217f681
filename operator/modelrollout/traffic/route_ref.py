"""spec.traffic.routeRef: one rule of an HTTPRoute of the user's. Pure.

The route is never owned, labelled or deleted. Who else writes to it is not asked to give anything up: every write is a
merge patch of the rules as they were read, which the API server takes only while the route is still that version.
Under server-side apply the list of rules would be ours as a whole, and would go with what we leave out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.api.traffic import Traffic
from modelrollout.objects.access import CHANGE, Access, Integration
from modelrollout.objects.manifests import APPLIED, REJECTED, Manifest, Owner, Patch, Ref, Write, digest
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic import acceptance, requests
from modelrollout.traffic.edits import Edit, told
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.features import GATEWAYS_ARE_READ, gateways_of
from modelrollout.traffic.gateway_api import ASKED, RouteSettings, asked_by, asked_text, backend_refs, rules_for
from modelrollout.traffic.http_route import EVERY_REQUEST
from modelrollout.traffic.lent_route import LENT, LentRoute, Loan, Place, controller, matches_of, noted_as
from modelrollout.traffic.route_rules import REDIRECT, Rules, deciding
from modelrollout.traffic.router import (
    ALL_REQUESTS,
    NOT_FOUND,
    SINCE,
    Backend,
    Copied,
    InForce,
    Move,
    Notes,
    Routing,
    Wanted,
)

_NOTES = (SINCE, REJECTED, ASKED, APPLIED, LENT)
_OF_A_RULE = ("name", "matches", "filters", "timeouts", "backendRefs")
"""The parts of a rule that are not simply the same in those in front of it."""


class RouteRefRouter:
    field = "routeRef"
    access = (Access(HTTP_ROUTES, CHANGE, Integration.GATEWAY_API), *GATEWAYS_ARE_READ)
    splits_by_pods = False

    def refs(self, owner: Owner, traffic: Traffic | None = None) -> tuple[Ref, ...]:
        named = (traffic.route_ref.name,) if traffic is not None and traffic.route_ref is not None else owner.lent
        return tuple(Ref(HTTP_ROUTES, owner.namespace, name) for name in named)

    def can(self, traffic: Traffic, exposure: Exposure, copied: Copied) -> Finding | None:
        return requests.fault(f"spec.traffic.{self.field}", (), exposure, ALL_REQUESTS)

    def fault(self, owner: Owner, traffic: Traffic, there: Objects, wanted: Iterable[Wanted] = ()) -> Finding | None:
        (ref,) = self.refs(owner, traffic)
        found = there.get(ref)
        if found is None:
            return Finding(NOT_FOUND, f"{ref} does not exist: make it, or name another.")
        if isinstance(found, Finding):
            return found
        if (lent := LentRoute.of(owner, there, ref)) is None:
            return _of_somebody_else(ref, controller(found), is_own=owner.may_own(found))
        rule = _rule_in(traffic)
        return _fault_of_the_rule(ref, lent, rule) or _fault_of_its_matches(ref, lent, rule, wanted)

    def gateways(self, owner: Owner, traffic: Traffic, there: Objects) -> tuple[Ref, ...]:
        (ref,) = self.refs(owner, traffic)
        found = there.get(ref)
        parents = (found.get("spec") or {}).get("parentRefs") if isinstance(found, dict) else None
        return gateways_of(parents or (), owner.namespace)

    def render(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> tuple[Move, ...]:
        (ref,) = self.refs(owner, traffic)
        if (lent := LentRoute.of(owner, there, ref)) is None or lent.find(_rule_in(traffic)) is None:
            return ()  # see `fault`
        rules, notes = _written(lent, _rule_in(traffic), routing)
        is_noted = all(lent.noted(name) == notes.get(name) for name in _NOTES)
        return () if is_noted and _decide(rules) == _decide(lent.rules) else (_patch(ref, lent, rules, notes),)

    def edits(self, owner: Owner, traffic: Traffic, routing: Routing, there: Objects) -> Finding | None:
        (ref,) = self.refs(owner, traffic)
        if (lent := LentRoute.of(owner, there, ref)) is None or lent.find(_rule_in(traffic)) is None:
            return None
        rules, notes = _written(lent, _rule_in(traffic), routing)
        return told(ref, [*_edits(rules, lent.rules)]) if lent.noted(APPLIED) == notes[APPLIED] else None

    def retreat(self, owner: Owner, there: Objects, to: Backend, notes: Notes) -> tuple[Move, ...]:
        return tuple(_led_back(ref, lent, to, notes) for ref, lent in self._lent(owner, there))

    def in_force(self, owner: Owner, there: Objects, stable: Backend) -> InForce:
        found = self._lent(owner, there)
        exposure, services = NOBODY, frozenset[str]()
        for _, lent in found:
            rules = lent.seen(stable.service)
            exposure |= Rules(owner.namespace, rules, asked_by(lent.noted(ASKED))).exposure(stable.service)
            services |= lent.reader.services()
        if not found:
            return InForce()
        ref, lent = found[0]
        return InForce(
            exists=ref == next((ref for ref in self.refs(owner) if ref in there), None),  # that of the spec comes first
            exposure=exposure,
            services=services,
            since=lent.noted(SINCE),
            rejected=lent.noted(REJECTED),
            refusal=acceptance.refusal(lent.route),
            awaited=acceptance.awaited(lent.route),
        )

    def given_up(self, owner: Owner, there: Objects, ref: Ref) -> tuple[Write, ...]:
        return tuple(_given_back(ref, lent) for one, lent in self._lent(owner, there) if one == ref)

    def pods(self, exposure: Exposure, size: int | None) -> int | None:
        return size

    def _lent(self, owner: Owner, there: Objects) -> list[tuple[Ref, LentRoute]]:
        """The routes in which the rollout has anything."""
        routes = ((ref, LentRoute.of(owner, there, ref)) for ref in self.refs(owner))
        return [(ref, route) for ref, route in routes if route is not None and route.is_lent]


# Writing


def _written(lent: LentRoute, rule: Place, routing: Routing) -> tuple[list[Manifest], Mapping[str, str]]:
    """The rules and the notes of a routing. Raises ValueError where there is no such rule."""
    if (place := lent.find(rule)) is None:
        raise ValueError(f"there is no rule {rule}")
    return _written_at(lent, place, rule, routing)


def _written_at(lent: LentRoute, place: int, rule: Place, routing: Routing) -> tuple[list[Manifest], Mapping[str, str]]:
    split = _split(lent, lent.rules[place], routing)
    stable, front, held = _backend(routing.stable), lent.in_front(), lent.held()
    rules: list[Manifest] = []
    for n, one in enumerate(lent.rules):
        if n == place:
            rules += split
        elif n == held:
            rules.append(_restored(lent, one))  # the spec names another one now
        elif n not in front:
            rules.append(lent.led_to_stable(one, stable))
    backends = (routing.stable, routing.candidate, routing.copies_to)
    names = frozenset(backend.service for backend in backends if backend is not None)
    loan = Loan(rule, matches_of(lent.rules[place]), lent.found_at(place), names)
    return rules, _noted(loan, split, routing)


def _split(lent: LentRoute, rule: Manifest, routing: Routing) -> list[Manifest]:
    """The lent rule, and those that come right before it."""
    bare = lent.without_copies(rule, lent.services)
    *front, last = rules_for(_settings(bare), routing, routing.copied)
    common = {name: part for name, part in bare.items() if name not in _OF_A_RULE}
    named = {"name": bare["name"]} if "name" in bare else {}
    return [*({**common, **one} for one in front), {**named, **common, **last}]


def _settings(rule: Manifest) -> RouteSettings:
    return RouteSettings(
        parent_refs=(),
        matches=rule.get("matches") or (),
        filters=rule.get("filters") or (),
        timeouts=rule.get("timeouts"),
    )


def _noted(loan: Loan, split: list[Manifest], routing: Routing) -> Mapping[str, str]:
    asked = asked_text(routing.exposure)
    notes = {**routing.notes.annotations, **({ASKED: asked} if asked else {}), LENT: str(loan)}
    return {**notes, APPLIED: digest([split, notes])}


def _patch(ref: Ref, lent: LentRoute, rules: list[Manifest], notes: Mapping[str, str]) -> Patch:
    noted: dict[str, Any] = {noted_as(lent.rollout, name): notes.get(name) for name in _NOTES}
    return Patch(ref, {"metadata": {"annotations": noted}, "spec": {"rules": rules}}, seen=lent.ref_version)


def _led_back(ref: Ref, lent: LentRoute, to: Backend, notes: Notes) -> Patch:
    """From the route as it was read, whatever its rules are called by now."""
    kept = Notes(rejected=notes.rejected or lent.noted(REJECTED))
    if (held := lent.held()) is None:
        rules = [lent.led_to_stable(rule, _backend(to)) for rule in lent.rules]
        return _patch(ref, lent, rules, {**kept.annotations, **_as_it_is(lent, LENT)})
    rule = lent.loan.rule if lent.loan is not None else lent.name_of(held)
    return _patch(ref, lent, *_written_at(lent, held, rule, Routing(to, notes=kept)))


def _as_it_is(lent: LentRoute, name: str) -> Mapping[str, str]:
    return {name: text} if (text := lent.noted(name)) is not None else {}


def _given_back(ref: Ref, lent: LentRoute) -> Patch:
    front, held = lent.in_front(), lent.held()
    rules = [_restored(lent, rule) if n == held else rule for n, rule in enumerate(lent.rules) if n not in front]
    return _patch(ref, lent, rules, {})


def _restored(lent: LentRoute, rule: Manifest) -> Manifest:
    bare = lent.without_copies(rule, lent.services)
    if (held := lent.held()) is None:
        return bare
    return {**bare, "backendRefs": list(lent.found_at(held))}


def _backend(backend: Backend) -> Manifest:
    (ref,) = backend_refs(Routing(backend))
    return ref


# Comparing


def _rule_in(traffic: Traffic) -> Place:
    if traffic.route_ref is None:
        raise ValueError("traffic.routeRef is not set")
    return traffic.route_ref.rule


def _decide(rules: Iterable[Manifest]) -> list[Manifest]:
    return [deciding(rule, EVERY_REQUEST) for rule in rules]


def _edits(written: list[Manifest], found: Sequence[Manifest]) -> Iterator[Edit]:
    """The user's own parts are in both alike."""
    if len(written) != len(found):
        yield Edit("spec.rules", _others(found, written), _DECIDED)
        return
    for number, (mine, other) in enumerate(zip(_decide(written), _decide(found), strict=True)):
        for part in (part for part in mine if mine[part] != other[part]):
            yield Edit(f"spec.rules[{number}].{part}", found[number].get(part), _DECIDED)


_DECIDED = (
    "where the lent rule leads is decided by spec.stages, and another rule may not lead to the rollout's Services"
)


def _others(found: Iterable[Manifest], written: list[Manifest]) -> list[Manifest]:
    decided = _decide(written)
    return [rule for rule in found if deciding(rule, EVERY_REQUEST) not in decided]


# Refusing


def _of_somebody_else(ref: Ref, controller: str | None, *, is_own: bool) -> Finding:
    if is_own:
        why = "is the operator's own: name a route of yours, or use spec.traffic.gatewayAPI"
    else:
        why = f"belongs to {controller}, which may write it anew at any time: name a route that is yours alone"
    return Finding("RouteNotYours", f"{ref} {why}.")


def _fault_of_the_rule(ref: Ref, lent: LentRoute, rule: Place) -> Finding | None:
    if (place := lent.find(rule)) is None:
        return Finding("RuleNotFound", f"{ref} has no rule {_named(rule)}: {_rules_there_are(lent)}.")
    if (borrower := lent.borrower(place)) is not None:
        mend = f"name another rule; if that rollout is gone, take the annotation {noted_as(borrower, LENT)} off"
        return Finding("RuleTaken", f"ModelRollout '{borrower}' splits rule {_named(rule)} of {ref} already: {mend}.")
    if any(one.get("type") == REDIRECT for one in lent.rules[place].get("filters") or ()):
        return Finding("RuleRedirects", f"Rule {_named(rule)} of {ref} redirects, so nothing comes to a model by it.")
    if any(backend.get("filters") for backend in lent.found_at(place)):
        mend = "they would be lost with the backend, so make them filters of the rule"
        return Finding("BackendHasFilters", f"The backends of rule {_named(rule)} of {ref} have filters: {mend}.")
    return None


def _fault_of_its_matches(ref: Ref, lent: LentRoute, rule: Place, wanted: Iterable[Wanted]) -> Finding | None:
    place = lent.find(rule)
    settings, where = _settings(lent.rules[place or 0]), f"rule {_named(rule)} of {ref}"
    room = requests.Room(len(lent.of_the_user()) - 1, settings.replaces_prefix)
    for exposure, copied in wanted:
        if 0 < exposure.weight < 100 and lent.rules[place or 0].get(_SESSIONS):
            return Finding("SessionsPinned", f"{where[:1].upper()}{where[1:]} {_PINNED}")
        if exposure.mirror and copied.paths and settings.replaces_prefix:
            why = "replaces the prefix of the path, so a match for some paths would change what users get"
            return Finding("RouterCannot", f"{where} {why}: leave paths out.")
        if (why_not := requests.fault(where, settings.matches, exposure, copied, room)) is not None:
            return why_not
    return None


_SESSIONS = "sessionPersistence"
_PINNED = (
    "has sessionPersistence, which beats weights, even a weight of 0: users would stay with the version that they met, "
    "whatever the stages say. Take it off that rule; an abTest with sticky.cookie keeps users and can take them back."
)


def _named(rule: Place) -> str:
    return f"'{rule}'" if isinstance(rule, str) else f"number {rule} (counted from 0)"


def _rules_there_are(lent: LentRoute) -> str:
    users = [lent.rules[n].get("name") for n in lent.of_the_user()]
    named = [f"'{name}'" for name in users if name]
    if not named:
        return f"none of its {len(users)} rules has a name: name one, or use its place, from 0 to {len(users) - 1}"
    return f"its rules are {', '.join(named)}" + (" and others without a name" if len(named) < len(users) else "")
