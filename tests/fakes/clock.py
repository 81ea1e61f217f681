"""A clock that a test moves by hand."""

from __future__ import annotations

import asyncio


class HandClock:
    """Seconds, as on a clock that never jumps by itself; who sleeps on it wakes up when it was moved far enough."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        alarm = asyncio.Event()
        self._sleepers.append((self.now + seconds, alarm))
        await alarm.wait()

    def move(self, seconds: float) -> None:
        self.now += seconds
        for due, alarm in self._sleepers:
            if due <= self.now:
                alarm.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self.now]
