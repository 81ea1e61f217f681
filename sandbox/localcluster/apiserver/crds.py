"""CustomResourceDefinitions: their names and conditions, and the kinds that they make the server serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcluster.apiserver import cel, objects, schemas, validation
from localcluster.apiserver.builtin.definitions import CLEANUP
from localcluster.apiserver.builtin.models import schema_of
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.errors import CAUSES, FieldError
from localcluster.apiserver.resources import OBJECT_FIELDS, Column, Registry, Resource, Rules, ScalePaths, Schema
from localcluster.apiserver.schemas import EMBEDDED
from localcluster.apiserver.store import Collection, Object, Store
from localcluster.apiserver.tables import AGE, NAME, printer_column
from localcluster.apiserver.typed import MISSING
from localcluster.apiserver.writes import Options, Writes


def kinds_of(crd: Object) -> Iterator[Resource]:
    """The kinds that a definition serves, one for each served version."""
    for version in crd["spec"]["versions"]:
        if version.get("served"):
            yield _kind(crd["spec"], version)


def _kind(spec: dict[str, Any], version: dict[str, Any]) -> Resource:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    given = (version.get("schema") or {}).get("openAPIV3Schema") or {schemas.PRESERVE: True}
    given = completed(given)
    schema = root_schema(given)
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular") or names["kind"].lower(),
        namespaced=spec["scope"] == "Namespaced",
        read_schema=lambda: schema,
        rules=Rules(
            default=lambda item: schemas.default(item, schema),
            validate=lambda new, old: instance_errors(new, old, given),
            finalizers_of_any_name=True,
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
        columns=_columns(version),
        scale=_scale(subresources.get("scale")),
    )


def _columns(version: dict[str, Any]) -> tuple[Column, ...]:
    given = version.get("additionalPrinterColumns")
    return (NAME, *(printer_column(each) for each in given)) if given else (NAME, AGE)


def _scale(given: dict[str, Any] | None) -> ScalePaths | None:
    if given is None:
        return None
    selector = given.get("labelSelectorPath", "")
    return ScalePaths(given["specReplicasPath"], given["statusReplicasPath"], selector)


def root_schema(given: Schema) -> Schema:
    """The schema of a custom kind with what every object has beside it."""
    metadata = schema_of("V1ObjectMeta")
    fields = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    return {**given, "properties": {**(given.get("properties") or {}), **fields}}


def completed(schema: Schema) -> Schema:
    """The schema with the fields that embedded resources have without saying so, and where in it rules are."""
    whole = dict(schema)
    if properties := schema.get("properties"):
        whole["properties"] = {key: completed(each) for key, each in properties.items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            whole[key] = completed(schema[key])
    whole = root_schema(whole) if schema.get(EMBEDDED) else whole
    return {**whole, cel.RULES: cel.rules_in(whole)}


def instance_errors(new: Object, old: Object | None, schema: Schema) -> list[FieldError]:
    """The errors in a custom object; its rules are evaluated only where the schema is kept."""
    before = MISSING if old is None else old
    found = list(validation.validate(new, schema, old=before))
    if not any((error.reason or CAUSES[error.kind]) in cel.BLOCKING for error in found):
        return found + list(cel.validate(new, schema, old=before))
    return found + ([cel.NOT_CHECKED] if schema[cel.RULES] else [])


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
    storage = [each["name"] for each in crd["spec"]["versions"] if each.get("storage")]
    known = (crd.get("status") or {}).get("storedVersions") or []
    stored = [*known, *(each for each in storage if each not in known)]
    return {**crd, "status": {"conditions": merged, "acceptedNames": crd["spec"]["names"], "storedVersions": stored}}


class Definitions:
    """Keeps the served kinds in step with the stored definitions."""

    def __init__(self, store: Store, registry: Registry, writes: Writes) -> None:
        self._store = store
        self._registry = registry
        self._writes = writes

    def follow(self, resource: Resource, item: Object, removed: bool) -> None:
        """Called after each write: serve what a definition says, or see a deleted one off."""
        if resource.custom and removed:
            self._see_off(self._definition_of(resource))
        elif resource.kind != "CustomResourceDefinition":
            return
        elif removed:
            group, plural = _kind_name(item)
            self._registry.replace(group, plural, ())
            self._store.drop(group, plural)
        elif item["metadata"].get("deletionTimestamp"):
            self._see_off(item)
        else:
            self._serve(item)

    def _serve(self, crd: Object) -> None:
        group, plural = _kind_name(crd)
        self._store.collection(group, plural)
        self._registry.replace(group, plural, kinds_of(crd))
        wanted = accepted(crd)
        if wanted != crd:
            self._store.put(self._definitions(), ("", crd["metadata"]["name"]), wanted)

    def _see_off(self, crd: Object | None) -> None:
        """A definition goes when its last object has gone."""
        if crd is None or not crd["metadata"].get("deletionTimestamp"):
            return
        group, plural = _kind_name(crd)
        kind = next(iter(kinds_of(crd)), None)
        instances = self._store.collection(group, plural).items
        if kind is not None:
            for namespace, name in list(instances):
                if (left := instances.get((namespace, name))) and not left["metadata"].get("deletionTimestamp"):
                    self._writes.delete(kind, namespace, name, Deletion())
        if not instances and crd["metadata"]["name"] in {name for _, name in self._definitions().items}:
            rest = [each for each in crd["metadata"].get("finalizers") or () if each != CLEANUP]
            self._release(crd, rest)

    def _release(self, crd: Object, finalizers: list[str]) -> None:
        definition = self._registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        if definition is None or CLEANUP not in (crd["metadata"].get("finalizers") or ()):
            return
        name = crd["metadata"]["name"]
        without = {key: value for key, value in crd["metadata"].items() if key not in ("finalizers", "resourceVersion")}
        wanted = {**crd, "metadata": without | ({"finalizers": finalizers} if finalizers else {})}
        self._writes.update(definition, "", name, wanted, Options(manager="kube-apiserver", field_validation="Ignore"))

    def _definition_of(self, resource: Resource) -> Object | None:
        return self._definitions().items.get(("", resource.qualified))

    def _definitions(self) -> Collection:
        return self._store.collection("apiextensions.k8s.io", "customresourcedefinitions")


def _kind_name(crd: Object) -> tuple[str, str]:
    return crd["spec"]["group"], crd["spec"]["names"]["plural"]
