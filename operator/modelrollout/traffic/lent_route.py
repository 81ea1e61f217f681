"""A route of the user's of which one rule is lent to a rollout: whose its rules are, and what is noted on it. Pure.

A rule that leads to Services of the rollout alone, and is not the lent one, was put in front of that: it is ours.
Everything else in the route is the user's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelrollout.api.base import GROUP
from modelrollout.objects.manifests import Manifest, Owner, Ref, annotation, digest, revision_of
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import SERVICES
from modelrollout.traffic.route_rules import Rules

LENT = f"{GROUP}/lent-rule"
"""Annotation, one for each rollout: the rule that it was lent, the backends that were found there, and the Services
that took their place. It is written in the request that changes the rule first, and is the way back."""

Place = str | int
"""A rule: by its name, or by its place among the user's rules."""


def noted_as(rollout: str, name: str) -> str:
    """The annotation of one rollout: a route may lend its rules to several."""
    return f"{name}.{rollout}"


@dataclass(frozen=True, slots=True)
class Loan:
    """What is noted of a rule that was lent."""

    rule: Place
    matches: str  # the digest of its matches when it was written last
    found: tuple[Manifest, ...]  # its backends before
    services: frozenset[str]  # of the rollout's, that it was written with last

    def __str__(self) -> str:
        parts = {"rule": self.rule, "found": self.found, "matches": self.matches, "services": sorted(self.services)}
        return json.dumps(parts, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Loan | None:
        """None where somebody made it unreadable."""
        try:
            parts = json.loads(text)
            rule, found = parts["rule"], tuple(parts["found"])
            is_sound = isinstance(rule, str | int) and all(isinstance(ref, dict) and "name" in ref for ref in found)
            return cls(rule, str(parts["matches"]), found, frozenset(map(str, parts["services"]))) if is_sound else None
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class LentRoute:
    """One route as it was read, seen by one rollout."""

    route: Manifest
    rollout: str
    services: frozenset[str]  # of the rollout's
    loans: Mapping[str, Loan | None]  # by rollout; None: unreadable

    @classmethod
    def of(cls, owner: Owner, there: Objects, ref: Ref) -> LentRoute | None:
        """None where there is none, or where another object controls it: that would write it anew."""
        route = there.get(ref)
        if not isinstance(route, dict) or owner.may_own(route) or controller(route) is not None:
            return None
        prefix, notes = noted_as("", LENT), route["metadata"].get("annotations") or {}
        loans = {name.removeprefix(prefix): Loan.parse(text) for name, text in notes.items() if name.startswith(prefix)}
        loan = loans.get(owner.name)
        known = loan.services if loan is not None else frozenset[str]()
        return cls(route, owner.name, known | frozenset(_services(owner, there)), loans)

    @property
    def ref_version(self) -> str | None:
        version = self.route["metadata"].get("resourceVersion")
        return None if version is None else str(version)

    @property
    def loan(self) -> Loan | None:
        return self.loans.get(self.rollout)

    @property
    def is_lent(self) -> bool:
        """Whether this rollout has anything in it, or said so."""
        return self.rollout in self.loans or bool(self.reader.services() & self.services)

    @property
    def rules(self) -> tuple[Manifest, ...]:
        return self.reader.rules

    @property
    def reader(self) -> Rules:
        return Rules.of(self.route)

    def noted(self, name: str) -> str | None:
        return annotation(self.route, noted_as(self.rollout, name))

    # Which rule is whose

    def held(self) -> int | None:
        """Where the lent rule is now, whatever it is called meanwhile; None where there is none."""
        return self._place_of(self.loan, self.services)

    def in_front(self) -> frozenset[int]:
        """The rules that were put in front of the lent one."""
        return self._in_front(self.loan, self.services)

    def find(self, rule: Place) -> int | None:
        """Where the user's rule of this name or place is."""
        if isinstance(rule, str):
            return next((n for n, one in enumerate(self.rules) if one.get("name") == rule), None)
        users = self.of_the_user()
        return users[rule] if rule < len(users) else None

    def name_of(self, place: int) -> Place:
        """The name of a rule, or else its place among the user's."""
        name = self.rules[place].get("name")
        return str(name) if name else self.of_the_user().index(place)

    def of_the_user(self) -> list[int]:
        """The rules that a user wrote, lent ones as well."""
        others = (loan for name, loan in self.loans.items() if name != self.rollout and loan is not None)
        front = self.in_front().union(*(self._in_front(loan, loan.services) for loan in others))
        return [n for n in range(len(self.rules)) if n not in front]

    def borrower(self, place: int) -> str | None:
        """The other rollout that a rule is lent to."""
        for name, loan in self.loans.items():
            if name != self.rollout and loan is not None and self._place_of(loan, loan.services) == place:
                return name
        return None

    def found_at(self, place: int) -> tuple[Manifest, ...]:
        """The backends to give back. Where somebody has put others in since, those are the user's newest word."""
        backends = tuple(self.rules[place].get("backendRefs") or ())
        is_ours = bool(self.reader.led_to(self.rules[place]) & self.services)
        if not is_ours:
            return backends
        return self.loan.found if self.loan is not None and place == self.held() else ()

    def _place_of(self, loan: Loan | None, services: frozenset[str]) -> int | None:
        held = self._held(loan, services)
        is_reset = held is None and loan is not None  # somebody has put back what was there before
        return self.find(loan.rule) if is_reset and loan is not None else held

    def _held(self, loan: Loan | None, services: frozenset[str]) -> int | None:
        """The lent rule, among those that lead to these Services or have its name."""
        named = [n for n, rule in enumerate(self.rules) if loan is not None and rule.get("name") == loan.rule]
        ours = self._ours(services)
        same = [n for n in ours if loan is not None and matches_of(self.rules[n]) == loan.matches]
        # Those in front come first, and right before it.
        run = [n for offset, n in enumerate(ours) if n == ours[0] + offset]
        return next(iter((*named, *same, *run[-1:])), None)

    def _in_front(self, loan: Loan | None, services: frozenset[str]) -> frozenset[int]:
        return frozenset(self._ours(services)) - {self._held(loan, services)}

    def _ours(self, services: frozenset[str]) -> list[int]:
        """The rules that lead to these Services alone."""
        led_to = ((n, self.reader.led_to(rule)) for n, rule in enumerate(self.rules))
        return [n for n, names in led_to if names and names <= services]

    # Without what is ours

    def without_copies(self, rule: Manifest, services: frozenset[str]) -> Manifest:
        """The rule, without filters that copy requests to these Services."""
        return _with(rule, [one for one in rule.get("filters") or () if self.reader.copied_to(one) not in services])

    def led_to_stable(self, rule: Manifest, backend: Manifest) -> Manifest:
        """A rule of the user's, with a backend in place of all others that are the rollout's."""
        others = self.services - {backend["name"]}
        refs = rule.get("backendRefs") or ()
        if not any(self.reader.name_of(ref) in others for ref in refs):
            return self.without_copies(rule, others)
        led = [
            {**backend, "weight": ref.get("weight", 1)} if self.reader.name_of(ref) in others else ref for ref in refs
        ]
        return self.without_copies({**rule, "backendRefs": led}, others)

    def seen(self, stable: str) -> tuple[Manifest, ...]:
        """The rules as far as they are ours: who is served by anything else of the user's meets no candidate."""
        ours = {*self.in_front(), self.held()}
        return tuple(self._seen(rule, stable, is_ours=n in ours) for n, rule in enumerate(self.rules))

    def _seen(self, rule: Manifest, stable: str, *, is_ours: bool) -> Manifest:
        def is_foreign(one: Manifest) -> bool:
            return (copied_to := self.reader.copied_to(one)) is not None and copied_to not in self.services

        filters = [one for one in rule.get("filters") or () if not is_foreign(one)]
        refs = [
            ref
            if is_ours or self.reader.name_of(ref) in self.services
            else {"name": stable, "weight": ref.get("weight")}
            for ref in rule.get("backendRefs") or ()
        ]
        return {**_with(rule, filters), "backendRefs": refs}


def made_up(ref: Ref, rule: Place) -> Manifest:
    """A route of a user's that has such a rule, for worlds in which all goes well."""
    backends = {"backendRefs": [{"name": "theirs", "port": 80}]}
    rules = [{"name": rule, **backends}] if isinstance(rule, str) else [backends] * (rule + 1)
    return {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "metadata": {"namespace": ref.namespace, "name": ref.name},
        "spec": {"parentRefs": [{"name": "gateway"}], "rules": rules},
    }


def matches_of(rule: Manifest) -> str:
    return digest(rule.get("matches") or [])


def controller(route: Manifest) -> str | None:
    """The object that controls it, in words."""
    owners = route["metadata"].get("ownerReferences") or ()
    return next((f"{one.get('kind')} '{one.get('name')}'" for one in owners if one.get("controller")), None)


def _services(owner: Owner, there: Objects) -> Iterator[str]:
    """Of the rollout's revisions, as they were read."""
    for ref, found in there.items():
        if ref.resource == SERVICES and isinstance(found, dict) and owner.may_own(found) and revision_of(found):
            yield ref.name


def _with(rule: Manifest, filters: list[Any]) -> Manifest:
    bare = {name: part for name, part in rule.items() if name != "filters"}
    return {**bare, "filters": filters} if filters else bare
