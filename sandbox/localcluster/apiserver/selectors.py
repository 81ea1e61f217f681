"""Label and field selectors, parsed as Kubernetes does. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver.errors import bad_request

Matches = Callable[[Mapping[str, Any]], bool]

_SET_BASED = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUALITY = re.compile(r"^(?P<key>[^\s!=(),<>]+)\s*(?P<operator>==|=|!=|<|>)\s*(?P<value>[^\s!=(),]*)$")
_EXISTENCE = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=(),]+)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: str  # in | notin | exists | !exists | < | >
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        match self.operator:
            case "exists":
                return present
            case "!exists":
                return not present
            case "in":
                return present and labels[self.key] in self.values
            case "notin":
                return not present or labels[self.key] not in self.values
            case _:
                return present and _compares(labels[self.key], self.operator, next(iter(self.values)))


def _compares(actual: str, operator: str, bound: str) -> bool:
    try:
        left, right = int(actual), int(bound)
    except ValueError:
        return False
    return left < right if operator == "<" else left > right


def label_selector(text: str) -> tuple[Requirement, ...]:
    """Parse `app=x,tier in (a, b),!old`; a 400 when it cannot be read."""
    return tuple(_requirement(term.strip()) for term in _split(text) if term.strip())


def _split(text: str) -> list[str]:
    return re.split(r",(?![^(]*\))", text)


def _requirement(term: str) -> Requirement:
    if found := _SET_BASED.match(term):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], found["operator"], values)
    if found := _EQUALITY.match(term):
        operator = {"=": "in", "==": "in", "!=": "notin"}.get(found["operator"], found["operator"])
        return Requirement(found["key"], operator, frozenset({found["value"]}))
    if found := _EXISTENCE.match(term):
        return Requirement(found["key"], "!exists" if found["no"] else "exists")
    raise bad_request(f"unable to parse requirement: found '{term}', expected: identifier, '!', 'in', 'notin' or '='")


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector."""

    path: str
    value: str
    equal: bool


def field_selector(text: str, supported: frozenset[str]) -> tuple[FieldTerm, ...]:
    """Parse `metadata.name=x,status.phase!=Running`; a 400 for a field this kind cannot be selected by."""
    terms = tuple(_field_term(term) for term in text.split(",") if term)
    for term in terms:
        if term.path not in supported:
            raise bad_request(f"field label not supported: {term.path}")
    return terms


def _field_term(term: str) -> FieldTerm:
    found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", term)
    if not found:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    return FieldTerm(found[1].strip(), found[3].strip(), found[2] != "!=")


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of a list or watch."""

    namespace: str | None = None
    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    def matches(self, item: Mapping[str, Any]) -> bool:
        metadata = item["metadata"]
        if self.namespace is not None and metadata.get("namespace") != self.namespace:
            return False
        if self.labels:
            labels = metadata.get("labels") or {}
            if not all(requirement.holds(labels) for requirement in self.labels):
                return False
        return all((_field(item, term.path) == term.value) == term.equal for term in self.fields)


def _field(item: Mapping[str, Any], path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
