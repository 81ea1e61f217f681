"""A watch in a test's own hands: what it was told so far, and what it will be told when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field

from modelrollout.kube import Listing, WatchEvent
from modelrollout.objects.resources import Resource


@dataclass(eq=False)
class Stream:
    """One watch. What happened waits in `held` until the test releases it, in whatever order, or loses it."""

    held: list[WatchEvent] = field(default_factory=list)
    is_holding: bool = False
    _told: asyncio.Queue[WatchEvent | Exception] = field(default_factory=asyncio.Queue)

    def happened(self, event: WatchEvent) -> None:
        if self.is_holding:
            self.held.append(event)
        else:
            self._told.put_nowait(event)

    def hold(self) -> None:
        self.is_holding = True

    def release(self, events: Iterable[WatchEvent] | None = None) -> None:
        """Tell what was held (or exactly these, once or several times), and go on as a good watch does."""
        for event in list(self.held) if events is None else events:
            self._told.put_nowait(event)
        self.held.clear()
        self.is_holding = False

    def lose(self) -> None:
        """What was held is never told."""
        self.release(())

    def fail(self, trouble: Exception) -> None:
        self._told.put_nowait(trouble)

    async def events(self) -> AsyncGenerator[WatchEvent]:
        while True:
            match await self._told.get():
                case WatchEvent() as event:
                    yield event
                case trouble:
                    raise trouble


def missed(history: list[tuple[Resource, WatchEvent]], resource: Resource, since: Listing | None) -> list[WatchEvent]:
    """What a watch that begins at a listing is told at once."""
    first = int(since.resource_version) if since else 0
    return [
        event
        for what, event in history
        if what == resource and int(event.object["metadata"]["resourceVersion"]) > first
    ]


async def settle() -> None:
    """Let everything that waits for nothing but its turn have it."""
    for _ in range(30):
        await asyncio.sleep(0)
