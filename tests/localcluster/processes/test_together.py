"""Parts that start side by side end side by side, however far they got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from localcluster.processes.together import together


class Diary(list[str]):
    """Parts that note their coming and going."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def part(self, name: str, *, after: asyncio.Event | None = None) -> AsyncIterator[str]:
        try:
            if after:
                await after.wait()
            self.append(f"{name} starts")
            self.begun.set()
            yield name
        finally:
            self.append(f"{name} ends")

    @asynccontextmanager
    async def broken(self, name: str) -> AsyncIterator[str]:
        raise OSError(f"{name} is broken")
        yield name


async def test_parts_start_at_once_and_give_what_they_have_in_order() -> None:
    diary, first_is_up = Diary(), asyncio.Event()

    @asynccontextmanager
    async def opener() -> AsyncIterator[str]:
        first_is_up.set()
        yield "opener"

    async with asyncio.timeout(5), together(diary.part("late", after=first_is_up), opener()) as given:
        assert given == ("late", "opener")
        assert diary == ["late starts"]
    assert diary == ["late starts", "late ends"]


async def test_when_one_cannot_start_the_others_are_ended_and_the_reason_is_told() -> None:
    diary = Diary()
    with pytest.raises(OSError, match="b is broken"):
        async with together(diary.part("a"), diary.broken("b"), diary.part("c", after=asyncio.Event())):
            pytest.fail("must not get here")
    assert diary == ["a starts", "a ends", "c ends"]


async def test_an_error_inside_ends_all_parts() -> None:
    diary = Diary()
    with pytest.raises(ValueError, match="inside"):
        async with together(diary.part("a"), diary.part("b")):
            raise ValueError("inside")
    assert sorted(diary) == ["a ends", "a starts", "b ends", "b starts"]


async def test_being_cancelled_while_starting_ends_what_had_started() -> None:
    diary = Diary()

    async def work() -> None:
        async with together(diary.part("a"), diary.part("b", after=asyncio.Event())):
            pytest.fail("must not get here")

    task = asyncio.create_task(work())
    await diary.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary == ["a starts", "a ends", "b ends"]


async def test_a_part_that_cannot_end_says_so_and_the_others_end_all_the_same() -> None:
    diary = Diary()

    @asynccontextmanager
    async def stuck() -> AsyncIterator[None]:
        yield
        raise OSError("cannot end")

    with pytest.raises(OSError, match="cannot end"):
        async with together(stuck(), diary.part("a")):
            pass
    assert diary == ["a starts", "a ends"]
