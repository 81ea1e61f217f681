"""Sets of fields as `metadata.managedFields` writes them (FieldsV1). Pure; what a set means for a value is `typed.py`.

A path is a tuple of elements in FieldsV1's own spelling: `f:name` a field, `k:{…}` a list item by its keys, `v:…` a set
member by its value. See https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

Path = tuple[str, ...]
FieldSet = frozenset[Path]

EMPTY: FieldSet = frozenset()


def field(name: str) -> str:
    return f"f:{name}"


def key(keys: dict[str, Any]) -> str:
    return "k:" + _compact({name: keys[name] for name in sorted(keys)})


def member(value: Any) -> str:
    return "v:" + _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def to_fields_v1(paths: Iterable[Path]) -> dict[str, Any]:
    """The nested form. A path that has others below it is marked by a "." beside them."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    for node in root.values():
        _drop_lone_marks(node)
    return root


def _drop_lone_marks(node: dict[str, Any]) -> None:
    if node.keys() == {"."}:
        node.clear()
    for element, below in node.items():
        if element != ".":
            _drop_lone_marks(below)


def from_fields_v1(fields: dict[str, Any], prefix: Path = ()) -> FieldSet:
    """The set that a nested form stands for."""
    found: set[Path] = set()
    for element, below in fields.items():
        if element == ".":
            found.add(prefix)
            continue
        path = (*prefix, element)
        if below:
            found |= from_fields_v1(below, path)
        else:
            found.add(path)
    return frozenset(found)


def below(paths: FieldSet, element: str) -> FieldSet:
    """The part of the set under one element."""
    return frozenset(path[1:] for path in paths if len(path) > 1 and path[0] == element)


def readable(path: Path) -> str:
    """`.spec.containers[name="a"].image`, as conflicts are told."""
    return "".join(_readable(element) for element in path)


def _readable(element: str) -> str:
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "v:":
        return f"[={text}]"
    if kind == "i:":
        return f"[{text}]"
    return "[" + ",".join(f"{name}={_compact(value)}" for name, value in json.loads(text).items()) + "]"
