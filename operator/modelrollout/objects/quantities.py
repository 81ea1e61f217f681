"""Kubernetes' quantities: one amount has many spellings, of which the API server keeps one. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_EXPONENT = re.compile(r"[eE][+-]?[0-9]+$")


def amount(value: Any) -> Decimal | None:
    """The number that a quantity stands for; None where it is no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    from kubernetes.utils.quantity import parse_quantity  # with it comes the whole client, half a second of it

    try:
        found = Decimal(parse_quantity(value)).normalize()  # type: ignore[no-untyped-call]  # ships no types
    except (ValueError, ArithmeticError):
        return None
    return found if found.is_finite() else None


def canonical(value: Any) -> Any:
    """One spelling for all that the API server stores alike: `1000m` is `1`. Anything but a quantity as it is.

    It keeps an amount in the family of suffixes that it was written in: `1Gi` and `1024Mi` are stored as one thing,
    `1073741824` as another.
    """
    if (number := amount(value)) is None:
        return value
    text = str(value)
    family = "binary" if text.endswith("i") else "exponent" if _EXPONENT.search(text) else "decimal"
    return f"{number} {family}"
