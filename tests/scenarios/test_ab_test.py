"""Stages of the kind abTest: users stay with their version until a goal is shown, or its time is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.promql.query import Series
from tests import builders
from tests.fakes.town import Town, releasing

LOSS = {"metric": "errors", "nonInferiority": {"absolute": "1%"}}
USERS = [f"b{number:02d}" for number in range(20)]


def experiment(*stages: dict[str, Any], **fields: Any) -> Town:
    town = releasing(stages=[*(stages or [builders.ab_test(**fields)])])
    town.metrics.buckets = len(USERS)
    return town


def arms(town: Town) -> dict[str, str]:
    """The Service that a gateway sends each bucket's users to."""
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    assert route is not None
    return {user: _served_by(route["spec"]["rules"], user) for user in USERS}


def _served_by(rules: list[dict[str, Any]], bucket: str) -> str:
    asking = [rule for rule in rules if any(match.get("headers") for match in rule.get("matches", ()))]
    for rule in asking:
        wanted = [header for match in rule["matches"] for header in match["headers"]]
        if {"type": "Exact", "name": "x-bucket", "value": bucket} in wanted:
            return str(rule["backendRefs"][0]["name"])
    (usual,) = [rule for rule in rules if rule not in asking]
    return str(max(usual["backendRefs"], key=lambda ref: ref["weight"])["name"])


def on_candidate(town: Town) -> set[str]:
    return {user for user, service in arms(town).items() if service == f"fraud-{town.new}"}


def is_testing(town: Town) -> bool:
    return bool(on_candidate(town)) and len(on_candidate(town)) < len(USERS)


def test_better_candidate_is_promoted_once_that_is_shown() -> None:
    town = experiment()
    town.metrics.bad = {"1": 0.10, "2": 0.05}
    town.run(until=is_testing, minutes=5)
    assert on_candidate(town) == set(USERS[:10])
    began = town.now
    town.go(Phase.HEALTHY)
    assert town.status.history[0].outcome == "Promoted"
    assert timedelta(minutes=2) <= town.now - began < timedelta(minutes=10)


def test_equal_candidate_is_held_for_a_person_once_the_time_is_over() -> None:
    town = experiment()
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.run(minutes=30)
    told = next(one for one in town.status.conditions if one.type == "Progressing")
    assert (town.phase, told.reason) == (Phase.PROGRESSING, "GoalNotShown")
    assert "nothing showed that errors is better" in told.message
    assert "to rule out that it is no better than stable" in told.message
    assert is_testing(town)


def test_equal_candidate_is_taken_back_where_the_stage_says_so() -> None:
    town = experiment(onInconclusive="rollback")
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.go(Phase.ROLLED_BACK, minutes=30)
    assert "spec.stages[ab].abTest.onInconclusive is rollback" in town.status.rejected[0].message
    assert on_candidate(town) == set()


def test_equal_candidate_is_promoted_where_the_stage_says_so() -> None:
    town = experiment(onInconclusive="promote")
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.go(Phase.HEALTHY, minutes=40)
    assert town.status.history[0].outcome == "Promoted"


def test_equal_candidate_is_promoted_where_no_harm_is_enough() -> None:
    town = experiment(goal=LOSS)
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.go(Phase.PROMOTING, minutes=15)


def test_worse_candidate_is_taken_back_at_once() -> None:
    town = experiment()
    town.metrics.bad = {"1": 0.05, "2": 0.20}
    town.run(until=is_testing, minutes=5)
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert on_candidate(town) == set()


def test_the_share_that_was_drawn_is_checked_and_another_one_ends_the_experiment() -> None:
    town = experiment(percent=10)
    town.metrics.bad = {"1": 0.10, "2": 0.05}
    town.metrics.candidates_part = 0.5
    town.run(until=is_testing, minutes=5)
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert town.status.rejected[0].reason == "MoreThanIntended"


def scraped_since(moment: float, town: Town) -> Callable[[tuple[Series, ...]], tuple[Series, ...]]:
    """Prometheus knows nothing of the candidate's pods before, as where it finds them late."""

    def known(one: Series) -> Series:
        is_candidate = one.labels["pod"] == f"fraud-{town.new}-0"
        return Series(one.labels, tuple(sample for sample in one.samples if not is_candidate or sample[0] >= moment))

    return lambda series: tuple(found for found in map(known, series) if found.samples)


def test_experiment_whose_candidate_is_counted_late_is_held_and_not_over() -> None:
    town = experiment(goal=LOSS)
    town.metrics.finds = scraped_since(math.inf, town)
    town.run(until=is_testing, minutes=5)
    town.run(minutes=1)
    told = next(one for one in town.status.conditions if one.type == "TrafficAsIntended")
    assert (town.phase, told.reason) == (Phase.PROGRESSING, "FewerThanIntended")
    town.metrics.finds = scraped_since(town.now.timestamp(), town)
    town.go(Phase.HEALTHY, minutes=30)
    assert town.status.history[0].outcome == "Promoted"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_nobody_changes_the_version_but_towards_the_candidate_and_a_rollback_moves_all_at_once(
    is_restarted: bool,
) -> None:
    ramp = [builders.ab_test(f"ab-{percent}", percent=percent, goal=LOSS) for percent in (5, 25, 50)]
    town = experiment(*ramp)
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    seen = [on_candidate(town)]

    def is_at_half(town: Town) -> bool:
        if (now := on_candidate(town)) != seen[-1]:
            seen.append(now)
        if is_restarted and not town.now.second % 7:
            town.restart()
        return len(now) == 10

    town.run(until=is_at_half, minutes=60)
    assert [len(some) for some in seen] == [0, 1, 5, 10]
    assert all(before < after for before, after in pairwise(seen))
    town.metrics.bad = {"1": 0.05, "2": 0.5}
    town.run(until=lambda town: on_candidate(town) != seen[-1], minutes=5)
    assert on_candidate(town) == set()


def test_more_users_by_an_edit_are_no_contradiction_to_those_who_were_drawn_before() -> None:
    town = experiment(percent=5, goal=LOSS)
    town.run(until=is_testing, minutes=5)
    town.run(minutes=1)
    town.wish("2", stages=[builders.ab_test(percent=50, goal=LOSS)])
    town.run(seconds=30)
    assert (town.phase, on_candidate(town)) == (Phase.PROGRESSING, set(USERS[:10]))


def test_an_audience_meets_the_candidate_by_its_header() -> None:
    town = experiment(audience=[{"name": "x-bucket", "value": "b07"}], goal=LOSS)
    town.run(until=is_testing, minutes=5)
    assert on_candidate(town) == {"b07"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"traffic": {"port": 8080, "service": {}}}, "a plain Service looks into no request"),
        ({"stages": [builders.ab_test(goal={**LOSS, "metric": "clicks"})]}, "there is no metric 'clicks'"),
    ],
)
def test_what_cannot_be_done_is_told_with_its_mend(changes: dict[str, Any], says: str) -> None:
    town = Town()
    town.wish("1", **{"stages": [builders.ab_test()], **changes})
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert says in (town.status.message or "")
