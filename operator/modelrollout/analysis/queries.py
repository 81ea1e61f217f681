"""The queries to Prometheus for a look at the candidate. Pure.

Counters (`bad`, `good`, `total`, `histogram`) are read as raw samples with start < t ≤ end, never through rate() or
increase(): those extrapolate, and their windows overlap. A look asks for the samples since the checkpoint, and for a
look-back before it that shows where every counter stood. `value` is evaluated once per tick.

Before the first look the history of stable's pods is asked for: counters in steps of a minute, and a value twice, for
one of stable's pods and for the others, as if that pod were a candidate.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.kinds.metric_kind import Form, MetricKind
from modelrollout.analysis.parts import COUNTERS, ONE_POD, OTHER_PODS, PAST
from modelrollout.analysis.samples.stable_history import HISTORY, HISTORY_STEP
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.api.placeholders import names_in, render_text
from modelrollout.promql.matchers import Selector
from modelrollout.promql.query import Pods, Query, parsed
from modelrollout.promql.selectors import SelectorError, histogram_selector, union
from modelrollout.promql.strings import as_regex, in_quotes

SHORTEST_WINDOW = timedelta(minutes=1)
"""The smallest `{{ window }}`."""
MOST_POINTS = 10_000  # Prometheus takes 11,000 points of a series


@dataclass(frozen=True, slots=True)
class ArmNames:
    """The names of one arm in the cluster."""

    arm: Literal["candidate", "stable"]
    namespace: str
    rollout: str
    revision: str
    workload: str
    service: str
    pods: str  # a regular expression for the names of its pods
    is_anywhere: bool = False  # nobody said in which namespace: pods of all count

    @property
    def own_pods(self) -> Pods | None:
        """Whose series count; None: whatever a selector selects."""
        return None if self.is_anywhere else Pods(self.namespace, self.pods)

    def values(self, look_back: timedelta) -> dict[str, str]:
        """The values of the placeholders in a metric's PromQL, escaped to stand between quotes."""
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
    """The time that a metric's queries cover.

    Samples since `since`; ticks that end from `first` to `end`, each `tick` long.
    """

    since: datetime
    first: datetime
    end: datetime
    tick: timedelta


def queries(
    analysis: Analysis, candidate: ArmNames, stable: ArmNames | None, reaches: Mapping[str, Reach]
) -> tuple[Query, ...]:
    """At most one query for each metric, arm and part. Stable None: it has no traffic by design and is not compared.

    `reaches`: by metric; a metric without one is not asked for. Stable is asked only where a tolerance compares it.
    Raises UnknownName for a template that asks for unknown names.
    """
    asked: list[Query] = []
    for metric in analysis.metrics:
        reach = reaches.get(metric.name)
        if reach is None:
            continue
        asked += _arm_queries(metric, candidate, reach, analysis.interval.timedelta)
        if stable is not None and metric.tolerance is not None and kind_of(metric).asks_stable:
            asked += _arm_queries(metric, stable, reach, analysis.interval.timedelta)
    return tuple(asked)


def _arm_queries(metric: Metric, names: ArmNames, reach: Reach, interval: timedelta) -> list[Query]:
    values = names.values(max(interval, SHORTEST_WINDOW))
    if kind_of(metric).form is Form.EXPRESSION:  # a reading belongs to the tick that it ends
        first = min(reach.first, reach.end)
        return _expressions(metric, names.arm, values, first, reach.end, reach.tick)
    return _raw_samples(metric, names.arm, values, names.own_pods, reach.since, reach.end)


def _expressions(
    metric: Metric, arm: str, values: Mapping[str, str], start: datetime, end: datetime, step: timedelta
) -> list[Query]:
    return [Query(metric.name, arm, part, text, start, end, step) for part, text in _texts(metric, values)]


def _raw_samples(
    metric: Metric,
    arm: str,
    values: Mapping[str, str],
    pods: Pods | None,
    start: datetime,
    end: datetime,
    step: timedelta | None = None,
) -> list[Query]:
    """One query for all counters of a metric where one selector covers them all; else one for each.

    So both parts of a ratio come from the same scrapes, and Prometheus is asked half as often.
    """
    texts = _texts(metric, values)
    if kind_of(metric).form is Form.HISTOGRAM:
        texts = [(part, histogram_selector(text)) for part, text in texts]
    elif (whole := _one_selector(tuple(text for _, text in texts))) is not None:
        return [Query(metric.name, arm, COUNTERS, whole, start, end, step, tuple(texts), pods)]
    return [Query(metric.name, arm, part, text, start, end, step, pods=pods) for part, text in texts]


def _texts(metric: Metric, values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each part of a metric with its PromQL."""
    where = f"analysis.metrics[{metric.name}]"
    return [
        (part, render_text(promql.strip(), values, where=f"{where}.{path}"))
        for part, promql, path in kind_of(metric).parts(metric)
    ]


@functools.lru_cache(maxsize=4096)
def _one_selector(texts: tuple[str, ...]) -> str | None:
    """One selector for all series; None when the answer could not be split into the parts again."""
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
    """The queries for stable's HISTORY before `at`. `pods`: the names of its pods. Raises UnknownName."""
    values = stable.values(max(analysis.interval.timedelta, SHORTEST_WINDOW))
    asked: list[Query] = []
    for metric in analysis.metrics:
        kind = kind_of(metric)
        if kind.prior is not None and (metric.tolerance is not None or _is_counted_by_pod(metric, kind)):
            asked += _history_of(metric, kind, stable, values, sorted(pods), at, tick)
    return tuple(asked)


def _is_counted_by_pod(metric: Metric, kind: MetricKind) -> bool:
    """Whether stable's pods tell how noisy requests are, which a limit has to know, too.

    A comparison of answers, say, is counted by revision, and that of another release tells nothing.
    """
    return kind.form is not Form.EXPRESSION and any("pods" in names_in(part.promql) for part in kind.parts(metric))


def _history_of(
    metric: Metric,
    kind: MetricKind,
    stable: ArmNames,
    values: Mapping[str, str],
    pods: Sequence[str],
    at: datetime,
    tick: timedelta,
) -> list[Query]:
    if kind.form is not Form.EXPRESSION:
        return _raw_samples(metric, PAST, values, stable.own_pods, at - HISTORY, at, HISTORY_STEP)
    step = max(tick, HISTORY / MOST_POINTS)
    asked = []
    for arm, names in ((ONE_POD, pods[:1]), (OTHER_PODS, pods[1:])):
        if names:
            own = {**values, "pods": in_quotes("|".join(map(as_regex, names)))}
            asked += _expressions(metric, arm, own, at - HISTORY, at, step)
    return asked


def pods_of(workload: str) -> str:
    """A regular expression for the names of a workload's pods.

    One or two parts follow the workload's name (`-0`, `-x7k2p`, `-5d9c7b6f4-x7k2p`), so that the pods of a workload
    whose name merely starts alike are not taken in. Kubernetes cuts the name before the last part at 58 characters.
    """
    if len(workload) > 57:
        return f"{as_regex(workload[:58])}[-a-z0-9]*"
    return f"{as_regex(workload)}-[a-z0-9]+(-[a-z0-9]+)?"
