"""How an object is deleted: at once, or marked and held by finalizers and a grace period until they let go. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcluster.apiserver import errors, objects
from localcluster.apiserver.resources import Resource
from localcluster.apiserver.store import Object

# Finalizers by which deletion waits for the garbage collector.
_PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class Deletion:
    """DeleteOptions."""

    uid: str | None = None
    resource_version: str | None = None
    propagation: str | None = None  # Background | Foreground | Orphan; None: the kind's default
    grace_seconds: int | None = None
    dry_run: bool = False


def is_over(resource: Resource, item: Object) -> bool:
    """Whether nothing holds a deleted object any more."""
    metadata = item["metadata"]
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or resource.rules.is_held(item)
    return bool(metadata.get("deletionTimestamp")) and not held


def expect(resource: Resource, old: Object, wish: Deletion) -> None:
    """Refuse to delete another object than the one that was meant."""
    metadata = old["metadata"]
    why = None
    if wish.uid and wish.uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {wish.uid}, UID in object meta: {metadata['uid']}"
    elif wish.resource_version and wish.resource_version != metadata["resourceVersion"]:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {wish.resource_version}, "
            f"ResourceVersion in object meta: {metadata['resourceVersion']}"
        )
    if why:
        raise errors.conflict(resource.group, resource.plural, metadata["name"], why)


def marked(resource: Resource, old: Object, wish: Deletion) -> Object:
    """The object as being deleted, with the finalizer that the asked-for propagation needs."""
    metadata = dict(old["metadata"])
    finalizers, grace = _finalizers(resource, metadata, wish), _grace(resource, old, wish)
    marked_before = bool(metadata.get("deletionTimestamp"))
    if not (finalizers or grace or resource.rules.is_held(old) or marked_before):
        return old
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    if not marked_before:
        metadata["deletionTimestamp"] = objects.now(grace)
        if metadata.get("generation"):
            metadata["generation"] += 1
    metadata["deletionGracePeriodSeconds"] = min(grace, metadata.get("deletionGracePeriodSeconds", grace))
    return resource.rules.on_delete({**old, "metadata": metadata})


def _finalizers(resource: Resource, metadata: dict[str, Any], wish: Deletion) -> list[str]:
    finalizers = list(metadata.get("finalizers") or ())
    propagation = wish.propagation or resource.rules.default_propagation
    if propagation is not None:
        finalizers = [each for each in finalizers if each not in _PROPAGATION.values()]
        finalizers += [_PROPAGATION[propagation]] if propagation in _PROPAGATION else []
    if resource.rules.finalizer_on_delete and not metadata.get("deletionTimestamp"):
        finalizers.append(resource.rules.finalizer_on_delete)
    return finalizers


def _grace(resource: Resource, old: Object, wish: Deletion) -> int:
    if resource.rules.grace_seconds is None:
        return 0
    return wish.grace_seconds if wish.grace_seconds is not None else resource.rules.grace_seconds(old)
