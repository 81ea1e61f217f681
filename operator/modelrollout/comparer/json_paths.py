"""JSON paths: finding the parts of a value, and taking them out or blacking them out. Pure.

The part of RFC 9535 that names values: `$`, `.name`, `['name']`, `[0]` and `[*]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

Keys = tuple[str | int | None, ...]
"""The way to a part; None stands for `[*]`, every element."""

_KEY = re.compile(r"\.(?P<name>[A-Za-z_][\w-]*)|\[(?P<index>\d+)\]|\[(?P<all>\*)\]|\['(?P<quoted>[^']+)'\]", re.ASCII)
_GONE = object()


def keys(path: str) -> Keys:
    """A path whose form the API has checked."""
    return tuple(_key(match) for match in _KEY.finditer(path))


def _key(match: re.Match[str]) -> str | int | None:
    if match["all"]:
        return None
    return int(match["index"]) if match["index"] else match["name"] or match["quoted"]


def find(way: Keys, value: Any) -> list[Any]:
    """All values that the path leads to; none where there is no such part."""
    values = [value]
    for key in way:
        values = [inner for outer in values for inner in _inside(outer, key)]
    return values


def _inside(value: Any, key: str | int | None) -> Iterable[Any]:
    if key is None:
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (value[key],) if _has(value, key) else ()


def _has(value: Any, key: str | int) -> bool:
    if isinstance(key, int):
        return isinstance(value, list) and key < len(value)
    return isinstance(value, dict) and key in value


def without(ways: Iterable[Keys], value: Any) -> Any:
    """The value without the parts that the paths lead to; the value given stays as it is."""
    return _changed(ways, value, lambda _: _GONE)


def blacked_out(ways: Iterable[Keys], value: Any, instead: str = "(redacted)") -> Any:
    """The value with another in place of the parts that the paths lead to."""
    return _changed(ways, value, lambda _: instead)


def _changed(ways: Iterable[Keys], value: Any, change: Callable[[Any], Any]) -> Any:
    for way in ways:
        value = _at(way, value, change)
    return None if value is _GONE else value


def _at(way: Keys, value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of the containers along the way, so that nobody else's value changes."""
    if not way:
        return change(value)
    key, rest = way[0], way[1:]
    if key is None and isinstance(value, dict):
        return {name: new for name, inner in value.items() if (new := _at(rest, inner, change)) is not _GONE}
    if key is None and isinstance(value, list):
        return [new for inner in value if (new := _at(rest, inner, change)) is not _GONE]
    if key is None or not _has(value, key):
        return value
    new = _at(rest, value[key], change)
    if isinstance(value, list):
        return [one for at, inner in enumerate(value) if (one := new if at == key else inner) is not _GONE]
    changed = {**value, key: new}
    return {name: inner for name, inner in changed.items() if inner is not _GONE} if new is _GONE else changed
