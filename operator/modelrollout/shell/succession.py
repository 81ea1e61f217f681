"""Outdates what an earlier leader may still have under way for a release, before this one decides anything about it.

Each write is conditional on the version of its object that was read. A process that froze, or a network that held a
request back, may let one go long after another process leads; it does harm only where its object has not changed since.
"""

from __future__ import annotations

from modelrollout.api.base import GROUP
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest, Ref, ref_of
from modelrollout.objects.reads import Reads
from modelrollout.rollout.references import essential
from modelrollout.shell.reader import Reader
from modelrollout.shell.wakeups import RolloutKey

MARK = f"{GROUP}/succession"
"""An annotation that is put on an object and taken off again: what changes is the object's version."""


class Succession:
    """The releases that this process took over from an earlier one."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster, self._reader = cluster, reader
        self._known: set[RolloutKey] = set()

    async def took_over(self, key: RolloutKey, rollout: Manifest) -> bool:
        """Whether objects were given new versions, so that a pass has to look again. Once for each rollout.

        Outside a release nobody's late write can raise a weight: there is no candidate to give it to, and a new one
        begins with a decision on the rollout itself. Raises KubeError; Conflict when an object changed meanwhile.
        """
        if key in self._known:
            return False
        is_in_a_release = bool((rollout.get("status") or {}).get("candidate"))
        if is_in_a_release:
            routes = await self._reader.reread(key, Reads(named=essential(rollout).named))
            for found in (*routes.values(), rollout):
                if isinstance(found, dict):
                    await self._outdate(found)
        self._known.add(key)
        return is_in_a_release

    def forget(self, key: RolloutKey) -> None:
        self._known.discard(key)

    async def _outdate(self, present: Manifest) -> None:
        ref: Ref = ref_of(present)
        for text in (GROUP, None):
            noted = {"annotations": {MARK: text}, "resourceVersion": present["metadata"]["resourceVersion"]}
            present = await self._cluster.patch(ref.resource, ref.namespace, ref.name, {"metadata": noted})
        self._reader.wrote(present)
