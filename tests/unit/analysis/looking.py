"""Looks at made-up metrics, for tests of verdicts: what Prometheus would answer, and what is made of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.look import Intended, Prior
from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case, Judgement, judge
from modelrollout.analysis.queries import ArmNames, Reach, pods_of, queries
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import MetricEvidence, MetricVerdict
from modelrollout.promql.query import Answer, Answered, Query, Series, parsed
from modelrollout.sequential.noise import Mode

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
START = NOON.timestamp()
INTERVAL = timedelta(seconds=15)
SCRAPE = 5.0
CALM = Prior(mode=Mode.PLAIN)
"""A history in which the requests of stable's pods failed one by one."""
KNOWN = -145.0
"""Seconds after noon at which a look at the first tick begins to read: whoever was there then is not new."""

CANDIDATE = ArmNames("candidate", "ml", "fraud", "b41c", "fraud-b41c", "fraud-b41c", pods_of("fraud-b41c"))
STABLE = ArmNames("stable", "ml", "fraud", "7d9f", "fraud-7d9f", "fraud-7d9f", pods_of("fraud-7d9f"))

ERRORS = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
    },
    "tolerance": {"relative": "25%", "absolute": "0.1%"},
}
ACCURACY = {
    "name": "accuracy",
    "ratio": {"good": 'model_correct_total{pod=~"{{ pods }}"}', "total": 'model_labelled_total{pod=~"{{ pods }}"}'},
    "tolerance": {"absolute": "1%"},
}
REVENUE = {
    "name": "revenue",
    "mean": {part: f'shop_{part}_total{{pod=~"{{{{ pods }}}}"}}' for part in ("sum", "squares", "count")},
    "betterWhen": "higher",
    "tolerance": {"relative": "5%"},
}
LATENCY = {
    "name": "latency",
    "histogram": 'http_request_duration_seconds_bucket{pod=~"{{ pods }}"}',
    "tolerance": {"relative": "10%"},
}
GAUGE = {
    "name": "drift",
    "value": 'avg(model_drift{pod=~"{{ pods }}"})',
    "betterWhen": "lower",
    "tolerance": {"absolute": "0.01"},
}

Told = Mapping[str, Answer | Sequence[Series]]
Store = Callable[[float], Iterable[Series]]
"""What Prometheus has at a moment (unix seconds)."""


def analysis(*metrics: Mapping[str, Any], **fields: Any) -> Analysis:
    return Analysis.model_validate({"metrics": metrics, **fields})


def course(wished: Analysis, *steps: float, later_steps: int = 4, planned: float = 1200.0, hold: float = 0.0) -> Course:
    """A time line from noon on; later `steps` began so many seconds after it."""
    tick = tick_of(wished.interval.timedelta).total_seconds()
    return Course(START, tick, tuple(START + step for step in steps), later_steps, planned, hold)


def case(wished: Analysis, line: Course, end: float, usual: Prior | Mapping[str, Prior] | None = None) -> Case:
    """A look that ends so many seconds after noon, with nothing kept. Pods are calm unless `usual` says otherwise."""
    known = usual if isinstance(usual, Mapping) else {one.name: usual or CALM for one in wished.metrics}
    return Case(
        analysis=wished,
        course=line,
        usual=known,
        kept={},
        basis={one.name: f"basis of {one.name}" for one in wished.metrics},
        end=START + end,
        look_back=look_back(wished.interval.timedelta, wished.warm_up.timedelta).total_seconds(),
        thresholds={},
        seed="uid-fraud/b41c",
    )


def reaches(one: Case) -> dict[str, Reach]:
    """What each metric's queries reach over."""
    tick = timedelta(seconds=one.course.tick)
    found = {}
    for metric in one.analysis.metrics:
        before = one.before(metric)
        moments = before.since, one.course.time(before.first + 1), one.end
        since, first, end = (datetime.fromtimestamp(moment, UTC) for moment in moments)
        found[metric.name] = Reach(since, first, end, tick)
    return found


def asked_by(one: Case, *, is_compared: bool = True) -> tuple[Query, ...]:
    return queries(one.analysis, CANDIDATE, STABLE if is_compared else None, reaches(one))


def look(
    metric: Mapping[str, Any],
    candidate: Told,
    stable: Told | None = None,
    *,
    at: int = 10,
    others: int = 0,
    steps: Sequence[float] = (),
    usual: Prior | None = None,
    hold: float = 0.0,
    **fields: Any,
) -> MetricVerdict:
    """The verdict on one metric; `others` more take their part of the chance of a false rollback."""
    more = [{**metric, "name": f"other-{n}"} for n in range(others)]
    wished = analysis(metric, *more, **fields)
    end = at * wished.interval.timedelta.total_seconds()
    one = case(wished, course(wished, *steps, hold=hold), end, usual)
    asked = part_by_part(asked_by(one, is_compared=stable is not None))
    known = [query for query in asked if query.metric == metric["name"]]
    answers = {query: _answer(query, candidate if query.arm == "candidate" else stable or {}) for query in known}
    return judge(one, asked, answers).verdicts[0]


def part_by_part(asked: Iterable[Query]) -> list[Query]:
    """Each part asked for by itself, as where no selector could ask for all of them at once."""
    return [
        replace(query, part=part, promql=text, parts=())
        for query in asked
        for part, text in query.parts or ((query.part, query.promql),)
    ]


def _answer(query: Query, told: Told) -> Answer:
    found = told.get(query.part, ())
    return Answered(tuple(found)) if isinstance(found, Sequence) else found


def counter(
    values: Iterable[float], *, since: float = 5.0, every: float = SCRAPE, is_new: bool = False, **labels: str
) -> Series:
    """A counter with these values, scraped from `since` seconds after noon on; before that it stood at the first."""
    told = [(START + since + n * every, float(value)) for n, value in enumerate(values)]
    if not is_new and told:
        times = np.arange(KNOWN + (since - KNOWN) % every, since - every / 2, every)
        told = [*((START + at, told[0][1]) for at in times.tolist()), *told]
    return Series({"pod": "fraud-x", **labels}, tuple(told))


def grown(
    amount: float, *, before: float = 1000.0, over: float = 150.0, every: float = SCRAPE, **labels: str
) -> Series:
    """A counter that grew evenly by so much over the first ten looks."""
    times = np.arange(-(-KNOWN // every), over / every + 0.5) * every
    values = before + amount * np.maximum(times, 0.0) / over
    return Series({"pod": "fraud-x", **labels}, tuple(zip((START + times).tolist(), values.tolist(), strict=True)))


def requests(
    bad: float, total: float, *, part: str = "bad", over: float = 150.0, **labels: str
) -> dict[str, list[Series]]:
    """A ratio's counters of one arm, which grew by so much."""
    return {part: [grown(bad, over=over, code="500", **labels)], "total": [grown(total, over=over, **labels)]}


def takings(mean: float, users: float, *, deviation: float = 10.0) -> dict[str, list[Series]]:
    """Counters of one arm whose users brought so much."""
    of_one = {"sum": mean, "squares": mean**2 + deviation**2, "total": 1.0}
    return {part: [grown(amount * users)] for part, amount in of_one.items()}


def histogram(within: Mapping[float | str, float], total: float, **labels: str) -> dict[str, list[Series]]:
    """Buckets that grew by so much, cumulative, and +Inf."""
    edges = {**{str(edge): amount for edge, amount in within.items()}, "+Inf": total}
    return {"histogram": [grown(amount, le=edge, **labels) for edge, amount in edges.items()]}


def readings(values: Iterable[float], *, interval: float = 15.0, **labels: str) -> dict[str, list[Series]]:
    """A value's readings at the looks."""
    samples = tuple((START + (n + 1) * interval, float(value)) for n, value in enumerate(values))
    return {"value": [Series(labels, samples)]}


@dataclass
class Walk:
    """A rollout that is looked at again and again: what the tests know is carried on from look to look, or lost.

    `store`: counters under the names and labels that the metrics select. `values`: readings, by arm.
    """

    analysis: Analysis
    store: Store
    course: Course
    usual: Prior | Mapping[str, Prior] | None = None
    values: Mapping[str, Sequence[Series]] = field(default_factory=dict)
    is_compared: bool = True
    kept: dict[str, MetricEvidence] = field(default_factory=dict)
    intended: Intended | None = None

    def look(self, end: float, *, is_saved: bool = True) -> Judgement:
        """A look that ends so many seconds after noon. `is_saved`: its checkpoint is what the next one starts from."""
        one = replace(case(self.analysis, self.course, end, self.usual), kept=self.kept, intended=self.intended)
        asked = asked_by(one, is_compared=self.is_compared)
        told = judge(one, asked, self.answers(asked, end))
        if is_saved:
            self.kept = {kept.metric: kept for kept in told.checkpoint}
        return told

    def answers(self, asked: Iterable[Query], now: float) -> dict[Query, Answer]:
        """What Prometheus says so many seconds after noon."""
        held = list(self.store(START + now))
        return {query: self._answer(query, held) for query in asked}

    def _answer(self, query: Query, held: Sequence[Series]) -> Answer:
        start, end = query.start.timestamp(), query.end.timestamp()
        if query.part == "value":
            return Answered(tuple(cut(one, start - 1e-6, end) for one in self.values[query.arm]))
        selector = parsed(query.promql)
        found = (cut(one, start, end) for one in held if selector.matches(one.labels))
        return Answered(tuple(one for one in found if one.samples))


def cut(series: Series, start: float, end: float) -> Series:
    """The samples with start < t ≤ end, as Prometheus gives them."""
    first, last = (bisect_right(series.samples, moment, key=lambda sample: sample[0]) for moment in (start, end))
    return Series(series.labels, series.samples[first:last])


def always(*series: Series) -> Store:
    """A Prometheus that has each sample at once."""
    return lambda now: series


def same(one: MetricEvidence, other: MetricEvidence, within: float = 1e-9) -> bool:
    """Whether two checkpoints hold the same evidence, number by number."""
    mine, theirs = ledger.read(one.state), ledger.read(other.state)
    return (one.ticks, mine.keys()) == (other.ticks, theirs.keys()) and all(
        np.allclose(mine[name], theirs[name], rtol=within, atol=within) for name in mine
    )
