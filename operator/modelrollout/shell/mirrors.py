"""Serves the reads of passes from memory: mirrors every kind that rollouts read, and pokes the rollouts that a change
concerns.

A mirror may be late, or miss an event until the next full listing. Passes can bear that: their writes are conditional
on what they read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta

from modelrollout.api.findings import Finding
from modelrollout.kube import Cluster, KubeError, Mirror, Refused, Unreachable, WatchEvent
from modelrollout.objects.manifests import ROLLOUT_LABEL, Manifest, Ref, ref_of
from modelrollout.objects.reads import Objects, Reads, whole
from modelrollout.objects.resources import Resource
from modelrollout.shell.reader import Direct, is_unknown_kind, not_listed, unreadable
from modelrollout.shell.tasks import ended
from modelrollout.shell.wakeups import RolloutKey

logger = logging.getLogger(__name__)

LONGEST_RETRY = timedelta(seconds=30)
RESYNC = timedelta(minutes=5)

Sleep = Callable[[float], Awaitable[None]]


class Follower:
    """Keeps one mirror up to date: lists everything, follows the changes, and lists again after `resync`."""

    def __init__(
        self,
        mirror: Mirror,
        is_whole: bool,
        resync: timedelta,
        changed: Callable[[WatchEvent], None],
        answered: Callable[[], None],
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self.mirror, self.is_whole = mirror, is_whole
        self.refusal: Refused | None = None
        self.failure: Unreachable | None = None  # of the latest look
        self._resync, self._changed, self._answered = resync.total_seconds(), changed, answered
        self._clock, self._sleep = clock, sleep
        self._looked: float | None = None
        self._failures = 0
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_say_why)

    @property
    def age(self) -> float | None:
        """Seconds since the last full listing: no lost event is older. None before the first."""
        return None if self._looked is None else self._clock() - self._looked

    @property
    def is_synced(self) -> bool:
        """Whether the mirror, or the refusal, can serve as an answer."""
        return not self._task.done() and self.age is not None and self.age < 2 * self._resync

    @property
    def has_died(self) -> bool:
        return self._task.done()

    async def look(self) -> None:
        """Look at everything now. Raises KubeError."""
        await self.mirror.fill(self._changed)
        self._note(None)

    async def stop(self) -> None:
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
                self._failures = 0
                async with asyncio.timeout(self._resync):
                    await self.mirror.follow(self._changed)
            except TimeoutError:
                continue  # it is time for the next look
            except KubeError as trouble:
                await self._sleep(self._pause(trouble))

    def _note(self, refusal: Refused | None) -> None:
        has_turned = (self.refusal is None) != (refusal is None)
        self.refusal, self.failure, self._looked = refusal, None, self._clock()
        if has_turned:
            self._answered()

    def _pause(self, trouble: KubeError) -> float:
        if isinstance(trouble, Refused):
            self._note(trouble)  # the kind is missing or may not be read: this is the answer until the next listing
            return self._resync
        logger.warning("A kind cannot be looked at and will be tried again: %s", trouble)
        self.failure = trouble if isinstance(trouble, Unreachable) else None
        self._failures = min(self._failures + 1, 10)
        return min(LONGEST_RETRY.total_seconds(), 0.5 * 2.0**self._failures)


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("A mirror stopped; the next pass begins another.", exc_info=error)


class Mirrors:
    """A `Reader` from memory. While the mirror of a kind is not filled, or is too old, it asks the API server.

    A kind's mirror starts with the first rollout that reads it. It holds only objects with a rollout's label, until an
    object of the kind is read by its name.
    """

    def __init__(
        self,
        cluster: Cluster,
        poke: Callable[[RolloutKey], None],
        *,
        namespaces: Iterable[str] = (),
        resync: timedelta = RESYNC,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`namespaces`: those that are served; none: all of them."""
        self._cluster, self._poke, self._resync, self._clock, self._sleep = cluster, poke, resync, clock, sleep
        self._is_narrow = bool(tuple(namespaces))
        self._direct = Direct(cluster)
        self._followers: dict[tuple[Resource, str | None], Follower] = {}
        self._quiet: set[Resource] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._named: dict[RolloutKey, tuple[Ref, ...]] = {}
        self._readers: defaultdict[Ref, set[RolloutKey]] = defaultdict(set)

    async def read(self, key: RolloutKey, reads: Reads) -> Objects:
        self._quiet.update(reads.beside)
        here, elsewhere = self._parted(key, reads)
        asked = await self._direct.read(key, elsewhere) if elsewhere != Reads() else {}
        return {**dict(self._known(key, here)), **asked}

    def at_hand(self, key: RolloutKey, reads: Reads) -> Objects | None:
        here, elsewhere = self._parted(key, reads)
        return dict(self._known(key, here)) if elsewhere == Reads() else None

    def _parted(self, key: RolloutKey, reads: Reads) -> tuple[Reads, Reads]:
        """What memory can say, and what the API server has to be asked for."""
        self._refer(key, reads.named)
        # A mirror that is to hold a whole kind begins so.
        names = [ref for ref in reads.named if self._follower(ref.resource, ref.namespace, is_whole=True).is_synced]
        kinds, other_kinds = self._kinds_parted(key, reads.labelled)
        beside = tuple(kind for kind in reads.beside if self._is_told_of(self._follower(kind, key[0], is_whole=False)))
        others_beside = tuple(kind for kind in reads.beside if kind not in beside)
        other_names = tuple(ref for ref in reads.named if ref not in names)
        return Reads(kinds, tuple(names), beside), Reads(other_kinds, other_names, others_beside)

    def _kinds_parted(
        self, key: RolloutKey, kinds: tuple[Resource, ...]
    ) -> tuple[tuple[Resource, ...], tuple[Resource, ...]]:
        here = tuple(kind for kind in kinds if self._follower(kind, key[0], is_whole=False).is_synced)
        return here, tuple(kind for kind in kinds if kind not in here)

    @staticmethod
    def _is_told_of(follower: Follower) -> bool:
        """Whether memory can say of a kind `beside` what is there, or that nobody knows: that is not waited for."""
        return follower.is_synced or follower.failure is not None

    async def reread(self, key: RolloutKey, reads: Reads) -> Objects:
        before = [(ref, item) for ref, item in self._stored(key, reads) if isinstance(item, dict)]
        found = await self._direct.read(key, reads)
        for item in found.values():
            if not isinstance(item, Finding):
                self.wrote(item)
        for ref, item in before:
            if ref not in found and whole(ref.resource, key[0]) not in found:
                self.deleted(ref, item["metadata"]["uid"])
        return found

    def wrote(self, manifest: Manifest) -> None:
        ref = ref_of(manifest)
        if (follower := self._present(ref.resource, ref.namespace)) is None:
            return
        if follower.refusal is not None:  # the kind can be read after all: its definition or a permission was added
            self._renew(ref.resource, ref.namespace, follower.is_whole)
        else:
            follower.mirror.put(manifest)

    def deleted(self, ref: Ref, uid: str) -> None:
        if (follower := self._present(ref.resource, ref.namespace)) is not None:
            follower.mirror.drop(ref.namespace, ref.name, uid)

    def forget(self, key: RolloutKey) -> None:
        self._refer(key, ())
        self._named.pop(key, None)

    def ages(self) -> dict[str, float | None]:
        """By plural, the seconds since the last full listing of a kind; the oldest mirror counts."""
        ages: dict[str, float | None] = {}
        for (resource, _), follower in list(self._followers.items()):  # asked for by another thread
            known = ages.get(resource.plural, 0.0)
            ages[resource.plural] = None if known is None or follower.age is None else max(known, follower.age)
        return ages

    async def look(self) -> None:
        """Look at everything now, as the resync does from time to time. Raises KubeError."""
        for follower in list(self._followers.values()):
            await follower.look()

    async def stop(self) -> None:
        stopping = [follower.stop() for follower in self._followers.values()]
        await asyncio.gather(*stopping, *self._leaving)
        self._followers.clear()

    # Which mirrors there are

    def _place(self, resource: Resource, namespace: str) -> tuple[Resource, str | None]:
        return resource, namespace if self._is_narrow and resource.namespaced else None

    def _present(self, resource: Resource, namespace: str) -> Follower | None:
        return self._followers.get(self._place(resource, namespace))

    def _follower(self, resource: Resource, namespace: str, *, is_whole: bool) -> Follower:
        present = self._present(resource, namespace)
        if present is not None and not present.has_died and (present.is_whole or not is_whole):
            return present
        return self._renew(resource, namespace, is_whole)

    def _renew(self, resource: Resource, namespace: str, is_whole: bool) -> Follower:
        place = self._place(resource, namespace)
        if (present := self._followers.get(place)) is not None:
            leaving = asyncio.create_task(present.stop())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        self._followers[place] = self._start_follower(*place, is_whole)
        return self._followers[place]

    def _start_follower(self, resource: Resource, namespace: str | None, is_whole: bool) -> Follower:
        mirror = Mirror(self._cluster, resource, namespace, label=ROLLOUT_LABEL, only_labelled=not is_whole)

        def changed(event: WatchEvent) -> None:
            if resource not in self._quiet:  # an autoscaler's status changes every few seconds
                self._changed(resource, event)

        def answered() -> None:
            for ref, keys in self._readers.items():
                if ref.resource == resource:
                    self._poke_all(keys)

        return Follower(mirror, is_whole, self._resync, changed, answered, self._clock, self._sleep)

    # What is in them

    def _known(self, key: RolloutKey, reads: Reads) -> Iterator[tuple[Ref, Manifest | Finding]]:
        """Raises Refused when a kind is refused as a whole."""
        for resource in reads.labelled:
            follower = self._follower(resource, key[0], is_whole=False)
            if follower.refusal is not None and not is_unknown_kind(follower.refusal):
                raise follower.refusal
        yield from self._stored(key, reads)

    def _stored(self, key: RolloutKey, reads: Reads) -> Iterator[tuple[Ref, Manifest | Finding]]:
        for resource in (*reads.labelled, *reads.beside):
            if (follower := self._present(resource, key[0])) is None:
                continue
            trouble = follower.refusal or (None if follower.is_synced else follower.failure)
            if resource in reads.beside and trouble is not None:
                yield from not_listed(resource, key[0], trouble).items()
            elif follower.refusal is None:
                yield from ((ref_of(item), item) for item in follower.mirror.labelled(*key))
        for ref in reads.named:
            if (follower := self._present(ref.resource, ref.namespace)) is None:
                continue
            if follower.refusal is not None:
                yield ref, unreadable(ref, follower.refusal)
            elif (item := follower.mirror.get(ref.namespace, ref.name)) is not None:
                yield ref, item

    # Whom a change is about

    def _changed(self, resource: Resource, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        namespace = metadata.get("namespace", "")
        about = set(self._readers.get(Ref(resource, namespace, metadata["name"]), ()))
        if rollout := (metadata.get("labels") or {}).get(ROLLOUT_LABEL):
            about.add((namespace, rollout))
        self._poke_all(about)

    def _poke_all(self, keys: Iterable[RolloutKey]) -> None:
        for key in keys:
            self._poke(key)

    def _refer(self, key: RolloutKey, named: tuple[Ref, ...]) -> None:
        before = self._named.get(key, ())
        if before == named:
            return
        for ref in before:
            self._readers[ref].discard(key)
            if not self._readers[ref]:
                del self._readers[ref]
        for ref in named:
            self._readers[ref].add(key)
        self._named[key] = named
