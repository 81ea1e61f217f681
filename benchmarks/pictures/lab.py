"""Releases in a laboratory: made-up counters of two arms, which the operator's own engine looks at every 15 s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from benchmarks.analysis.trials import Floats
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case, judge
from modelrollout.analysis.queries import ArmNames, Reach, pods_of, queries
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import MetricEvidence, MetricVerdict
from modelrollout.promql.query import Answer, Answered, Query, Series
from modelrollout.sequential.noise import Mode

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SCRAPE = 5.0
"""Seconds."""
BEFORE = 300.0
"""Seconds before the first step for which counters are there: the pods are not new."""

CALM = Prior(mode=Mode.PLAIN)
"""A history in which the requests of stable's pods failed one by one."""

CANDIDATE = ArmNames("candidate", "ml", "fraud", "b41c", "fraud-b41c", "fraud-b41c", pods_of("fraud-b41c"))
STABLE = ArmNames("stable", "ml", "fraud", "7d9f", "fraud-7d9f", "fraud-7d9f", pods_of("fraud-7d9f"))

ERRORS: Mapping[str, Any] = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
    },
    "tolerance": {"relative": "25%", "absolute": "0.1%"},
}
"""The metric of most pictures, as in the README."""
ACCURACY: Mapping[str, Any] = {
    "name": "accuracy",
    "ratio": {"good": 'model_correct_total{pod=~"{{ pods }}"}', "total": 'model_labelled_total{pod=~"{{ pods }}"}'},
    "tolerance": {"absolute": "1%"},
}
LATENCY: Mapping[str, Any] = {
    "name": "latency",
    "histogram": 'http_request_duration_seconds_bucket{pod=~"{{ pods }}"}',
    "tolerance": {"relative": "20%"},
}
DRIFT: Mapping[str, Any] = {
    "name": "drift",
    "value": 'avg(model_drift{pod=~"{{ pods }}"})',
    "betterWhen": "lower",
    "tolerance": {"absolute": "0.01"},
}

Store = Callable[[Query], Answer]
"""What Prometheus answers."""


def analysis(*metrics: Mapping[str, Any], **fields: Any) -> Analysis:
    return Analysis.model_validate({"metrics": list(metrics), **fields})


@dataclass
class Release:
    """A release that is looked at again and again; `steps`: seconds after the start at which later steps began."""

    analysis: Analysis
    store: Store
    steps: tuple[float, ...] = ()
    planned: float = 3600.0
    usual: Prior = CALM
    is_compared: bool = True
    kept: dict[str, MetricEvidence] = field(default_factory=dict)

    def look(self, end: float) -> tuple[MetricVerdict, ...]:
        """The verdicts so many seconds after the start."""
        case = self._case(end)
        asked = queries(self.analysis, CANDIDATE, STABLE if self.is_compared else None, _reaches(case))
        told = judge(case, asked, {query: self.store(query) for query in asked})
        self.kept = {one.metric: one for one in told.checkpoint}
        return told.verdicts

    def looks(self, seconds: float) -> list[tuple[float, MetricVerdict]]:
        """The first metric's verdict at every look."""
        every = self.analysis.interval.timedelta.total_seconds()
        moments = np.arange(every, seconds + 1e-6, every).tolist()
        return [(at, self.look(at)[0]) for at in moments]

    def _case(self, end: float) -> Case:
        wished, start = self.analysis, START.timestamp()
        tick = tick_of(wished.interval.timedelta).total_seconds()
        begun = tuple(start + step for step in self.steps if step <= end)
        return Case(
            analysis=wished,
            course=Course(start, tick, begun, len(self.steps), self.planned),
            usual={one.name: self.usual for one in wished.metrics},
            kept=self.kept,
            basis={one.name: one.name for one in wished.metrics},
            end=start + end,
            look_back=look_back(wished.interval.timedelta, wished.warm_up.timedelta).total_seconds(),
            thresholds={},
            seed="fraud/b41c",
        )


def _reaches(case: Case) -> dict[str, Reach]:
    found = {}
    for metric in case.analysis.metrics:
        before = case.before(metric)
        moments = (before.since, case.course.time(before.first + 1), case.end)
        since, first, end = (datetime.fromtimestamp(moment, UTC) for moment in moments)
        found[metric.name] = Reach(since, first, end, timedelta(seconds=case.course.tick))
    return found


def prometheus(candidate: Iterable[Series], stable: Iterable[Series]) -> Store:
    """A Prometheus that knows these series. A value is asked for at the moments that its series has."""
    held = {"candidate": tuple(candidate), "stable": tuple(stable)}

    def answer(query: Query) -> Answer:
        start, end = query.start.timestamp(), query.end.timestamp()
        is_value = query.step is not None
        found = []
        for one in held[query.arm]:
            samples = tuple(
                (at, value) for at, value in one.samples if (start <= at if is_value else start < at) and at <= end
            )
            if samples:
                found.append(Series(one.labels, samples))
        return Answered(tuple(found))

    return answer


def requests(names: ArmNames, total: Floats, bad: Floats, name: str = "http_requests_total") -> list[Series]:
    """The counters of an arm that had so many requests between scrapes, of which `bad` failed."""
    return counters(names, {"500": bad, "200": total - bad}, name=name, label="code")


def counters(names: ArmNames, grown: Mapping[str, Floats], *, name: str, label: str) -> list[Series]:
    """Counters by the value of a label, of one pod."""
    return [labelled(names, growth, **{"__name__": name, label: value}) for value, growth in grown.items()]


def labelled(names: ArmNames, growth: Floats, **labels: str) -> Series:
    """A counter of an arm's one pod; it has been there before the first step."""
    return Series({**labels, "pod": f"{names.workload}-x7k2p"}, _samples(growth))


def _samples(growth: Floats) -> tuple[tuple[float, float], ...]:
    before = round(BEFORE / SCRAPE)
    times = START.timestamp() + SCRAPE * np.arange(-before, len(growth) + 1)
    values = 1000.0 + np.concatenate([np.zeros(before + 1), growth.cumsum()])
    return tuple(zip(times.tolist(), values.tolist(), strict=True))


def even(rate: float, seconds: float) -> Floats:
    """Growth per scrape of what comes evenly, `rate` in a second."""
    return np.full(round(seconds / SCRAPE), rate * SCRAPE)


def evenly(rps: float, share: float, weight: float, seconds: float, *, usual: float) -> Store:
    """Requests and errors without any chance in them: the candidate fails `share` of its part, stable `usual`."""
    arms = [(CANDIDATE, weight * rps, share), (STABLE, (1 - weight) * rps, usual)]
    mine, theirs = (requests(names, even(rate, seconds), even(rate * bad, seconds)) for names, rate, bad in arms)
    return prometheus(mine, theirs)


def drawn(
    rng: np.random.Generator, rps: float, weight: Floats, mine: Floats, usual: Floats
) -> tuple[Store, tuple[Floats, Floats, Floats, Floats]]:
    """Requests and errors by chance; all arrays per scrape: the candidate's weight (0–1) and both arms' error shares.

    Returned beside the store: errors and requests of the candidate, then of stable.
    """
    found: list[Floats] = []
    for part, share in ((weight, mine), (1 - weight, usual)):
        total = rng.poisson(part * rps * SCRAPE)
        bad = rng.binomial(total, np.minimum(share, 1.0))
        found += [np.asarray(bad, dtype=np.float64), np.asarray(total, dtype=np.float64)]
    failed, asked, usually, all_ = found
    store = prometheus(requests(CANDIDATE, asked, failed), requests(STABLE, all_, usually))
    return store, (failed, asked, usually, all_)


def percent(text: str | None) -> float:
    """34% → 34."""
    return float((text or "0%").removesuffix("%"))


def readings(names: ArmNames, values: Sequence[float], every: float = 15.0) -> list[Series]:
    """A value's readings at the ticks' ends."""
    start = START.timestamp()
    return [Series({}, tuple((start + (at + 1) * every, value) for at, value in enumerate(values)))]
