"""Schemas as CEL types, for checking rules, and values as CEL sees them, for evaluating rules. Pure."""

from __future__ import annotations

import base64
import functools
import itertools
import re
from typing import Any

from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from localcluster.apiserver import formats
from localcluster.apiserver.resources import Schema

_PACKAGE = "schema"
_RESERVED = frozenset(
    """true false null in as break const continue else for function if import let loop package namespace return
    var void while""".split()  # noqa: SIM905 -- words read better so
)
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "boolean": FieldDescriptorProto.TYPE_BOOL,
    "integer": FieldDescriptorProto.TYPE_INT64,
    "number": FieldDescriptorProto.TYPE_DOUBLE,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}
_SIGNATURES = {"string": "string", "boolean": "bool", "integer": "int", "number": "double", "bytes": "bytes"}
_MESSAGES = {"date-time": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}
_DYNAMIC = "google.protobuf.Value"


@functools.lru_cache(maxsize=4096)
def escaped(name: str) -> str | None:
    """A property's name as rules write it (`__namespace__`, `a__dash__b`); None when rules cannot reach it."""
    if name in _RESERVED:
        return f"__{name}__"
    for plain, written in (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        name = name.replace(plain, written)
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else None


def declare(schema: Schema) -> tuple[DescriptorPool, str]:
    """A pool with the types of a schema, and the CEL name of the schema's own type."""
    builder = _Builder()
    signature = builder.signature(schema)
    pool = DescriptorPool()
    for module in (struct_pb2, duration_pb2, timestamp_pb2):
        known = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(known)
        pool.Add(known)
    pool.Add(builder.file)
    return pool, signature


class _Builder:
    """Collects one message for each object in a schema."""

    def __init__(self) -> None:
        self.file = descriptor_pb2.FileDescriptorProto(name="schema.proto", package=_PACKAGE, syntax="proto3")
        self.file.dependency.extend(
            ["google/protobuf/struct.proto", "google/protobuf/duration.proto", "google/protobuf/timestamp.proto"]
        )
        self._numbers = itertools.count(1)

    def signature(self, schema: Schema) -> str:
        """The type of a value of this schema, as CEL writes types."""
        match kind(schema):
            case "list":
                return f"list<{self.signature(schema.get('items') or {})}>"
            case "map":
                return f"map<string, {self.signature(schema['additionalProperties'])}>"
            case "object":
                return self._message(schema)
            case "dynamic":
                return "dyn"
            case ("date-time" | "duration") as name:
                return {"date-time": "timestamp", "duration": "duration"}[name]
            case scalar:
                return _SIGNATURES[scalar]

    def _message(self, schema: Schema) -> str:
        name = f"Object{next(self._numbers)}"
        message = descriptor_pb2.DescriptorProto(name=name)
        numbers = itertools.count(1)
        for key, each in (schema.get("properties") or {}).items():
            if (written := escaped(key)) is not None:
                self._field(message, written, next(numbers), each)
        self.file.message_type.append(message)
        return f"{_PACKAGE}.{name}"

    def _field(self, message: descriptor_pb2.DescriptorProto, name: str, number: int, schema: Schema) -> None:
        field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
        match kind(schema):
            case "list":
                field.label = FieldDescriptorProto.LABEL_REPEATED
                self._type(field, schema.get("items") or {})
            case "map":
                field.label = FieldDescriptorProto.LABEL_REPEATED
                # Protobuf knows a map by this very name of its entries.
                entry = message.nested_type.add(name=re.sub(r"(?:^|_)(.?)", lambda c: c[1].upper(), name) + "Entry")
                entry.options.map_entry = True
                optional = FieldDescriptorProto.LABEL_OPTIONAL
                entry.field.add(name="key", number=1, type=FieldDescriptorProto.TYPE_STRING, label=optional)
                self._type(entry.field.add(name="value", number=2, label=optional), schema["additionalProperties"])
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
            case _:
                self._type(field, schema)

    def _type(self, field: FieldDescriptorProto, schema: Schema) -> None:
        found = kind(schema)
        if found in _SCALARS:
            field.type = _SCALARS[found]
            return
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        # A list of lists has no message of its own; it is checked when it is evaluated.
        field.type_name = "." + (self._message(schema) if found == "object" else _MESSAGES.get(found, _DYNAMIC))


def kind(schema: Schema) -> str:
    """The CEL type of a schema: object, map, list, dynamic, a scalar, or a time."""
    given = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") or given is None:
        return "dynamic"
    if given == "array":
        return "list"
    if given == "object":
        if schema.get("properties") or schema.get("x-kubernetes-embedded-resource"):
            return "object"
        return "map" if isinstance(schema.get("additionalProperties"), dict) else "dynamic"
    if given == "string":
        named = {"date-time": "date-time", "duration": "duration", "byte": "bytes"}
        return named.get(schema.get("format", ""), "string")
    return str(given)


def view(value: Any, schema: Schema) -> Any:
    """A value as rules see it: escaped names, times as times, numbers of the declared type."""
    if isinstance(value, dict):
        known, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        if not known:
            return {key: view(item, extra if isinstance(extra, dict) else {}) for key, item in value.items()}
        names = {key: escaped(key) for key in value if key in known}
        return {name: view(value[key], known[key]) for key, name in names.items() if name is not None}
    if isinstance(value, list):
        return [view(item, schema.get("items") or {}) for item in value]
    if isinstance(value, str):
        return _text(value, kind(schema))
    return float(value) if isinstance(value, int) and kind(schema) == "number" else value


def _text(value: str, found: str) -> Any:
    match found:
        case "date-time" if moment := formats.date_time(value):
            stamp = timestamp_pb2.Timestamp()
            stamp.FromDatetime(moment)
            return stamp
        case "duration" if (read := formats.duration(value)) is not None:
            length = duration_pb2.Duration()
            length.FromTimedelta(read)
            return length
        case "bytes":
            return base64.b64decode(value)
    return value
