"""Reads history out of Prometheus: in pieces that it can bear, a few at a time, and again when it was away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from modelrollout.analysis.queries import MOST_POINTS
from modelrollout.cli.backtest.tape import Reel
from modelrollout.cli.backtest.trouble import AwayError, MisuseError
from modelrollout.promql.query import Answer, Answered, Query, Unanswered

FIRST_PIECE = timedelta(minutes=5)
"""The first piece of a query: it shows how much there is of it."""
SHORTEST_PIECE, LONGEST_PIECE = timedelta(minutes=1), timedelta(hours=12)
FEW_SAMPLES, MANY_SAMPLES = 40_000, 160_000
"""Samples in an answer below which the next piece is longer, and above which it is shorter."""
IN_FLIGHT = 4
"""Queries at a time: others need this Prometheus, too."""
PAUSES = (1.0, 3.0, 10.0, 20.0)
"""Seconds before it is asked again."""


class Asks(Protocol):
    """What a Prometheus client can do."""

    async def ask(self, queries: Sequence[Query]) -> dict[Query, Answer]: ...


@dataclass(slots=True)
class Wanted:
    """A query whose samples are wanted, and where they are put."""

    query: Query  # start and end are set anew for every piece
    reel: Reel
    span: timedelta = FIRST_PIECE
    ceiling: timedelta = LONGEST_PIECE  # half of what was refused

    @property
    def where(self) -> str:
        part = f".{self.query.part}" if not self.query.parts else ""
        return f"spec.analysis.metrics[{self.query.metric}]{part}"

    def piece(self, until: float) -> Query:
        """What to ask for next."""
        start, step = self.reel.reach, self.query.step
        if step is None:
            end = min(until, start + self.span.total_seconds())
            return replace(self.query, start=_moment(start), end=_moment(end))
        first = start + step.total_seconds()
        most = min(self.span / step, MOST_POINTS)
        points = max(min(round((until - start) / step.total_seconds()), int(most)), 1)
        return replace(self.query, start=_moment(first), end=_moment(first + (points - 1) * step.total_seconds()))


class Fetcher:
    """Fills reels. `told` is called with the samples of every answer."""

    def __init__(
        self,
        prometheus: Asks,
        told: Callable[[int], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._prometheus, self._told, self._sleep = prometheus, told, sleep
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self.queries = 0

    async def fill(self, wanted: Iterable[Wanted], until: float) -> None:
        """All reels up to a moment. Raises MisuseError for a query that is refused, AwayError without an answer."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for one in wanted:
                    tasks.create_task(self._fill(one, until))
        except BaseExceptionGroup as troubles:
            raise troubles.exceptions[0] from None  # one error is enough to report

    async def answers(self, queries: Sequence[Query]) -> Mapping[Query, Answer]:
        """An answer for each; a refusal is an answer, as it is for the operator."""
        found: dict[Query, Answer] = {}

        async def one(query: Query) -> None:
            found[query] = await self._patiently(query)

        try:
            async with asyncio.TaskGroup() as tasks:
                for query in dict.fromkeys(queries):
                    tasks.create_task(one(query))
        except BaseExceptionGroup as troubles:
            raise troubles.exceptions[0] from None
        return found

    async def _fill(self, wanted: Wanted, until: float) -> None:
        step = wanted.query.step
        tail = step.total_seconds() * (1 - 1e-6) if step is not None else 1e-3
        while until - wanted.reel.reach >= tail:
            query = wanted.piece(until)
            answer = await self._patiently(query)
            if isinstance(answer, Unanswered):
                if wanted.span <= SHORTEST_PIECE:
                    raise MisuseError(f"{wanted.where}: {answer.why}")
                wanted.span = wanted.ceiling = max(wanted.span / 2, SHORTEST_PIECE)
                continue
            found = sum(len(one.samples) for one in answer.series)
            wanted.reel.append(answer.series, query.end.timestamp())
            self._told(found)
            asked = query.end - query.start + (step or timedelta())
            if found < FEW_SAMPLES and asked >= wanted.span * 0.9:
                wanted.span = min(wanted.span * 4, wanted.ceiling)
            elif found > MANY_SAMPLES:
                wanted.span = max(wanted.span / 2, SHORTEST_PIECE)

    async def _patiently(self, query: Query) -> Answered | Unanswered:
        """An answer, or a refusal. Raises AwayError."""
        why = ""
        for pause in (0.0, *PAUSES):
            if pause:
                await self._sleep(pause)
            async with self._turns:
                answer = (await self._prometheus.ask([query]))[query]
            self.queries += 1
            if isinstance(answer, Answered) or answer.rejected:
                return answer
            why = answer.why.rstrip(". ")
        raise AwayError(f"{why}. It was asked {1 + len(PAUSES)} times.")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
