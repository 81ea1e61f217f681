"""Takes copies in, as many as there is room for, and sheds the rest: nothing ever waits in a queue.

A copy has its place from before its body is read until both versions have answered, so memory is bounded by
places × (request + two answers), whatever the gateway sends and however slow the versions are.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from modelrollout.comparer.agreement import Rules
from modelrollout.comparer.answers import Disagreed, outcome
from modelrollout.comparer.asking import Asker
from modelrollout.comparer.config import Config
from modelrollout.comparer.copies import Copy, Shed, is_marked
from modelrollout.comparer.examples import Ring
from modelrollout.comparer.metrics import EVERYTHING, Metrics
from modelrollout.comparer.segments import Segments

logger = logging.getLogger(__name__)


class Intake:
    """One handler for all copies. `draw` gives numbers from 0 to 1, for the sample."""

    def __init__(
        self, config: Config, asker: Asker, metrics: Metrics, ring: Ring, draw: Callable[[], float] = random.random
    ) -> None:
        self._config, self._asker, self._metrics, self._ring, self._draw = config, asker, metrics, ring, draw
        self._rules = Rules.of(config.compare.agreement)
        self._segments = Segments(config.compare.segment) if config.compare.segment else None
        self._sample = config.compare.sample.value
        self._places = config.compare.limits.concurrency
        self._largest = asker.largest
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer for the gateway, which throws it away: it always says that all is well.

        Errors would count against the comparer there, and a gateway may leave out a pod that makes many.
        """
        self._metrics.arrived(size := request.content_length if request.body_exists else 0)
        if (why := self._obstacle(request, size)) is not None:
            return self._turned_away(why)
        self._places -= 1
        if (body := await self._body(request)) is None:
            self._places += 1
            return self._turned_away(Shed.CUT_OFF)
        if len(body) > self._largest:
            self._places += 1
            return self._turned_away(Shed.TOO_LARGE)
        self._begin(Copy(request.method, request.raw_path, request.headers, body))
        return web.Response(status=202)

    async def rest(self) -> None:
        """Returns when nothing is in work."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _obstacle(self, request: web.BaseRequest, size: int | None) -> Shed | None:
        if request.method not in self._config.methods or not request.raw_path.startswith("/"):
            return Shed.METHOD
        if is_marked(request.headers):
            return Shed.MARKED
        if (size or 0) > self._largest:
            return Shed.TOO_LARGE
        return Shed.BUSY if self._places <= 0 else None

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        """The body; one byte more than the limit stands for all that is longer. None: it broke off."""
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._asker.longest):
                async for chunk in request.content.iter_any():
                    chunks.append(chunk[: self._largest + 1 - size])
                    size += len(chunk)
                    if size > self._largest:
                        break
        except (OSError, TimeoutError, HttpProcessingError):
            return None
        return b"".join(chunks)

    def _turned_away(self, why: Shed) -> web.Response:
        self._metrics.shed(why)
        response = web.Response(status=202)
        if why in (Shed.TOO_LARGE, Shed.CUT_OFF):
            response.force_close()  # nobody reads the rest
        return response

    def _begin(self, copy: Copy) -> None:
        task = asyncio.get_running_loop().create_task(self._work(copy))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places += 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._metrics.shed(Shed.BROKE)
            logger.error("A comparison failed; this is a mistake in the comparer.", exc_info=error)

    async def _work(self, copy: Copy) -> None:
        """Asks the candidate, and of the sample stable as well, at the same time."""
        config, ask = self._config, self._asker.ask
        if self._draw() >= self._sample:
            self._metrics.answered("candidate", await ask(config.candidate.url, copy))
            return
        segment = self._segment(copy)
        stable, candidate = await asyncio.gather(ask(config.stable.url, copy), ask(config.candidate.url, copy))
        self._metrics.answered("stable", stable)
        self._metrics.answered("candidate", candidate)
        result = outcome(self._rules, stable, candidate)
        self._metrics.compared(segment, result)
        if isinstance(result, Disagreed):
            self._ring.add(copy, segment, result.reason, stable, candidate)

    def _segment(self, copy: Copy) -> str:
        return self._segments.of(copy) if self._segments else EVERYTHING
