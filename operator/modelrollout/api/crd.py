"""The CustomResourceDefinitions, made from the models. Pure but for its command.

``python -m modelrollout.api.crd crds`` writes them there; with ``--check`` it says whether they are up to date.

pydantic's own generator does the work; what differs in Kubernetes' structural schemas is put right here. (Checked:
kube-custom-resource 0.7 leaves out defaults, makes optional fields nullable, loses a field's description where its type
has one, and knows neither list types nor CEL rules.)
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from modelrollout.api import metric_templates
from modelrollout.api.base import GROUP, KIND, PLURAL, VERSION
from modelrollout.api.metric import Metric
from modelrollout.api.metric_templates import MetricTemplateSpec
from modelrollout.api.rules import RULES, with_rules
from modelrollout.api.spec import ROLLOUT_NAME, ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus

Schema = dict[str, Any]

HEADER = "# Made from operator/modelrollout/api by `make crds`; edit there.\n"
_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Stage", "string", ".status.stage.name", 0),
    ("Weight", "integer", ".status.stage.weight", 0),
    ("Stable", "string", ".status.stable.model.version", 0),
    ("Candidate", "string", ".status.candidate.model.version", 0),
    ("Message", "string", ".status.message", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
CATEGORY = "ml"
"""By which `kubectl get` finds all of our kinds. `all` is for what every user of a cluster looks at."""
_TEMPLATE_COLUMNS = (
    ("Description", "string", ".spec.description", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)
# A rollout that no operator has looked at yet. Without a status kstatus, and so Flux, would take it for done.
_NOT_LOOKED_AT = {"observedGeneration": 0}
_FIRST = ("type", "description", "default")
_NEVER_IN_STRUCTURAL = frozenset({"title"})
# A default inside a list makes GitOps tools report drift for ever: for a custom resource they compare lists whole, so
# what the API server filled in is a difference from what Git says. The operator fills it in.
_NOT_IN_LISTS = frozenset({"default"})
# Only the operator writes the status. To check it could do one thing: stop an operator that is newer than its CRD.
# And a default in it would be a difference between what was written and what is read back.
_NOT_FOR_STATUS = frozenset({"default", "enum", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength"})


def custom_resource_definition() -> Schema:
    """The ModelRollout's, whole, as ``kubectl apply`` takes it."""
    names = {"kind": KIND, "plural": PLURAL, "shortNames": ["mro"], "categories": [CATEGORY]}
    return _definition(names, "Namespaced", {"subresources": {"status": {}}}, _COLUMNS, _root())


def template_definitions() -> tuple[Schema, Schema]:
    """Those of the MetricTemplate and the ClusterMetricTemplate."""
    one = {"kind": metric_templates.KIND, "plural": "metrictemplates", "shortNames": ["mtpl"], "categories": [CATEGORY]}
    all_ = {
        "kind": metric_templates.CLUSTER_KIND,
        "plural": "clustermetrictemplates",
        "shortNames": ["cmtpl"],
        "categories": [CATEGORY],
    }
    return (
        _definition(one, "Namespaced", {}, _TEMPLATE_COLUMNS, _template_root("in the rollouts of its namespace")),
        _definition(all_, "Cluster", {}, _TEMPLATE_COLUMNS, _template_root("in the rollouts of every namespace")),
    )


def definitions() -> tuple[Schema, ...]:
    """All that the operator needs, the ModelRollout's first."""
    return (custom_resource_definition(), *template_definitions())


def file_name(definition: Schema) -> str:
    """What the file in `crds/` is called."""
    return f"{GROUP}_{definition['spec']['names']['plural']}.yaml"


def as_yaml(definition: Schema) -> str:
    """What that file holds."""
    plain = json.loads(json.dumps(definition))  # nothing shared, or YAML would write anchors
    return HEADER + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _definition(
    names: Schema, scope: str, more: Schema, columns: Sequence[tuple[str, str, str, int]], root: Schema
) -> Schema:
    kind = names["kind"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": None, "singular": kind.lower(), **names},
            "scope": scope,
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    **more,
                    "additionalPrinterColumns": [_column(*column) for column in columns],
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def structural(model: type[BaseModel], *, without: frozenset[str] = frozenset()) -> Schema:
    """The structural schema of a model, whole: nothing refers to anything."""
    return _structural(model, _NEVER_IN_STRUCTURAL | without, _NOT_IN_LISTS)


def explained(model: type[BaseModel]) -> Schema:
    """The same for people: with the defaults in lists, too, which the operator fills in."""
    return _structural(model, _NEVER_IN_STRUCTURAL, frozenset())


def _structural(model: type[BaseModel], unwanted: frozenset[str], in_lists: frozenset[str]) -> Schema:
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = schema.pop("$defs", {})
    whole: Schema = _cleaned(schema, definitions, unwanted, in_lists)
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
            "status": {**structural(ModelRolloutStatus, without=_NOT_FOR_STATUS), "default": _NOT_LOOKED_AT},
        },
    }
    rule = with_rules({}, ROLLOUT_NAME)["x-kubernetes-validations"][0]
    return {**root, "x-kubernetes-validations": [{**rule, "rule": rule["rule"].replace("self", "self.metadata.name")}]}


def _template_root(where: str) -> Schema:
    spec = structural(MetricTemplateSpec)
    metrics = spec["properties"]["metrics"]
    metrics["items"] = loosened(structural(Metric))
    return {
        "type": "object",
        "description": f"Metrics with arguments, to be used {where}.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    }


def loosened(schema: Schema) -> Schema:
    """The schema of what still has placeholders in it: the same fields, in which any text may stand.

    Of the rules those are kept that ask only which fields are there. The rest is checked once it is filled in.
    """
    match schema.get("type"):
        case "object":
            rules = [rule for rule in schema.get(RULES, ()) if _asks_for_fields_only(rule["rule"])]
            kept = {key: value for key, value in schema.items() if key not in (RULES, "properties")}
            fields = {name: loosened(field) for name, field in schema.get("properties", {}).items()}
            return kept | ({"properties": fields} if fields else {}) | ({RULES: rules} if rules else {})
        case "array":
            return {**_described(schema), "type": "array", "maxItems": 32, "items": loosened(schema["items"])}
        case "string":
            return {**_described(schema), "type": "string", "maxLength": metric_templates.LONGEST_QUERY}
        case _:
            return {**_described(schema), "x-kubernetes-int-or-string": True}


def _asks_for_fields_only(rule: str) -> bool:
    return "self" not in re.sub(r"has\(self\.\w+\)", "", rule)


def _described(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}


def _column(name: str, kind: str, path: str, priority: int) -> Schema:
    column = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _cleaned(schema: Any, definitions: Mapping[str, Schema], unwanted: frozenset[str], in_lists: frozenset[str]) -> Any:
    """The schema with its references filled in and the unwanted keywords gone, all the way down.

    `in_lists`: what is unwanted besides in the items of lists and the values of maps.
    """
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
        kept["properties"] = {name: _cleaned(field, definitions, unwanted, in_lists) for name, field in fields}
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _cleaned(
            kept["additionalProperties"], definitions, unwanted | in_lists, in_lists
        )
    else:
        kept.pop("additionalProperties", None)
    if "items" in kept:
        kept["items"] = _cleaned(kept["items"], definitions, unwanted | in_lists, in_lists)
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


def main(arguments: Sequence[str]) -> int:
    """Writes the definitions into a folder, or with --check says which of them are not what the models say."""
    folder, check = Path(arguments[-1]), "--check" in arguments
    wanted = {folder / file_name(definition): as_yaml(definition) for definition in definitions()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path} is not what the models say: run `make crds`\n")
        else:
            path.write_text(wanted[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
