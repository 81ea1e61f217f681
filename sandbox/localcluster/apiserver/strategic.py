"""Strategic merge patch, which `kubectl apply` sends for built-in kinds: lists merge by the keys of their schema. Pure.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

from typing import Any

from localcluster.apiserver.errors import bad_request
from localcluster.apiserver.resources import Schema
from localcluster.apiserver.schemas import child

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
    return _in_order(merged, patch, schema, target if isinstance(target, dict) else {})


def _in_order(merged: dict[str, Any], patch: dict[str, Any], schema: Schema, old: dict[str, Any]) -> dict[str, Any]:
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(merged.get(name), list):
            merge_key = (child(schema, name) or {}).get("x-kubernetes-patch-merge-key")
            merged[name] = _ordered(merged[name], order, old.get(name) or [], merge_key)
    return merged


def _field(old: Any, patch: Any, schema: Schema) -> Any:
    if not isinstance(patch, list):
        return strategic_merge(old, patch, schema)
    if "merge" not in schema.get("x-kubernetes-patch-strategy", "").split(","):
        return [_clean(each) for each in patch]
    return _list(old if isinstance(old, list) else [], patch, schema)


def _list(old: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if key is None:
        return _ordered([*old, *(each for each in patch if each not in old)], patch, old, None)
    if any(each.get(_PATCH) == "replace" for each in patch):
        return [_clean(each) for each in patch if each.get(_PATCH) != "replace"]
    merged, named = list(old), []
    for each in patch:
        if key not in each:
            raise bad_request(f"map: {each} does not contain declared merge key: {key}")
        at = next((index for index, item in enumerate(merged) if item.get(key) == each[key]), None)
        if each.get(_PATCH) == "delete":
            merged = [item for item in merged if item.get(key) != each[key]]
            continue
        named.append(each)
        if at is None:
            merged.append(strategic_merge({}, each, schema.get("items") or {}))
        else:
            merged[at] = strategic_merge(merged[at], each, schema.get("items") or {})
    return _ordered(merged, named, old, key)


def _ordered(items: list[Any], patch: list[Any], old: list[Any], key: str | None) -> list[Any]:
    """Elements that the patch names take its order; the others stay before the element that followed them."""

    def name(item: Any) -> str:
        return str(item.get(key) if key else item)

    found = {name(each): each for each in items}
    before = {name(each): index for index, each in enumerate(old)}
    ours = [each for each in map(name, patch) if each in found]
    theirs = sorted((each for each in found if each not in ours), key=lambda each: before.get(each, len(before)))
    order: list[str] = []
    while ours and theirs:
        both_known = ours[0] in before and theirs[0] in before
        first = theirs if both_known and before[theirs[0]] < before[ours[0]] else ours
        order.append(first.pop(0))
    return [found[each] for each in [*order, *ours, *theirs]]


def _clean(value: Any) -> Any:
    """A value that is taken as it is, without what was said to the patcher only."""
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items() if not key.startswith("$")}
    return [_clean(each) for each in value] if isinstance(value, list) else value
