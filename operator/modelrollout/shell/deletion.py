"""What is left to do when a ModelRollout is deleted: traffic first, and nothing is held up by what is refused."""

from __future__ import annotations

from collections.abc import Iterable

from modelrollout.api.findings import Finding
from modelrollout.kube import Conflict, Failed
from modelrollout.objects.manifests import Manifest, Owner, Ref, Write
from modelrollout.objects.reads import Objects, Reads
from modelrollout.plan.planner import finalise
from modelrollout.rollout.references import owner_of, reads
from modelrollout.shell.apply import Applier
from modelrollout.shell.reader import Reader
from modelrollout.shell.refusals import Refusals, Written
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.trial.world import World

MOST_RETREATS = 5
"""How often traffic is taken back from a route that somebody else keeps writing to, before a pass gives up."""


class Deletion:
    """`unseen`: the rollouts of which the API server did not show an object; they are added to it."""

    def __init__(self, reader: Reader, applier: Applier, refusals: Refusals, unseen: set[RolloutKey]) -> None:
        self._reader, self._applier, self._refusals, self._unseen = reader, applier, refusals, unseen

    async def take_leave(self, key: RolloutKey, manifest: Manifest) -> bool:
        """Gives back what is not ours to keep; whether there was anything.

        Raises KubeError where it is worth another attempt, and Conflict while a part of an object of the user's keeps
        changing.
        """
        leaving, done = await self._leave(key, owner_of(manifest), reads(manifest).named)
        self._refusals.met(key, done.refused, ())
        if (trouble := done.away or next(iter(self._refusals.uncertain(key, done.refused)), None)) is not None:
            raise trouble
        return bool(leaving)

    async def _leave(self, key: RolloutKey, owner: Owner, refs: tuple[Ref, ...]) -> tuple[tuple[Write, ...], Written]:
        """Unconditionally, whoever changed our objects meanwhile. A part of an object of the user's is given back on
        condition of what was read.
        """
        for _ in range(MOST_RETREATS):
            leaving = finalise(owner, World(owner.name, await self._left(key, refs)))
            done = await self._applier.carry_out_all(leaving, Reads(), {})
            if done.conflict is None:
                return leaving, done
        raise Conflict("a route changed whenever it was to be given back")

    async def _left(self, key: RolloutKey, refs: Iterable[Ref]) -> Objects:
        """The objects of these that can be read. Raises Failed when that fails for the first time."""
        found: dict[Ref, Manifest | Finding] = {}
        for ref in refs:
            try:
                found |= await self._reader.reread(key, Reads(named=(ref,)))
            except Failed:
                if key not in self._unseen:
                    self._unseen.add(key)
                    raise
        return found
