"""Which series a selector means, and how it is written in PromQL. Pure.

Source: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from modelrollout.promql import regexes
from modelrollout.promql.strings import quoted

NAME = "__name__"
METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

Kind = Literal["=", "!=", "=~", "!~"]

# Some may be metric names without braces; which ones depends on the version: none is read or written so.
KEYWORDS = frozenset(
    (
        "and",
        "or",
        "unless",
        "atan2",
        "sum",
        "avg",
        "count",
        "min",
        "max",
        "group",
        "stddev",
        "stdvar",
        "topk",
        "bottomk",
        "count_values",
        "quantile",
        "limitk",
        "limit_ratio",
        "offset",
        "smoothed",
        "anchored",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "start",
        "end",
        "step",
        "range",
        "inf",
        "nan",
        "fill",
        "fill_left",
        "fill_right",
    )
)


@dataclass(frozen=True, slots=True)
class Matcher:
    """What one label has to be; a label that a series does not have is empty. Raises RegexError."""

    label: str
    kind: Kind
    value: str

    def __post_init__(self) -> None:
        if self.kind in ("=~", "!~"):
            regexes.compiled(self.value)

    def accepts(self, value: str) -> bool:
        match self.kind:
            case "=":
                return value == self.value
            case "!=":
                return value != self.value
            case "=~":
                return regexes.matches(self.value, value)
            case "!~":
                return not regexes.matches(self.value, value)
            case _:
                assert_never(self.kind)

    def __str__(self) -> str:
        label = self.label if LABEL.fullmatch(self.label) else quoted(self.label)
        return f"{label}{self.kind}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """The series that all matchers accept; the metric's name is the label `__name__`. `str` writes it in PromQL."""

    matchers: tuple[Matcher, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether Prometheus would select the series."""
        return all(matcher.accepts(labels.get(matcher.label, "")) for matcher in self.matchers)

    def __str__(self) -> str:
        names = self.named
        if len(names) != 1 or names[0] != self.matchers[0] or not _is_bare(names[0]):
            return f"{{{','.join(map(str, self.matchers))}}}"
        rest = ",".join(map(str, self.matchers[1:]))
        return f"{names[0].value}{{{rest}}}" if rest else names[0].value

    @property
    def named(self) -> tuple[Matcher, ...]:
        """The matchers of the metric's name."""
        return tuple(matcher for matcher in self.matchers if matcher.label == NAME)


def _is_bare(name: Matcher) -> bool:
    return name.kind == "=" and METRIC.fullmatch(name.value) is not None and name.value.lower() not in KEYWORDS
