"""What Prometheus remembers of a service, made up: pods that serve and are scraped, some worse from a moment on.

Answers queries itself (`ask`, as the client does), quickly enough for weeks; or puts all of it into a fake server.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered
from modelrollout.promql.selectors import SelectorError, parse
from tests.fakes.prometheus import FakePrometheus

Floats = npt.NDArray[np.float64]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LOOKBACK = 300.0
EDGES = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SERIES_AT_MOST, SAMPLES_AT_MOST = 5_000, 500_000


@dataclass
class Pod:
    """A pod: requests per second, and shares that may change with time (unix seconds)."""

    name: str
    rps: float = 20.0
    errors: Callable[[Floats], Floats] = lambda at: np.full_like(at, 0.01)
    latency: Callable[[Floats], Floats] = lambda at: np.full_like(at, 0.06)
    accuracy: Callable[[Floats], Floats] = lambda at: np.full_like(at, 0.9)
    labels: Mapping[str, str] = field(default_factory=dict)


def always(value: float) -> Callable[[Floats], Floats]:
    return lambda at: np.full_like(at, value)


def from_then_on(before: float, after: float, onset: datetime) -> Callable[[Floats], Floats]:
    return lambda at: np.where(at >= onset.timestamp(), after, before)


class Past:
    """Everything from `start` to `end`, scraped every so many seconds. The same seed makes the same past."""

    def __init__(
        self, pods: Sequence[Pod], start: datetime, end: datetime, *, scrape: float = 15.0, seed: int = 1
    ) -> None:
        self.series: list[tuple[dict[str, str], Floats, Floats]] = []
        self.asked: list[Query] = []
        self.is_away = False
        for number, pod in enumerate(pods):
            self._serve(pod, start.timestamp(), end.timestamp(), scrape, np.random.default_rng((seed, number)))

    def _serve(self, pod: Pod, start: float, end: float, scrape: float, random: np.random.Generator) -> None:
        times = np.arange(start + float(random.uniform(0, scrape)), end, scrape).round(3)
        requests = random.poisson(pod.rps * scrape, times.size)
        labels = {"namespace": "ml", "pod": pod.name, **pod.labels}
        failed = random.binomial(requests, pod.errors(times))
        for code, count in (("200", requests - failed), ("500", failed)):
            self._add("http_requests_total", {**labels, "code": code}, times, np.cumsum(count))
        usual = pod.latency(times)
        left, within = requests.copy(), np.zeros(times.size)
        for edge in EDGES:  # each request takes exponentially long
            share = 1 - np.exp(-edge / usual)
            before = 1 - np.exp(-([0.0, *EDGES][EDGES.index(edge)]) / usual)
            here = random.binomial(left, np.clip((share - before) / np.maximum(1 - before, 1e-12), 0, 1))
            left, within = left - here, within + here
            self._add("seconds_bucket", {**labels, "le": f"{edge}"}, times, np.cumsum(within))
        self._add("seconds_bucket", {**labels, "le": "+Inf"}, times, np.cumsum(requests))
        noise = random.normal(0, 0.01, times.size)
        self._add("accuracy", labels, times, np.clip(pod.accuracy(times) + noise, 0, 1))

    def _add(self, name: str, labels: Mapping[str, str], times: Floats, values: Floats) -> None:
        self.series.append(({"__name__": name, **labels}, times, np.asarray(values, dtype=np.float64)))

    def pour_into(self, prometheus: FakePrometheus) -> None:
        for labels, times, values in self.series:
            own = dict(labels)
            prometheus.add(own.pop("__name__"), own, zip(times.tolist(), values.tolist(), strict=True))

    def open_metrics(self) -> str:
        """All of it as OpenMetrics text, from which promtool makes blocks."""
        lines = []
        for name in sorted({labels["__name__"] for labels, _, _ in self.series}):
            lines.append(f"# TYPE {name.removesuffix('_total').removesuffix('_bucket')} unknown")
            for labels, times, values in self.series:
                if labels["__name__"] == name:
                    inner = ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
                    lines += [
                        f"{name}{{{inner}}} {v!r} {at!r}" for at, v in zip(times.tolist(), values.tolist(), strict=True)
                    ]
        return "\n".join([*lines, "# EOF", ""])

    async def ask(self, queries: Sequence[Query]) -> dict[Query, Answer]:
        self.asked += queries
        return {query: self._answer(query) for query in queries}

    def _answer(self, query: Query) -> Answer:
        if self.is_away:
            return Unanswered("Prometheus at http://past did not answer within 60 s.", rejected=False)
        text, inner = query.promql, query.promql
        if is_mean := text.startswith("avg("):
            inner = text[4:-1]
        group = None
        if text.startswith("group by ("):
            group, _, rest = text[10:].partition(") (")
            inner = rest[:-1]
        try:
            selector = parse(inner)
        except SelectorError as error:
            return Unanswered(f"Prometheus at http://past rejects the query: parse error: {error}", rejected=True)
        found = [one for one in self.series if selector.matches(one[0])]
        start, end = query.start.timestamp(), query.end.timestamp()
        if group is not None:
            names = {labels.get(group, "") for labels, times, _ in found if _latest(times, end) >= 0}
            return Answered(tuple(Series({group: name}, ((end, 1.0),)) for name in sorted(names)))
        if query.step is None:
            shown = [_cut(*one, start, end) for one in found]
        else:
            step = query.step.total_seconds()
            grid = start + np.arange(math.floor((end - start) / step + 1e-6) + 1) * step
            shown = [_stepped(*one, grid) for one in found]
            shown = [_mean(shown, grid)] if is_mean and shown else shown
        series = tuple(one for one in shown if one.samples)
        if sum(len(one.samples) for one in series) > SAMPLES_AT_MOST or len(series) > SERIES_AT_MOST:
            return Unanswered("The query matches too many samples; narrow the selector.", rejected=True)
        return Answered(series)


def _cut(labels: Mapping[str, str], times: Floats, values: Floats, start: float, end: float) -> Series:
    first, last = np.searchsorted(times, (start + 5e-4, end + 5e-4))
    return Series(labels, tuple(zip(times[first:last].tolist(), values[first:last].tolist(), strict=True)))


def _latest(times: Floats, at: float) -> int:
    place = int(np.searchsorted(times, at + 5e-4)) - 1
    return place if place >= 0 and at - times[place] < LOOKBACK else -1


def _stepped(labels: Mapping[str, str], times: Floats, values: Floats, grid: Floats) -> Series:
    places = np.searchsorted(times, grid + 5e-4) - 1
    is_there = (places >= 0) & (grid - times[np.maximum(places, 0)] < LOOKBACK)
    pairs = zip(grid[is_there].tolist(), values[places[is_there]].tolist(), strict=True)
    return Series(labels, tuple(pairs))


def _mean(series: Sequence[Series], grid: Floats) -> Series:
    sums: dict[float, list[float]] = {}
    for one in series:
        for at, value in one.samples:
            sums.setdefault(at, []).append(value)
    return Series({}, tuple((at, math.fsum(sums[at]) / len(sums[at])) for at in grid.tolist() if at in sums))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
