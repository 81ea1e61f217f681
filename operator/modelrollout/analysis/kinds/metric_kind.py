"""The differences between kinds of metric: each kind fills in one `MetricKind`, and `kind_table` lists them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.look import Evidence, LookStart, Missing, Parts, Prior
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.analysis.samples.over_time import SeriesOfArm
from modelrollout.analysis.wording import Unit
from modelrollout.api.analysis import Analysis
from modelrollout.api.metric import Metric
from modelrollout.promql.query import Series
from modelrollout.sequential.proportions import Bound

Floats = npt.NDArray[np.float64]

FEWEST_REQUESTS = 100
"""Fewest samples of each arm for a Pass, where neither the user nor the kind of metric sets another number."""


class Form(Enum):
    """How Prometheus is asked for a metric."""

    COUNTERS = auto()  # raw samples; one selector for all parts where there is one
    HISTOGRAM = auto()  # raw samples of classic or native buckets
    EXPRESSION = auto()  # evaluated once for each tick


class Part(NamedTuple):
    """One query text of a metric: the name of the part, its PromQL, and its path in the metric's spec."""

    name: str
    promql: str
    path: str


@dataclass(frozen=True, slots=True)
class StablePast:
    """Stable's series before the first look. Times in unix seconds, `tick` in seconds.

    `series`: by arm (PAST, ONE_POD, OTHER_PODS) and part.
    """

    series: Mapping[tuple[str, str], tuple[Series, ...]]
    start: float
    end: float
    tick: float


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """The prior of one metric from stable's history, and a note for people.

    `is_blind`: with this history no regression is detected.
    """

    prior: Prior
    note: str | None = None
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How to say which regressions a plan can detect in a metric that is a share of requests.

    `bound`: the tolerance. `usual`: stable's share, in words that follow its rate. `visible`: the smallest detectable
    share, in words, given stable's. `is_exact`: whether a threshold can be calibrated to the plan.
    `seconds_to_pass`: at a weight (0–1), until a candidate that is like stable has so many nats of evidence; infinite
    if it never has.
    """

    bound: Callable[[Metric], Bound]
    usual: Callable[[Metric, float], str]
    visible: Callable[[Metric, float, float], str]
    is_exact: bool
    seconds_to_pass: Callable[[Metric, Prior, float, float], float]


@dataclass(frozen=True, slots=True)
class MetricKind:
    """One kind of metric.

    `parts`: the queries. `evidence`: from the answers of candidate and stable; stable is None if it is not compared,
    and Missing if it should be and cannot. `over_time`: one arm's value between neighbouring edges, for people; NaN
    where there is none. `prior`: from stable's history; it returns None if that is empty, and is None if no history is
    asked for.
    """

    form: Form
    parts: Callable[[Metric], list[Part]]
    evidence: Callable[[LookStart, Parts, Parts | Missing | None], Evidence | Missing]
    over_time: Callable[[Metric, SeriesOfArm, Floats, SampleWindow], list[float]]
    unit: Callable[[Metric], Unit]
    default_samples: int = FEWEST_REQUESTS
    least_samples: int = 1  # even if the user asks for fewer
    asks_stable: bool = True  # False: the candidate's queries yield both arms
    prior: Callable[[Metric, Analysis, StablePast], HistoryFinding | None] | None = None
    sensitivity: Sensitivity | None = None

    def fewest_samples(self, metric: Metric) -> int:
        """Fewest samples of each arm for a Pass."""
        return max(metric.min_samples or self.default_samples, self.least_samples)
