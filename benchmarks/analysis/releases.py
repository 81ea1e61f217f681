"""Whole releases through the operator's own preflight and judge: raw samples of each pod, scraped at its own moment.

The tables elsewhere put the tests together as the operator does. Here nothing is put together: what a pod counted is
scraped, asked for and judged as in a cluster. A look at the end sees every tick of the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.random import Generator

from benchmarks.analysis.trials import Floats, Ints
from benchmarks.pictures.lab import CANDIDATE, STABLE
from benchmarks.pictures.lab import START as NOON
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.evidence.ticks import Course, look_back, tick_of
from modelrollout.analysis.judge import Case, judge
from modelrollout.analysis.queries import ArmNames, Reach, history_queries, queries
from modelrollout.analysis.samples.stable_history import HISTORY, HISTORY_STEP
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.preflight import summarise_history
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import MetricVerdict, UsualMetric, Verdict
from modelrollout.promql.query import Answer, Answered, Query, Series, parsed

START = NOON.timestamp()
"""The start of every release, unix seconds."""
SCRAPE = 10.0
STEP = timedelta(minutes=20)
WEIGHTS = (0.05, 0.25, 0.5)
BEFORE = 600.0
"""Seconds before the first step in which the candidate's pods were scraped, and had no users."""
AFTER = 30.0

HISTORY_TICKS = round(HISTORY.total_seconds() / SCRAPE)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Release:
    """A plan of steps of equal length, and the metric it is judged by."""

    metric: Mapping[str, Any]
    weights: tuple[float, ...] = WEIGHTS
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def analysis(self) -> Analysis:
        return Analysis.model_validate({"metrics": [self.metric], **self.fields})

    @property
    def seconds(self) -> float:
        return len(self.weights) * STEP.total_seconds()

    @property
    def stretches(self) -> list[Stretch]:
        return [Stretch(weight, STEP.total_seconds()) for weight in self.weights]

    @property
    def course(self) -> Course:
        begun = [START + number * STEP.total_seconds() for number in range(1, len(self.weights))]
        tick = tick_of(self.analysis.interval.timedelta).total_seconds()
        return Course(START, tick, tuple(begun), len(begun), self.seconds)

    def weight(self, at: Floats) -> Floats:
        """The candidate's part of the traffic so many seconds after the start."""
        step = np.minimum(at // STEP.total_seconds(), len(self.weights) - 1).astype(int)
        return np.where(at < 0, 0.0, np.asarray(self.weights)[step])

    def usual(self, past: Iterable[Series]) -> UsualMetric:
        """What the operator notes of stable's past."""
        asked = history_queries(self.analysis, STABLE, [], NOON, self.analysis.interval.timedelta)
        answers = _answers(asked, list(past))
        return summarise_history(self.analysis, asked, answers, {}, self.stretches, self.course.tick)[0]

    def verdict(self, samples: Iterable[Series], prior: Prior, seed: str) -> MetricVerdict:
        """What a look at the end says."""
        analysis, course = self.analysis, self.course
        reach = look_back(analysis.interval.timedelta, analysis.warm_up.timedelta).total_seconds()
        known = {self.metric["name"]: prior}
        case = Case(analysis, course, known, {}, {}, START + self.seconds, reach, {}, seed)
        moments = case.before(analysis.metrics[0]).since, course.time(1), case.end
        since, first, end = (datetime.fromtimestamp(moment, UTC) for moment in moments)
        tick = timedelta(seconds=course.tick)
        asked = queries(analysis, CANDIDATE, STABLE, {self.metric["name"]: Reach(since, first, end, tick)})
        return judge(case, asked, _answers(asked, list(samples))).verdicts[0]

    def is_taken_back(self, samples: Iterable[Series], prior: Prior, seed: str) -> bool:
        return self.verdict(samples, prior, seed).verdict is Verdict.FAIL


def _answers(asked: Sequence[Query], held: Sequence[Series]) -> dict[Query, Answer]:
    answers: dict[Query, Answer] = {}
    for query in asked:
        selector = parsed(query.promql)
        start, end = query.start.timestamp(), query.end.timestamp()
        found = []
        for one in held:
            if selector.matches(one.labels):
                samples = tuple(sample for sample in one.samples if start < sample[0] <= end)
                found += [Series(one.labels, samples)] if samples else []
        answers[query] = Answered(tuple(found))
    return answers


def scraped(
    rng: Generator, names: ArmNames, counted: Mapping[Labels, Ints], start: float, *, restarts: bool = False
) -> Iterator[Series]:
    """Counters of an arm's pods (ticks of SCRAPE, pods), each pod scraped at its own moment. `start`: unix seconds.

    `restarts`: each pod begins to count anew once.
    """
    ticks, pods = next(iter(counted.values())).shape
    offsets: Floats = np.asarray(rng.random(pods) * SCRAPE)
    before = int(rng.integers(0, 1000))
    anew = [int(rng.integers(1, ticks)) for _ in range(pods)] if restarts else []  # the tick at which each pod does
    for labels, grown in counted.items():
        upto: Ints = np.vstack((np.zeros((1, pods), dtype=np.int64), np.cumsum(grown, axis=0))) + before
        for pod, tick in enumerate(anew):
            upto[tick:, pod] -= upto[tick, pod]
        for pod in range(pods):
            times = start + offsets[pod] + SCRAPE * np.arange(ticks + 1)
            samples = tuple(zip(times.tolist(), upto[:, pod].astype(np.float64).tolist(), strict=True))
            yield Series({**dict(labels), "pod": f"{names.workload}-{pod}"}, samples)


def remembered(counted: Mapping[Labels, Ints]) -> Iterator[Series]:
    """The history of stable's pods as a range query shows it: one sample a minute, up to noon."""
    every = round(HISTORY_STEP.total_seconds() / SCRAPE)
    for labels, grown in counted.items():
        upto = 1000 + np.cumsum(grown, axis=0)[::-every][::-1]
        times = (START - HISTORY_STEP.total_seconds() * np.arange(len(upto))[::-1]).tolist()
        for pod in range(grown.shape[1]):
            samples = tuple(zip(times, upto[:, pod].astype(np.float64).tolist(), strict=True))
            yield Series({**dict(labels), "pod": f"{STABLE.workload}-{pod}"}, samples)
