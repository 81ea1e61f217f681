"""History comes in pieces that Prometheus can bear, each sample once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from modelrollout.cli.backtest.fetch import Fetcher, Wanted
from modelrollout.cli.backtest.tape import Reel
from modelrollout.cli.backtest.trouble import AwayError, MisuseError
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Counted:
    """A sample every second in each of so many series; refuses more than `most` in one answer."""

    series: int = 1
    most: int = 1_000_000
    away: int = 0  # so many times
    asked: list[Query] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def ask(self, queries: Sequence[Query]) -> dict[Query, Answer]:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.asked += queries
        return {query: self._answer(query) for query in queries}

    def _answer(self, query: Query) -> Answer:
        if self.away > 0:
            self.away -= 1
            return Unanswered("Prometheus at http://p did not answer within 60 s.", rejected=False)
        step = (query.step or SECOND).total_seconds()
        first = query.start.timestamp() + (1 if query.step is None else 0)
        times = [first + step * number for number in range(int((query.end.timestamp() - first) / step + 1e-6) + 1)]
        if len(times) * self.series > self.most:
            return Unanswered("The query matches too many samples; narrow the selector.", rejected=True)
        return Answered(tuple(Series({"n": str(n)}, tuple((at, at) for at in times)) for n in range(self.series)))


def wanted(step: timedelta | None = None) -> Wanted:
    return Wanted(Query("errors", "stable", "total", "x", START, START, step), Reel(START.timestamp()))


async def no_sleep(_: float) -> None:
    return None


@pytest.mark.parametrize("step", [None, SECOND, timedelta(seconds=22.5)])
async def test_every_sample_comes_once_and_in_order(step: timedelta | None) -> None:
    one, prometheus = wanted(step), Counted(series=2, most=20_000)
    for until in (1_000, 1_000, 40_000, 100_000):
        await Fetcher(prometheus, sleep=no_sleep).fill([one], START.timestamp() + until)
    length = (step or SECOND).total_seconds()
    for strip in one.reel.strips.values():
        gaps = set((strip.times[1:] - strip.times[:-1]).round(3).tolist())
        assert gaps == {length}
        assert strip.times[0] == START.timestamp() + length
        assert len(strip.times) == int(100_000 / length + 1e-6)


async def test_pieces_grow_while_there_is_little_in_them_and_shrink_when_too_much_is_refused() -> None:
    one, prometheus = wanted(), Counted(series=10, most=30_000)
    await Fetcher(prometheus).fill([one], START.timestamp() + 200_000)
    lengths = [(query.end - query.start).total_seconds() for query in prometheus.asked]
    assert lengths[0] == 300
    assert 4_800 in lengths  # grown, and refused
    assert sum(length > 3_000 for length in lengths) == 1
    assert one.reel.samples == 2_000_000


async def test_a_query_that_is_refused_however_short_names_its_field() -> None:
    with pytest.raises(MisuseError, match=r"spec\.analysis\.metrics\[errors\]\.total: The query matches too many"):
        await Fetcher(Counted(most=10)).fill([wanted()], START.timestamp() + 1_000)


async def test_an_outage_is_waited_out() -> None:
    one = wanted()
    await Fetcher(Counted(away=3), sleep=no_sleep).fill([one], START.timestamp() + 1_000)
    assert one.reel.samples == 1_000


async def test_a_prometheus_that_stays_away_ends_it_with_its_own_words() -> None:
    with pytest.raises(AwayError, match=r"http://p did not answer within 60 s\. It was asked 5 times\."):
        await Fetcher(Counted(away=99), sleep=no_sleep).fill([wanted(), wanted()], START.timestamp() + 1_000)


async def test_few_queries_are_under_way_at_a_time() -> None:
    prometheus = Counted()
    await Fetcher(prometheus).fill([wanted() for _ in range(30)], START.timestamp() + 500)
    assert prometheus.most_under_way <= 4
