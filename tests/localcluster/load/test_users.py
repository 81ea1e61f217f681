"""Users with names: each in a bucket for good, and the versions that each met."""

from __future__ import annotations

from collections import Counter

from localcluster.load import Outcome, named_users, versions_met

BUCKETS = [f"b{number}" for number in range(10)]


def answered(at: float, user: str | None, version: str | None) -> Outcome:
    return Outcome(at, 0.01, 200, version, None, right=True, stable_right=True, harmed=False, user=user)


def test_everybody_is_in_one_bucket_whoever_asks_and_the_buckets_are_about_as_full() -> None:
    crowd = named_users(2000, "x-bucket", BUCKETS)
    assert crowd == named_users(2000, "x-bucket", BUCKETS)
    assert len({user.name for user in crowd}) == 2000
    full = Counter(user.headers["x-bucket"] for user in crowd)
    assert {*full} == {*BUCKETS}
    assert all(150 <= count <= 250 for count in full.values())


def test_users_without_a_header_are_in_no_bucket() -> None:
    assert [dict(user.headers) for user in named_users(2)] == [{}, {}]


def test_versions_are_told_in_the_order_of_asking_and_once_for_each_move() -> None:
    answers = [
        answered(3, "anne", "v2"),
        answered(1, "anne", "v1"),
        answered(2, "anne", "v1"),
        answered(4, "anne", "v1"),
        answered(1, "bob", "v2"),
        answered(2, "bob", None),
        answered(3, None, "v1"),
    ]
    assert versions_met(answers) == {"anne": ("v1", "v2", "v1"), "bob": ("v2",)}
