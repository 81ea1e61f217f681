"""Who owns which field: `metadata.managedFields` after an update, and server-side apply with its conflicts. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from localcluster.apiserver import fieldsets, typed
from localcluster.apiserver.errors import StatusError
from localcluster.apiserver.fieldsets import FieldSet
from localcluster.apiserver.resources import Resource
from localcluster.apiserver.store import Object

MAX_UPDATERS = 10
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Fields of the server; nobody owns them.
_SERVERS = frozenset(
    {("f:apiVersion",), ("f:kind",), ("f:metadata",)}
    | {
        ("f:metadata", fieldsets.field(name))
        for name in ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "resourceVersion")
    }
)


# The structs of built-in kinds that are never absent, so nobody can have made them.
_ALWAYS_THERE = frozenset(
    fieldsets.field(name)
    for name in (
        "spec",
        "status",
        "strategy",
        "template",
        "metadata",
        "updateStrategy",
        "names",
        "scaleTargetRef",
        "podSelector",
        "containers",
    )
)


@dataclass(frozen=True, slots=True)
class Manager:
    """Who wrote, how and where."""

    name: str
    operation: str  # Apply | Update
    api_version: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """An applier is the same one at every version; two versions' updaters are two."""
        return (self.name, self.operation, "" if self.operation == "Apply" else self.api_version, self.subresource)

    def __str__(self) -> str:
        said = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return f"{said} using {self.api_version}" if self.operation == "Update" else said


@dataclass(frozen=True, slots=True)
class Claim:
    """What a manager owns, and since when."""

    manager: Manager
    fields: FieldSet
    time: str


def claims_of(item: Object) -> list[Claim]:
    """The claims that an object's managedFields hold."""
    return [_claim(entry) for entry in item["metadata"].get("managedFields") or ()]


def _claim(entry: dict[str, Any]) -> Claim:
    manager = Manager(
        entry.get("manager", ""), entry.get("operation", ""), entry.get("apiVersion", ""), entry.get("subresource", "")
    )
    return Claim(manager, fieldsets.from_fields_v1(entry.get("fieldsV1") or {}), entry.get("time", ""))


def submitted_claims(submitted: Object, old: Object, subresource: str) -> list[Claim]:
    """The claims that an update starts from: the client's, if it sent some; none, if it sent an empty list."""
    given = (submitted.get("metadata") or {}).get("managedFields")
    if subresource or given is None:
        return claims_of(old)
    return claims_of(submitted) if given not in ([], [{}]) else []


def entries(claims: Iterable[Claim]) -> list[dict[str, Any]]:
    """The claims as managedFields, in Kubernetes' order."""
    ordered = sorted(claims, key=lambda each: (each.manager.operation, each.time, *each.manager.identity))
    return [_entry(each) for each in ordered]


def _entry(claim: Claim) -> dict[str, Any]:
    manager = claim.manager
    entry: dict[str, Any] = {
        "apiVersion": manager.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fieldsets.to_fields_v1(claim.fields),
        "manager": manager.name,
        "operation": manager.operation,
        "time": claim.time,
    }
    return entry | ({"subresource": manager.subresource} if manager.subresource else {})


def after_update(
    resource: Resource, old: Object | None, new: Object, manager: Manager, now: str, base: list[Claim]
) -> list[Claim]:
    """Claims after a create, an update or a patch: who changes a field owns it, and takes it from the others.

    `base` are the claims before it: the object's, or those that the client itself wrote.
    """
    change = typed.compare(_content(old) if old else {}, _content(new), resource.schema)
    written, removed = _ours(resource, manager, change.written), _ours(resource, manager, change.removed)
    if manager.subresource == "scale" and not any(claim.fields & written for claim in base):
        return base  # of a number that was nobody's, no owner is kept
    claims = []
    mine = Claim(manager, fieldsets.EMPTY, now)
    for claim in base:
        if claim.manager.identity == manager.identity:
            mine = replace(mine, fields=claim.fields, time=claim.time)
        else:
            claims.append(replace(claim, fields=claim.fields - written - removed))
    fields = (mine.fields - removed) | written
    claims.append(replace(mine, fields=fields, time=now if written - _SERVERS else mine.time))
    return _capped([each for each in claims if each.fields], manager)


def _capped(claims: list[Claim], newest: Manager) -> list[Claim]:
    """So that the list cannot grow for ever, the oldest updaters are kept as one."""
    updaters = sorted((each for each in claims if each.manager.operation == "Update"), key=lambda each: each.time)
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return claims
    old = updaters[: excess + 1]
    joined = frozenset[fieldsets.Path]().union(*(each.fields for each in old))
    ancient = Claim(Manager("ancient-changes", "Update", newest.api_version), joined, old[-1].time)
    return [each for each in claims if each not in old] + [ancient]


def _ours(resource: Resource, manager: Manager, fields: FieldSet) -> FieldSet:
    """The fields that this endpoint writes at all."""
    fields = fields - _SERVERS
    if not resource.custom:
        fields = frozenset(path for path in fields if not _ALWAYS_THERE.issuperset(path))
    if manager.subresource == "status":
        return frozenset(path for path in fields if path[0] == "f:status")
    if resource.rules.keeps_status_apart:
        return frozenset(path for path in fields if path[0] != "f:status")
    return fields


def _content(item: Object) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "metadata": metadata}


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of server-side apply: the merged object, and who owns which field in it."""

    item: Object
    claims: list[Claim]


def apply(
    resource: Resource, live: Object | None, config: Object, manager: Manager, *, force: bool, now: str
) -> Applied:
    """Merge a configuration into the live object. Raises a 409 that names every field another manager holds."""
    _refuse_untypable(resource, config)
    before = _content(live) if live else {}
    claims = claims_of(live) if live else []
    if live and not claims:
        unnamed = replace(manager, name="before-first-apply", operation="Update")
        claims = after_update(resource, None, live, unnamed, now, [])
    mine = next((each for each in claims if each.manager.identity == manager.identity), None)
    others = [each for each in claims if each is not mine]
    said = typed.field_set(config, resource.schema)
    wanted = _ours(resource, manager, said)
    merged = typed.merge(before, config, resource.schema)
    if mine is not None:
        merged = _without_abandoned(resource, merged, mine.fields, said, others)
    change = typed.compare(before, merged, resource.schema)
    if not force:
        _refuse_conflicts(others, change.written, _last_applied(resource, live, manager))
    taken = change.written | change.removed
    kept = [replace(each, fields=each.fields - taken) for each in others]
    changed = bool(taken - _SERVERS) or mine is None or mine.fields != wanted
    own = Claim(manager, wanted, now if changed or mine is None else mine.time)
    return Applied(_with_last_applied(merged, config, manager), [each for each in (*kept, own) if each.fields])


def _refuse_untypable(resource: Resource, config: Object) -> None:
    """Kubernetes answers 500, without a reason, to a configuration that does not fit the schema."""
    found = list(typed.complaints(config, resource.schema))
    if found:
        said = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {each}" for each in found)
        metadata = config["metadata"]
        what = (
            f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {resource.api_version}, Kind={resource.kind}"
        )
        raise StatusError(500, "", f"failed to create typed patch object ({what}): {said}")


def _without_abandoned(
    resource: Resource, merged: Object, before: FieldSet, said: FieldSet, others: list[Claim]
) -> Object:
    """Drop the fields that this manager applied before, does not apply now, and no other manager owns."""
    schema = resource.schema
    last = typed.with_parents(before, schema)
    claimed = typed.with_parents(said.union(*(each.fields for each in others)), schema)

    def fields(value: Object) -> FieldSet:
        return typed.with_parents(typed.field_set(value, schema), schema)

    everything = fields(merged)
    pruned: Object = typed.remove(merged, last, schema)
    # A parent that goes takes its children along: those of them that somebody claims come back …
    pruned = typed.remove(merged, everything - (fields(pruned) | claimed), schema)
    # … and so do fields without an owner that were never ours.
    kept: Object = typed.remove(merged, (everything - fields(pruned)) & last, schema)
    return kept


def _refuse_conflicts(others: list[Claim], written: FieldSet, allowed: FieldSet) -> None:
    conflicts = [(each.manager, path) for each in others for path in sorted((each.fields & written) - allowed)]
    if not conflicts:
        return
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": fieldsets.readable(path)}
        for manager, path in conflicts
    ]
    raise StatusError(409, "Conflict", _told(conflicts), {"causes": causes})


def _told(conflicts: list[tuple[Manager, fieldsets.Path]]) -> str:
    if len(conflicts) == 1:
        manager, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {manager}: {fieldsets.readable(path)}"
    lines = []
    for said in sorted({str(manager) for manager, _ in conflicts}):
        lines.append(f"conflicts with {said}:")
        lines += [f"- {fieldsets.readable(path)}" for manager, path in conflicts if str(manager) == said]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def _last_applied(resource: Resource, live: Object | None, manager: Manager) -> FieldSet:
    """The fields that only `kubectl apply` wrote: `kubectl apply --server-side` may take them over."""
    annotation = ((live or {}).get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    if live is None or manager.name != "kubectl" or not annotation:
        return fieldsets.EMPTY
    try:
        written = json.loads(annotation)
    except ValueError:
        return fieldsets.EMPTY
    change = typed.compare(written, _content(live), resource.schema)
    return typed.field_set(written, resource.schema) - change.written - change.removed


def _with_last_applied(merged: Object, config: Object, manager: Manager) -> Object:
    """Keep the annotation of `kubectl apply` true, where there is one."""
    annotations = merged["metadata"].get("annotations") or {}
    if manager.name != "kubectl" or LAST_APPLIED not in annotations:
        return merged
    metadata = dict(config["metadata"])
    if "annotations" in metadata:
        metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key != LAST_APPLIED}
    text = json.dumps({**config, "metadata": metadata}, separators=(",", ":")) + "\n"
    return {**merged, "metadata": {**merged["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}
