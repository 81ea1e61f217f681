"""Leadership by a Lease that fences: the process that holds it may write, and no write of it outlives its hold.

Who may take the Lease is decided in election.py; the API server lets one of several have it, since every write to it is
conditional on the version that was read.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from modelrollout.kube.cluster import Cluster
from modelrollout.kube.election import LABEL, Candidacy, Hold, Seen, holder, overlap, released, serves, taken, unheld
from modelrollout.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, NotLeading, Unreachable
from modelrollout.kube.mirror import Mirror
from modelrollout.kube.watching import WatchEvent
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import LEASES

logger = logging.getLogger(__name__)


def own_clock() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Leadership:
    """One process's part in an election: `campaign`, then `keep`, at last `resign`. `writing` is the fence.

    It needs a `Cluster` that is not fenced. Whoever has lost the Lease does not run for it again: its process ends.
    Operators that share a namespace for their Leases see each other there, and no two of them serve the same namespace.
    """

    def __init__(
        self,
        cluster: Cluster,
        candidacy: Candidacy,
        *,
        clock: Callable[[], float] = own_clock,
        moment: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster, self._candidacy, self._clock, self._moment = cluster, candidacy, clock, moment
        self._seen = Seen(None, due=clock())
        self._others: dict[str, Seen] = {}  # the Leases of other operators, by name
        self._unlike = ""  # the holder of whom it was told that it serves other namespaces
        self._refusal = ""  # why this process does not lead although it could
        self._hold: Hold | None = None
        self._has_resigned = False
        self._news = asyncio.Event()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __str__(self) -> str:
        return f"Lease '{self._candidacy.namespace}/{self._candidacy.name}' as {self._candidacy.identity}"

    @property
    def leads(self) -> bool:
        """Whether this process may begin a write now."""
        hold = self._hold  # read once: /metrics asks from another thread
        is_held = hold is not None and hold.lasts(self._clock(), self._candidacy.terms)
        return is_held and not self._has_resigned

    @property
    def leader(self) -> str:
        """The identity in the Lease as it was last seen; empty when nobody leads."""
        return holder(self._seen.lease)

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """Requests sent for the election, as `Cluster.requests` has them."""
        return self._cluster.requests

    @property
    def failures(self) -> Counter[tuple[str, str, str]]:
        """Those of them that failed, as `Cluster.failures` has them."""
        return self._cluster.failures

    @property
    def left(self) -> float:
        """The seconds for which this process may write, unless it renews the Lease; 0 where it may not."""
        if (hold := self._hold) is None or not self.leads:
            return 0.0
        return max(0.0, hold.left(self._clock(), self._candidacy.terms))

    @contextmanager
    def writing(self) -> Iterator[float]:
        """Around each write: the seconds within which it has to end. Raises NotLeading."""
        if self._hold is None or not self.leads:
            raise NotLeading(f"This process does not hold the Lease {self._place} now; {self.leader or 'nobody'} does.")
        self._under_way += 1
        self._idle.clear()
        try:
            yield self._hold.left(self._clock(), self._candidacy.terms)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    # Before: standing by

    async def campaign(self) -> None:
        """Returns once the Lease is held. Waits while the API server is away; raises Refused where it says no."""
        following = asyncio.create_task(self._follow())
        try:
            while not await self._attempt():
                if following.done():
                    following.result()  # raises
                await self._next_chance()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        """Watches the Leases, so that one which is given up is taken at once."""

        def changed(event: WatchEvent) -> None:
            gone = event.type == "DELETED"
            self._heard(event.object["metadata"]["name"], None if gone else event.object)

        await Mirror(self._cluster, LEASES, self._candidacy.namespace, label=LABEL, only_labelled=True).follow(changed)

    async def _next_chance(self) -> None:
        """Until the Lease changed, or is due. One that could not be taken is tried again a little later."""
        self._news.clear()
        turn, retry = self._seen.turn(self._clock()), self._candidacy.terms.retry
        try:
            async with asyncio.timeout(turn or retry):
                await self._news.wait()
        except TimeoutError:
            return

    async def _attempt(self) -> bool:
        """Takes the Lease if it may be taken; whether this process leads by it."""
        try:
            if self._seen.lease is None:
                await self._look()
            if self._is_held_by_another() or self._is_served_by_others():
                return False
            with suppress(Conflict, AlreadyExists):  # somebody was quicker
                return await self._is_alone(await self._take())
            await self._look()
        except Unreachable as trouble:
            logger.warning("The Lease %s cannot be reached: %s", self._place, trouble)
        return False

    def _is_held_by_another(self) -> bool:
        lease, ours = self._seen.lease, self._candidacy.serves
        if not self._seen.turn(self._clock()) or self.leader == self._candidacy.identity:
            return False
        if lease is not None and serves(lease) != ours and self.leader != self._unlike:
            self._unlike, mend = self.leader, "give each a Lease of its own (--lease), or the same --namespaces"
            text = "The holder of the Lease %s serves namespaces %s, this process would serve %s: %s."
            logger.warning(text, self._place, serves(lease), ours, mend)
        return True

    async def _is_alone(self, hold: Hold) -> bool:
        """Leads, unless another operator serves one of its namespaces.

        Of two that begin at a time each has taken its own Lease before it looks at the other's: one of them sees the
        other, or both do, and give way.
        """
        for lease in (await self._cluster.list(LEASES, self._candidacy.namespace, labels=LABEL)).items:
            self._heard(lease["metadata"]["name"], lease)
        if not self._is_served_by_others():
            self._hold = hold
            return True
        if self._seen.lease is not None:
            self._saw(await self._cluster.replace(released(self._seen.lease)))
        await asyncio.sleep(random.uniform(0, self._candidacy.terms.retry))  # noqa: S311 - so that one of two is first
        return False

    def _is_served_by_others(self) -> bool:
        """Tells when it is so, and by whom. An operator that fell silent serves nothing."""
        why, now = "", self._clock()
        for name, seen in self._others.items():
            if seen.lease is None or not seen.turn(now):
                continue
            if (shared := overlap(seen.lease, self._candidacy.namespaces)) is not None:
                mend = "give each operator namespaces of its own (--namespaces)"
                why = f"{holder(seen.lease)} serves {shared} by the Lease {self._candidacy.namespace}/{name}: {mend}"
        if why and why != self._refusal:
            logger.error("This process does not lead: %s.", why)
        self._refusal = why
        return bool(why)

    # Meanwhile: leading

    async def keep(self) -> str:
        """Renews the Lease until it is lost; says why it was."""
        identity, terms = self._candidacy.identity, self._candidacy.terms
        while self._hold is not None and self.leads:
            await asyncio.sleep(min(terms.retry, self._hold.since + terms.renewal_deadline - self._clock()))
            try:
                async with asyncio.timeout(max(0.0, self._hold.since + terms.renewal_deadline - self._clock())):
                    self._hold = await self._renew() or self._hold
            except TimeoutError:
                continue
            except KubeError as trouble:
                logger.warning("The Lease %s could not be renewed: %s", self._place, trouble)
            if self.leader not in ("", identity):
                self._hold = None
                return f"{self.leader} holds it"
        return f"it could not be renewed within {terms.renewal_deadline:g} s"

    async def _renew(self) -> Hold | None:
        """Somebody may have noted something on it, or deleted it: that loses nobody the Lease."""
        try:
            return await self._take()
        except (Conflict, AlreadyExists, NotFound):
            await self._look()
            is_ours = not self._has_resigned and self.leader in ("", self._candidacy.identity)
            return await self._take() if is_ours else None

    # Afterwards: letting go

    async def resign(self) -> None:
        """Begins no more writes, waits for those under way, and gives the Lease up, so that another leads at once.

        Where a write does not end in time the Lease runs out instead.
        """
        self._has_resigned = True
        if (hold := self._hold) is None:
            return
        self._hold = None
        try:
            terms = self._candidacy.terms
            async with asyncio.timeout(max(terms.retry, hold.left(self._clock(), terms))):
                await self._idle.wait()
                while not await self._is_given_up():
                    continue  # a renewal was on its way
        except (TimeoutError, KubeError) as trouble:
            why = str(trouble) or "there was no answer in time"
            logger.warning("The Lease %s was not given up, and will run out: %s", self._place, why)

    async def _is_given_up(self) -> bool:
        """Gives it up as it is now; False where it changed meanwhile."""
        await self._look()
        if self._seen.lease is None or self.leader != self._candidacy.identity:
            return True
        try:
            self._saw(await self._cluster.replace(released(self._seen.lease)))
        except Conflict:
            return False
        return True

    # Reading and writing it

    @property
    def _place(self) -> str:
        return f"{self._candidacy.namespace}/{self._candidacy.name}"

    async def _look(self) -> None:
        self._saw(await self._cluster.read(LEASES, self._candidacy.namespace, self._candidacy.name))

    async def _take(self) -> Hold:
        """Takes or renews it, if it still is as it was seen."""
        since = self._clock()
        wanted = taken(self._seen.lease or unheld(self._candidacy), self._candidacy, self._moment())
        write = self._cluster.create if self._seen.lease is None else self._cluster.replace
        self._saw(await write(wanted))
        return Hold(since)

    def _heard(self, name: str, lease: Manifest | None) -> None:
        if name == self._candidacy.name:
            self._saw(lease)
            return
        now = self._clock()
        self._others[name] = self._others.get(name, Seen(None, due=now)).then(lease, now)
        self._news.set()

    def _saw(self, lease: Manifest | None) -> None:
        self._seen = self._seen.then(lease, self._clock())
        self._news.set()
