"""Our finalizer on ModelRollouts: while it is there, we take part in a deletion. kopf puts it on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from modelrollout.kube import Cluster
from modelrollout.kube.errors import NotFound
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.shell.wakeups import RolloutKey

FINALIZER = "modelrollout.dev/finalizer"


def is_guarded(manifest: Mapping[str, Any]) -> bool:
    """Whether we may act for a rollout: it has our finalizer, so that we take part in its deletion, and is not
    being deleted."""
    metadata = manifest["metadata"]
    return FINALIZER in (metadata.get("finalizers") or []) and "deletionTimestamp" not in metadata


async def release(cluster: Cluster, key: RolloutKey) -> None:
    """Takes our finalizer off, in a request that says nothing else: any other field of the object may be at its
    limit, or beyond what the API server takes today. Raises KubeError."""
    manifest = await cluster.read(MODEL_ROLLOUTS, *key)
    finalizers = (manifest or {}).get("metadata", {}).get("finalizers") or []
    if manifest is None or FINALIZER not in finalizers:
        return
    left = [one for one in finalizers if one != FINALIZER]
    expected = {"finalizers": left or None, "resourceVersion": manifest["metadata"]["resourceVersion"]}
    with contextlib.suppress(NotFound):
        await cluster.patch(MODEL_ROLLOUTS, *key, {"metadata": expected})
