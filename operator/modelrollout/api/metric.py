"""One metric: ``spec.analysis.metrics[*]``, its parts and the rules that it keeps beside its schema. Pure.

Most rules refuse a metric that would be judged the wrong way round, or not at all, without anybody noticing.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.names import Name
from modelrollout.api.rules import Rule, cel_number
from modelrollout.api.scalars import NUMBER_PATTERN, RATIO_PATTERN, Limit, Share

KIND_FIELDS = ("ratio", "histogram", "value", "mean", "pairs")
"""The kinds of metric, by field: exactly one of them is set."""

_ARM = r"\{\{\s*(pods|revision|workload|service|arm)\s*\}\}"
"""The placeholders whose values differ between candidate and stable."""


def _each(*fields: str, of: str = "self") -> str:
    """CEL: a list of those of the optional fields that are there."""
    return " + ".join(f"(has({of}.{field}) ? [{of}.{field}] : [])" for field in fields)


def _part(tolerance: str, part: str) -> str:
    """CEL: a part of a tolerance, which may be left out."""
    default = "0%" if part == "relative" else "0"
    return f"(has(self.{tolerance}.{part}) ? self.{tolerance}.{part} : '{default}')"


_PARTS = tuple(_part(one, part) for one in ("tolerance", "exclude") for part in ("relative", "absolute"))

IS_SELECTOR = Rule.matching(
    r"(?s)^\s*([a-zA-Z_:][a-zA-Z0-9_:]*\s*(\{.*\})?|\{.*\})\s*$",
    'this is not a series selector such as http_requests_total{pod=~"{{ pods }}"}: the raw samples are read, '
    "so leave out rate(), sum() and [5m]",
)

IS_QUANTILE = Rule.matching(r"^0?\.[0-9]*[1-9][0-9]*$", 'a quantile lies between 0 and 1, such as "0.99"')


def _higher_is_better(metric: Metric) -> bool:
    return metric.better_when == "higher" or (metric.ratio is not None and metric.ratio.good is not None)


_HIGHER_IS_BETTER = "(has(self.betterWhen) && self.betterWhen == 'higher' || has(self.ratio) && has(self.ratio.good))"


def _has_one_kind(metric: Metric) -> bool:
    return sum(getattr(metric, kind) is not None for kind in KIND_FIELDS) == 1


def _tells_arms_apart(metric: Metric) -> bool:
    asked = [metric.histogram, metric.value]
    if metric.ratio is not None:
        asked += [metric.ratio.bad, metric.ratio.good, metric.ratio.total]
    if metric.mean is not None:
        asked += [metric.mean.sum, metric.mean.squares, metric.mean.count]
    return metric.tolerance is None or all(re.search(_ARM, text) for text in asked if text is not None)


def _has_no_wrong_limit(metric: Metric) -> bool:
    limit, other = (metric.max, metric.min) if _higher_is_better(metric) else (metric.min, metric.max)
    return limit is None or other is not None


def _has_shares_for_limits(metric: Metric) -> bool:
    limits = [metric.min, metric.max, metric.tolerance.absolute if metric.tolerance else None]
    return metric.ratio is None or all(_is_share(limit) for limit in limits if limit is not None)


def _is_share(limit: Limit) -> bool:
    return not limit.is_duration and 0 <= limit.value <= 1


def _has_room_between_limits(metric: Metric) -> bool:
    return metric.min is None or metric.max is None or metric.min.value < metric.max.value


def _excludes_more(metric: Metric) -> bool:
    if metric.exclude is None or metric.tolerance is None:
        return True
    least, most = metric.tolerance, metric.exclude
    pairs = [(least.relative.value, most.relative.value), (least.absolute.value, most.absolute.value)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _leaves_something(metric: Metric) -> bool:
    return metric.tolerance is None or not _higher_is_better(metric) or metric.tolerance.relative.value < 1


_RULES: tuple[Rule, ...] = (
    Rule(
        _has_one_kind,
        "a metric needs exactly one of ratio, histogram, value, mean and pairs",
        f"[{', '.join(f'has(self.{kind})' for kind in KIND_FIELDS)}].exists_one(x, x)",
    ),
    Rule(
        lambda metric: metric.quantile is None or metric.histogram is not None,
        "quantile belongs to a histogram: remove it, or set histogram",
        "!has(self.quantile) || has(self.histogram)",
    ),
    Rule(
        lambda metric: (metric.value is None and metric.mean is None) == (metric.better_when is None),
        "betterWhen is needed with value and mean, and only there",
        "(has(self.value) || has(self.mean)) == has(self.betterWhen)",
    ),
    Rule(
        lambda metric: metric.pairs is None or (metric.tolerance is not None and metric.min is None is metric.max),
        "pairs are judged by tolerance.relative alone: how many times as often the candidate may be the wrong one",
        "!has(self.pairs) || has(self.tolerance) && !has(self.min) && !has(self.max)",
    ),
    Rule(
        lambda metric: metric.ratio is None or metric.ratio.groups is None or metric.tolerance is not None,
        "groups are compared with stable's: set tolerance",
        "!has(self.ratio) || !has(self.ratio.groups) || has(self.tolerance)",
    ),
    Rule(
        lambda metric: any(bound is not None for bound in (metric.tolerance, metric.min, metric.max)),
        "a metric decides nothing without a bound: set tolerance, min or max",
        "has(self.tolerance) || has(self.min) || has(self.max)",
    ),
    Rule(
        _tells_arms_apart,
        "tolerance compares candidate with stable, so every query must tell them apart: "
        'use {{ pods }} as in pod=~"{{ pods }}" (or {{ revision }}, {{ workload }}, {{ service }}, {{ arm }})',
        f"!has(self.tolerance) || ({_each('histogram', 'value')}"
        f" + (has(self.ratio) ? [self.ratio.total] + {_each('bad', 'good', of='self.ratio')} : [])"
        f" + (has(self.mean) ? [self.mean.sum, self.mean.squares, self.mean.count] : []))"
        f".all(text, text.matches(r'{_ARM}'))",
    ),
    Rule(
        lambda metric: metric.histogram is None or metric.min is None,
        "a histogram is judged where it is too slow or too large: remove min, or use value",
        "!has(self.histogram) || !has(self.min)",
    ),
    Rule(
        _has_no_wrong_limit,
        "this limit is on the better side, where it would refuse a better candidate: "
        "set min where higher is better, max where lower is better (or both for a band)",
        f"{_HIGHER_IS_BETTER} ? !has(self.max) || has(self.min) : !has(self.min) || has(self.max)",
    ),
    Rule(
        _has_shares_for_limits,
        'a ratio lies between 0% and 100%: write its min, max and tolerance.absolute as 2% or "0.02"',
        f"!has(self.ratio) || ({_each('min', 'max')}"
        f" + (has(self.tolerance) ? {_each('absolute', of='self.tolerance')} : []))"
        f".all(limit, limit.matches(r'{NUMBER_PATTERN}')"
        f" && {cel_number('limit')} >= 0.0 && {cel_number('limit')} <= 1.0)",
    ),
    Rule(
        _has_room_between_limits,
        "min must be below max",
        # One a duration, the other a number: only the operator compares those.
        f"!has(self.min) || !has(self.max) || {cel_number('self.min')} < {cel_number('self.max')}"
        f" || [self.min, self.max].exists(limit, !limit.matches(r'{NUMBER_PATTERN}'))",
    ),
    Rule(
        lambda metric: metric.exclude is None or metric.tolerance is not None,
        "exclude says what must be ruled out beyond tolerance: set tolerance, or remove exclude",
        "!has(self.exclude) || has(self.tolerance)",
    ),
    Rule(
        _excludes_more,
        "exclude must lie beyond tolerance: make one of its parts larger, and none smaller",
        # Where one of them is a duration, only the operator compares.
        f"!has(self.exclude) || !has(self.tolerance) || [{', '.join(_PARTS)}]"
        f".exists(part, !part.matches(r'{NUMBER_PATTERN}')) || {cel_number(_PARTS[2])} >= {cel_number(_PARTS[0])}"
        f" && {cel_number(_PARTS[3])} >= {cel_number(_PARTS[1])}"
        f" && ({cel_number(_PARTS[2])} > {cel_number(_PARTS[0])} || {cel_number(_PARTS[3])} > {cel_number(_PARTS[1])})",
    ),
    Rule(
        _leaves_something,
        "where higher is better, tolerance.relative must be below 100%: less than nothing cannot be measured",
        f"!has(self.tolerance) || !has(self.tolerance.relative) || !{_HIGHER_IS_BETTER}"
        f" || !self.tolerance.relative.matches(r'{RATIO_PATTERN}') || {cel_number('self.tolerance.relative')} < 1.0",
    ),
)


Selector = Annotated[str, Field(min_length=1, max_length=4096), IS_SELECTOR]


DEFAULT_QUANTILE = "0.99"


class CounterRatio(Model):
    """A ratio of two counters, each given as a series selector; the raw samples are read, so no rate() or sum()."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda ratio: (ratio.bad is None) != (ratio.good is None),
            "a ratio needs total and exactly one of bad and good",
            "has(self.bad) != has(self.good)",
        ),
    )

    bad: Annotated[Selector | None, Field(description="Counter of what went wrong.")] = None
    good: Annotated[Selector | None, Field(description="Counter of what went right.")] = None
    total: Annotated[Selector, Field(description="Counter of all.")]
    groups: Annotated[Groups | None, Field(description="Judge groups by themselves, too, and the gaps between.")] = None


class Groups(Model):
    """Groups of people or requests, told apart by a label of both counters. Each is compared by itself."""

    label: Annotated[
        str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", description="The label.")
    ]
    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(
            min_length=2,
            max_length=16,
            description="The groups. The first is the one whose gap to the others is watched.",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ]
    max_extra_gap: Annotated[
        Share, Field(description="By so many points the candidate may widen the gap of a group to the first one.")
    ] = Share("3%")


class Mean(Model):
    """A mean per user, such as revenue, from counters of their sum, sum of squares and number."""

    sum: Annotated[Selector, Field(description="Counter that adds up the values.")]
    squares: Annotated[Selector, Field(description="Counter that adds up their squares: how much users differ.")]
    count: Annotated[Selector, Field(description="Counter of users; each belongs to one arm only.")]


class Pairs(Model):
    """The same requests answered by both versions, as mirrored traffic is, once the true label is known."""

    candidate_wrong: Annotated[Selector, Field(description="Counter of those that only the candidate got wrong.")]
    stable_wrong: Annotated[Selector, Field(description="Counter of those that only stable got wrong.")]
    total: Annotated[
        Selector | None,
        Field(description="Counter of all that were compared. Without it, two models that never differ never pass."),
    ] = None


class Tolerance(Model):
    """How much worse than stable is still fine. Both parts add up: limit = stable × (1 ± relative) ± absolute."""

    relative: Annotated[Share, Field(description="Share of stable's value, such as 25%.")] = Share("0%")
    absolute: Annotated[
        Limit,
        Field(description="In the metric's own unit: 0.1%, 5ms, 0.01."),
        Rule(
            lambda limit: not limit.startswith("-"),
            "a tolerance says how much worse is still fine, so it is never negative: remove the -",
            "!self.startsWith('-')",
        ),
    ] = Limit("0")


class Metric(Model):
    """One metric, read for candidate and stable over the same time."""

    rules: ClassVar[tuple[Rule, ...]] = _RULES

    name: Annotated[Name, Field(description="What people call it; unique among the metrics.")]
    ratio: CounterRatio | None = None
    histogram: Annotated[Selector | None, Field(description="Series selector of a histogram's …_bucket counters.")] = (
        None
    )
    value: Annotated[
        str | None, Field(min_length=1, max_length=4096, description="Any PromQL that yields one number for one arm.")
    ] = None
    mean: Mean | None = None
    pairs: Pairs | None = None
    quantile: Annotated[
        str | None,
        Field(
            max_length=8,
            description='The quantile that max limits and people read, "0.99" when left out. The tolerance compares '
            "the whole distribution.",
        ),
        IS_QUANTILE,
    ] = None
    better_when: Annotated[Literal["lower", "higher"] | None, Field(description="Which way is better.")] = None
    tolerance: Tolerance | None = None
    exclude: Annotated[
        Tolerance | None,
        Field(
            description="To move on, a regression this large must have been ruled out. Left out: twice as bad as "
            "stable, and no less than twice the tolerance."
        ),
    ] = None
    min: Annotated[Limit | None, Field(description="Never lower than this, whatever stable does.")] = None
    max: Annotated[Limit | None, Field(description="Never higher than this, whatever stable does.")] = None
    min_samples: Annotated[
        int | None,
        Field(
            strict=True,
            ge=1,
            le=1_000_000_000,
            description="Fewest samples of each arm before a metric may pass: requests for ratio and histogram "
            "(100 when left out), users for mean (100), answers for pairs (20), readings for value (10 at least). "
            "Enough evidence of a regression may come from fewer.",
        ),
    ] = None

    @property
    def kind(self) -> str:
        """The one of KIND_FIELDS that is set."""
        return next(kind for kind in KIND_FIELDS if getattr(self, kind) is not None)

    @property
    def groups(self) -> Groups | None:
        """The groups that are compared by themselves, where there are some."""
        return self.ratio.groups if self.ratio is not None else None

    @property
    def quantile_share(self) -> float:
        """The quantile as a share of the requests, 0–1; the default where none is set."""
        return float(self.quantile or DEFAULT_QUANTILE)
