"""What to ask of Prometheus for a look at the candidate. Pure.

Counters (`bad`, `good`, `total`, `histogram`) are read as raw samples with start < t ≤ end, never through rate() or
increase(): those extrapolate, and their windows overlap. A look asks for what came since the checkpoint, and for a
look-back before it that tells where every counter stood. `value` is evaluated once per tick.

Before the first look the history of stable's pods is asked for: counters in steps of a minute, and a value for one of
stable's pods beside the others, as a candidate beside stable.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from modelrollout.api.placeholders import render_text
from modelrollout.api.spec import Analysis, Metric
from modelrollout.promql.matchers import Selector
from modelrollout.promql.query import Query, parsed
from modelrollout.promql.selectors import SelectorError, histogram_selector, union
from modelrollout.promql.strings import as_regex, in_quotes

SHORTEST_WINDOW = timedelta(minutes=1)
"""What `{{ window }}` is at least."""
HISTORY = timedelta(hours=6)
"""An hour of history takes one clean service in eight for a noisy one; statistics: 3.3."""
HISTORY_STEP = timedelta(minutes=1)
MOST_STEPS = 10_000  # Prometheus takes 11,000 points of a series

CANDIDATE = "candidate"
STABLE = "stable"
PAST = "history"
ONE_POD, OTHER_PODS = "history of one pod", "history of the other pods"
"""What an arm is called in queries for the history of stable."""
BAD, GOOD, TOTAL, HISTOGRAM, VALUE = "bad", "good", "total", "histogram", "value"
SUM, SQUARES = "sum", "squares"
CANDIDATE_WRONG, STABLE_WRONG = "candidate wrong", "stable wrong"
COUNTERS = "counters"
"""A part that stands for several, asked for at once."""


@dataclass(frozen=True, slots=True)
class ArmNames:
    """What one arm is called in the cluster."""

    arm: Literal["candidate", "stable"]
    namespace: str
    rollout: str
    revision: str
    workload: str
    service: str
    pods: str  # a regular expression for the names of its pods

    def values(self, look_back: timedelta) -> dict[str, str]:
        """What `{{ … }}` in a metric's PromQL may ask for, fit to stand between quotes."""
        plain = {
            "namespace": self.namespace,
            "rollout": self.rollout,
            "arm": self.arm,
            "revision": self.revision,
            "workload": self.workload,
            "service": self.service,
            "pods": self.pods,
            "window": f"{int(look_back.total_seconds())}s",
        }
        return {name: in_quotes(value) for name, value in plain.items()}


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a metric is read for a look: samples since `since`, ticks from `first` (their end) to `end`, each `tick`
    long."""

    since: datetime
    first: datetime
    end: datetime
    tick: timedelta


def queries(
    analysis: Analysis, candidate: ArmNames, stable: ArmNames | None, reaches: Mapping[str, Reach]
) -> tuple[Query, ...]:
    """At most one query for each metric, arm and part. Stable None: it serves nobody by design and is not compared.

    `reaches`: by metric; one that is left out is not asked for. Stable is asked only where a tolerance compares it.
    Raises UnknownName for a template that asks for unknown names.
    """
    arms = [names for names in (candidate, stable) if names is not None]
    return tuple(
        query
        for metric in analysis.metrics
        if (reach := reaches.get(metric.name)) is not None
        for names in arms
        if names.arm == CANDIDATE or (metric.tolerance is not None and metric.pairs is None)
        for query in _queries_of(metric, names, reach, analysis.interval.timedelta)
    )


def _queries_of(metric: Metric, names: ArmNames, reach: Reach, interval: timedelta) -> list[Query]:
    values = names.values(max(interval, SHORTEST_WINDOW))

    if metric.value is not None:  # a reading belongs to the tick that it ends
        promql = _rendered(metric, metric.value, values, VALUE)
        return [Query(metric.name, names.arm, VALUE, promql, min(reach.first, reach.end), reach.end, reach.tick)]
    return _counters(metric, names.arm, values, reach.since, reach.end, None)


def _counters(
    metric: Metric, arm: str, values: Mapping[str, str], start: datetime, end: datetime, step: timedelta | None
) -> list[Query]:
    """One query for all counters of a metric, where one selector can ask for all; else one for each.

    So both parts of a ratio come from the same scrapes, and Prometheus is asked half as often.
    """
    texts = [(part, _rendered(metric, text, values, path)) for part, text, path in parts_of(metric)]
    if metric.histogram is not None:
        return [Query(metric.name, arm, part, histogram_selector(text), start, end, step) for part, text in texts]
    if (together := _together(tuple(text for _, text in texts))) is not None:
        return [Query(metric.name, arm, COUNTERS, together, start, end, step, tuple(texts))]
    return [Query(metric.name, arm, part, text, start, end, step) for part, text in texts]


@functools.lru_cache(maxsize=4096)
def _together(texts: tuple[str, ...]) -> str | None:
    """One selector for the series of all; None when there is none that could be told apart again."""
    try:
        first, *others = map(parsed, texts)
    except SelectorError:
        return None
    whole: Selector | None = first
    for other in others:
        whole = union(whole, other) if whole is not None else None
    return str(whole) if whole is not None else None


def history_queries(
    analysis: Analysis, stable: ArmNames, pods: Sequence[str], at: datetime, tick: timedelta
) -> tuple[Query, ...]:
    """What stable did in the HISTORY before `at`. `pods`: the names of its pods. Raises UnknownName."""
    return tuple(
        query
        for metric in analysis.metrics
        if metric.tolerance is not None and metric.mean is None and metric.pairs is None
        for query in _history_of(metric, stable, sorted(pods), at, tick, analysis.interval.timedelta)
    )


def _history_of(
    metric: Metric, stable: ArmNames, pods: Sequence[str], at: datetime, tick: timedelta, interval: timedelta
) -> Iterator[Query]:
    values = stable.values(max(interval, SHORTEST_WINDOW))
    if metric.value is None:
        yield from _counters(metric, PAST, values, at - HISTORY, at, HISTORY_STEP)
        return
    step = max(tick, HISTORY / MOST_STEPS)
    for arm, names in ((ONE_POD, pods[:1]), (OTHER_PODS, pods[1:])):
        if names:
            own = {**values, "pods": in_quotes("|".join(map(as_regex, names)))}
            yield Query(metric.name, arm, VALUE, _rendered(metric, metric.value, own, VALUE), at - HISTORY, at, step)


def _rendered(metric: Metric, text: str, values: Mapping[str, str], path: str) -> str:
    return render_text(text.strip(), values, where=f"analysis.metrics[{metric.name}].{path}")


def parts_of(metric: Metric) -> list[tuple[str, str, str]]:
    """Each part of a metric with its text and where in the metric it is written."""
    if metric.ratio is not None:
        of_interest = (BAD, metric.ratio.bad) if metric.ratio.bad is not None else (GOOD, metric.ratio.good)
        asked = [of_interest, (TOTAL, metric.ratio.total)]
        return [(part, text, f"ratio.{part}") for part, text in asked if text is not None]
    if metric.mean is not None:
        return [
            (SUM, metric.mean.sum, "mean.sum"),
            (SQUARES, metric.mean.squares, "mean.squares"),
            (TOTAL, metric.mean.count, "mean.count"),
        ]
    if metric.pairs is not None:
        return [
            (CANDIDATE_WRONG, metric.pairs.candidate_wrong, "pairs.candidateWrong"),
            (STABLE_WRONG, metric.pairs.stable_wrong, "pairs.stableWrong"),
            *([(TOTAL, metric.pairs.total, "pairs.total")] if metric.pairs.total is not None else []),
        ]
    if metric.histogram is not None:
        return [(HISTOGRAM, metric.histogram, "histogram")]
    return [(VALUE, metric.value, "value")] if metric.value is not None else []


def pods_of(workload: str) -> str:
    """A regular expression for the names of a workload's pods.

    One or two parts follow the workload's name (`-0`, `-x7k2p`, `-5d9c7b6f4-x7k2p`), so that the pods of a workload
    whose name merely starts alike are not taken in. Kubernetes cuts the name before the last part at 58 characters.
    """
    if len(workload) > 57:
        return f"{as_regex(workload[:58])}[-a-z0-9]*"
    return f"{as_regex(workload)}-[a-z0-9]+(-[a-z0-9]+)?"
