"""Wakes the passes of rollouts: a flag and a lock for each. Decides nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

RolloutKey = tuple[str, str]
"""Namespace and name of a rollout."""


@dataclass(slots=True)
class _Wakeup:
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Wakeups:
    """A poke is never lost: one that comes during a pass ends the wait after it at once."""

    def __init__(self) -> None:
        self._wakeups: defaultdict[RolloutKey, _Wakeup] = defaultdict(_Wakeup)

    def poke(self, key: RolloutKey) -> None:
        """Wake the pass of a rollout. Pokes for unknown rollouts are dropped."""
        if key in self._wakeups:
            self._wakeups[key].poked.set()

    def poke_all(self) -> None:
        """Wake the passes of all rollouts."""
        for wakeup in self._wakeups.values():
            wakeup.poked.set()

    def lock(self, key: RolloutKey) -> asyncio.Lock:
        """Held during a pass and during deletion, which kopf runs side by side."""
        return self._wakeups[key].lock

    async def wait(self, key: RolloutKey, seconds: float | None) -> bool:
        """Waits for a poke, or for so many seconds (None: only for a poke). Whether it was a poke."""
        poked = self._wakeups[key].poked
        try:
            async with asyncio.timeout(seconds):
                await poked.wait()
        except TimeoutError:
            return False
        poked.clear()
        return True

    def forget(self, key: RolloutKey) -> None:
        self._wakeups.pop(key, None)
