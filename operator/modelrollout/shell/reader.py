"""Where a pass reads the objects around a rollout: from the API server here, from memory in mirrors.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from modelrollout.api.findings import Finding
from modelrollout.kube import Cluster, KubeError, Refused, Unreachable
from modelrollout.objects.manifests import ROLLOUT_LABEL, Manifest, Ref, ref_of
from modelrollout.objects.reads import NOT_ANSWERED, NOT_INSTALLED, UNREADABLE, Objects, Reads, whole
from modelrollout.objects.resources import Resource
from modelrollout.shell.wakeups import RolloutKey


class Reader(Protocol):
    """Reads the objects around a rollout. They may be outdated: writes are conditional on what was read."""

    async def read(self, key: RolloutKey, reads: Reads) -> Objects:
        """The objects as known now. Raises KubeError when a whole kind cannot be read: half a world decides nothing."""

    def at_hand(self, key: RolloutKey, reads: Reads) -> Objects | None:
        """The objects as known now, without asking anybody; None where that is not possible."""

    async def reread(self, key: RolloutKey, reads: Reads) -> Objects:
        """The same from the API server itself."""

    def wrote(self, manifest: Manifest) -> None:
        """Take note of what a write of our own returned."""

    def deleted(self, ref: Ref, uid: str) -> None:
        """Take note of an object that we deleted."""

    def forget(self, key: RolloutKey) -> None:
        """Forget a rollout that is gone."""


class Direct:
    """Asks the API server for everything, all at once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, key: RolloutKey, reads: Reads) -> Objects:
        try:
            async with asyncio.TaskGroup() as reading:
                kinds = [reading.create_task(self._labelled(resource, *key)) for resource in reads.labelled]
                beside = [reading.create_task(self._beside(resource, *key)) for resource in reads.beside]
                names = [reading.create_task(self._named(ref)) for ref in reads.named]
        except ExceptionGroup as troubles:
            if (others := troubles.split(KubeError)[1]) is not None:
                raise others from None
            raise troubles.exceptions[0] from None  # one error stands for all: callers go by its class
        found: dict[Ref, Manifest | Finding] = {ref_of(item): item for kind in kinds for item in kind.result()}
        for kind in beside:
            found |= kind.result()
        named = ((ref, name.result()) for ref, name in zip(reads.named, names, strict=True))
        return found | {ref: item for ref, item in named if item is not None}

    reread = read

    def at_hand(self, key: RolloutKey, reads: Reads) -> Objects | None:
        return None

    def wrote(self, manifest: Manifest) -> None: ...

    def deleted(self, ref: Ref, uid: str) -> None: ...

    def forget(self, key: RolloutKey) -> None: ...

    async def _labelled(self, resource: Resource, namespace: str, rollout: str) -> Sequence[Manifest]:
        try:
            return (await self._cluster.list(resource, namespace, labels={ROLLOUT_LABEL: rollout})).items
        except Refused as refusal:
            if is_unknown_kind(refusal):
                return ()
            raise

    async def _beside(self, resource: Resource, namespace: str, rollout: str) -> Objects:
        try:
            return {ref_of(item): item for item in await self._labelled(resource, namespace, rollout)}
        except (Refused, Unreachable) as trouble:  # nothing that users depend on waits for these
            return not_listed(resource, namespace, trouble)

    async def _named(self, ref: Ref) -> Manifest | Finding | None:
        try:
            return await self._cluster.read(ref.resource, ref.namespace or None, ref.name)
        except Refused as refusal:
            return unreadable(ref, refusal)


def is_unknown_kind(refusal: Refused) -> bool:
    """Whether the cluster lacks the definition: then there are no objects of the kind."""
    return refusal.status == 404


def not_listed(resource: Resource, namespace: str, trouble: Refused | Unreachable) -> Objects:
    """A kind `beside` of which nothing is known. One that the cluster lacks is known to have no objects."""
    if isinstance(trouble, Refused) and is_unknown_kind(trouble):
        return {}
    told = f"{resource.kind}s cannot be listed: {trouble}. Those of spec.workload are neither made nor changed."
    reason = UNREADABLE if isinstance(trouble, Refused) else NOT_ANSWERED  # which may be over in a moment
    return {whole(resource, namespace): Finding(reason, told)}


def unreadable(ref: Ref, refusal: Refused) -> Finding:
    """The refusal as a finding: it must not stop a pass that takes traffic back."""
    reason = NOT_INSTALLED if is_unknown_kind(refusal) else UNREADABLE
    return Finding(reason, f"{ref.resource.kind} '{ref.name}' cannot be read: {refusal}.")
