"""Carries out the writes of a plan, each idempotent. Decides nothing."""

from __future__ import annotations

from typing import assert_never

from modelrollout.kube import Cluster
from modelrollout.manifests import Apply, Delete, Ref, Scale, Write


class Applier:
    """Applies writes, and remembers which of them changed nothing.

    The API server may keep a field in other words than it was given (and none of ours). Such an object looks unapplied
    for ever; asking once per version of it is enough.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._in_force: dict[Ref, tuple[Apply, str]] = {}

    async def carry_out(self, write: Write) -> bool:
        """Whether anything was asked of the API server. Raises KubeError."""
        match write:
            case Apply():
                return await self._apply(write)
            case Scale(ref=ref, replicas=replicas):
                patch = {"spec": {"replicas": replicas}}
                await self._cluster.patch(ref.resource, ref.namespace, ref.name, patch)
            case Delete(ref=ref, uid=uid):
                self._in_force.pop(ref, None)
                await self._cluster.delete(ref.resource, ref.namespace, ref.name, uid=uid)
            case _:
                assert_never(write)
        return True

    async def _apply(self, write: Apply) -> bool:
        ref = write.ref
        if (known := self._in_force.get(ref)) is not None and known[0] == write:
            present = await self._cluster.read(ref.resource, ref.namespace, ref.name)
            if present is not None and _version(present) == known[1]:
                return False
        self._in_force[ref] = (write, _version(await self._cluster.apply(write.manifest, manager=write.manager)))
        return True


def _version(manifest: dict[str, object]) -> str:
    """What changes with the spec and not with every status: the generation, where the kind has one."""
    metadata = manifest["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError("metadata must be an object")
    return f"{metadata['uid']}/{metadata.get('generation') or metadata['resourceVersion']}"
