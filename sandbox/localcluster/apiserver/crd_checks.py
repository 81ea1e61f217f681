"""Checks a CustomResourceDefinition: names, versions, structural schema, rules in CEL. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver import cel, schemas, validation
from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.resources import Schema
from localcluster.apiserver.store import Object

_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def definition_errors(crd: Object, old: Object | None) -> list[FieldError]:
    """Everything that is wrong with a definition."""
    spec = crd.get("spec") or {}
    return [*_names(crd, spec), *_versions(spec), *_changes(spec, old), *_schemas(spec)]


def _names(crd: Object, spec: dict[str, Any]) -> Iterator[FieldError]:
    names = spec.get("names") or {}
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if crd["metadata"].get("name") != wanted:
        given = json.dumps(crd["metadata"].get("name", ""))
        yield FieldError("metadata.name", "Invalid value", f'{given}: must be spec.names.plural+"."+spec.group')
    for key in ("plural", "kind"):
        if not names.get(key):
            yield FieldError(f"spec.names.{key}", "Required value")
    if not spec.get("group"):
        yield FieldError("spec.group", "Required value")
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        given = json.dumps(spec.get("scope", ""))
        yield FieldError("spec.scope", "Unsupported value", f'{given}: supported values: "Cluster", "Namespaced"')


def _versions(spec: dict[str, Any]) -> Iterator[FieldError]:
    versions = spec.get("versions") or []
    if sum(bool(each.get("storage")) for each in versions) != 1:
        given = json.dumps([each.get("name") for each in versions])
        yield FieldError(
            "spec.versions", "Invalid value", f"{given}: must have exactly one version marked as storage version"
        )
    names = [each.get("name") for each in versions]
    for index, each in enumerate(versions):
        if names.index(each.get("name")) < index:
            yield FieldError(f"spec.versions[{index}].name", "Invalid value", f'"{each.get("name")}": must be unique')
        if not (each.get("schema") or {}).get("openAPIV3Schema"):
            yield FieldError(f"spec.versions[{index}].schema.openAPIV3Schema", "Required value")


def _changes(spec: dict[str, Any], old: Object | None) -> Iterator[FieldError]:
    if old is None:
        return
    before = old["spec"]
    for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
        now, was = _at(spec, path), _at(before, path)
        if now != was:
            where = ".".join(("spec", *path))
            yield FieldError(where, "Invalid value", f"{json.dumps(now)}: field is immutable")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = (value or {}).get(key)
    return value


def _schema_path(spec: dict[str, Any], index: int) -> str:
    """Kubernetes speaks of one schema for all versions where they all have the same."""
    found = [version.get("schema") for version in spec.get("versions") or []]
    if all(each == found[0] for each in found):
        return "spec.validation.openAPIV3Schema"
    return f"spec.versions[{index}].schema.openAPIV3Schema"


def _schemas(spec: dict[str, Any]) -> Iterator[FieldError]:
    told: set[str] = set()
    for index, version in enumerate(spec.get("versions") or []):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        where = _schema_path(spec, index)
        if not isinstance(schema, dict) or where in told:
            continue
        told.add(where)
        if schema.get("type") != "object":
            given = json.dumps(schema.get("type", ""))
            yield FieldError(f"{where}.type", "Invalid value", f"{given}: must be object at the root")
            continue
        yield from _structure(schema, where)
        yield from _rules(schema, where)


def _structure(schema: Schema, where: str) -> Iterator[FieldError]:
    given = schema.get("type")
    loose = schema.get("x-kubernetes-int-or-string") or schema.get(schemas.PRESERVE)
    if given is None and not loose:
        yield FieldError(f"{where}.type", "Required value", "must not be empty for specified object fields")
    if given is not None and given not in _TYPES:
        said = ", ".join(f'"{each}"' for each in _TYPES)
        yield FieldError(f"{where}.type", "Unsupported value", f'"{given}": supported values: {said}')
    if given == "array" and not isinstance(schema.get("items"), dict):
        yield FieldError(f"{where}.items", "Required value", "must be specified")
    if (pattern := schema.get("pattern")) and not _compiles(pattern):
        yield FieldError(
            f"{where}.pattern", "Invalid value", f"{json.dumps(pattern)}: must be a valid regular expression"
        )
    if schema.get("uniqueItems"):
        yield FieldError(
            f"{where}.uniqueItems",
            "Forbidden",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        )
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), dict):
        yield FieldError(
            f"{where}.additionalProperties", "Forbidden", "additionalProperties and properties are mutual exclusive"
        )
    yield from _list_keys(schema, where)
    yield from _default(schema, where)
    for below, path in _below(schema, where):
        yield from _structure(below, path)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _list_keys(schema: Schema, where: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if kind not in (None, "atomic", "map", "set"):
        detail = f'"{kind}": supported values: "atomic", "map", "set"'
        yield FieldError(f"{where}.x-kubernetes-list-type", "Unsupported value", detail)
    if kind != "map":
        return
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if not keys:
        detail = "must not be empty if x-kubernetes-list-type is map"
        yield FieldError(f"{where}.x-kubernetes-list-map-keys", "Required value", detail)
    items = schema.get("items") or {}
    for index, key in enumerate(keys):
        known = (items.get("properties") or {}).get(key)
        if known is None:
            detail = f'"{key}": entries must all be names of item properties'
            yield FieldError(f"{where}.x-kubernetes-list-map-keys[{index}]", "Invalid value", detail)
        elif key not in items.get("required", ()) and "default" not in known:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            yield FieldError(f"{where}.items.properties[{key}].default", "Required value", detail)


def _default(schema: Schema, where: str) -> Iterator[FieldError]:
    if "default" not in schema:
        return
    value = schema["default"]
    for wrong in schemas.unknown_fields(value, schema):
        detail = f"{validation.shown(value)}: must not have unknown fields: {wrong}"
        yield FieldError(f"{where}.default", "Invalid value", detail)
    yield from validation.validate(schemas.default(value, schema), schema, f"{where}.default")


def _below(schema: Schema, where: str) -> Iterator[tuple[Schema, str]]:
    for key, each in (schema.get("properties") or {}).items():
        if key != "metadata" or not where.endswith("openAPIV3Schema"):
            yield each, f"{where}.properties[{key}]"
    if isinstance(schema.get("items"), dict):
        yield schema["items"], f"{where}.items"
    if isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"], f"{where}.additionalProperties"


def _rules(schema: Schema, where: str, *, root: bool = True) -> Iterator[FieldError]:
    seen = _with_resource_fields(schema) if root or schema.get(schemas.EMBEDDED) else schema
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        yield from _rule(rule, seen, f"{where}.x-kubernetes-validations[{index}]")
    for below, path in _below(schema, where):
        yield from _rules(below, path, root=False)


def _with_resource_fields(schema: Schema) -> Schema:
    """Rules on a whole object may speak of its type and its name."""
    text = {"type": "string"}
    metadata = {"type": "object", "properties": {"name": text, "generateName": text}}
    known = {"apiVersion": text, "kind": text, "metadata": metadata}
    return {**schema, "properties": {**known, **(schema.get("properties") or {}), "metadata": metadata}}


def _rule(rule: dict[str, Any], schema: Schema, where: str) -> Iterator[FieldError]:
    text = (rule.get("rule") or "").strip()
    if not text:
        yield FieldError(f"{where}.rule", "Required value", "rule is not specified")
        return
    told = _told(rule)
    optional = bool(rule.get("optionalOldSelf"))
    if wrong := cel.complaint(text, schema, "bool", optional):
        said = f"cel expression {wrong}" if wrong.startswith("must") else wrong
        yield FieldError(f"{where}.rule", "Invalid value", f"{told}: {said}")
    expression = rule.get("messageExpression")
    if expression and (wrong := cel.complaint(expression, schema, "string", optional)):
        yield FieldError(f"{where}.messageExpression", "Invalid value", f"{told}: messageExpression {wrong}")
    yield from _refusal_parts(rule, schema, where)


def _refusal_parts(rule: dict[str, Any], schema: Schema, where: str) -> Iterator[FieldError]:
    if "\n" in (rule.get("message") or "").strip():
        detail = f"{json.dumps(rule['message'])}: must not contain line breaks"
        yield FieldError(f"{where}.message", "Invalid value", detail)
    if rule.get("reason") and rule["reason"] not in cel.KINDS:
        said = ", ".join(f'"{each}"' for each in sorted(cel.KINDS))
        detail = f"{json.dumps(rule['reason'])}: supported values: {said}"
        yield FieldError(f"{where}.reason", "Unsupported value", detail)
    if rule.get("fieldPath") and not _leads_somewhere(rule["fieldPath"], schema):
        yield FieldError(
            f"{where}.fieldPath", "Invalid value", f"{json.dumps(rule['fieldPath'])}: must be a valid path"
        )


def _told(rule: dict[str, Any]) -> str:
    """The rule as Kubernetes prints it beside a complaint."""
    parts = {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
    text = json.dumps(parts, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^']+)'\]")


def _leads_somewhere(path: str, schema: Schema) -> bool:
    end = 0
    while end < len(path):
        step = _STEP.match(path, end)
        below = schemas.child(schema, step[1] or step[2]) if step else None
        if step is None or below is None:
            return False
        schema, end = below, step.end()
    return True
