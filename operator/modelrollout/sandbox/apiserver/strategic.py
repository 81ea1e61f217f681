"""Strategic merge patch, which `kubectl apply` sends for built-in kinds: lists merge by the keys of their schema. Pure.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from typing import Any

from modelrollout.sandbox.apiserver.errors import bad_request
from modelrollout.sandbox.apiserver.resources import Schema
from modelrollout.sandbox.apiserver.schemas import child
from modelrollout.sandbox.apiserver.typed import merged_order

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_merge(target: Any, patch: Any, schema: Schema) -> Any:
    """The target with the patch merged in."""
    if not isinstance(patch, dict):
        return patch
    match patch.get(_PATCH):
        case "replace":
            return {key: value for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
        case None | "merge":
            pass
        case other:
            raise bad_request(f"unrecognized directive {other!r} in strategic merge patch")
    merged = dict(target) if isinstance(target, dict) else {}
    if (retained := patch.get(_RETAIN)) is not None:
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [each for each in merged.get(name) or () if each not in value]
        elif value is None:
            merged.pop(key, None)
        elif not key.startswith("$"):
            merged[key] = _field(merged.get(key), value, child(schema, key) or {})
    return _in_order(merged, patch, schema)


def _in_order(merged: dict[str, Any], patch: dict[str, Any], schema: Schema) -> dict[str, Any]:
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], order, child(schema, name) or {})
    return merged


def _field(old: Any, patch: Any, schema: Schema) -> Any:
    if isinstance(patch, list):
        if "merge" not in schema.get("x-kubernetes-patch-strategy", "").split(","):
            return [_clean(each) for each in patch]
        return _list(old if isinstance(old, list) else [], patch, schema)
    return strategic_merge(old, patch, schema)


def _list(old: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if key is None:
        return [*old, *(each for each in patch if each not in old)]
    if any(each.get(_PATCH) == "replace" for each in patch):
        return [_clean(each) for each in patch if each.get(_PATCH) != "replace"]
    merged = list(old)
    for each in patch:
        if key not in each:
            raise bad_request(f"map: {each} does not contain declared merge key: {key}")
        at = next((index for index, item in enumerate(merged) if item.get(key) == each[key]), None)
        if each.get(_PATCH) == "delete":
            merged = [item for item in merged if item.get(key) != each[key]]
        elif at is None:
            merged.append(strategic_merge({}, each, schema.get("items") or {}))
        else:
            merged[at] = strategic_merge(merged[at], each, schema.get("items") or {})
    return merged


def _clean(value: Any) -> Any:
    """A value that is taken as it is, without what was said to the patcher only."""
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items() if not key.startswith("$")}
    return [_clean(each) for each in value] if isinstance(value, list) else value


def _ordered(items: list[Any], order: list[Any], schema: Schema) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    name = (lambda each: str(each[key])) if key else str
    found = {name(each): each for each in items}
    wanted = [name(each) for each in order]
    return [found[each] for each in merged_order(list(found), [each for each in wanted if each in found])]
