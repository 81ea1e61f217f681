"""The rules that a metric keeps, beside what its schema says. Pure.

Most of them refuse what would be judged the wrong way round, or not at all, without anybody noticing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelrollout.api.rules import Rule
from modelrollout.api.scalars import NUMBER_PATTERN, RATIO_PATTERN, Limit

if TYPE_CHECKING:
    from modelrollout.api.analysis import Metric

_MAX_ERROR_RATE = 0.5
_ARM = r"\{\{\s*(pods|revision|workload|service|arm)\s*\}\}"
"""The template names whose values differ between candidate and stable."""


def _number(text: str) -> str:
    """CEL: the value of a ratio or of a limit that is no duration. Its pattern has to be checked before."""
    return f"({text}.endsWith('%') ? double({text}.replace('%', '')) / 100.0 : double({text}))"


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

IS_ERROR_RATE = Rule(
    lambda share: 0 < share.value <= _MAX_ERROR_RATE,
    'this must be above 0% and at most 50%, such as 1% or "0.01"',
    f"!self.matches(r'{RATIO_PATTERN}') || {_number('self')} > 0.0 && {_number('self')} <= {_MAX_ERROR_RATE}",
)


def _higher_is_better(metric: Metric) -> bool:
    return metric.better_when == "higher" or (metric.ratio is not None and metric.ratio.good is not None)


_HIGHER_IS_BETTER = "(has(self.betterWhen) && self.betterWhen == 'higher' || has(self.ratio) && has(self.ratio.good))"


def _has_one_kind(metric: Metric) -> bool:
    return [metric.ratio, metric.histogram, metric.value, metric.mean, metric.pairs].count(None) == 4


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


ALL: tuple[Rule, ...] = (
    Rule(
        _has_one_kind,
        "a metric needs exactly one of ratio, histogram, value, mean and pairs",
        "[has(self.ratio), has(self.histogram), has(self.value), has(self.mean), has(self.pairs)].exists_one(x, x)",
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
        f".all(limit, limit.matches(r'{NUMBER_PATTERN}') && {_number('limit')} >= 0.0 && {_number('limit')} <= 1.0)",
    ),
    Rule(
        _has_room_between_limits,
        "min must be below max",
        # One a duration, the other a number: only the operator compares those.
        f"!has(self.min) || !has(self.max) || {_number('self.min')} < {_number('self.max')}"
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
        f".exists(part, !part.matches(r'{NUMBER_PATTERN}')) || {_number(_PARTS[2])} >= {_number(_PARTS[0])}"
        f" && {_number(_PARTS[3])} >= {_number(_PARTS[1])}"
        f" && ({_number(_PARTS[2])} > {_number(_PARTS[0])} || {_number(_PARTS[3])} > {_number(_PARTS[1])})",
    ),
    Rule(
        _leaves_something,
        "where higher is better, tolerance.relative must be below 100%: less than nothing cannot be measured",
        f"!has(self.tolerance) || !has(self.tolerance.relative) || !{_HIGHER_IS_BETTER}"
        f" || !self.tolerance.relative.matches(r'{RATIO_PATTERN}') || {_number('self.tolerance.relative')} < 1.0",
    ),
)
