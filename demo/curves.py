"""The queries for the page's curves: each metric of the rollout's own spec, for every version. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modelrollout.analysis.queries import ArmNames, pods_of
from modelrollout.api.metric import Metric
from modelrollout.api.placeholders import render_text
from modelrollout.promql.query import Answer, Answered, Query
from modelrollout.reports.plot import Unit

LOOK_BACK = timedelta(seconds=10)
"""Over which each point of a curve is taken: long enough for a rate at one scrape a second and 5 % of the traffic."""
STEP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Curve:
    """One version's values over time: (unix seconds, value), with NaN where there is none."""

    version: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric. `limits` are the spec's own `min` and `max`."""

    title: str
    unit: Unit
    curves: tuple[Curve, ...]
    limits: tuple[tuple[str, float], ...] = ()


def questions(
    metrics: tuple[Metric, ...], namespace: str, rollout: str, workloads: Mapping[str, str], start: float, end: float
) -> tuple[Query, ...]:
    """A range query for each metric and version; the version stands in the place of the arm."""
    begin, until = (datetime.fromtimestamp(moment, UTC) for moment in (start, end))
    return tuple(
        Query(metric.name, version, "curve", _promql(metric, _names(namespace, rollout, workload)), begin, until, STEP)
        for metric in metrics
        for version, workload in workloads.items()
    )


def panels(
    metrics: tuple[Metric, ...], answers: Mapping[Query, Answer], served: Callable[[str, float], bool]
) -> tuple[Panel, ...]:
    """A panel for each metric, from the answers. `served` says whether a version had traffic at a moment.

    Where it had none its curve has a gap: the few requests left in the window would show chance only.
    """
    return tuple(
        Panel(title(metric), unit(metric), _curves(metric, answers, served), tuple(_limits(metric)))
        for metric in metrics
    )


def title(metric: Metric) -> str:
    return f"{metric.name}, {quantile_name(metric)}" if metric.histogram else metric.name


def quantile_name(metric: Metric) -> str:
    return f"p{100 * metric.quantile_share:g}"


def unit(metric: Metric) -> Unit:
    if metric.ratio is not None:
        return "share"
    # By the naming rules of Prometheus, a histogram says its unit in its name.
    return "seconds" if metric.histogram and "_seconds_bucket" in metric.histogram else "number"


def _curves(metric: Metric, answers: Mapping[Query, Answer], served: Callable[[str, float], bool]) -> tuple[Curve, ...]:
    found = []
    for query, answer in answers.items():
        if query.metric == metric.name and isinstance(answer, Answered) and answer.series:
            samples = answer.series[0].samples
            points = tuple((at, value if served(query.arm, at) else math.nan) for at, value in samples)
            found.append(Curve(query.arm, points))
    return tuple(found)


def _limits(metric: Metric) -> list[tuple[str, float]]:
    return [(name, limit.value) for name, limit in (("min", metric.min), ("max", metric.max)) if limit is not None]


def _promql(metric: Metric, names: Mapping[str, str]) -> str:
    def rendered(text: str | None) -> str:
        return render_text(text or "", names, where=metric.name)

    def rate(selector: str | None) -> str:
        return f"rate({rendered(selector)}[{LOOK_BACK.seconds}s])"

    if metric.ratio is not None:
        total = f"sum({rate(metric.ratio.total)})"
        # A counter that never counted may have no series: then it is zero.
        return f"(sum({rate(metric.ratio.bad or metric.ratio.good)}) or 0 * {total}) / {total}"
    if metric.histogram is not None:
        return f"histogram_quantile({metric.quantile_share}, sum by (le) ({rate(metric.histogram)}))"
    return rendered(metric.value)


def _names(namespace: str, rollout: str, workload: str) -> dict[str, str]:
    revision = workload.removeprefix(f"{rollout}-")
    return ArmNames("candidate", namespace, rollout, revision, workload, workload, pods_of(workload)).values(LOOK_BACK)
