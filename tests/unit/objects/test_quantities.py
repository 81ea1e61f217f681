"""Quantities: the number that a spelling stands for, and the spellings that the API server stores alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from modelrollout.objects.quantities import amount, canonical


@pytest.mark.parametrize(
    ("value", "number"),
    [("1000m", 1), (1, 1), (0.5, Decimal("0.5")), ("1Ki", 1024), ("1e3", 1000), ("0", 0), ("-2", -2)],
)
def test_number_of(value: Any, number: Any) -> None:
    assert amount(value) == number


@pytest.mark.parametrize("value", ["", "one", "NaN", "sNaN", "Infinity", "1e9999999999999999999", None, True, []])
def test_no_quantity_is_kept_as_it_is(value: Any) -> None:
    assert (amount(value), canonical(value)) == (None, value)


@pytest.mark.parametrize("alike", [("1000m", "1", 1, 1.0), ("1024Mi", "1Gi"), ("1000k", "1M"), ("1e3", "10E2")])
def test_spellings_that_are_stored_alike(alike: tuple[Any, ...]) -> None:
    assert len({canonical(one) for one in alike}) == 1


def test_suffixes_of_other_families_are_stored_apart() -> None:
    assert len({canonical(one) for one in ("1Ki", "1024", "1024e0")}) == 3
