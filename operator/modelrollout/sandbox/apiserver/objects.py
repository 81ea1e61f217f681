"""The life of an object's metadata: identity, generation, deletion. Pure; what is stored where is `writes.py`."""

from __future__ import annotations

import random
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.sandbox.apiserver.errors import FieldError
from modelrollout.sandbox.apiserver.resources import Resource
from modelrollout.sandbox.apiserver.store import Object

# Kubernetes leaves out vowels and look-alikes, so that no word appears by chance.
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_FROM_CLIENT = ("name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "finalizers")
_FROM_SERVER = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def now(later: int = 0) -> str:
    """The time, or so many seconds later, as Kubernetes stamps it: in whole seconds."""
    return (datetime.now(UTC) + timedelta(seconds=later)).strftime("%Y-%m-%dT%H:%M:%SZ")


def generated_name(prefix: str) -> str:
    return prefix[:58] + "".join(random.choices(_SUFFIX, k=5))  # noqa: S311 -- a name, not a secret


def new_metadata(submitted: dict[str, Any]) -> dict[str, Any]:
    """Metadata of an object that is being created."""
    metadata = _given(submitted)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generated_name(metadata["generateName"])
    return metadata | {"uid": str(uuid.uuid4()), "creationTimestamp": now()}


def kept_metadata(submitted: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Metadata of an object that is being updated: what is the client's from the client, the rest as it was."""
    return _given(submitted) | {key: old[key] for key in _FROM_SERVER if key in old}


def _given(submitted: dict[str, Any]) -> dict[str, Any]:
    return {key: submitted[key] for key in _FROM_CLIENT if submitted.get(key)}


def with_generation(resource: Resource, new: Object, old: Object | None) -> Object:
    """Count the generation up when what the user wishes has changed: everything beside metadata and status."""
    if not resource.rules.counts_generations:
        return new
    if old is None:
        return {**new, "metadata": {**new["metadata"], "generation": 1}}
    if _wish(resource, new) == _wish(resource, old):
        return new
    generation = old["metadata"].get("generation", 0) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def _wish(resource: Resource, item: Object) -> Object:
    aside = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.rules.keeps_status_apart else set())
    return {key: value for key, value in item.items() if key not in aside}


def metadata_errors(new: Object, old: Object | None) -> list[FieldError]:
    """What Kubernetes refuses in any object's metadata."""
    metadata = new["metadata"]
    errors = [*_label_errors(metadata), *_owner_errors(metadata)]
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = set(metadata.get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {_go(added)}"
            errors.append(FieldError("metadata.finalizers", "Forbidden", why))
    return errors


def _go(names: set[str]) -> str:
    return "[]string{" + ", ".join(f'"{name}"' for name in sorted(names)) + "}"


_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_WORD = set(string.ascii_letters + string.digits)
_INNER = _WORD | set("-_.")


def _label_errors(metadata: dict[str, Any]) -> list[FieldError]:
    errors = []
    for value in (metadata.get("labels") or {}).values():
        if len(value) > 63:
            errors.append(FieldError("metadata.labels", "Invalid value", f'"{value}": must be no more than 63 bytes'))
        elif value and not (value[0] in _WORD and value[-1] in _WORD and set(value) <= _INNER):
            errors.append(FieldError("metadata.labels", "Invalid value", f'"{value}": {_LABEL_RULE}'))
    return errors


def _owner_errors(metadata: dict[str, Any]) -> list[FieldError]:
    errors = []
    for index, owner in enumerate(metadata.get("ownerReferences") or []):
        for key, words in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(key):
                where = f"metadata.ownerReferences[{index}].{key}"
                errors.append(FieldError(where, "Invalid value", f'"": {words}'))
    if sum(bool(owner.get("controller")) for owner in metadata.get("ownerReferences") or []) > 1:
        why = "Only one reference can have Controller set to true."
        errors.append(FieldError("metadata.ownerReferences", "Invalid value", why))
    return errors
