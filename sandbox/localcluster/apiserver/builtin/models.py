"""Schemas of the built-in kinds, read off the models of the official client. Pure; knows no kind's behaviour.

The client's models carry every field, type and description of the API, so nothing of it is written down twice. What
they lack (how lists merge) is in `lists.py`.
"""

from __future__ import annotations

import datetime
import functools
import re
import types
import typing
from typing import Any

import kubernetes.client.models
from pydantic import BaseModel

from localcluster.apiserver.builtin.defaults import DEFAULTS
from localcluster.apiserver.builtin.lists import LISTS, MAPS, QUANTITIES
from localcluster.apiserver.resources import Schema

QUANTITY = "x-quantity"
MODEL = "x-model"  # names the model a schema came from, so that the published document can refer to it


@functools.cache
def schema_of(model_name: str) -> Schema:
    """The schema of a model, with the schemas it refers to in place (so it may contain itself)."""
    return _of_model(getattr(kubernetes.client.models, model_name))


_made: dict[str, Schema] = {}


def _of_model(model: type[BaseModel]) -> Schema:
    name = model.__name__
    if name in _made:
        return _made[name]
    schema = _made[name] = {"type": "object", MODEL: name}
    if summary := _summary(model):
        schema["description"] = summary
    properties = {(each.serialization_alias or key): each for key, each in model.model_fields.items()}
    fields = schema["properties"] = {}
    for key, each in properties.items():
        fields[key] = _of_field(name, key, each)
        if key in (given := DEFAULTS.get(name, {})):
            fields[key]["default"] = given[key]
    if required := [key for key, each in properties.items() if each.is_required()]:
        schema["required"] = required
    if name in MAPS:
        schema["x-kubernetes-map-type"] = "atomic"
    return schema


def _summary(model: type[BaseModel]) -> str:
    return re.split(r"\n\s*Attributes:", model.__doc__ or "")[0].strip()


def _of_field(model_name: str, key: str, info: Any) -> Schema:
    schema = dict(_of_type(info.annotation))
    if info.description:
        schema["description"] = info.description
    if model_name == "V1JSONSchemaProps" and key in _ALSO_SCHEMAS:
        schema |= {each: value for each, value in _made[model_name].items() if each != "type"}
    if (model_name, key) in QUANTITIES:
        schema = _quantities(schema)
    if schema.get("type") in ("array", "object"):
        schema |= LISTS.get((model_name, key), {})
    return schema


def _quantities(schema: Schema) -> Schema:
    """`cpu: 1` may be written as a number; it is kept as text."""
    quantity = {"x-kubernetes-int-or-string": True, QUANTITY: True}
    return {**schema, "additionalProperties": quantity} if schema.get("type") == "object" else {**schema, **quantity}


def _of_type(annotation: Any) -> Schema:
    origin = typing.get_origin(annotation)
    arguments = [each for each in typing.get_args(annotation) if each is not type(None)]
    if origin is typing.Annotated:
        return _of_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _of_union(arguments)
    if origin in (list, typing.List):  # noqa: UP006 -- the models spell it so
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin in (dict, typing.Dict):  # noqa: UP006
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _of_model(annotation)
    return dict(_SCALARS.get(annotation, {"x-kubernetes-preserve-unknown-fields": True}))


def _of_union(arguments: list[Any]) -> Schema:
    if len(arguments) == 1:
        return _of_type(arguments[0])
    kinds = [_of_type(each) for each in arguments]
    if {each.get("type") for each in kinds} == {"integer", "string"}:
        return {"x-kubernetes-int-or-string": True}
    if {each.get("format") for each in kinds} >= {"byte"}:
        return {"type": "string", "format": "byte"}
    if {each.get("type") for each in kinds} == {"integer", "number"}:
        return {"type": "number", "format": "double"}
    return {"x-kubernetes-preserve-unknown-fields": True}


# The models have these as anything at all; they are schemas, or booleans and lists of schemas.
_ALSO_SCHEMAS = frozenset({"items", "additionalProperties", "additionalItems"})

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    bool: {"type": "boolean"},
    bytes: {"type": "string", "format": "byte"},
    datetime.datetime: {"type": "string", "format": "date-time"},
}
