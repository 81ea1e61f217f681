"""Equality of JSON values. In Python `True == 1`, in JSON they are two. Pure."""

from __future__ import annotations

from typing import Any


def equal(one: Any, two: Any) -> bool:
    """Whether two JSON values are the same."""
    if one is two:
        return True
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return isinstance(two, list) and len(one) == len(two) and all(map(equal, one, two))
    return isinstance(one, bool) is isinstance(two, bool) and bool(one == two)
