"""Prometheus as a Town's pods would fill it: counters that grow evenly from noon on, scraped and asked for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelrollout.api.analysis import PrometheusServer
from modelrollout.objects.manifests import Owner
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered, parsed

if TYPE_CHECKING:
    from tests.fakes.town import Town

Floats = NDArray[np.float64]
NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OWNER = Owner("ml", "fraud", "uid-fraud")


@dataclass
class Metrics:
    """Prometheus as it would answer: `rps` requests per second for each arm, of which `bad[version]` fail.

    While a route splits requests, stable has as many more as its weight says.
    """

    town: Town
    rps: float = 100
    bad: dict[str, float] = field(default_factory=dict)
    other: dict[str, float] = field(default_factory=dict)  # by version, the part of answers unlike stable's
    is_down: bool = False
    why_down: str = "connection refused"
    why_rejected: str | None = None  # what it says to queries that it does not take
    is_silent: bool = False
    finds: Callable[[tuple[Series, ...]], tuple[Series, ...]] = tuple  # from an arm's own series, what a selector finds
    scrape: timedelta = timedelta(seconds=5)
    lag: timedelta = timedelta()  # what was scraped later than this ago is not there yet
    meanwhile: Callable[[], None] | None = None  # happens once while an answer is on its way
    asked: list[Query] = field(default_factory=list)
    is_hanging: bool = False  # it never answers, and is not heard to be away
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    candidates_part: float | None = None  # of the requests, where the gateway does not follow the weights
    copies: dict[str, dict[str, float]] = field(default_factory=dict)  # by part of the question, a comparer's counts
    buckets: int = 0  # of users, by which an A/B test draws them
    times_stable: list[tuple[float, float]] = field(default_factory=list)  # since when, in seconds: stable's multiple
    told: tuple[bool, frozenset[str]] = (True, frozenset())  # by the last answers: had data, and which versions fail

    @property
    def has_data(self) -> bool:
        return not self.is_down and not self.is_silent and self.rps > 0

    async def ask(
        self, namespace: str, named: PrometheusServer | None, queries: tuple[Query, ...]
    ) -> Mapping[Query, Answer]:
        self.town.cluster.hook("before", "ask", "prometheus", "")
        self.asked += queries
        self.note_share()
        self.was_asked.set()
        if self.is_hanging:
            await asyncio.Event().wait()
        answers = {query: self._answer(query) for query in queries}
        self.told = (self.has_data, frozenset(version for version, share in self.bad.items() if share))
        if (happens := self.meanwhile) is not None:
            self.meanwhile = None
            happens()
            await self.town.looked_around()
        self.town.cluster.hook("after", "ask", "prometheus", "")
        return answers

    def note_share(self, since: datetime | None = None) -> None:
        """From now on, or since then, the route has its present weight."""
        if self.town.is_gone:
            return
        candidate = self.town.status.candidate
        part = self.town.part_of(candidate.workload) if candidate else 0.0
        part = self.town.values_asking / self.buckets if self.buckets and part < 1 else part
        split = 0 < part < 1
        part = self.candidates_part if split and self.candidates_part is not None else part
        times = (1 - part) / part if split and part else 1.0
        if times != (self.times_stable[-1][1] if self.times_stable else 1.0):
            self.times_stable.append((((since or self.town.now) - NOON).total_seconds(), times))

    def _stable_seconds(self, seconds: Floats) -> Floats:
        """The seconds since noon, each as often as stable had the rate of the candidate."""
        begins, times = np.array([(0.0, 1.0), *self.times_stable]).T
        earlier = np.concatenate(([0.0], np.cumsum(np.diff(begins) * times[:-1])))
        after_noon = np.maximum(seconds, 0.0)
        now = np.searchsorted(begins, after_noon, side="right") - 1
        return np.minimum(seconds, 0.0) + (earlier[now] + (after_noon - begins[now]) * times[now])

    def _answer(self, query: Query) -> Answer:
        if self.is_down:
            return Unanswered(self.why_down, rejected=False)
        if self.why_rejected is not None:
            return Unanswered(self.why_rejected, rejected=True)
        if query.metric == "copies":
            counts = self.copies.get(query.part, {}).items()
            return Answered(tuple(Series({"by": name}, ((query.end.timestamp(), count),)) for name, count in counts))
        return Answered(() if self.is_silent else self.finds(self._series(query)))

    def _series(self, query: Query) -> tuple[Series, ...]:
        status = self.town.status
        arm = status.candidate if query.arm == "candidate" else status.stable
        assert arm is not None
        is_compared = query.metric.endswith("-agreement")
        bad = (self.other if is_compared else self.bad).get(arm.model.version, 0.0)
        told = {"rollout_ns": OWNER.namespace, "rollout": OWNER.name, "revision": arm.revision} if is_compared else {}
        end = min(query.end, self.town.now - self.lag)
        scrape, noon = self.scrape.total_seconds(), NOON.timestamp()
        first, last = (math.floor((moment - NOON) / self.scrape) for moment in (query.start, end))
        since = np.arange(first + 1, last + 1) * scrape
        so_far = since if query.arm == "candidate" else self._stable_seconds(since)
        moments = (noon + since).tolist()
        return tuple(
            Series(
                {"__name__": name, "namespace": OWNER.namespace, "pod": f"{arm.workload}-0", "code": code, **told},
                tuple(zip(moments, (1e6 + np.rint(self.rps * share * so_far)).tolist(), strict=True)),
            )
            for name, code, share in _counters(query, bad)
        )


def _counters(query: Query, bad: float) -> list[tuple[str, str, float]]:
    """Name, code and share of the counters that a ratio's query selects."""
    names = {part: parsed(text).named[0].value for part, text in query.parts}
    if names["bad"] == names["total"]:
        return [(names["total"], "500", bad), (names["total"], "200", 1 - bad)]
    return [(names["bad"], "", bad), (names["total"], "", 1.0)]
