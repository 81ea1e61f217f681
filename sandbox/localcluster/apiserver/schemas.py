"""Structural schemas at work: unknown fields found and pruned, defaults filled in. Pure; refuses nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver.resources import Schema

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"


def child(schema: Schema, key: str) -> Schema | None:
    """The schema of one key of an object, or None when the schema does not know the key."""
    known: Schema | None = (schema.get("properties") or {}).get(key)
    if known is not None:
        return known
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    return {PRESERVE: True} if extra is True else None


def unknown_fields(value: Any, schema: Schema, path: str = "") -> Iterator[str]:
    """Paths of fields that pruning would drop, as Kubernetes names them: `spec.steps[0].wieght`."""
    if isinstance(value, dict):
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            known = child(schema, key)
            if known is not None:
                yield from unknown_fields(item, known, here)
            elif not _keeps(schema):
                yield here
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from unknown_fields(item, schema["items"], f"{path}[{index}]")


def prune(value: Any, schema: Schema) -> Any:
    """The value without the fields its schema does not know."""
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            known = child(schema, key)
            if known is not None:
                kept[key] = prune(item, known)
            elif _keeps(schema):
                kept[key] = item
        return kept
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [prune(item, schema["items"]) for item in value]
    return value


def _keeps(schema: Schema) -> bool:
    return bool(schema.get(PRESERVE))


def default(value: Any, schema: Schema) -> Any:
    """The value with the schema's defaults; a null where null is not allowed gives way to the default."""
    if isinstance(value, dict):
        return _default_object(value, schema)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [default(item, schema["items"]) for item in value]
    return value


def _default_object(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    filled = dict(value)
    for key, known in (schema.get("properties") or {}).items():
        null = key in filled and filled[key] is None and not known.get("nullable")
        if "default" in known and (key not in filled or null):
            filled[key] = copy.deepcopy(known["default"])
        elif null:
            del filled[key]
    for key, item in filled.items():
        known = child(schema, key)
        if known is not None and isinstance(item, dict | list):
            filled[key] = default(item, known)
    return filled
