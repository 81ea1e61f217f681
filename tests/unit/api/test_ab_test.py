"""The buckets of an A/B test: which values of the header a share of all users has."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from pydantic import ValidationError

from modelrollout.api.ab_test import AbTest, Buckets


def test_a_higher_share_has_all_buckets_of_a_lower_one() -> None:
    buckets = Buckets.model_validate({"name": "x-bucket", "prefix": "b"})
    shares = [set(buckets.first(percent)) for percent in range(65)]
    assert [len(share) for share in shares] == [*range(65)]
    assert all(lower < higher for lower, higher in pairwise(shares))


def test_numbers_have_as_many_digits_as_the_last_one() -> None:
    assert Buckets.model_validate({"name": "x", "prefix": "b", "count": 20}).first(10) == ("b00", "b01")
    assert Buckets.model_validate({"name": "x", "count": 10}).first(20) == ("0", "1")
    assert Buckets.model_validate({"name": "x", "count": 1000}).first(1)[-1] == "009"


def _shares(count: int) -> list[int]:
    """The percentages that an A/B test with so many buckets may have."""
    found = []
    for percent in range(1, 100):
        sticky = {"bucketHeader": {"name": "x-bucket", "count": count}}
        with suppress(ValidationError):
            AbTest.model_validate({"percent": percent, "sticky": sticky, "goal": {"metric": "m", "superiority": True}})
            found.append(percent)
    return found


def test_the_shares_of_some_counts_are_those_that_the_docs_name() -> None:
    assert _shares(100) == [*range(1, 65)]
    assert _shares(50) == [*range(2, 99, 2)]
    assert _shares(20) == [*range(5, 96, 5)]
    assert _shares(10) == [*range(10, 91, 10)]
