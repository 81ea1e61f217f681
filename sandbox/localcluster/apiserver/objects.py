"""The life of an object's metadata: identity, generation, deletion. Pure; what is stored where is `writes.py`."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from localcluster.apiserver.resources import Resource
from localcluster.apiserver.store import Object
from localcluster.apiserver.values import equal

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
    if equal(_wish(resource, new), _wish(resource, old)):
        return new
    generation = old["metadata"].get("generation", 0) + 1
    return {**new, "metadata": {**new["metadata"], "generation": generation}}


def _wish(resource: Resource, item: Object) -> Object:
    aside = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.rules.keeps_status_apart else set())
    wish = {key: value for key, value in item.items() if key not in aside}
    return wish | ({"annotations": item["metadata"].get("annotations")} if resource.rules.annotations_count else {})
