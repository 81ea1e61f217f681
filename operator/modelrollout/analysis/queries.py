"""What to ask of Prometheus for a look at the candidate, and the shapes of what it may answer. Pure.

Counters (`bad`, `good`, `total`, `histogram`) are read as raw samples with start < t ≤ end, never through rate() or
increase(): those extrapolate, and their windows overlap. A look asks for what came since the checkpoint, and for a
look-back before it that tells where every counter stood. `value` is evaluated once per tick.

Before the first look the history of stable's pods is asked for: counters in steps of a minute, and a value for one of
stable's pods beside the others, as a candidate beside stable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from modelrollout.api.spec import Analysis, Metric
from modelrollout.templates import render_text

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


@dataclass(frozen=True, slots=True)
class Query:
    """What to ask for one part of one metric of one arm.

    `step` None: the raw samples of the series selector `promql` with start < t ≤ end. Otherwise the expression
    evaluated at every step from start to end, or once when the two are the same moment.
    """

    metric: str
    arm: str
    part: str
    promql: str
    start: datetime
    end: datetime
    step: timedelta | None


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its labels, and samples as (unix seconds, value); values may be NaN or ±Inf."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What Prometheus knows. No series is an answer, too."""

    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Why there is no answer; `rejected` when the query is to blame and will be refused again."""

    why: str
    rejected: bool


Answer = Answered | Unanswered


@dataclass(frozen=True, slots=True)
class ArmNames:
    """What one arm is called in the cluster."""

    arm: Literal["candidate", "stable"]
    namespace: str
    rollout: str
    revision: str
    workload: str
    service: str

    def values(self, look_back: timedelta) -> dict[str, str]:
        """What `{{ … }}` in a metric's PromQL may ask for, fit to stand between quotes."""
        plain = {
            "namespace": self.namespace,
            "rollout": self.rollout,
            "arm": self.arm,
            "revision": self.revision,
            "workload": self.workload,
            "service": self.service,
            "pods": pods_of(self.workload),
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
        if names.arm == CANDIDATE or metric.tolerance is not None
        for query in _queries_of(metric, names, reach, analysis.interval.timedelta)
    )


def _queries_of(metric: Metric, names: ArmNames, reach: Reach, interval: timedelta) -> list[Query]:
    values = names.values(max(interval, SHORTEST_WINDOW))

    def ask(part: str, text: str, path: str) -> Query:
        promql = _rendered(metric, text, values, path)
        if part == VALUE:  # a reading belongs to the tick that it ends
            return Query(metric.name, names.arm, part, promql, min(reach.first, reach.end), reach.end, reach.tick)
        return Query(metric.name, names.arm, part, promql, reach.since, reach.end, None)

    return [ask(part, text, path) for part, text, path in parts_of(metric)]


def history_queries(
    analysis: Analysis, stable: ArmNames, pods: Sequence[str], at: datetime, tick: timedelta
) -> tuple[Query, ...]:
    """What stable did in the HISTORY before `at`. `pods`: the names of its pods. Raises UnknownName."""
    return tuple(
        query
        for metric in analysis.metrics
        if metric.tolerance is not None
        for query in _history_of(metric, stable, sorted(pods), at, tick, analysis.interval.timedelta)
    )


def _history_of(
    metric: Metric, stable: ArmNames, pods: Sequence[str], at: datetime, tick: timedelta, interval: timedelta
) -> Iterator[Query]:
    values = stable.values(max(interval, SHORTEST_WINDOW))
    for part, text, path in parts_of(metric):
        if part != VALUE:
            promql = _rendered(metric, text, values, path)
            yield Query(metric.name, PAST, part, promql, at - HISTORY, at, HISTORY_STEP)
            continue
        step = max(tick, HISTORY / MOST_STEPS)
        for arm, names in ((ONE_POD, pods[:1]), (OTHER_PODS, pods[1:])):
            if names:
                own = {**values, "pods": in_quotes("|".join(map(as_regex, names)))}
                yield Query(metric.name, arm, part, _rendered(metric, text, own, path), at - HISTORY, at, step)


def _rendered(metric: Metric, text: str, values: Mapping[str, str], path: str) -> str:
    return render_text(text.strip(), values, where=f"analysis.metrics[{metric.name}].{path}")


def parts_of(metric: Metric) -> list[tuple[str, str, str]]:
    """Each part of a metric with its text and where in the metric it is written."""
    if metric.ratio is not None:
        of_interest = (BAD, metric.ratio.bad) if metric.ratio.bad is not None else (GOOD, metric.ratio.good)
        asked = [of_interest, (TOTAL, metric.ratio.total)]
        return [(part, text, f"ratio.{part}") for part, text in asked if text is not None]
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


def as_regex(text: str) -> str:
    """The text as an RE2 expression that matches only it. `[.]`, unlike `\\.`, reads alike in every kind of quotes."""
    return re.sub(r"[.+*?()|{}$]|[\\^\[\]]", lambda found: _literally(found[0]), text)


def _literally(character: str) -> str:
    return f"\\{character}" if character in "\\^[]" else f"[{character}]"


_ESCAPES = {"\\": r"\\", "\n": r"\n", '"': r"\x22", "'": r"\x27", "`": r"\x60"}


def in_quotes(text: str) -> str:
    r"""The text as it is written between PromQL's single or double quotes.

    Quotes as \x22 and \x27: PromQL refuses \' between double quotes and \" between single ones (strutil.Unquote).
    """
    return "".join(_ESCAPES.get(character, character) for character in text)
