"""When a flip was in force, and what it cost, from what users got around it."""

from __future__ import annotations

import pytest

from benchmarks.switch.__main__ import rows
from benchmarks.switch.flips import Flip, flip, for_good
from localcluster.load import Failure, Outcome


def got(at: float, version: str | None, latency: float = 0.5) -> Outcome:
    failure = None if version else Failure.PROXY
    return Outcome(at, latency, 200, version, failure, right=True, stable_right=True, harmed=False)


def test_a_flip_is_in_force_with_the_first_answer_after_which_nobody_got_another() -> None:
    outcomes = [got(1, "v1"), got(2, "v2"), got(3, "v1"), got(5, "v2", 2.0), got(4, "v2")]
    assert for_good("v2", outcomes) == 4.5


def test_a_version_that_never_answered_alone_is_told() -> None:
    with pytest.raises(ValueError, match="v2 never answered alone"):
        for_good("v2", [got(1, "v2"), got(2, "v1")])


def test_times_count_from_the_decision_and_from_the_route_and_lost_requests_are_counted() -> None:
    outcomes = [got(1, "v1"), got(2, None), got(3, "v2")]
    assert flip("over", "v2", outcomes, begin=3.0, written=3.25) == Flip("over", 0.5, 0.25, requests=3, lost=1)


def test_the_table_has_a_row_for_each_way() -> None:
    found = [Flip("over", 0.25, 0.1, 100, 0), Flip("over", 0.75, 0.3, 100, 1), Flip("back", 0.5, 0.25, 50, 0)]
    assert [*rows(found)] == [
        "| over | decision saved | 2 | 0.50 | 0.75 | 0.20 | 200 | 1 |\n",
        "| back | edit of the spec | 1 | 0.50 | 0.50 | 0.25 | 50 | 0 |\n",
    ]
