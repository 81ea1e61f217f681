"""CustomResourceDefinitions: their names and conditions, and the kinds that they make the server serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelrollout.sandbox.apiserver import objects, schemas
from modelrollout.sandbox.apiserver.builtin.models import schema_of
from modelrollout.sandbox.apiserver.resources import OBJECT_FIELDS, Registry, Resource, Rules, Schema
from modelrollout.sandbox.apiserver.store import Object, Store


def kinds_of(crd: Object) -> Iterator[Resource]:
    """The kinds that a definition serves, one for each served version."""
    for version in crd["spec"]["versions"]:
        if version.get("served"):
            yield _kind(crd["spec"], version)


def _kind(spec: dict[str, Any], version: dict[str, Any]) -> Resource:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    schema = root_schema((version.get("schema") or {}).get("openAPIV3Schema") or {schemas.PRESERVE: True})
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        schema=schema,
        rules=Rules(
            default=lambda item: schemas.default(item, schema),
            counts_generations=True,
            keeps_status_apart="status" in subresources,
            update_needs_version=True,
        ),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(sorted(subresources)),
        selectable=OBJECT_FIELDS | {each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ()},
        stored_in=(spec["group"], names["plural"]),
        custom=True,
        built_in_patch_keys=False,
    )


def root_schema(given: Schema) -> Schema:
    """The schema of a custom kind with what every object has beside it."""
    metadata = schema_of("V1ObjectMeta")
    fields = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    return {**given, "properties": {**(given.get("properties") or {}), **fields}}


def accepted(crd: Object) -> Object:
    """The status of a definition whose names are free: accepted and established."""
    stamp = objects.now()
    conditions = [
        {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
        {
            "type": "Established",
            "status": "True",
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    old = {each["type"]: each for each in (crd.get("status") or {}).get("conditions") or ()}
    merged = [old.get(each["type"]) or {**each, "lastTransitionTime": stamp} for each in conditions]
    stored = [each["name"] for each in crd["spec"]["versions"] if each.get("storage")]
    return {**crd, "status": {"conditions": merged, "acceptedNames": crd["spec"]["names"], "storedVersions": stored}}


class Definitions:
    """Keeps the served kinds in step with the stored definitions."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    def follow(self, resource: Resource, crd: Object, removed: bool) -> None:
        """Called after each write: serve what the definition says, or stop serving it."""
        if resource.plural != "customresourcedefinitions":
            return
        group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
        if removed:
            self._registry.replace(group, plural, ())
            self._store.drop(group, plural)
        elif (status := accepted(crd)) == crd:
            self._store.collection(group, plural)
            self._registry.replace(group, plural, kinds_of(crd))
        else:
            definitions = self._store.collection("apiextensions.k8s.io", "customresourcedefinitions")
            self.follow(resource, self._store.put(definitions, ("", crd["metadata"]["name"]), status), False)
