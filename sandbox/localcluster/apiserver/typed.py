"""Values seen through their schema: the fields they have, how two differ, how one merges into another. Pure.

The rules are those of Kubernetes' structured merge: maps merge by key, lists by their `x-kubernetes-list-type`, and
what is atomic has one owner as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from localcluster.apiserver import fieldsets
from localcluster.apiserver.fieldsets import FieldSet, Path
from localcluster.apiserver.resources import Schema
from localcluster.apiserver.schemas import PRESERVE, child
from localcluster.apiserver.values import equal

_UNTYPED: Schema = {PRESERVE: True}


class Missing(Enum):
    """The absence of a value, which null is not."""

    MISSING = auto()


MISSING = Missing.MISSING


class Shape(Enum):
    """How a value takes part in merging."""

    LEAF = auto()
    MAP = auto()
    LIST = auto()


def shape(value: Any, schema: Schema) -> Shape:
    if isinstance(value, dict):
        return Shape.LEAF if schema.get("x-kubernetes-map-type") == "atomic" else Shape.MAP
    if isinstance(value, list):
        return Shape.LIST if schema.get("x-kubernetes-list-type") in ("map", "set") else Shape.LEAF
    return Shape.LEAF


def _below(schema: Schema, key: str) -> Schema:
    return child(schema, key) or _UNTYPED


def _items(schema: Schema) -> Schema:
    return schema.get("items") or _UNTYPED


def element(item: Any, schema: Schema) -> str:
    """How an item of a list is told from its siblings."""
    if schema.get("x-kubernetes-list-type") == "set":
        return fieldsets.member(item)
    fields = _items(schema).get("properties") or {}
    keys = {}
    for name in schema["x-kubernetes-list-map-keys"]:
        value = item.get(name) if isinstance(item, dict) else None
        keys[name] = fields.get(name, {}).get("default") if value is None else value
    return fieldsets.key({name: value for name, value in keys.items() if value is not None})


def elements(items: list[Any], schema: Schema) -> dict[str, Any]:
    """Items by element, in order; of duplicates the first."""
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(element(item, schema), item)
    return found


def complaints(value: Any, schema: Schema, path: Path = ()) -> Iterator[str]:
    """Why a value cannot be applied: fields unknown to the schema, values of another type, items named twice."""
    if wrong := _wrong_type(value, schema):
        yield f"{fieldsets.readable(path)}: {wrong}"
        return
    if shape(value, schema) is Shape.LIST:
        named = [element(item, schema) for item in value]
        for twice in sorted({each for each in named if named.count(each) > 1}):
            yield f"{fieldsets.readable(path)}: duplicate entries for key {fieldsets.readable((twice,))}"
    if isinstance(value, dict):
        for key, item in value.items():
            here = (*path, fieldsets.field(key))
            if child(schema, key) is None and not schema.get(PRESERVE):
                yield f"{fieldsets.readable(here)}: field not declared in schema"
            else:
                yield from complaints(item, _below(schema, key), here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            part = element(item, schema) if shape(value, schema) is Shape.LIST else f"i:{index}"
            yield from complaints(item, _items(schema), (*path, part))


_EXPECTED = {
    "string": (str, "string"),
    "integer": (int | float, "numeric (int or float)"),
    "number": (int | float, "numeric (int or float)"),
    "boolean": (bool, "boolean"),
    "array": (list, "list"),
    "object": (dict, "map"),
}
_GOT = {str: "string", int: "int", float: "float", bool: "boolean", list: "list", dict: "map"}


def _wrong_type(value: Any, schema: Schema) -> str | None:
    kind, words = _EXPECTED.get(schema.get("type", ""), (object, ""))
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return None
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool and words):
        return None
    return f"expected {words}, got {_GOT.get(type(value), 'null')}"


def _children(value: Any, schema: Schema) -> Iterator[tuple[str, Any, Schema]]:
    match shape(value, schema):
        case Shape.MAP:
            for key, item in value.items():
                yield fieldsets.field(key), item, _below(schema, key)
        case Shape.LIST:
            for item in value:
                yield element(item, schema), item, _items(schema)


def field_set(value: Any, schema: Schema) -> FieldSet:
    """Every field that a value sets."""
    return frozenset(_fields(value, schema, ()))


def _fields(value: Any, schema: Schema, path: Path) -> Iterator[Path]:
    kind = shape(value, schema)
    if kind is Shape.LEAF:
        yield path
    known = schema.get("properties") or {}
    for part, item, below in _children(value, schema):
        here = (*path, part)
        yield from _fields(item, below, here)
        if kind is Shape.LIST or item is None or item == {} or part[2:] not in known:
            yield here


def with_parents(paths: FieldSet, schema: Schema) -> FieldSet:
    """The set with the schema's own fields on the way to its members: sets name keys of maps, but leave these out."""
    return paths | {parent for path in paths for parent in _parents(path, schema)}


def _parents(path: Path, schema: Schema) -> Iterator[Path]:
    for end, part in enumerate(path[:-1], start=1):
        kind, name = part[:2], part[2:]
        if kind == "f:" and name in (schema.get("properties") or {}):
            yield path[:end]
        schema = _below(schema, name) if kind == "f:" else _items(schema)


@dataclass(frozen=True, slots=True)
class Difference:
    """The fields that differ between two values."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    @property
    def written(self) -> FieldSet:
        return self.added | self.modified


def compare(old: Any, new: Any, schema: Schema) -> Difference:
    """The fields in which two values differ."""
    found: dict[str, set[Path]] = {"added": set(), "modified": set(), "removed": set()}
    _compare(old, new, schema, (), found)
    return Difference(*(frozenset(found[name]) for name in ("added", "modified", "removed")))


def _compare(old: Any, new: Any, schema: Schema, path: Path, found: dict[str, set[Path]]) -> None:
    verdict = "added" if old is MISSING else "removed" if new is MISSING else "modified"
    if verdict == "modified" and None not in (old, new) and shape(old, schema) is not shape(new, schema):
        # One thing in place of another: the old one's fields go, the new one's come.
        found["modified"].add(path)
        for each, (left, right) in ((old, (old, MISSING)), (new, (MISSING, new))):
            if not _hollow(each) and shape(each, schema) is not Shape.LEAF:
                _compare_parts(left, right, schema, path, found)
        return
    if _is_leaf(old, new, schema):
        if old is MISSING or new is MISSING or not equal(old, new):
            found[verdict].add(path)
        return
    _compare_parts(old, new, schema, path, found)
    if verdict != "modified":
        found[verdict].add(path)


def _compare_parts(old: Any, new: Any, schema: Schema, path: Path, found: dict[str, set[Path]]) -> None:
    for part, left, right, below in _pairs(old, new, schema):
        _compare(left, right, below, (*path, part), found)


def _is_leaf(old: Any, new: Any, schema: Schema) -> bool:
    shapes = {shape(each, schema) for each in (old, new) if each is not MISSING and each is not None}
    # An empty or null container is a value of its own, not a container without changes.
    return (shapes != {Shape.MAP} and shapes != {Shape.LIST}) or (_hollow(old) and _hollow(new))


def _hollow(value: Any) -> bool:
    return value is MISSING or value is None or value in ({}, [])


def _pairs(old: Any, new: Any, schema: Schema) -> Iterable[tuple[str, Any, Any, Schema]]:
    if isinstance(old, dict) or isinstance(new, dict):
        left, right = (each if isinstance(each, dict) else {} for each in (old, new))
        for key in {**left, **right}:
            yield fieldsets.field(key), left.get(key, MISSING), right.get(key, MISSING), _below(schema, key)
    else:
        left, right = (elements(each, schema) if isinstance(each, list) else {} for each in (old, new))
        for part in {**left, **right}:
            yield part, left.get(part, MISSING), right.get(part, MISSING), _items(schema)


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """The live value with everything that the configuration says."""
    if config is MISSING:
        return live
    if live is MISSING or _is_leaf(live, config, schema):
        return config
    if isinstance(live, dict) or isinstance(config, dict):
        left, right = (each if isinstance(each, dict) else {} for each in (live, config))
        return {
            key: merge(left.get(key, MISSING), right.get(key, MISSING), _below(schema, key))
            for key in {**left, **right}
        }
    left, right = (elements(each or [], schema) for each in (live, config))
    order = _merged_order(list(left), list(right))
    return [merge(left.get(each, MISSING), right.get(each, MISSING), _items(schema)) for each in order]


def _merged_order(live: list[str], config: list[str]) -> list[str]:
    """The configuration's items in its order; those it does not name stay before the shared item that followed them."""
    named, known = set(config), set(live)
    shared = [each for each in config if each in known]
    order: list[str] = []
    waiting = list(live)
    coming = list(config)
    while waiting or coming:
        if waiting and waiting[0] not in named:
            order.append(waiting.pop(0))
        elif waiting and (waiting[0] in order or (coming and shared[:1] != waiting[:1])):
            waiting.pop(0)
        elif coming:
            order.append(coming.pop(0))
            if shared[:1] == order[-1:]:
                shared.pop(0)
    return order


def remove(value: Any, gone: FieldSet, schema: Schema) -> Any:
    """The value without these fields; a container that loses its last one stays, empty."""
    if not gone or shape(value, schema) is Shape.LEAF:
        return value
    kept: list[tuple[str, Any]] = []
    for part, item, below in _children(value, schema):
        if (part,) not in gone:
            kept.append((part, remove(item, fieldsets.below(gone, part), below)))
    if isinstance(value, dict):
        return {part[2:]: item for part, item in kept}
    return [item for _, item in kept]
