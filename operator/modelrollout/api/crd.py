"""The CustomResourceDefinition, made from the models. ``python -m modelrollout.api.crd`` prints it. Pure but for that.

pydantic's own generator does the work; what differs in Kubernetes' structural schemas is put right here. (Checked:
kube-custom-resource 0.7 leaves out defaults, makes optional fields nullable, loses a field's description where its type
has one, and knows neither list types nor CEL rules.)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from modelrollout.api.base import GROUP, KIND, PLURAL, VERSION
from modelrollout.api.rules import with_rules
from modelrollout.api.spec import ROLLOUT_NAME, ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus

Schema = dict[str, Any]

HEADER = "# Made from operator/modelrollout/api by `make crds`; edit there.\n"
_NAMES = {
    "kind": KIND,
    "listKind": f"{KIND}List",
    "plural": PLURAL,
    "singular": KIND.lower(),
    "shortNames": ["mro"],
    "categories": ["all"],
}
_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Stage", "string", ".status.stage.name", 0),
    ("Weight", "integer", ".status.stage.weight", 0),
    ("Stable", "string", ".status.stable.model.version", 0),
    ("Candidate", "string", ".status.candidate.model.version", 0),
    ("Message", "string", ".status.message", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
_FIRST = ("type", "description", "default")
_NEVER_IN_STRUCTURAL = frozenset({"title", "additionalProperties"})
# Only the operator writes the status. To check it could do one thing: stop an operator that is newer than its CRD.
# And a default there would be a difference between what was written and what is read back.
_NOT_FOR_STATUS = frozenset({"default", "enum", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength"})


def custom_resource_definition() -> Schema:
    """The whole object, as ``kubectl apply`` takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": _NAMES,
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def as_yaml() -> str:
    """What `crds/` holds."""
    plain = json.loads(json.dumps(custom_resource_definition()))  # nothing shared, or YAML would write anchors
    return HEADER + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def structural(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> Schema:
    """The structural schema of a model, whole: nothing refers to anything."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    whole: Schema = _cleaned(schema, definitions, _NEVER_IN_STRUCTURAL | without)
    return whole


def _root() -> Schema:
    root = {
        "type": "object",
        "description": "Takes a new version of a model to its users step by step, and takes it back when it is worse.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(ModelRolloutSpec),
            "status": structural(ModelRolloutStatus, without=_NOT_FOR_STATUS),
        },
    }
    rule = with_rules({}, ROLLOUT_NAME)["x-kubernetes-validations"][0]
    return {**root, "x-kubernetes-validations": [{**rule, "rule": rule["rule"].replace("self", "self.metadata.name")}]}


def _column(name: str, kind: str, path: str, priority: int) -> Schema:
    column = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _cleaned(schema: Any, definitions: Mapping[str, Schema], unwanted: frozenset[str]) -> Any:
    """The schema with its references filled in and the unwanted keywords gone, all the way down."""
    if "$ref" in schema:
        # What is said beside a reference is about this very field, so it wins.
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    first = {key: schema[key] for key in _FIRST if key in schema}
    kept = {key: value for key, value in {**first, **schema}.items() if key not in unwanted}
    if not kept.get("properties", True):
        del kept["properties"]  # as the API server does: a definition that it stores otherwise would be drift, too
    elif "properties" in kept:
        fields = kept["properties"].items()
        kept["properties"] = {name: _cleaned(field, definitions, unwanted) for name, field in fields}
    if "items" in kept:
        # A default inside a list makes GitOps tools report drift for ever: for a custom resource they compare lists
        # whole, so what the API server filled in is a difference from what Git says. The operator fills it in.
        kept["items"] = _cleaned(kept["items"], definitions, unwanted | {"default"})
    if description := _description(schema, told="enum" not in kept):
        kept["description"] = description
    return kept


def _description(schema: Schema, *, told: bool) -> str:
    """For people, on one line, with the default, which `kubectl explain` does not show.

    `told`: with the values that may stand there, where the schema does not list them.
    """
    parts = [" ".join(schema.get("description", "").replace("``", "").split())]
    if told and "enum" in schema:
        parts.append(f"One of {', '.join(schema['enum'])}.")
    if isinstance(schema.get("default"), str):
        parts.append(f"Default: {schema['default']}.")
    return " ".join(part for part in parts if part)


class _Generator(GenerateJsonSchema):
    """Optional means that a field may be absent, never that it may be null. A list that is left out is no news."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") in (None, ()):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return _without_null(super().encode_default(dft))

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        values: list[CoreSchema] = list(schema["expected"])
        return {"type": "string", "enum": values}  # also where there is only one, which JSON Schema calls `const`


def _without_null(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_null(item) for key, item in value.items() if item is not None}
        case list():
            return [_without_null(item) for item in value]
        case _:
            return value


if __name__ == "__main__":
    sys.stdout.write(as_yaml())
