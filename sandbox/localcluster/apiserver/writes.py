"""Create, update and delete as Kubernetes does them: what is kept, refused, counted and stored. No HTTP, no patches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver import deletion, errors, objects, ownership, schemas
from localcluster.apiserver.deletion import Deletion
from localcluster.apiserver.errors import FieldError, StatusError
from localcluster.apiserver.metadata_checks import metadata_errors
from localcluster.apiserver.ownership import Claim, Manager
from localcluster.apiserver.resources import Registry, Resource
from localcluster.apiserver.store import Collection, Key, Object, Store
from localcluster.apiserver.values import equal

UNDELETABLE = frozenset(("namespaces", name) for name in ("default", "kube-public", "kube-system"))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a write request."""

    manager: str = "unknown"
    dry_run: bool = False
    field_validation: str = "Warn"  # Ignore | Warn | Strict
    force: bool = False
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a write. `removed`: the object is gone, `item` is its last state."""

    item: Object
    created: bool = False
    removed: bool = False
    warnings: tuple[str, ...] = ()


class Writes:
    """Every change of an object passes through here."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self.after_write: list[Callable[[Resource, Object, bool], None]] = []

    def collection(self, resource: Resource) -> Collection:
        return self._store.collection(*(resource.stored_in or (resource.group, resource.plural)))

    def read(self, resource: Resource, namespace: str, name: str) -> Object:
        """One object as this version of its kind shows it; 404 when there is none."""
        item = self.collection(resource).items.get((namespace, name))
        if item is None:
            raise errors.not_found(resource.group, resource.plural, name)
        return shown(resource, item)

    def create(self, resource: Resource, namespace: str, submitted: Object, options: Options) -> Outcome:
        """Store a new object, as POST does."""
        submitted, warnings = checked(resource, submitted, options)
        return self._create(resource, namespace, submitted, options, None, warnings)

    def _create(
        self,
        resource: Resource,
        namespace: str,
        submitted: Object,
        options: Options,
        claims: list[Claim] | None,
        warnings: tuple[str, ...] = (),
    ) -> Outcome:
        metadata = dict(_placed(namespace, submitted).get("metadata") or {})
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if resource.namespaced:
            self._admit(namespace, resource, metadata)
        metadata = objects.new_metadata(metadata)
        if not metadata.get("name"):
            required = FieldError("metadata.name", "Required value", "name or generateName is required")
            raise errors.invalid(resource.group, resource.kind, "", [required])
        key = (namespace, metadata["name"])
        if key in self.collection(resource).items:
            raise errors.already_exists(resource.group, resource.plural, metadata["name"])
        item = resource.rules.default({**submitted, **_type(resource), "metadata": metadata})
        if claims is None:
            claims = ownership.after_update(resource, None, item, _updater(resource, options), objects.now(), [])
        if resource.rules.keeps_status_apart:
            item = resource.rules.default(_without_status(item))  # whatever is shown has its defaults
        item = _owned(item, claims)
        item = objects.with_generation(resource, resource.rules.on_create(item), None)
        _refuse_if_invalid(resource, item, None)
        stored = self._put(resource, key, item, options)
        return Outcome(stored, created=True, warnings=warnings)

    def update(self, resource: Resource, namespace: str, name: str, submitted: Object, options: Options) -> Outcome:
        """Replace an object (or its status), as PUT does."""
        submitted, warnings = checked(resource, _placed(namespace, submitted), options)
        old = self.collection(resource).items.get((namespace, name))
        if old is None:
            if resource.rules.update_may_create and not options.subresource:
                _expect_no_uid(resource, name, submitted)
                return self.create(resource, namespace, submitted, options)
            raise errors.not_found(resource.group, resource.plural, name)
        if resource.rules.update_needs_version and not (submitted.get("metadata") or {}).get("resourceVersion"):
            why = FieldError("metadata.resourceVersion", "Invalid value", "0: must be specified for an update")
            raise errors.invalid(resource.group, resource.plural, name, [why])
        return self._change(resource, shown(resource, old), submitted, options, None, warnings)

    def patch(
        self, resource: Resource, namespace: str, name: str, change: Callable[[Object], Object], options: Options
    ) -> Outcome:
        """Store what `change` makes of an object."""
        old = self.read(resource, namespace, name)
        patched = _placed(namespace, change(old))
        if (renamed := (patched.get("metadata") or {}).get("name")) != name:
            message = f"the name of the object ({renamed}) does not match the name on the URL ({name})"
            raise errors.bad_request(message)
        submitted, warnings = checked(resource, patched, options)
        return self._change(resource, old, submitted, options, None, warnings)

    def apply(self, resource: Resource, namespace: str, name: str, config: Object, options: Options) -> Outcome:
        """Server-side apply; an object that is not there is made."""
        stored = self.collection(resource).items.get((namespace, name))
        if stored is None and options.subresource:
            raise errors.not_found(resource.group, resource.plural, name)
        live = shown(resource, stored) if stored is not None else None
        config = _applicable(resource, name, config)
        manager = Manager(options.manager, "Apply", resource.api_version, options.subresource)
        applied = ownership.apply(resource, live, config, manager, force=options.force, now=objects.now())
        if live is None:
            return self._create(resource, namespace, _anew(resource, name, applied.item), options, applied.claims)
        return self._change(resource, live, _placed(namespace, applied.item), options, applied.claims)

    def _change(
        self,
        resource: Resource,
        old: Object,
        submitted: Object,
        options: Options,
        claims: list[Claim] | None,
        warnings: tuple[str, ...] = (),
    ) -> Outcome:
        """Store `submitted` in place of `old`, keeping what is not the client's to change."""
        self._expect_version(resource, old, submitted)
        name = old["metadata"]["name"]
        new = _merged(resource, old, resource.rules.default(submitted), options.subresource)
        if claims is None:
            base = ownership.submitted_claims(submitted, old, options.subresource)
            manager = _updater(resource, options)
            claims = ownership.after_update(resource, old, new, manager, objects.now(), base)
        new = _owned(new, claims)
        if not options.subresource:
            new = resource.rules.on_update(new, old)
        new = objects.with_generation(resource, new, old)
        _refuse_if_invalid(resource, new, old)
        key = (old["metadata"].get("namespace", ""), name)
        if deletion.is_over(resource, new):
            if options.dry_run:
                return Outcome(new, removed=True, warnings=warnings)
            return Outcome(self._remove(resource, key, new), warnings=warnings)
        if _same(new, old):
            return Outcome(old, warnings=warnings)
        return Outcome(self._put(resource, key, new, options), warnings=warnings)

    def delete(self, resource: Resource, namespace: str, name: str, wish: Deletion) -> Outcome:
        """Delete an object, or mark it as being deleted while finalizers or a grace period hold it."""
        old = self.read(resource, namespace, name)
        if (resource.qualified, name) in UNDELETABLE:
            raise errors.forbidden(resource.group, resource.plural, name, "this namespace may not be deleted")
        deletion.expect(resource, old, wish)
        new = deletion.marked(resource, old, wish)
        key = (namespace, name)
        if deletion.is_over(resource, new) or not new["metadata"].get("deletionTimestamp"):
            if wish.dry_run:
                return Outcome(old, removed=True)
            return Outcome(self._remove(resource, key, old), removed=True)
        if _same(new, old):
            return Outcome(old)
        return Outcome(self._put(resource, key, new, Options(dry_run=wish.dry_run)))

    def _admit(self, namespace: str, resource: Resource, metadata: dict[str, Any]) -> None:
        home = self._store.collection("", "namespaces").items.get(("", namespace))
        if home is None:
            raise errors.not_found("", "namespaces", namespace)
        if home["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise errors.forbidden(resource.group, resource.plural, metadata.get("name", ""), why, [cause])

    def _expect_version(self, resource: Resource, old: Object, submitted: Object) -> None:
        metadata = submitted.get("metadata") or {}
        wanted = metadata.get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise errors.stale(resource.group, resource.plural, old["metadata"]["name"])
        if (uid := metadata.get("uid")) and uid != old["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
            raise errors.conflict(resource.group, resource.plural, old["metadata"]["name"], why)

    def _put(self, resource: Resource, key: Key, item: Object, options: Options) -> Object:
        if options.dry_run:
            return item
        stored = self._store.put(self.collection(resource), key, resource.to_stored(item))
        for hook in self.after_write:
            hook(resource, stored, False)
        return shown(resource, stored)

    def _remove(self, resource: Resource, key: Key, item: Object) -> Object:
        last = self._store.remove(self.collection(resource), key)
        for hook in self.after_write:
            hook(resource, last, True)
        return shown(resource, {**item, "metadata": {**item["metadata"], **_revision(last)}})


def _expect_no_uid(resource: Resource, name: str, submitted: Object) -> None:
    """A given uid belongs to an object that is gone."""
    if uid := (submitted.get("metadata") or {}).get("uid"):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
        raise errors.conflict(resource.group, resource.plural, name, why)


def _placed(namespace: str, submitted: Object) -> Object:
    """The object in the namespace of the request, or in none; refused where it says that it belongs to another one."""
    metadata = dict(submitted.get("metadata") or {})
    said = metadata.pop("namespace", None)
    if namespace and said not in (None, "", namespace):
        why = "the namespace of the provided object does not match the namespace sent on the request"
        raise errors.bad_request(why)
    return {**submitted, "metadata": metadata | ({"namespace": namespace} if namespace else {})}


def _anew(resource: Resource, name: str, applied: Object) -> Object:
    """The object that apply creates. A given uid belongs to another object; a given version is ignored."""
    metadata = dict(applied["metadata"])
    metadata.pop("resourceVersion", None)
    if uid := metadata.get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(resource.group, resource.plural, name, why)
    return {**applied, "metadata": metadata}


def shown(resource: Resource, stored: Object) -> Object:
    """A stored object as this version of its kind shows it."""
    item = resource.from_stored(stored)
    if item.get("apiVersion") == resource.api_version and item.get("kind") == resource.kind:
        return item
    return {**item, "apiVersion": resource.api_version, "kind": resource.kind}


def _revision(item: Object) -> dict[str, Any]:
    return {"resourceVersion": item["metadata"]["resourceVersion"]}


def checked(resource: Resource, submitted: Object, options: Options) -> tuple[Object, tuple[str, ...]]:
    """Unknown fields: refused, warned of or dropped, as the client asked."""
    unknown = list(schemas.unknown_fields(submitted, resource.schema)) if options.field_validation != "Ignore" else []
    if unknown and options.field_validation == "Strict":
        said = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise StatusError(
            400,
            "BadRequest",
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {said}",
        )
    pruned = schemas.prune(submitted, resource.schema)
    return pruned, tuple(f'unknown field "{path}"' for path in unknown)


def _applicable(resource: Resource, name: str, config: Object) -> Object:
    """An applied configuration, refused where it is not for this object."""
    if not isinstance(config, dict):
        raise errors.bad_request("the object provided is unrecognized (must be an object)")
    metadata = config.get("metadata") or {}
    if metadata.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    if config.get("apiVersion") != resource.api_version:
        raise errors.bad_request(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {config.get('apiVersion')}, expected: {resource.api_version}"
        )
    if metadata.setdefault("name", name) != name:
        message = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise errors.bad_request(message)
    return {**config, "metadata": metadata}


def _type(resource: Resource) -> dict[str, str]:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _updater(resource: Resource, options: Options) -> Manager:
    return Manager(options.manager, "Update", resource.api_version, options.subresource)


def _owned(item: Object, claims: list[Claim]) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    if claims:
        metadata["managedFields"] = ownership.entries(claims)
    return {**item, "metadata": metadata}


def _without_status(item: Object) -> Object:
    return {key: value for key, value in item.items() if key != "status"}


def _merged(resource: Resource, old: Object, submitted: Object, subresource: str) -> Object:
    """The parts of `submitted` that this endpoint may change, the rest from `old`."""
    if subresource == "finalize":
        return {**old, "spec": submitted.get("spec") or {}}
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key != "status"}
        return kept | ({"status": submitted["status"]} if "status" in submitted else {})
    metadata = objects.kept_metadata(submitted.get("metadata") or {}, old["metadata"])
    metadata |= {key: old["metadata"][key] for key in ("name", "namespace") if key in old["metadata"]}
    new = {**submitted, "apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": metadata}
    if not resource.rules.keeps_status_apart:
        return new
    return _without_status(new) | ({"status": old["status"]} if "status" in old else {})


def _refuse_if_invalid(resource: Resource, new: Object, old: Object | None) -> None:
    rules = resource.rules
    found = [
        *metadata_errors(new, old, rules.names, any_finalizer=rules.finalizers_of_any_name),
        *rules.validate(new, old),
    ]
    if found:
        raise errors.invalid(resource.group, resource.kind, new["metadata"]["name"], found)


def _same(new: Object, old: Object) -> bool:
    return equal(_bare(new), _bare(old))


def _bare(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "resourceVersion"}
    return {**item, "metadata": metadata}
