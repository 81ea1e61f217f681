"""The OpenAPI documents (v3 by group and version, v2 whole) that kubectl validates and explains by."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from localcluster.apiserver.builtin.models import MODEL, QUANTITY
from localcluster.apiserver.cel import RULES
from localcluster.apiserver.resources import Registry, Resource, Schema

V3_REF = "#/components/schemas/"
V2_REF = "#/definitions/"
# kubectl asks for v2 as protobuf alone, when v3 does not know a kind. Without a definition in it, it says so itself.
V2_PROTOBUF_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
V2_PROTOBUF = b"\x0a\x032.0\x12\x0c\x0a\x0aKubernetes"
_PRIVATE = frozenset({MODEL, QUANTITY, RULES})  # for our own use only
_BODIES = ("application/json", "application/yaml")
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")


def v3_index(registry: Registry, edition: str) -> dict[str, Any]:
    """GET /openapi/v3: where the document of each group and version is; `edition` moves when a document does."""
    paths = {}
    for group, versions in registry.groups().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={edition}"}
    return {"paths": paths}


def v3_document(registry: Registry, group: str, version: str) -> dict[str, Any]:
    """GET /openapi/v3/apis/<group>/<version>."""
    served = [each for each in registry.all() if (each.group, each.version) == (group, version)]
    schemas = _published(served, V3_REF)
    paths: dict[str, Any] = {}
    for each in served:
        paths |= _paths(each, lambda name: _content(_BODIES, name))
    info = {"title": "Kubernetes", "version": "built-in"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def v2_document(registry: Registry) -> dict[str, Any]:
    """GET /openapi/v2."""
    paths: dict[str, Any] = {}
    for each in registry.all():
        paths |= _paths(each, lambda name: {"schema": _ref(V2_REF, name)})
    info = {"title": "Kubernetes", "version": "built-in"}
    return {"swagger": "2.0", "info": info, "paths": paths, "definitions": _published(registry.all(), V2_REF)}


def _content(kinds: Sequence[str], name: str) -> dict[str, Any]:
    return {"content": {kind: {"schema": _ref(V3_REF, name)} for kind in kinds}}


def _published(served: list[Resource], prefix: str) -> dict[str, Schema]:
    """The schemas of these kinds and of everything they refer to, by name."""
    publisher = _Publisher(prefix)
    for each in served:
        publisher.root(each)
    return publisher.schemas


class _Publisher:
    """Turns schemas that contain each other into a flat set that refers by name."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.schemas: dict[str, Schema] = {}

    def root(self, resource: Resource) -> None:
        name = component_name(resource)
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        self.schemas[name] = self._body(resource.schema) | {"x-kubernetes-group-version-kind": [kind]}

    def _reference(self, schema: Schema) -> Schema:
        name = _model_component(schema[MODEL])
        if name not in self.schemas:
            self.schemas[name] = {}  # a model may contain itself
            self.schemas[name] = self._body(schema)
        return _ref(self._prefix, name)

    def _body(self, schema: Schema) -> Schema:
        return {key: self._value(key, value) for key, value in schema.items() if key not in _PRIVATE}

    def _value(self, key: str, value: Any) -> Any:
        match key, value:
            case "properties", dict():
                return {name: self._schema(each) for name, each in value.items()}
            case (("items" | "additionalProperties" | "not"), dict()):
                return self._schema(value)
            case (("allOf" | "anyOf" | "oneOf"), list()):
                return [self._schema(each) for each in value]
        return value

    def _schema(self, schema: Schema) -> Schema:
        if schema.get("x-kubernetes-int-or-string") and MODEL not in schema and "type" not in schema:
            kinds = {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}
            return self._body(schema) | kinds
        if MODEL not in schema:
            return self._body(schema)
        reference = self._reference(schema)
        if "description" in schema:
            return {"description": schema["description"], "allOf": [reference]}
        return reference


def component_name(resource: Resource) -> str:
    """Name of a kind's schema: the group's domain turned round, then version and kind."""
    domain = ".".join(reversed(resource.group.split("."))) if resource.custom else "io.k8s.api"
    if not resource.custom:
        domain = f"{domain}.{resource.group.split('.')[0] or 'core'}"
    return f"{domain}.{resource.version}.{resource.kind}"


def _model_component(model: str) -> str:
    found = re.match(r"^((?:Core|Events|Discovery|Rbac)?V\d+(?:(?:alpha|beta)\d+)?)(.*)$", model)
    return f"io.k8s.model.{found[1].lower()}.{found[2]}" if found else f"io.k8s.model.{model}"


def _ref(prefix: str, name: str) -> Schema:
    return {"$ref": f"{prefix}{name}"}


_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_ACTIONS = {
    "get": ("get", ()),
    "put": ("put", _WRITE_PARAMETERS),
    "patch": ("patch", (*_WRITE_PARAMETERS, "force")),
    "delete": ("delete", ("dryRun", "gracePeriodSeconds", "propagationPolicy")),
    "post": ("post", _WRITE_PARAMETERS),
    "list": ("get", ("labelSelector", "fieldSelector", "limit", "continue", "watch")),
}


def _paths(resource: Resource, content: Any) -> dict[str, Any]:
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if resource.namespaced:
        root += "/namespaces/{namespace}"
    collection = f"{root}/{resource.plural}"
    answer = {"responses": {"200": {"description": "OK", **content(component_name(resource))}}}
    found = {
        collection: {_ACTIONS[each][0]: _operation(resource, each) | answer for each in ("list", "post")},
        f"{collection}/{{name}}": {
            _ACTIONS[each][0]: _operation(resource, each) | answer for each in ("get", "put", "patch", "delete")
        },
    }
    for subresource in resource.subresources:
        path = f"{collection}/{{name}}/{subresource}"
        found[path] = {_ACTIONS[each][0]: _operation(resource, each) | answer for each in ("get", "put", "patch")}
    return found


def _operation(resource: Resource, action: str) -> dict[str, Any]:
    _, parameters = _ACTIONS[action]
    # kubectl looks here for the kind of patch that it may send.
    patches = (*_PATCHES, *(() if resource.custom else ("application/strategic-merge-patch+json",)))
    body = {"requestBody": _content(patches, component_name(resource))} if action == "patch" else {}
    return {
        **body,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
        "parameters": [{"name": each, "in": "query", "schema": {"type": "string"}} for each in parameters],
    }


class Documents:
    """Serialised documents, made when first asked for and again after the served kinds have changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._start = secrets.token_hex(4)  # clients keep documents on disk by edition; another server has others
        self._made: dict[str, tuple[str, bytes]] = {}

    @property
    def edition(self) -> str:
        return f"{self._start}-{self._registry.changes}"

    def index(self) -> bytes:
        return json.dumps(v3_index(self._registry, self.edition)).encode()

    def v3(self, group: str, version: str) -> bytes:
        return self._get(f"{group}/{version}", lambda: v3_document(self._registry, group, version))

    def v2(self) -> bytes:
        return self._get("v2", lambda: v2_document(self._registry))

    def _get(self, name: str, make: Callable[[], dict[str, Any]]) -> bytes:
        edition, document = self._made.get(name, ("", b""))
        if edition != self.edition:
            document = json.dumps(make(), separators=(",", ":")).encode()
            self._made[name] = (self.edition, document)
        return document
