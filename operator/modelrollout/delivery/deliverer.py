"""Delivers the errands that statuses hold: outside of passes, each target by itself, until a pass strikes them.

An errand arrives once as long as this process lives. If it dies between a delivery and the pass that strikes it, its
successor delivers the errand again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelrollout.api.notifications import Notification, Topic
from modelrollout.api.status import Errand
from modelrollout.objects.manifests import Owner
from modelrollout.trial.deliveries import Deliveries

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds until a target that failed is tried again; doubled with every failure in a row."""
LONGEST_ATTEMPT = 120.0
"""Seconds that one attempt may take, with the wait for its turn. Each way of delivery has a limit of its own."""
Key = tuple[str, str]
"""Namespace and name of a rollout."""


class Undelivered(Exception):  # noqa: N818 - named after what happened
    """An attempt failed. Its text is for people, and has nothing of an address or a secret."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One errand on its way to one target."""

    owner: Owner
    errand: Errand
    target: str
    notification: Notification | None  # None: the target is the operator's own

    @property
    def id(self) -> tuple[str, str]:
        return self.errand.id, self.target

    @property
    def key(self) -> Key:
        return self.owner.namespace, self.owner.name


class Carrier(Protocol):
    """Delivers one kind of errand."""

    def standing(self) -> Mapping[str, frozenset[Topic]] | None:
        """The operator's own targets, with the topics of each; None while nobody knows them."""

    async def carry(self, parcel: Parcel) -> None:
        """One attempt. Raises Undelivered."""


@dataclass(slots=True)
class _Queue:
    """What waits for one target; `sender` works while anything does."""

    parcels: deque[Parcel] = field(default_factory=deque)
    sender: asyncio.Task[None] | None = None
    trouble: str = ""
    defect: str = ""  # where one of ours was met last
    pause: float = FIRST_PAUSE


class Deliverer:
    """A queue for each target: one that is away keeps no other waiting."""

    def __init__(
        self,
        carriers: Mapping[str, Carrier],
        arrived: Callable[[Key], None],
        *,
        leads: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`carriers` by kind of errand. `arrived` has a pass made soon. `leads`: whether this process may deliver."""
        self._carriers, self._arrived, self._leads, self._sleep = carriers, arrived, leads, sleep
        self._queues: dict[tuple[Key | None, str], _Queue] = {}
        self._done: dict[Key, set[tuple[str, str]]] = {}

    def known(self, key: Key) -> Deliveries:
        """What the next pass over a rollout is to know."""
        found = [one.standing() for one in self._carriers.values()]
        told = [one for one in found if one is not None]
        standing = {name: topics for one in told for name, topics in one.items()} if told == found else None
        failing = {
            name: queue.trouble for (of, name), queue in self._queues.items() if of in (key, None) and queue.trouble
        }
        return Deliveries(standing, frozenset(self._done.get(key, ())), failing)

    def deliver(self, owner: Owner, errands: tuple[Errand, ...], notifications: tuple[Notification, ...]) -> None:
        """Takes the errands as they were saved, and returns at once. What is not among them any more, it forgets."""
        key, by_name = (owner.namespace, owner.name), {one.name: one for one in notifications}
        wanted = [
            Parcel(owner, errand, target, by_name.get(target))
            for errand in errands
            if errand.kind in self._carriers
            for target in errand.to
        ]
        self._keep(key, wanted)
        for parcel in wanted:
            if parcel.id not in self._done.get(key, ()):
                self._send(parcel)

    def forget(self, key: Key) -> None:
        """The rollout is gone, and what was to be said of it."""
        self._keep(key, [])

    async def stop(self) -> None:
        """Ends all attempts; the next process makes them."""
        senders = [queue.sender for queue in self._queues.values() if queue.sender is not None]
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)

    def _keep(self, key: Key, wanted: list[Parcel]) -> None:
        """Forgets all else of a rollout."""
        ids = {one.id for one in wanted}
        if left := self._done.pop(key, set()) & ids:
            self._done[key] = left
        for place, queue in list(self._queues.items()):
            queue.parcels = deque(one for one in queue.parcels if one.key != key or one.id in ids)
            if not queue.parcels and queue.sender is not None:
                queue.sender.cancel()
                del self._queues[place]

    def _send(self, parcel: Parcel) -> None:
        place = (None if parcel.notification is None else parcel.key, parcel.target)
        queue = self._queues.setdefault(place, _Queue())
        known = next((at for at, one in enumerate(queue.parcels) if one.id == parcel.id), None)
        if known is None:
            queue.parcels.append(parcel)
        else:
            queue.parcels[known] = parcel  # the spec may have been edited
        if queue.sender is None or queue.sender.done():
            queue.sender = asyncio.create_task(self._work(place, queue))

    async def _work(self, place: tuple[Key | None, str], queue: _Queue) -> None:
        """Attempt after attempt. One parcel that is not taken goes behind the others of its target."""
        while queue.parcels and self._leads():
            parcel = queue.parcels[0]
            trouble = await self._attempt(parcel, queue)
            if all(one.id != parcel.id for one in queue.parcels):
                continue  # forgotten meanwhile
            if trouble is None:
                self._strike(parcel, queue)
            else:
                queue.parcels.rotate(-1)
                await self._pause(queue, trouble)
        self._queues.pop(place, None)

    async def _attempt(self, parcel: Parcel, queue: _Queue) -> str | None:
        """None: it arrived. Otherwise why it did not."""
        try:
            async with asyncio.timeout(LONGEST_ATTEMPT):
                await self._carriers[parcel.errand.kind].carry(parcel)
        except Undelivered as why:
            return str(why)
        except TimeoutError:
            return f"no answer within {LONGEST_ATTEMPT:g} s"
        except Exception as bug:  # noqa: BLE001 - its text may hold an address, and no other delivery may end with it
            return self._told_of(bug, parcel, queue)
        return None

    def _told_of(self, bug: Exception, parcel: Parcel, queue: _Queue) -> str:
        """Without the exception's text and any value; in the log once, until it is another."""
        kind, place = type(bug).__name__, traceback.extract_tb(bug.__traceback__)[-1]
        if (defect := f"{kind} at {place.filename}:{place.lineno}") != queue.defect:
            queue.defect = defect
            logger.error("A delivery to %s failed by a defect: %s.", parcel.target, defect)
        return f"a defect of the operator's ({kind})"

    def _strike(self, parcel: Parcel, queue: _Queue) -> None:
        at = next(at for at, one in enumerate(queue.parcels) if one.id == parcel.id)
        del queue.parcels[at]
        queue.trouble, queue.defect, queue.pause = "", "", FIRST_PAUSE
        self._done.setdefault(parcel.key, set()).add(parcel.id)
        logger.info("%s/%s: %s was delivered to %s.", *parcel.key, parcel.errand.kind, parcel.target)
        self._arrived(parcel.key)

    async def _pause(self, queue: _Queue, trouble: str) -> None:
        if trouble != queue.trouble:
            queue.trouble = trouble
            for parcel in {one.key: one for one in queue.parcels}.values():
                logger.warning("%s/%s: %s does not take deliveries: %s.", *parcel.key, parcel.target, trouble)
                self._arrived(parcel.key)  # status says so, too
        pause, queue.pause = queue.pause, min(LONGEST_PAUSE, queue.pause * 2)
        await self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - so that not all come back at once
