"""Sends samples to a URL at a rate that does not care how the answers come, as users do not.

Open loop: a slow answer delays no other request, and latency counts from when a request was meant to be sent, so a
stall cannot hide itself by slowing the clock that measures it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal, Self

import aiohttp

from localcluster.load.outcomes import TRUE_LABEL_HEADER, VERSION_HEADER, Failure, Outcome, Reply, Sample, judge
from localcluster.load.record import Counts, Record, Second
from localcluster.load.users import STRANGERS, User

Arrivals = Literal["poisson", "even"]
TRIES = 20  # to find a user who waits for nothing; then whoever it is asks again


class LoadGenerator:
    """`run` it as a task and `stop` it; `snapshot` and `timeline` may be asked at any time.

    `expected` is what the stable version answers to each sample, and `stable` its name; tell `stable_is` of a new one.
    `rate` (requests per second) may be set while it runs. With `users`, each request is that of one of them, by chance:
    of those who wait for no answer, if there are any. They keep the cookies that they get, as browsers do.
    """

    def __init__(
        self,
        url: str,
        samples: Sequence[Sample],
        expected: Sequence[int],
        *,
        stable: str | None = None,
        rate: float = 50.0,
        arrivals: Arrivals = "poisson",
        host: str | None = None,
        patience: timedelta = timedelta(seconds=10),
        seed: int = 0,
        users: Sequence[User] = STRANGERS,
    ) -> None:
        if not samples:
            raise ValueError("There are no samples to send.")
        self.rate, self._arrivals, self._url, self._patience = rate, arrivals, url, patience
        self._samples = samples
        self._bodies = [json.dumps({"features": sample.features}).encode() for sample in samples]
        self._headers = [_headers(sample, host) for sample in samples]
        self._dice = random.Random(seed)  # noqa: S311 - the same users on every run
        self._users, self._waiting = users, Counter[str]()
        self._lot = random.Random(seed)  # noqa: S311 - who comes depends on who waits, when somebody comes does not
        self._cookies: dict[str, dict[str, str]] = {}
        self._record, self._stopped = Record(), asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self.stable_is(expected, stable)

    def stable_is(self, expected: Sequence[int], stable: str | None = None) -> None:
        """From the next request on, users are compared with what this version would have answered."""
        if len(expected) != len(self._samples):
            raise ValueError(f"There are {len(self._samples)} samples, but {len(expected)} expected answers.")
        self._expected, self._stable = tuple(expected), stable

    async def run(self, duration: timedelta | None = None) -> None:
        """Sends until `stop` or for `duration`, then waits for the answers that are still on their way.

        When it is cancelled, requests on their way are dropped and not counted.
        """
        patience = aiohttp.ClientTimeout(total=self._patience.total_seconds())
        # Users do not queue for each other's connections, and none of them asks this machine's proxy.
        connector = aiohttp.TCPConnector(limit=0)
        session = aiohttp.ClientSession(
            connector=connector, timeout=patience, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        async with session:
            try:
                await self._send_all(session, duration)
                await asyncio.gather(*self._in_flight)
            finally:
                for task in self._in_flight:
                    task.cancel()

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[Self]:
        """They come until the block ends, which waits for the answers that are still on their way."""
        running = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            self.stop()
            await running

    def stop(self) -> None:
        """No further requests; `run` ends with the last answer."""
        self._stopped.set()

    def snapshot(self) -> Counts:
        return self._record.counts()

    def timeline(self) -> tuple[Second, ...]:
        return self._record.timeline()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The newest 100,000, in the order in which they ended."""
        return tuple(self._record.outcomes)

    async def _send_all(self, session: aiohttp.ClientSession, duration: timedelta | None) -> None:
        clock = asyncio.get_running_loop().time
        due = start = clock()
        epoch = time.time() - start
        for number in self._order():
            due += self._gap()
            if duration is not None and due - start > duration.total_seconds():
                return
            await asyncio.sleep(max(0.0, due - clock()))
            if self._stopped.is_set():
                return
            task = asyncio.create_task(self._send(session, number, self._next_user(), due, epoch))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    def _order(self) -> Iterator[int]:
        """The samples shuffled, over and over."""
        order = list(range(len(self._samples)))
        self._dice.shuffle(order)
        return itertools.cycle(order)

    def _next_user(self) -> User:
        chosen = (self._lot.choice(self._users) for _ in range(TRIES))
        user = next((one for one in chosen if not self._waiting[one.name]), self._users[0])
        self._waiting[user.name] += 1
        return user

    def _gap(self) -> float:
        return self._dice.expovariate(self.rate) if self._arrivals == "poisson" else 1 / self.rate

    async def _send(self, session: aiohttp.ClientSession, number: int, who: User, due: float, epoch: float) -> None:
        expected, stable = self._expected[number], self._stable  # as they are now, not when the answer comes
        reply = await self._ask(session, number, who)
        self._waiting[who.name] -= 1
        latency = asyncio.get_running_loop().time() - due
        truth, user = self._samples[number].label, who.name or None
        self._record.add(
            judge(reply, truth=truth, expected=expected, stable=stable, at=epoch + due, latency=latency, user=user)
        )

    async def _ask(self, session: aiohttp.ClientSession, number: int, who: User) -> Reply:
        headers = {**self._headers[number], **who.headers}
        if kept := self._cookies.get(who.name):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        try:
            # Not redirected and, being a POST, not repeated by aiohttp: what happens to it is what the user gets.
            async with session.post(
                self._url, data=self._bodies[number], headers=headers, allow_redirects=False
            ) as response:
                if who.name and response.cookies:
                    given = {name: morsel.value for name, morsel in response.cookies.items()}
                    self._cookies.setdefault(who.name, {}).update(given)
                return Reply(response.status, response.headers.get(VERSION_HEADER), await response.read())
        except TimeoutError as error:
            return _broken(Failure.TIMEOUT, error)
        except aiohttp.ClientConnectorError as error:
            return _broken(Failure.CONNECT, error)
        except (aiohttp.ClientError, OSError) as error:
            return _broken(Failure.RESET, error)


def _headers(sample: Sample, host: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json", TRUE_LABEL_HEADER: str(sample.label)}
    return {**headers, "Host": host} if host else headers


def _broken(failure: Failure, error: Exception) -> Reply:
    return Reply(broken=failure, body=f"{type(error).__name__}: {error}".encode())
