"""Verdicts on values: any expression, read at the looks."""

from __future__ import annotations

import numpy as np
import pytest

from modelrollout.analysis.conclusions import is_mistake
from modelrollout.analysis.queries import Series
from modelrollout.api.status import Verdict
from tests.unit.analysis.looking import GAUGE, START, look, readings

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SCORE = {"name": "score", "value": GAUGE["value"], "betterWhen": "higher", "tolerance": {"absolute": "1%"}}


def noisy(mean: float, spread: float, count: int, seed: int = 1) -> dict[str, list[Series]]:
    return readings(mean + spread * np.random.default_rng(seed).standard_normal(count))


def test_a_verdict_carries_means_and_their_bound() -> None:
    verdict = look(SCORE, readings([0.93] * 10), readings([0.92, 0.94] * 5))
    assert (verdict.verdict, verdict.candidate, verdict.stable, verdict.bound) == (PASS, "93%", "93%", "≥ 92%")
    assert (verdict.samples, verdict.stable_samples) == (10, 10)
    assert verdict.message == "score: 93% over 10 readings (stable 93% over 10) is within ≥ 92%."


def test_a_constant_violation_fails_without_dividing_by_its_spread() -> None:
    verdict = look(SCORE, readings([0.75] * 5), readings([0.93] * 5))
    assert (verdict.verdict, verdict.message) == (
        FAIL,
        "score: 75% over 5 readings (stable 93% over 5) breaks the limit ≥ 92% (its readings do not vary); "
        "less than 1 in a billion by chance.",
    )
    assert look({**SCORE, "tolerance": None, "min": "0.9"}, readings([0.75] * 5)).verdict is FAIL


def test_a_constant_at_its_bound_is_within_it_whatever_floats_make_of_it() -> None:
    assert look(SCORE, readings([0.92] * 9), readings([0.93] * 9)).verdict is PASS
    assert look({**SCORE, "tolerance": None, "min": "0.3"}, readings([0.1 * 3 - 5e-17] * 9)).verdict is PASS
    assert look(GAUGE, readings([0.1 + 0.2] * 9), readings([0.29] * 9)).verdict is PASS


def test_too_few_readings_say_nothing() -> None:
    verdict = look(SCORE, readings([0.75] * 4), readings([0.93] * 4))
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "score: 75% over 4 readings (stable 93% over 4); needs about 1 more reading (about 38 s).",
    )
    assert look({**SCORE, "minSamples": 1}, readings([0.75] * 2), readings([0.93] * 2)).verdict is INCONCLUSIVE
    assert look({**SCORE, "minSamples": 1}, readings([0.75] * 3), readings([0.93] * 3)).verdict is FAIL


def test_a_clear_drop_in_noise_fails_and_an_improvement_never_does() -> None:
    assert look(SCORE, noisy(0.83, 0.01, 40, 2), noisy(0.93, 0.01, 40), at=40).verdict is FAIL
    assert look(SCORE, noisy(0.98, 0.01, 40, 2), noisy(0.93, 0.01, 40), at=40).verdict is PASS


def test_a_drop_within_the_noise_waits() -> None:
    verdict = look(SCORE, noisy(0.91, 0.02, 20, 2), noisy(0.93, 0.02, 20), at=20)
    assert verdict.verdict is INCONCLUSIVE
    assert "perhaps by chance; needs about" in verdict.message


def test_lower_is_better_where_the_user_says_so() -> None:
    assert look(GAUGE, readings([0.2] * 9), readings([0.1] * 9)).verdict is FAIL
    assert look(GAUGE, readings([0.1] * 9), readings([0.2] * 9)).verdict is PASS


def test_a_relative_tolerance_of_negative_values_is_still_a_tolerance() -> None:
    reward = {**SCORE, "tolerance": {"relative": "10%"}}
    assert look(reward, readings([-105.0] * 9), readings([-100.0] * 9)).verdict is PASS
    assert look(reward, readings([-115.0] * 9), readings([-100.0] * 9)).verdict is FAIL


def test_slow_noise_counts_for_few_readings() -> None:
    steps = np.repeat([0.5, -0.2, 0.6, 0.1], 15)  # refreshed every 15 readings
    drifting = look(GAUGE, readings(0.1 + 0.02 * steps + 0.01), readings([0.1] * 60), at=60)
    assert drifting.verdict is INCONCLUSIVE


def test_several_series_of_one_arm_are_refused_and_none_is_chosen() -> None:
    several = {"value": [Series({"pod": str(n)}, readings([0.9])["value"][0].samples) for n in range(4)]}
    verdict = look(SCORE, several, readings([0.93]))
    assert (verdict.verdict, is_mistake(verdict), verdict.message) == (
        Verdict.UNAVAILABLE,
        True,
        "score asks wrongly: the query yields 4 series for the candidate; "
        "aggregate it to one, for example with avg(…).",
    )
    of_stable = look(SCORE, readings([0.93] * 9), several)
    assert (of_stable.verdict, is_mistake(of_stable), of_stable.candidate) == (Verdict.UNAVAILABLE, True, "93%")


def test_readings_that_are_no_numbers_are_dropped() -> None:
    values = [0.93, float("nan"), 0.93, float("inf"), 0.93, float("-inf"), 0.93, 0.93]
    verdict = look(SCORE, readings(values), readings([0.93] * 8))
    assert (verdict.verdict, verdict.samples) == (PASS, 5)


def test_readings_are_paired_by_their_time() -> None:
    late = {"value": [Series({}, tuple((START + 15 * n, 0.1 * n) for n in range(4, 11)))]}
    verdict = look(GAUGE, late, {"value": [Series({}, tuple((START + 15 * n, 0.1 * n) for n in range(1, 11)))]})
    assert (verdict.verdict, verdict.samples, verdict.candidate, verdict.stable) == (PASS, 7, "0.7", "0.7")


def test_readings_that_never_coincide_are_not_compared() -> None:
    apart = {"value": [Series({}, tuple((START + 7 + 15 * n, 0.5) for n in range(10)))]}
    verdict = look(GAUGE, apart, readings([0.1] * 10))
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "drift: no readings yet; needs about 5 more readings.",
    )


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324, 1e-12])
def test_absurd_numbers_stay_numbers(size: float) -> None:
    plain = {**GAUGE, "tolerance": {"relative": "10%"}}
    assert look(plain, readings([size, size] * 5), readings([size] * 10)).verdict is PASS
    assert look(plain, readings([-size] * 10), readings([size] * 10)).verdict is PASS
    assert look({**plain, "tolerance": None, "max": "1e15"}, readings([1e300, 1.1e300] * 20), at=20).verdict is FAIL


def test_zero_in_both_arms_is_equal() -> None:
    assert look({**GAUGE, "tolerance": {}}, readings([0.0] * 9), readings([0.0] * 9)).verdict is PASS
