"""Looks at made-up metrics, for tests of verdicts: what Prometheus would answer, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.analysis.queries import Answer, Answered, ArmNames, Query, Series, Window, queries
from modelrollout.analysis.verdicts import judge
from modelrollout.api.spec import Analysis
from modelrollout.api.status import MetricVerdict

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
START = NOON.timestamp()
INTERVAL = timedelta(seconds=15)
SCRAPE = 5.0

CANDIDATE = ArmNames("candidate", "ml", "fraud", "b41c", "fraud-b41c", "fraud-b41c")
STABLE = ArmNames("stable", "ml", "fraud", "7d9f", "fraud-7d9f", "fraud-7d9f")

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


def analysis(*metrics: Mapping[str, Any], **fields: Any) -> Analysis:
    return Analysis.model_validate({"metrics": metrics, **fields})


def window(look: int = 10, interval: timedelta = INTERVAL) -> Window:
    return Window(NOON, NOON + look * interval, look)


def look(
    metric: Mapping[str, Any],
    candidate: Told,
    stable: Told | None = None,
    *,
    at: int = 10,
    others: int = 0,
    **fields: Any,
) -> MetricVerdict:
    """The verdict on one metric; `others` more take their part of the chance of a false rollback."""
    more = [{**metric, "name": f"other-{n}"} for n in range(others)]
    wished = analysis(metric, *more, **fields)
    asked = queries(wished, CANDIDATE, STABLE if stable is not None else None, window(at, wished.interval.timedelta))
    answers = {query: _answer(query, candidate if query.arm == "candidate" else stable or {}) for query in asked}
    return judge(wished, asked, answers, window(at, wished.interval.timedelta), stretches=5)[0]


def _answer(query: Query, told: Told) -> Answer:
    found = told.get(query.part, ())
    return Answered(tuple(found)) if isinstance(found, Sequence) else found


def counter(values: Iterable[float], *, since: float = 5.0, every: float = SCRAPE, **labels: str) -> Series:
    """A counter with these values, scraped from `since` seconds after noon on."""
    samples = tuple((START + since + n * every, float(value)) for n, value in enumerate(values))
    return Series({"pod": "fraud-x", **labels}, samples)


def grown(amount: float, *, before: float = 1000.0, **labels: str) -> Series:
    """A counter that grew by so much over the ten looks."""
    return counter([before, before + amount / 2, before + amount], every=70.0, **labels)


def requests(bad: float, total: float, *, part: str = "bad", **labels: str) -> dict[str, list[Series]]:
    """A ratio's counters of one arm, which grew by so much."""
    return {part: [grown(bad, code="500", **labels)], "total": [grown(total, **labels)]}


def histogram(within: Mapping[float | str, float], total: float, **labels: str) -> dict[str, list[Series]]:
    """Buckets that grew by so much, cumulative, and +Inf."""
    edges = {**{str(edge): amount for edge, amount in within.items()}, "+Inf": total}
    return {"histogram": [grown(amount, le=edge, **labels) for edge, amount in edges.items()]}


def readings(values: Iterable[float], *, interval: float = 15.0, **labels: str) -> dict[str, list[Series]]:
    """A value's readings at the looks."""
    samples = tuple((START + (n + 1) * interval, float(value)) for n, value in enumerate(values))
    return {"value": [Series(labels, samples)]}
