"""Waits for the answers that a pass asks for, without becoming deaf: whatever happens meanwhile is looked at first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Self, TypeVar

from modelrollout.shell.tasks import ended

T = TypeVar("T")
Poked = Callable[[], Awaitable[object]]
"""Returns when the rollout's surroundings changed."""


class Asking:
    """The questions of one pass that are on their way. Each is asked once, however often its answer is waited for."""

    def __init__(self, poked: Poked) -> None:
        self._poked = poked
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await ended(*self._tasks.values())

    async def answer(
        self, about: Hashable, ask: Callable[[], Coroutine[Any, Any, T]], *, expires: bool = False
    ) -> T | None:
        """The answer; None when the surroundings changed before it came.

        `about` names the question. One that `expires` is put again after a change.
        """
        if about not in self._tasks:
            self._tasks[about] = asyncio.create_task(ask())
        task: asyncio.Task[T] = self._tasks[about]
        poke = asyncio.ensure_future(self._poked())
        try:
            await asyncio.wait({task, poke}, return_when=asyncio.FIRST_COMPLETED)
            # A poke that came at the same moment must not be lost.
            is_answered = task.done() and not poke.done()
        finally:
            poke.cancel()
        if is_answered or expires:
            del self._tasks[about]
            task.cancel()
        return task.result() if is_answered else None
