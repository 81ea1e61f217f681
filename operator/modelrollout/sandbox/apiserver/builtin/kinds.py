"""The table of built-in kinds: what each is called, where its schema comes from, which rules it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelrollout.sandbox.apiserver.builtin.definitions import DEFINITION_RULES
from modelrollout.sandbox.apiserver.builtin.models import schema_of
from modelrollout.sandbox.apiserver.resources import OBJECT_FIELDS, Resource, Rules

_PLAIN = Rules()
_SPEC_AND_STATUS = Rules(counts_generations=True, keeps_status_apart=True)


@dataclass(frozen=True, slots=True)
class _Kind:
    group: str
    version: str
    kind: str
    plural: str
    model: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    rules: Rules = _PLAIN
    selectable: frozenset[str] = frozenset()
    categories: tuple[str, ...] = ()


_KINDS = (
    _Kind(
        "",
        "v1",
        "Namespace",
        "namespaces",
        "V1Namespace",
        False,
        ("ns",),
        ("status", "finalize"),
        Rules(keeps_status_apart=True),
        frozenset({"status.phase"}),
    ),
    _Kind(
        "",
        "v1",
        "Pod",
        "pods",
        "V1Pod",
        True,
        ("po",),
        ("status",),
        _SPEC_AND_STATUS,
        frozenset({"status.phase", "spec.nodeName", "status.podIP"}),
        ("all",),
    ),
    _Kind(
        "",
        "v1",
        "Service",
        "services",
        "V1Service",
        True,
        ("svc",),
        ("status",),
        Rules(keeps_status_apart=True),
        categories=("all",),
    ),
    _Kind("", "v1", "ConfigMap", "configmaps", "V1ConfigMap", True, ("cm",)),
    _Kind("", "v1", "Secret", "secrets", "V1Secret", selectable=frozenset({"type"})),
    _Kind("", "v1", "Event", "events", "CoreV1Event", True, ("ev",)),
    _Kind("", "v1", "Node", "nodes", "V1Node", False, ("no",), ("status",), Rules(keeps_status_apart=True)),
    _Kind(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        "V1Deployment",
        True,
        ("deploy",),
        ("status", "scale"),
        _SPEC_AND_STATUS,
        categories=("all",),
    ),
    _Kind("coordination.k8s.io", "v1", "Lease", "leases", "V1Lease"),
    _Kind(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "V1CustomResourceDefinition",
        False,
        ("crd", "crds"),
        ("status",),
        DEFINITION_RULES,
    ),
)


def built_in_kinds() -> list[Resource]:
    """Every built-in kind, ready to be served."""
    return [_resource(kind) for kind in _KINDS]


def _resource(kind: _Kind) -> Resource:
    return Resource(
        group=kind.group,
        version=kind.version,
        plural=kind.plural,
        kind=kind.kind,
        singular=kind.kind.lower(),
        namespaced=kind.namespaced,
        schema=schema_of(kind.model),
        rules=kind.rules,
        short_names=kind.short_names,
        categories=kind.categories,
        subresources=kind.subresources,
        selectable=OBJECT_FIELDS | kind.selectable,
    )


def status_success(resource: Resource, item: dict[str, Any]) -> dict[str, Any]:
    """What DELETE answers when the object is gone."""
    details = {"name": item["metadata"]["name"], "kind": resource.plural, "uid": item["metadata"]["uid"]}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
