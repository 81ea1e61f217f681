"""Goals of A/B tests: what has to be shown of a ratio, at the declared error rate, with users as they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.analysis.tables.goals import ALPHA, LONGEST, Experiment, users_until_shown
from modelrollout.analysis.evidence.look import Goal
from modelrollout.analysis.judge import judge
from modelrollout.api.metric import Tolerance
from modelrollout.api.status import MetricVerdict, Verdict
from modelrollout.promql.query import Answered
from modelrollout.sequential.proportions import GOAL_EFFECT_WEIGHTS, Bound, Counts, shown
from tests.unit.analysis.looking import (
    ACCURACY,
    REVENUE,
    Told,
    analysis,
    asked_by,
    case,
    course,
    part_by_part,
    requests,
    takings,
)

ONE_POINT = {"absolute": "1%"}
BETTER = Goal("accuracy")
NO_WORSE = Goal("accuracy", Tolerance.model_validate({"absolute": "2%"}))


def told(
    candidate: Told, stable: Told, goal: Goal | None, metric: Mapping[str, Any] = {**ACCURACY, "tolerance": ONE_POINT}
) -> MetricVerdict:
    """The verdict after ten looks."""
    wished = analysis(metric)
    one = replace(case(wished, course(wished), 150.0), goal=goal)
    asked = part_by_part(asked_by(one))
    arms = {"candidate": candidate, "stable": stable}
    return judge(one, asked, {query: Answered(tuple(arms[query.arm][query.part])) for query in asked}).verdicts[0]


def good(share: float, users: float = 20_000) -> Told:
    return requests(share * users, users, part="good")


def test_a_better_candidate_passes_and_says_so() -> None:
    verdict = told(good(0.55), good(0.50), BETTER)
    assert (verdict.verdict, verdict.ruled_out) == (Verdict.PASS, "100%")
    assert "; shown, that accuracy is better; " in verdict.message


def test_an_equal_candidate_passes_where_no_goal_is_set_and_is_open_where_it_has_to_be_better() -> None:
    assert told(good(0.50), good(0.50), None).verdict is Verdict.PASS
    verdict = told(good(0.50), good(0.50), BETTER)
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.message.endswith("too little happens to rule out that it is no better than stable.")


def test_an_equal_candidate_is_shown_to_lose_less_than_is_acceptable() -> None:
    assert told(good(0.50), good(0.50), NO_WORSE).verdict is Verdict.PASS
    assert told(good(0.50, 2_000), good(0.50, 2_000), NO_WORSE).verdict is Verdict.INCONCLUSIVE


def test_a_small_lift_says_how_many_more_it_takes() -> None:
    assert "to rule out that it is no better than stable" in told(good(0.507), good(0.50), BETTER).message
    assert "needs about" in told(good(0.507), good(0.50), BETTER).message


EARNS_MORE = Goal("revenue")
LOSES_LITTLE = Goal("revenue", Tolerance.model_validate({"relative": "3%"}))


def test_a_mean_passes_once_more_of_it_is_shown_and_not_where_it_is_equal() -> None:
    verdict = told(takings(42, 20_000), takings(40, 20_000), EARNS_MORE, REVENUE)
    assert verdict.verdict is Verdict.PASS
    assert "; shown, that revenue is better; " in verdict.message
    equal = told(takings(40, 20_000), takings(40, 20_000), EARNS_MORE, REVENUE)
    assert equal.verdict is Verdict.INCONCLUSIVE
    assert "to rule out that it is no better than stable" in equal.message


def test_a_mean_of_costs_passes_once_less_of_it_is_shown() -> None:
    costs = {**REVENUE, "betterWhen": "lower"}
    assert told(takings(38, 20_000), takings(40, 20_000), EARNS_MORE, costs).verdict is Verdict.PASS
    assert told(takings(41, 20_000), takings(40, 20_000), EARNS_MORE, costs).verdict is Verdict.INCONCLUSIVE


def test_a_mean_is_shown_to_lose_less_than_is_acceptable() -> None:
    assert told(takings(40, 20_000), takings(40, 20_000), LOSES_LITTLE, REVENUE).verdict is Verdict.PASS
    assert told(takings(40, 500), takings(40, 500), LOSES_LITTLE, REVENUE).verdict is Verdict.INCONCLUSIVE


def test_a_loss_of_a_mean_beyond_its_tolerance_fails_whatever_the_goal() -> None:
    assert told(takings(35, 20_000), takings(40, 20_000), EARNS_MORE, REVENUE).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("metric", "one_arm", "goal"),
    [(ACCURACY, good(0.50), NO_WORSE), (REVENUE, takings(40, 20_000), LOSES_LITTLE)],
    ids=["ratio", "mean"],
)
def test_another_goal_begins_anew(metric: dict[str, Any], one_arm: Told, goal: Goal) -> None:
    wished = analysis(metric)
    one = replace(case(wished, course(wished), 150.0), goal=goal)
    asked = part_by_part(asked_by(one))
    same = {query: Answered(tuple(one_arm[query.part])) for query in asked}
    first = judge(one, asked, same)
    kept = {one.metric: one for one in first.checkpoint}
    later = replace(one, kept=kept)
    assert judge(later, asked, same).verdicts[0].verdict is Verdict.PASS
    assert (
        judge(replace(later, goal=replace(goal, margin=None)), asked, same).verdicts[0].verdict is Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize("bound", [Bound(1.0), Bound(0.9, 0.1), Bound(1.1), Bound(1.0, 0.02)])
@pytest.mark.parametrize("users", [(1, 1), (3, 5), (8, 2)])
def test_no_bet_on_a_goal_is_expected_to_win_where_it_is_not_met(bound: Bound, users: tuple[int, int]) -> None:
    mine, theirs = np.meshgrid(*(np.arange(number + 1.0) for number in users), indexing="ij")
    counts = Counts(mine.ravel(), np.full(mine.size, users[0]), theirs.ravel(), np.full(mine.size, users[1]))
    for base in (0.02, 0.5, 0.95):
        e = np.exp(shown(counts, np.full(mine.size, base), bound))
        for stable in (share for share in (0.01, 0.3, 0.7, 0.97) if bound.factor * share + bound.margin < 1):
            at = float(bound.at(stable))
            for candidate in (at, (1 + at) / 2):
                chances = np.outer(
                    binom.pmf(np.arange(users[0] + 1), users[0], candidate),
                    binom.pmf(np.arange(users[1] + 1), users[1], stable),
                ).ravel()
                assert (chances @ e <= 1 + 1e-9).all()


def test_the_bets_share_one_stake() -> None:
    assert GOAL_EFFECT_WEIGHTS.sum() == pytest.approx(1)


def test_a_lift_is_shown_with_at_most_half_as_many_users_again_as_by_a_test_of_fixed_size() -> None:
    one = Experiment(0.05, 0.20)
    ends = users_until_shown(one, one.fixed(), 60, np.random.default_rng(7))
    assert np.minimum(ends, LONGEST * one.fixed()).mean() <= 1.5 * one.fixed()
    assert np.isfinite(ends).mean() > 0.9


def test_equal_versions_are_rarely_shown_to_be_better() -> None:
    runs, length = 300, Experiment(0.05, 0.20).fixed()
    ends = users_until_shown(Experiment(0.05, 0.0), length, runs, np.random.default_rng(8))
    assert np.isfinite(ends).sum() <= binom.ppf(0.999, runs, ALPHA)
