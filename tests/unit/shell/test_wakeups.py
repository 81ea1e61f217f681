"""Pokes: never lost, never about somebody else, never kept for who is gone."""

from __future__ import annotations

import asyncio

from modelrollout.shell.wakeups import Wakeups

KEY, OTHER = ("ml", "fraud"), ("ml", "churn")


async def test_a_poke_during_a_pass_ends_the_wait_after_it_at_once() -> None:
    wakeups = Wakeups()
    async with wakeups.lock(KEY):
        wakeups.poke(KEY)
    assert await wakeups.wait(KEY, 60)


async def test_many_pokes_are_one() -> None:
    wakeups = Wakeups()
    wakeups.lock(KEY)
    for _ in range(100):
        wakeups.poke(KEY)
    assert await wakeups.wait(KEY, 60)
    assert not await wakeups.wait(KEY, 0.01)


async def test_at_the_end_everybody_is_woken() -> None:
    wakeups = Wakeups()
    for key in (KEY, OTHER):
        wakeups.lock(key)
    wakeups.poke_all()
    assert await wakeups.wait(KEY, 60)
    assert await wakeups.wait(OTHER, 60)


async def test_a_poke_wakes_nobody_else() -> None:
    wakeups = Wakeups()
    wakeups.lock(KEY)
    wakeups.lock(OTHER)
    wakeups.poke(OTHER)
    assert not await wakeups.wait(KEY, 0.01)


async def test_a_wait_that_is_cancelled_leaves_the_poke_for_the_next() -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(wakeups.wait(KEY, None))
    await asyncio.sleep(0)
    wakeups.poke(KEY)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert await wakeups.wait(KEY, 60)


async def test_pokes_for_rollouts_that_nobody_keeps_are_not_collected() -> None:
    wakeups = Wakeups()
    wakeups.poke(KEY)
    assert not await wakeups.wait(KEY, 0.01)
