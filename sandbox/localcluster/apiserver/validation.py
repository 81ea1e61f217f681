"""A value against its structural schema, in Kubernetes' words. Pure; rules in CEL are `cel.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver import formats, typed
from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.resources import Schema
from localcluster.apiserver.schemas import EMBEDDED
from localcluster.apiserver.typed import MISSING
from localcluster.apiserver.values import equal

NOWHERE = "<nil>"  # where Kubernetes has lost the path


def validate(value: Any, schema: Schema, path: str = "", old: Any = MISSING) -> Iterator[FieldError]:
    """Everything that is wrong with a value. What has not changed since `old` is not complained of again."""
    if old is not MISSING and equal(old, value):
        return
    if value is None and schema.get("nullable"):
        return
    if wrong := _wrong_type(value, schema, path):
        yield wrong
        if "enum" not in schema:
            return
    yield from _of_kind(value, schema, path, old)
    yield from _enumerated(value, schema, path)
    yield from _composed(value, schema, path)


def _of_kind(value: Any, schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, int | float):
        yield from _number(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path, old)
    elif isinstance(value, dict):
        yield from _object(value, schema, path, old)


def json_type(value: Any) -> str:
    """The type of a value as schemas name it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _wrong_type(value: Any, schema: Schema, path: str) -> FieldError | None:
    got = json_type(value)
    if schema.get("x-kubernetes-int-or-string"):
        wanted = "integer,string"
    elif "type" in schema:
        wanted = schema["type"]
    else:
        return None
    if got in wanted.split(",") or (wanted == "number" and got == "integer"):
        return None
    detail = f'"{got}": {path} in body must be of type {wanted}: "{got}"'
    return FieldError(path, "Invalid value", detail, "FieldValueTypeInvalid")


def _bad(path: str, value: Any, rule: str) -> FieldError:
    return FieldError(path, "Invalid value", f"{shown(value)}: {path} in body should {rule}")


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _string(value: str, schema: Schema, path: str) -> Iterator[FieldError]:
    if (longest := schema.get("maxLength")) is not None and len(value) > longest:
        yield FieldError(path, "Too long", f"may not be more than {longest} bytes")
    if (shortest := schema.get("minLength")) is not None and len(value) < shortest:
        yield _bad(path, value, f"be at least {shortest} chars long")
    if (pattern := schema.get("pattern")) and not re.search(pattern, value):
        yield _bad(path, value, f"match '{pattern}'")
    if (name := schema.get("format")) and not formats.fits(value, name):
        detail = f"{shown(value)}: {path} in body must be of type {name}: {shown(value)}"
        yield FieldError(path, "Invalid value", detail, "FieldValueTypeInvalid")


_INTEGERS = {"int32": 31, "int64": 63}


def _number(value: float, schema: Schema, path: str) -> Iterator[FieldError]:
    bits = _INTEGERS.get(schema.get("format", ""))
    if bits is not None and not -(2**bits) <= value < 2**bits:
        detail = f'"": Checked value must be of type integer with format {schema["format"]} in {path}'
        yield FieldError(NOWHERE, "Invalid value", detail)
    if (step := schema.get("multipleOf")) and abs(value / step - round(value / step)) > 1e-9:
        yield _bad(path, value, f"be a multiple of {step}")
    if (highest := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= highest:
            yield _bad(path, value, f"be less than {highest}")
        elif value > highest:
            yield _bad(path, value, f"be less than or equal to {highest}")
    if (lowest := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= lowest:
            yield _bad(path, value, f"be greater than {lowest}")
        elif value < lowest:
            yield _bad(path, value, f"be greater than or equal to {lowest}")


def _enumerated(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    allowed = schema.get("enum")
    if allowed is not None and not any(each == value and type(each) is type(value) for each in allowed):
        said = ", ".join(shown(each if isinstance(each, str) else shown(each)) for each in allowed)
        yield FieldError(path, "Unsupported value", f"{shown(value)}: supported values: {said}")


def _list(value: list[Any], schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    if (fewest := schema.get("minItems")) is not None and len(value) < fewest:
        yield _bad(path, len(value), f"have at least {fewest} items")
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        yield FieldError(path, "Too many", f"{len(value)}: must have at most {most} items")
    keyed = schema.get("x-kubernetes-list-type") == "map"
    before = typed.elements(old, schema) if keyed and isinstance(old, list) else {}
    for index, item in enumerate(value):
        was = before.get(typed.element(item, schema), MISSING) if keyed else MISSING
        yield from validate(item, schema.get("items") or {}, f"{path}[{index}]", was)
    yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Schema, path: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    seen: set[str] = set()
    for index, item in enumerate(value) if kind in ("map", "set") else ():
        name = typed.element(item, schema)
        if name in seen:
            yield FieldError(f"{path}[{index}]", "Duplicate value", name[2:])
        seen.add(name)


def _object(value: dict[str, Any], schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    for key in [*schema.get("required", ()), *(("apiVersion", "kind") if schema.get(EMBEDDED) else ())]:
        if key not in value:
            yield FieldError(_join(path, key), "Required value")
    if (fewest := schema.get("minProperties")) is not None and len(value) < fewest:
        yield _bad(path, len(value), f"have at least {fewest} properties")
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        yield FieldError(path, "Too many", f"{len(value)}: must have at most {most} items")
    known, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, item in value.items():
        below = known.get(key, extra if isinstance(extra, dict) else None)
        if below is not None:
            was = old.get(key, MISSING) if isinstance(old, dict) else MISSING
            yield from validate(item, below, _join(path, key), was)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _composed(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    """`allOf`, `anyOf`, `oneOf`, `not`; the type of a field is never said in them."""
    if everything := schema.get("allOf"):
        failed = [list(validate(value, each, path)) for each in everything]
        for errors in failed:
            yield from errors
        if any(failed):
            none = "" if not all(failed) else ". None validated"
            yield _nowhere(f'"{path}" must validate all the schemas (allOf){none}')
    if any_of := schema.get("anyOf"):
        failed = [list(validate(value, each, path)) for each in any_of]
        if all(failed):
            yield _nowhere(f'"{path}" must validate at least one schema (anyOf)')
            yield from failed[0]
    if one_of := schema.get("oneOf"):
        failed = [list(validate(value, each, path)) for each in one_of]
        valid = sum(not each for each in failed)
        if valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield _nowhere(f'"{path}" must validate one and only one schema (oneOf). {found}')
            yield from failed[0] if not valid else ()
    if (refused := schema.get("not")) and not list(validate(value, refused, path)):
        yield _nowhere(f'"{path}" must not validate the schema (not)')


def _nowhere(detail: str) -> FieldError:
    return FieldError(NOWHERE, "Invalid value", f'"": {detail}')
