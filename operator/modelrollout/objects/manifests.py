"""Kubernetes objects as plain dictionaries: names, labels, comparison, and the writes a plan may ask for. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelrollout.api.base import API_VERSION, GROUP, KIND
from modelrollout.objects.quantities import amount
from modelrollout.objects.resources import KNOWN, Resource

Manifest = dict[str, Any]

ROLLOUT_LABEL = f"{GROUP}/rollout"
REVISION_LABEL = f"{GROUP}/revision"
COMPARER_LABEL = f"{GROUP}/comparer"
"""Label of the pods that compare answers for a rollout. They are none of its models', so they have no other of ours."""
COMPARER_PORT = 9090
"""The port on which such a pod shows its metrics and the disagreements that it keeps."""
APPLIED = f"{GROUP}/applied"
"""Annotation with the digest of what was applied last: tells that a field was taken out of a template."""
MODEL = f"{GROUP}/model"
"""Annotation on a workload: the model it serves, for a rollout that lost its status."""
REJECTED = f"{GROUP}/rejected"
"""Annotation on the route: revision and reason of a candidate that was taken back. It is written together with the
weights, so a verdict outlives a crash between taking traffic back and saving the status."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one object. The namespace of a cluster's own objects is the empty string."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} '{self.namespace}/{self.name}'"


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of a whole object that is ours, under one manager for each responsibility.

    `seen` is the resourceVersion that the write was decided on: it fails when anybody wrote since. Empty: the object
    did not exist. None: the write is unconditional. `needs`: see `Write`.
    """

    manifest: Manifest
    manager: str
    seen: str | None = None
    needs: frozenset[Ref] = frozenset()

    @property
    def ref(self) -> Ref:
        return ref_of(self.manifest)


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge patch of single fields of an object whose other fields stay as they are, such as its size."""

    ref: Ref
    patch: Manifest
    seen: str | None = None
    needs: frozenset[Ref] = frozenset()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this very object (its uid), not a later one of the same name."""

    ref: Ref
    uid: str
    seen: str | None = None
    needs: frozenset[Ref] = frozenset()


Write = Apply | Patch | Delete
"""`needs` names the objects whose own write comes first: while it fails this one waits, and no other does."""


def outcome(write: Apply | Patch, found: object) -> Manifest:
    """The object as the write leaves it, but for what the API server fills in; `found`: as it was, if it was."""
    return write.manifest if isinstance(write, Apply) else merged(found if isinstance(found, dict) else {}, write.patch)


def merged(base: Manifest, patch: Manifest) -> Manifest:
    """JSON merge patch (RFC 7386): None removes a field, lists are replaced whole."""
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result[key] if isinstance(result.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


def ref_of(manifest: Manifest) -> Ref:
    metadata = manifest["metadata"]
    resource = KNOWN[manifest["apiVersion"], manifest["kind"]]
    return Ref(resource, metadata.get("namespace", ""), metadata["name"])


def revision_of(manifest: Manifest) -> str:
    """The revision that an object of ours belongs to; empty when it belongs to none."""
    return str((manifest["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def annotation(manifest: Manifest | None, name: str) -> str | None:
    value = ((manifest or {}).get("metadata", {}).get("annotations") or {}).get(name)
    return None if value is None else str(value)


def digest(value: Any) -> str:
    """Ten hexadecimal characters that stand for a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class Owner:
    """The rollout that objects belong to. Kubernetes' garbage collector removes them with it.

    `lent`: names of routes of the user's that it may change a rule of. They never belong to it.
    """

    namespace: str
    name: str
    uid: str
    lent: tuple[str, ...] = ()

    def owns(self, manifest: Manifest) -> bool:
        owners = manifest["metadata"].get("ownerReferences") or []
        return any(owner.get("uid") == self.uid for owner in owners)

    def may_own(self, manifest: Manifest) -> bool:
        """Whether an object is ours, or was made for a rollout of this name and has no owner any more."""
        metadata = manifest["metadata"]
        if any(owner.get("controller") for owner in metadata.get("ownerReferences") or []):
            return self.owns(manifest)
        return (metadata.get("labels") or {}).get(ROLLOUT_LABEL) == self.name

    def object(
        self,
        resource: Resource,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        spec: Mapping[str, Any],
    ) -> Manifest:
        """A whole object owned by the rollout, sealed with the digest of its content."""
        manifest: Manifest = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "namespace": self.namespace,
                "name": name,
                "labels": {**(labels or {}), ROLLOUT_LABEL: self.name},
                "annotations": dict(annotations or {}),
                "ownerReferences": [
                    {
                        "apiVersion": API_VERSION,
                        "kind": KIND,
                        "name": self.name,
                        "uid": self.uid,
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": dict(spec),
        }
        return seal(manifest)


def seal(manifest: Manifest) -> Manifest:
    """The same object, annotated with the digest of its content."""
    metadata = manifest["metadata"]
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != APPLIED}
    bare = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    return {**bare, "metadata": {**metadata, "annotations": {**annotations, APPLIED: digest(bare)}}}


def is_applied(desired: Any, observed: Any) -> bool:
    """Whether all desired fields are there. Fields that the API server added (defaults, status) do not count."""
    if desired == observed:  # which most parts are; Python compares them in no time
        return True
    match desired, observed:
        case dict(), dict():
            return all(is_applied(value, observed.get(key)) for key, value in desired.items())
        case list(), list():
            return len(desired) == len(observed) and all(map(is_applied, desired, observed))
        case ((dict() | list() | "" | None), None):
            return not desired  # the API server drops what is empty
        case _:
            return _is_same_amount(desired, observed)


def _is_same_amount(desired: Any, observed: Any) -> bool:
    """The API server rewrites quantities: ``1000m`` comes back as ``1``."""
    return (number := amount(desired)) is not None and number == amount(observed)
