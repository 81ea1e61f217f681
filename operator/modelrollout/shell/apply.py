"""Carries out the writes of a plan. Each is idempotent and conditional on what was read. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from modelrollout.kube import Cluster, Conflict, Failed, Refused, Unreachable
from modelrollout.kube.cluster import NO_VERSION
from modelrollout.objects.manifests import APPLIED, Apply, Delete, Manifest, Patch, Ref, Write, annotation, digest
from modelrollout.objects.reads import Objects, Reads, conditional
from modelrollout.shell.reader import Reader
from modelrollout.shell.refusals import Refusal, Written


class Applier:
    """Applies writes, and remembers which of them changed nothing.

    The API server may store a field in other words than ours. Such an object never looks applied; asking once per
    version of it is enough.
    """

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster, self._reader = cluster, reader
        self._in_force: dict[Ref, tuple[str, str]] = {}  # what was applied, and the version it is in force in

    async def carry_out_all(self, writes: Iterable[Write], reads: Reads, objects: Objects) -> Written:
        """Carries out writes on condition that their objects are as they were read.

        One that fails, for whatever reason, holds up those that need its object and no other.
        """
        has_moved, refused, waiting = False, dict[Ref, Refusal](), set[Ref]()
        conflict: Conflict | None = None
        unanswered = dict[Ref, Unreachable]()
        for write in writes:
            if write.needs & (refused.keys() | waiting):
                waiting.add(write.ref)
                continue
            try:
                has_moved |= await self.carry_out(conditional(write, reads, objects))
            except (Refused, Failed) as refusal:
                refused[write.ref] = refusal
            except Conflict as changed:
                waiting.add(write.ref)
                conflict = changed
            except Unreachable as away:
                waiting.add(write.ref)
                unanswered[write.ref] = away
        return Written(has_moved, refused, frozenset(waiting), unanswered, conflict)

    async def carry_out(self, write: Write) -> bool:
        """Whether the write was sent to the API server. Raises KubeError; Conflict when `seen` is outdated."""
        match write:
            case Apply():
                return await self._apply(write)
            case Patch(ref=ref, patch=patch, seen=seen):
                written = await self._cluster.patch(ref.resource, ref.namespace, ref.name, _expecting(patch, seen))
                self._reader.wrote(written)
            case Delete(ref=ref, uid=uid, seen=seen):
                self._in_force.pop(ref, None)
                await self._cluster.delete(ref.resource, ref.namespace, ref.name, uid=uid, version=seen)
                self._reader.deleted(ref, uid)
            case _:
                assert_never(write)
        return True

    async def _apply(self, write: Apply) -> bool:
        ref, applied = write.ref, f"{write.manager}/{annotation(write.manifest, APPLIED)}"
        if (known := self._in_force.get(ref)) is not None and known[0] == applied:
            present = await self._cluster.read(ref.resource, ref.namespace, ref.name)
            if present is not None and _version(present) == known[1]:
                self._reader.wrote(present)
                return False
        written = await self._cluster.apply(_expecting(write.manifest, write.seen), manager=write.manager)
        self._reader.wrote(written)
        self._in_force[ref] = (applied, _version(written))
        return True

    def forget(self, namespace: str, rollout: str) -> None:
        """Forget what was applied for a rollout that is gone."""
        names = (ref for ref in self._in_force if ref.namespace == namespace)
        for ref in [ref for ref in names if ref.name == rollout or ref.name.startswith(f"{rollout}-")]:
            del self._in_force[ref]


def _expecting(manifest: Manifest, seen: str | None) -> Manifest:
    """The manifest, with a version: the API server refuses it if the object changed since it was seen."""
    if seen is None:
        return manifest
    return {**manifest, "metadata": {**manifest.get("metadata", {}), "resourceVersion": seen or NO_VERSION}}


def _version(manifest: Manifest) -> str:
    """A version that changes with every field we may apply, but not with the status."""
    metadata = manifest["metadata"]
    spec = metadata.get("generation") or metadata["resourceVersion"]  # not every kind counts generations
    return f"{metadata['uid']}/{spec}/{digest([metadata.get('labels'), metadata.get('annotations')])}"
