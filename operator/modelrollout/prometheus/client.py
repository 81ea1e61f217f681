"""Sends Prometheus many queries at a time. Never waits long for one, and never blocks the event loop.

How long `ask` takes: each request has `timeout`, in which everything from connecting to the last byte has to happen.
At most `in_flight` requests are under way at a time; the others queue, none for much longer than that. Prometheus is
silent when a request got no reply, and no other got one since it was sent. Then the whole queue is turned away with
that reason: any number of queries to a dead server cost one timeout together, and not one each.

After that they are turned away at once, for a time that grows from one second to ten (silence.py). Then one
ask sends a probe first. The probe is no user's query, because a heavy query must not hide a server that is back.

Which samples a raw query has: those with start < t ≤ end, in milliseconds. Prometheus 3 reads a range selector like
that; 2.x counts in a sample at exactly `start`, which is dropped here. So windows that follow one another share no
sample, and miss none as long as `end` is far enough in the past for the scrapes under way to have been stored.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from requests.utils import get_auth_from_url

from modelrollout.prometheus.guard import Guard
from modelrollout.prometheus.silence import Silence
from modelrollout.prometheus.worker import Endpoint, RequestOutcome, Worker, milliseconds
from modelrollout.promql.query import Answer, Answered, Query, Unanswered

T = TypeVar("T")

GRACE = 0.25  # seconds in which a request that timed out may still say so itself
SECRET = 8  # letters of a header's word that is told to nobody; shorter ones may stand anywhere
CLOSED = Unanswered("The connection to Prometheus was closed.", rejected=False)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIGN_OF_LIFE = Query("", "", "", "1", _EPOCH, _EPOCH, timedelta(seconds=1))


class Prometheus:
    """A Prometheus, or what speaks its API (Thanos, Mimir, …), at `url`. Use as `async with`, or close it.

    `headers` go with every request (authorization, tenant). `verify` is True for the usual certificate authorities, a
    file with others, or False for none; `authority` is the text of such a file. Proxies and CA bundles named in the
    environment count; of proxies none, where a `guard` judges the addresses that are connected to. `clock` and `sleep`
    are in seconds; a connection's own timeout goes by the machine's.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta = timedelta(seconds=5),
        in_flight: int = 8,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
        authority: str = "",
        guard: Guard | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Coroutine[None, None, None]] = asyncio.sleep,
    ) -> None:
        shown = {"User-Agent": "modelrollout", **(headers or {})}
        words = (word for value in (headers or {}).values() for word in value.split())
        secrets = tuple(word for word in (*words, *_secrets_of(url)) if len(word) >= SECRET)
        self._target = Endpoint(url, timeout.total_seconds(), shown, verify, authority, guard, secrets)
        self._in_flight = in_flight
        self._workers: list[Worker] = []  # made when first needed
        self._idle: list[Worker] = []
        self._queue: deque[asyncio.Future[Worker | Unanswered]] = deque()
        self._clock, self._sleep = clock, sleep
        self._heard = float("-inf")  # when the last reply of any kind came, on our clock
        # A request has ended after this: it queues for up to timeout + 2 * GRACE, and is under way for timeout + GRACE.
        self._silence = Silence(2 * timeout.total_seconds() + 3 * GRACE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Turn away all that still queue. Requests under way do not delay anything, not even the end of the process."""
        self._turn_away(CLOSED)
        idle, workers, self._idle, self._workers, self._in_flight = self._idle, self._workers, [], [], 0
        for worker in workers:
            worker.stop()
        for worker in idle:  # these end at once; their connections are closed when we return
            await asyncio.to_thread(worker.join)

    async def ask(self, queries: Sequence[Query]) -> dict[Query, Answer]:
        """For each query an answer, or why there is none. May be cancelled at any time."""
        answers: dict[Query, Answer] = {}

        async def ask_one(query: Query) -> None:
            answers[query] = await self._answer(query)

        async with asyncio.TaskGroup() as tasks:
            for query in dict.fromkeys(queries):
                tasks.create_task(ask_one(query))
        return {query: answers[query] for query in queries}

    async def _answer(self, query: Query) -> Answer:
        if mistake := self._target.mistake:
            return mistake
        if query.step is None and milliseconds(query.end) <= milliseconds(query.start):
            return Answered(())  # Prometheus refuses an empty range, in which there is nothing anyway
        if not self._in_flight:
            return CLOSED
        is_probe, now = self._silence.is_on, self._clock()
        if not self._silence.admits(now):
            return Unanswered(self._silence.why(self._target.name, now, datetime.now(UTC)), rejected=False)
        worker: Worker | Unanswered = CLOSED
        try:
            worker = await self._next_worker()
        finally:
            if is_probe and isinstance(worker, Unanswered):
                self._silence.gave_up(self._clock())
        if isinstance(worker, Unanswered):
            return worker
        if not is_probe:
            return await self._answer_on(worker, query)
        sign = await self._answer_on(worker, SIGN_OF_LIFE)
        return sign if self._silence.is_on else await self._answer(query)

    async def _answer_on(self, worker: Worker, query: Query) -> Answer:
        loop, sent = asyncio.get_running_loop(), self._clock()
        reply: asyncio.Future[Answer] = loop.create_future()

        def arrived(outcome: RequestOutcome | Exception) -> None:
            if isinstance(outcome, RequestOutcome):
                self._learn(outcome, sent)  # before the worker is free, or a dead server gets the next in the queue
            self._free(worker)  # not earlier: its request goes on after its caller has left
            if reply.done():
                return  # its caller has left
            if isinstance(outcome, Exception):
                reply.set_exception(outcome)
            else:
                reply.set_result(outcome.answer)

        def tell(outcome: RequestOutcome | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and everybody who waited with it
                loop.call_soon_threadsafe(arrived, outcome)

        worker.ask(query, tell)
        try:
            return await self._within(self._target.timeout + GRACE, reply)
        except TimeoutError:  # stuck where the socket's own timeout does not apply, as in resolving the name
            outcome = RequestOutcome(self._target.was_silent(), heard=False, in_vain=True)
            self._learn(outcome, sent)
            return outcome.answer

    async def _within(self, seconds: float, awaited: asyncio.Future[T]) -> T:
        """The result, or a TimeoutError after so many seconds. Leaving early cancels what was awaited."""
        timer = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait((awaited, timer), return_when=asyncio.FIRST_COMPLETED)
            if awaited.done():
                return awaited.result()
            raise TimeoutError
        finally:
            awaited.cancel()  # has no effect on a future that is done
            timer.cancel()

    def _learn(self, outcome: RequestOutcome, sent: float) -> None:
        now = self._clock()
        if outcome.heard:
            self._heard = now
            self._silence.ends()
        elif self._heard < sent and isinstance(outcome.answer, Unanswered):
            if outcome.in_vain:
                self._silence.lasts(sent, now)
            else:
                self._silence.ends()
            self._turn_away(outcome.answer)  # otherwise it is that query's own trouble, not the server's

    async def _next_worker(self) -> Worker | Unanswered:
        if self._idle:
            return self._idle.pop()
        if len(self._workers) < self._in_flight:
            self._workers.append(Worker(self._target))
            return self._workers[-1]
        turn: asyncio.Future[Worker | Unanswered] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            # Longer than any request: by then we know whether the server is dead, and have turned the queue away.
            return await self._within(self._target.timeout + 2 * GRACE, turn)
        except TimeoutError:
            self._return(turn)
            why = (
                f"{self._target.name} is busy: {self._in_flight} queries were under way for {self._target.timeout:g} s."
            )
            return Unanswered(why, rejected=False)
        except asyncio.CancelledError:
            self._return(turn)
            raise

    def _return(self, turn: asyncio.Future[Worker | Unanswered]) -> None:
        """Pass on a worker that was assigned at the very moment its caller left."""
        if not turn.cancelled() and isinstance(worker := turn.result(), Worker):
            self._free(worker)

    def _free(self, worker: Worker) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(worker)
                return
        if worker in self._workers:  # else it was stopped
            self._idle.append(worker)

    def _turn_away(self, answer: Unanswered) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(answer)


def _secrets_of(url: str) -> tuple[str, ...]:
    """The password that an address may carry, and how it is sent."""
    try:
        user, password = get_auth_from_url(url)
    except ValueError:
        return ()
    return password, base64.b64encode(f"{user}:{password}".encode()).decode()
