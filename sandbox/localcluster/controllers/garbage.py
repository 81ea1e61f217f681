"""Garbage collection, which a bare API server leaves to kube-controller-manager: what has lost its owner goes.

An API client like any controller, for the kinds that it is told of. Background, foreground and orphan deletion.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from localcluster.controllers.namespaces import namespaces
from localcluster.processes.background import running
from modelrollout.kube import Cluster, KubeError, Mirror
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    HORIZONTAL_POD_AUTOSCALERS,
    JOBS,
    KNOWN,
    LEASES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

logger = logging.getLogger(__name__)

KINDS = (
    *(DEPLOYMENTS, STATEFUL_SETS, JOBS, SERVICES, ENDPOINT_SLICES, CONFIG_MAPS, SECRETS, LEASES, PODS),
    *(HORIZONTAL_POD_AUTOSCALERS, POD_DISRUPTION_BUDGETS),
)
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
PAUSE = 1.0  # seconds after a round that failed


@asynccontextmanager
async def garbage(cluster: Cluster, kinds: Sequence[Resource] = KINDS) -> AsyncIterator[None]:
    """Collect objects of these kinds, and what is in deleted namespaces, until the block ends. Owners may be of others.

    Raises KubeError when one of the kinds cannot be listed.
    """
    collector = Collector(cluster, kinds)
    await collector.look()
    async with running(*collector.follow(), collector.work()), namespaces(cluster):
        yield


class Collector:
    def __init__(self, cluster: Cluster, kinds: Sequence[Resource]) -> None:
        self._cluster = cluster
        self._mirrors = {resource: Mirror(cluster, resource) for resource in kinds}
        self._known = {**KNOWN, **{(resource.api_version, resource.kind): resource for resource in kinds}}
        self._woken = asyncio.Event()

    async def look(self) -> None:
        await asyncio.gather(*(mirror.fill() for mirror in self._mirrors.values()))
        self._woken.set()

    def follow(self) -> list[Any]:
        return [mirror.follow(lambda _: self._woken.set()) for mirror in self._mirrors.values()]

    async def work(self) -> None:
        """A round over everything whenever something has changed: a local cluster is small."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._collect()
            except KubeError as trouble:
                logger.warning("Collecting garbage failed and will be tried again: %s", trouble)
                await asyncio.sleep(PAUSE)
                self._woken.set()

    async def _collect(self) -> None:
        for resource, item in list(self._objects()):
            finalizers = item["metadata"].get("finalizers") or []
            if "deletionTimestamp" in item["metadata"]:
                if ORPHAN in finalizers:
                    await self._set_free(resource, item)
                elif FOREGROUND in finalizers:
                    await self._after_dependents(resource, item)
            elif _owners(item) and not await self._has_owner(item):
                await self._delete_if_it_is_garbage(resource, item)

    async def _has_owner(self, item: Manifest) -> bool:
        """Whether one of its owners exists and is not waiting for its dependents to go first.

        A mirror that knows an owner is believed: it will hear when the owner goes. Of one that it does not know the API
        server is asked: mirrors lag, and the owner may just have been made.
        """
        namespace = item["metadata"].get("namespace")
        for owner in _owners(item):
            resource = self._known.get((owner["apiVersion"], owner["kind"]))
            if resource is None:
                return True  # of an unknown kind: keep the object rather than lose it
            mirror, name = self._mirrors.get(resource), owner["name"]
            if mirror is not None and _is_kept_by(owner, mirror.get(namespace or "", name)):
                return True
            if _is_kept_by(owner, await self._cluster.read(resource, namespace, name)):
                return True
        return False

    async def _delete_if_it_is_garbage(self, resource: Resource, item: Manifest) -> None:
        """Looks at the object itself before: it may have been set free since the mirror heard of it."""
        namespace, name, uid = item["metadata"].get("namespace"), item["metadata"]["name"], item["metadata"]["uid"]
        present = await self._cluster.read(resource, namespace, name)
        if present is not None and _owners(present) and not await self._has_owner(present):
            await self._cluster.delete(resource, namespace, name, uid=uid)

    async def _after_dependents(self, resource: Resource, item: Manifest) -> None:
        """Foreground deletion: the owner goes once nothing blocks it any more."""
        uid = item["metadata"]["uid"]
        blocking = [
            each
            for _, each in self._objects()
            if any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _owners(each))
        ]
        if not blocking:
            await self._without_finalizer(resource, item, FOREGROUND)

    async def _set_free(self, resource: Resource, item: Manifest) -> None:
        """Orphan deletion: the dependents stay and forget their owner."""
        uid = item["metadata"]["uid"]
        for kind, each in list(self._objects()):
            if any(owner["uid"] == uid for owner in _owners(each)):
                others = [owner for owner in _owners(each) if owner["uid"] != uid]
                metadata = each["metadata"]
                patch = {"metadata": {"uid": metadata["uid"], "ownerReferences": others or None}}
                await self._cluster.patch(kind, metadata.get("namespace"), metadata["name"], patch)
        await self._without_finalizer(resource, item, ORPHAN)

    async def _without_finalizer(self, resource: Resource, item: Manifest, finalizer: str) -> None:
        metadata = item["metadata"]
        kept = [each for each in metadata["finalizers"] if each != finalizer]
        # With the resourceVersion: a list is replaced whole, and somebody else may just have taken theirs out.
        patch = {"metadata": {"finalizers": kept or None, "resourceVersion": metadata["resourceVersion"]}}
        await self._cluster.patch(resource, metadata.get("namespace"), metadata["name"], patch)

    def _objects(self) -> Iterator[tuple[Resource, Manifest]]:
        for resource, mirror in self._mirrors.items():
            for item in list(mirror.items.values()):
                yield resource, item


def _owners(item: Manifest) -> list[dict[str, Any]]:
    return item["metadata"].get("ownerReferences") or []


def _is_kept_by(owner: Manifest, found: Manifest | None) -> bool:
    """Whether what was found under the owner's name is the owner, and keeps its dependents."""
    return found is not None and found["metadata"]["uid"] == owner["uid"] and not _waits(found)


def _waits(owner: Manifest) -> bool:
    """Whether an owner is being deleted in the foreground, its dependents first."""
    metadata = owner["metadata"]
    return "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or [])
