"""Decodes manifests of built-in kinds as typed code does: refuses wrong types, and drops empty fields.

Kubernetes decodes these kinds into structs and writes them out again; fields that say nothing (null, empty) are not
in what it writes. Custom kinds are kept as they are written.
"""

from __future__ import annotations

import re
from typing import Any

from localcluster.apiserver.builtin.models import MODEL, QUANTITY
from localcluster.apiserver.errors import StatusError
from localcluster.apiserver.resources import Resource, Schema
from localcluster.apiserver.schemas import PRESERVE
from localcluster.apiserver.store import Object

_GO = {"string": "string", "integer": "int32", "boolean": "bool", "number": "float64"}
_JSON = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}

# Counts and switches that are not written when they are zero or false.
_ZERO_IS_NOTHING = frozenset(
    {
        *(
            (f"V1{kind}Status", key)
            for kind in ("Deployment", "ReplicaSet", "StatefulSet")
            for key in (
                "observedGeneration",
                "updatedReplicas",
                "readyReplicas",
                "unavailableReplicas",
                "terminatingReplicas",
                "fullyLabeledReplicas",
                "currentReplicas",
            )
        ),
        ("V1DeploymentStatus", "replicas"),
        ("V1DeploymentStatus", "availableReplicas"),
        ("V1ReplicaSetStatus", "availableReplicas"),
        *(
            ("V1DaemonSetStatus", key)
            for key in ("observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable")
        ),
        *(("V1JobStatus", key) for key in ("active", "succeeded", "failed")),
        *((f"V1{kind}Spec", "minReadySeconds") for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")),
        ("V1DeploymentSpec", "paused"),
        *(("V1PodSpec", key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        *(("V1Container", key) for key in ("stdin", "stdinOnce", "tty")),
        ("V1ContainerPort", "hostPort"),
        ("V1VolumeMount", "readOnly"),
        ("V1Probe", "initialDelaySeconds"),
        ("V1PodCondition", "observedGeneration"),
        ("V1Condition", "observedGeneration"),
        ("V1PodStatus", "observedGeneration"),
        ("CoreV1Event", "count"),
        ("V1ServicePort", "nodePort"),
        ("V1ServiceSpec", "publishNotReadyAddresses"),
        ("V1ServiceSpec", "healthCheckNodePort"),
        ("V1NodeSpec", "unschedulable"),
    }
)

# These hold any JSON, of which an empty string is a value like others.
_ANY_JSON = frozenset({("V1JSONSchemaProps", "default"), ("V1JSONSchemaProps", "example")})


def decoded(item: Object, resource: Resource) -> Object:
    """The manifest as typed code would write it out again; 400 where a value has another type than its field."""
    try:
        result: Object = _value(item, resource.schema, "", resource.kind)
    except ValueError as error:
        kind = resource.kind
        message = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {error}'
        raise StatusError(400, "BadRequest", message) from error
    return result


def _value(value: Any, schema: Schema, path: str, owner: str) -> Any:
    if schema.get(QUANTITY):
        return _quantity(value)
    _check(value, schema, f"{owner}.{path}")
    owner = _struct(schema) or owner
    if isinstance(value, dict):
        return _object(value, schema, path, owner)
    if isinstance(value, list):
        return [_value(item, schema.get("items") or {}, path, owner) for item in value]
    return value


def _struct(schema: Schema) -> str:
    return re.sub(r"^([A-Z][a-z]+)?V\d+", "", schema.get(MODEL, ""))


def _quantity(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value


def _object(value: dict[str, Any], schema: Schema, path: str, owner: str) -> dict[str, Any]:
    known, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    kept = {}
    for key, item in value.items():
        below = known.get(key, extra if isinstance(extra, dict) else {})
        written = _value(item, below, f"{path}.{key}" if path else key, owner) if item is not None else None
        if not _says_nothing(written, below, schema, key):
            kept[key] = written
    return kept


def _says_nothing(value: Any, schema: Schema, parent: Schema, key: str) -> bool:
    if value is None:
        return True
    if key in parent.get("required", ()) or "properties" not in parent:
        return False
    if (parent.get(MODEL), key) in _ANY_JSON:
        return False
    if value == 0 and not isinstance(value, str | list | dict):
        return (parent.get(MODEL), key) in _ZERO_IS_NOTHING
    if value == {}:  # of a map; a struct that is there, is there
        return "additionalProperties" in schema and not schema["additionalProperties"].get(PRESERVE)
    return value in ([], "")


def _check(value: Any, schema: Schema, path: str) -> None:
    wanted = schema.get("type")
    if value is None or wanted is None or schema.get("x-kubernetes-int-or-string"):
        return
    fits = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    if not fits[wanted]:
        got = _JSON[type(value)]
        raise ValueError(f"json: cannot unmarshal {got} into Go struct field {path} of type {_go_type(schema)}")


def _go_type(schema: Schema) -> str:
    if MODEL in schema:
        return f"v1.{_struct(schema)}"
    if schema["type"] == "array":
        return f"[]{_go_type(schema.get('items') or {'type': 'string'})}"
    return "map[string]string" if schema["type"] == "object" else _GO[schema["type"]]
