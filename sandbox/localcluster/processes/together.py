"""Parts that start and stop side by side. Knows nothing of what they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any


@asynccontextmanager
async def together(*parts: AbstractAsyncContextManager[Any]) -> AsyncIterator[tuple[Any, ...]]:
    """Enter all parts at once; what they give, in order. When one cannot start, the others are left again.

    Each part is entered and left in a task of its own, so any context manager will do.
    """
    release = asyncio.Event()
    opened = [asyncio.get_running_loop().create_future() for _ in parts]
    holders = [asyncio.create_task(_hold(part, gift, release)) for part, gift in zip(parts, opened, strict=True)]
    try:
        yield tuple(await asyncio.gather(*opened))
    finally:
        release.set()
        for holder, gift in zip(holders, opened, strict=True):
            if not gift.done() or gift.cancelled():
                holder.cancel()  # still starting
        outcomes = await asyncio.gather(*holders, return_exceptions=True)
        for gift in opened:
            if gift.done() and not gift.cancelled():
                gift.exception()  # told once is enough
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _hold(part: AbstractAsyncContextManager[Any], gift: asyncio.Future[Any], release: asyncio.Event) -> None:
    try:
        async with part as given:
            gift.set_result(given)
            await release.wait()
    except BaseException as error:
        if gift.done():
            raise
        if isinstance(error, asyncio.CancelledError):
            gift.cancel()
            raise
        gift.set_exception(error)
