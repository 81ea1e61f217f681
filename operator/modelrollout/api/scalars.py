"""How durations, ratios and limits are written in a resource, and what they mean. Pure.

A value keeps the wording that its author chose (``"90s"``, ``"2%"``), so nothing the operator stores reads differently
from what was applied; ``.timedelta`` and ``.value`` are what it means.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from modelrollout.api.rules import Rule, with_rules

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
# Digits are counted so that no value overflows a timedelta, a float, or CEL's 64-bit nanoseconds.
_DECIMALS = r"(\.[0-9]{1,12})?"
_CLOCK = rf"[0-9]{{1,6}}{_DECIMALS}(ms|s|m)|[0-9]{{1,5}}{_DECIMALS}h"
CLOCK_PATTERN = rf"^({_CLOCK}){{1,4}}$"
"""A duration without days: what CEL's own `duration()` understands."""
DURATION_PATTERN = rf"^({_CLOCK}|[0-9]{{1,5}}{_DECIMALS}d){{1,4}}$"
RATIO_PATTERN = rf"^[0-9]{{1,6}}{_DECIMALS}%?$"
NUMBER_PATTERN = rf"^-?[0-9]{{1,15}}{_DECIMALS}([eE][-+]?[0-9]{{1,2}})?%?$"
LIMIT_PATTERN = f"{NUMBER_PATTERN}|{DURATION_PATTERN}"
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_LONGEST_TEXT = 32  # characters; CEL's cost is reckoned from it


class _Worded(str):
    """A string with a pattern; subclasses say what it means."""

    __slots__ = ()
    pattern = ""
    expected = ""

    def __new__(cls, text: str) -> Self:
        # fullmatch: Python's `$` would let a line end pass, RE2's does not.
        if len(text) > _LONGEST_TEXT or re.fullmatch(cls.pattern, text) is None:
            raise ValueError(f"{text!r} is not {cls.expected}")
        return super().__new__(cls, text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda text: cls(cls._rule().check(text)),
            core_schema.str_schema(max_length=_LONGEST_TEXT),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return with_rules({"type": "string", "maxLength": _LONGEST_TEXT}, cls._rule())

    @classmethod
    def _rule(cls) -> Rule:
        return Rule.matching(cls.pattern, f"this is not {cls.expected}")


class Duration(_Worded):
    """A Kubernetes-style duration such as ``90s``, ``5m``, ``1h30m`` or ``7d``."""

    __slots__ = ()
    pattern = DURATION_PATTERN
    expected = "a duration such as 90s, 5m, 1h30m or 7d"

    @property
    def timedelta(self) -> timedelta:
        return sum((float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(self)), timedelta())


class Share(_Worded):
    """A share of one, written ``2%`` or ``"0.02"``."""

    __slots__ = ()
    pattern = RATIO_PATTERN
    expected = 'a ratio such as 2% or "0.02"'

    @property
    def value(self) -> float:
        return _number(self)


class PercentText(_Worded):
    """A part of a percentage, such as ``0.5%``; as fine as gateways share requests, in millionths of them."""

    __slots__ = ()
    pattern = r"^(100|[1-9][0-9]?(\.[0-9]{1,4})?|0\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9]))%$"
    expected = 'a percentage: write a whole number from 1 to 100, or a text such as "0.5%" or "12.5%"'

    @property
    def percent(self) -> Fraction:
        return Fraction(self[:-1])


class Statuses(_Worded):
    """HTTP statuses: one, a class, a range, or several of these with commas between."""

    __slots__ = ()
    pattern = r"^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)(,([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)){0,7}$"
    expected = 'a status: write a number such as 200, or a text such as "2xx", "200-204" or "200,404"'

    def include(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """From which status to which, both included."""
        ends = ((part.replace("xx", "00"), part[:3].replace("xx", "99"), part) for part in self.split(","))
        return tuple((int(low[:3]), int(part[4:] or high)) for low, high, part in ends)


class Limit(_Worded):
    """A bound on a metric in its own unit: ``2%``, ``"0.92"``, ``300ms`` (seconds are the unit of durations)."""

    __slots__ = ()
    pattern = LIMIT_PATTERN
    expected = 'a limit such as 2%, "0.92" or 300ms'

    @property
    def is_duration(self) -> bool:
        return re.match(DURATION_PATTERN, self) is not None

    @property
    def value(self) -> float:
        return Duration(self).timedelta.total_seconds() if self.is_duration else _number(self)


def _number(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _percent(value: Any) -> int | PercentText:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100:
        return value
    if isinstance(value, str):
        return PercentText(PercentText._rule().check(value))
    raise PydanticCustomError("rule", "{sentence}", {"sentence": f"this is not {PercentText.expected}"})


def in_percent(value: int | PercentText) -> int | Fraction:
    """The number that a fine percentage means; a whole one stays an int."""
    return value if isinstance(value, int) else value.percent


def fine_percent(value: int | Fraction) -> int | PercentText:
    """The inverse."""
    return int(value) if value == int(value) else PercentText(f"{float(value):.4f}".rstrip("0") + "%")


FinePercent = Annotated[
    int | PercentText,
    PlainValidator(_percent),
    PlainSerializer(lambda value: value if isinstance(value, int) else str(value), return_type=int | str),
    WithJsonSchema({"x-kubernetes-int-or-string": True}),
]
"""A percentage that may be finer than whole numbers: ``20`` or ``"0.5%"``."""


def _statuses(value: Any) -> Statuses:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str):
        found = Statuses(Statuses._rule().check(text))
        if all(low <= high for low, high in found.ranges):
            return found
    raise PydanticCustomError("rule", "{sentence}", {"sentence": f"this is not {Statuses.expected}"})


StatusText = Annotated[
    Statuses,
    PlainValidator(_statuses),
    PlainSerializer(lambda value: int(value) if value.isdecimal() else str(value), return_type=int | str),
    WithJsonSchema({"x-kubernetes-int-or-string": True}),
]
"""Which statuses will do: ``200`` or ``"2xx"``."""


Time = Annotated[
    datetime,
    # Whole seconds, as Kubernetes keeps them: what is read back must equal what was written,
    # or every pass would see a change.
    PlainSerializer(_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, kept to the second."""
