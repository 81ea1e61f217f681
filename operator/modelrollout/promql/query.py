"""A question to Prometheus and its answer, as values. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelrollout.promql.matchers import Selector
from modelrollout.promql.selectors import parse


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods by namespace, and a regular expression for their names."""

    namespace: str
    names: str


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
    parts: tuple[tuple[str, str], ...] = ()
    """Where one selector asks for several: each part, and the selector that tells its series from the others'."""
    pods: Pods | None = None
    """The pods whose raw samples are wanted; the selector may select others, too. None: whatever it selects."""

    def split(self, series: Sequence[Series]) -> dict[str, tuple[Series, ...]]:
        """An answer's series by part."""
        if not self.parts:
            return {self.part: tuple(series)}
        found = {part: parsed(text) for part, text in self.parts}
        return {part: tuple(one for one in series if own.matches(one.labels)) for part, own in found.items()}


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


@functools.lru_cache(maxsize=4096)
def parsed(text: str) -> Selector:
    """The selector in a text. Raises SelectorError."""
    return parse(text)
