"""The buckets of an A/B test: which values of the header a share of all users has."""

from __future__ import annotations

from itertools import pairwise

from modelrollout.api.ab_test import Buckets


def test_a_higher_share_has_all_buckets_of_a_lower_one() -> None:
    buckets = Buckets.model_validate({"name": "x-bucket", "prefix": "b"})
    shares = [set(buckets.first(percent)) for percent in range(65)]
    assert [len(share) for share in shares] == [*range(65)]
    assert all(lower < higher for lower, higher in pairwise(shares))


def test_numbers_have_as_many_digits_as_the_last_one() -> None:
    assert Buckets.model_validate({"name": "x", "prefix": "b", "count": 20}).first(10) == ("b00", "b01")
    assert Buckets.model_validate({"name": "x", "count": 10}).first(20) == ("0", "1")
    assert Buckets.model_validate({"name": "x", "count": 1000}).first(1)[-1] == "009"
