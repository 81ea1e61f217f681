"""Whether a value fits a schema of ours as an API server reads it: nothing of it refused, and nothing pruned.

Knows what crds/ say of a status, and refuses to judge by any other word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
INT_OR_STRING = "x-kubernetes-int-or-string"
KNOWN = {"type", "items", "format", "properties", "required", "description", "additionalProperties", "maxProperties"}
KNOWN |= {"x-kubernetes-list-type", "x-kubernetes-list-map-keys", INT_OR_STRING}


def faults(value: Any, schema: Schema, path: str = "status") -> Iterator[str]:
    """What an API server would say; nothing where all is well."""
    if unknown := schema.keys() - KNOWN - ({"default"} if path == "status" else set()):
        raise ValueError(
            f"{path}: this check does not know {', '.join(sorted(unknown))}; teach it in tests/fakes/schema.py"
        )
    types = ("integer", "string") if schema.get(INT_OR_STRING) else (schema["type"],)
    if type(value) not in [TYPES[one] for one in types]:  # not isinstance: True is no integer
        yield f"{path}: {value!r} is no {' or '.join(types)}"
        return
    match value:
        case dict():
            yield from _of_object(value, schema, path)
        case list():
            yield from _of_list(value, schema, path)
        case str() if schema.get("format") == "date-time" and not DATE_TIME.fullmatch(value):
            yield f"{path}: {value!r} is no moment"


def _of_object(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    fields = schema.get("properties") or dict.fromkeys(value, schema.get("additionalProperties"))
    fields = {name: field for name, field in fields.items() if field is not None}
    yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
    yield from (f"{path}.{name} is not in the schema" for name in value if name not in fields)
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{path} has too many properties"
    for name in value.keys() & fields.keys():
        yield from faults(value[name], fields[name], f"{path}.{name}")


def _of_list(value: list[Any], schema: Schema, path: str) -> Iterator[str]:
    for number, item in enumerate(value):
        yield from faults(item, schema["items"], f"{path}[{number}]")
    keys = schema.get("x-kubernetes-list-map-keys", ())
    found = Counter(tuple(item.get(key) for key in keys) for item in value if keys)
    yield from (f"{path}: {key} is there {count} times" for key, count in found.items() if count > 1)
