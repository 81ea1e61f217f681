"""Waiting for what has to come true by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], what: str, *, within: float = 30) -> T:
    """What `look` returns as soon as it is truthy; `what` says in the failure what was waited for."""
    seen: T | None = None
    try:
        async with asyncio.timeout(within):
            while not (seen := await look()):  # noqa: ASYNC110 - the world has no event to wait for
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"within {within:g} s it did not happen that {what}; last seen: {seen!r}")
    return seen
