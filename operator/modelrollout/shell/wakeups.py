"""Which rollout has to be looked at again: a flag and a lock for each. It decides nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

Key = tuple[str, str]
"""Namespace and name of a rollout."""


@dataclass(slots=True)
class _Wakeup:
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Wakeups:
    """A poke is never lost: one that comes during a pass ends the wait after it at once."""

    def __init__(self) -> None:
        self._bells: defaultdict[Key, _Wakeup] = defaultdict(_Wakeup)

    def poke(self, key: Key) -> None:
        """Have a rollout looked at soon. Pokes for rollouts that nobody keeps are dropped."""
        if key in self._bells:
            self._bells[key].rung.set()

    def lock(self, key: Key) -> asyncio.Lock:
        """Held during a pass and during deletion, which kopf runs side by side."""
        return self._bells[key].lock

    async def wait(self, key: Key, seconds: float | None) -> bool:
        """Until poked or until so much time is over (None: only until poked). Says whether it was a poke."""
        rung = self._bells[key].rung
        try:
            async with asyncio.timeout(seconds):
                await rung.wait()
        except TimeoutError:
            return False
        rung.clear()
        return True

    def forget(self, key: Key) -> None:
        self._bells.pop(key, None)
