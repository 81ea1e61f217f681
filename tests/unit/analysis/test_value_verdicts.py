"""Verdicts on values: any expression, read at the looks."""

from __future__ import annotations

import numpy as np
import pytest

from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import QUERY_REJECTED, Verdict
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import GAUGE, START, Walk, always, analysis, course, look, readings

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
USUAL = Prior(variance=4e-4)
"""An hour in which stable's pods differed by two percentage points."""
SCORE = {"name": "score", "value": GAUGE["value"], "betterWhen": "higher", "tolerance": {"absolute": "1%"}}


def noisy(mean: float, spread: float, count: int, seed: int = 1) -> dict[str, list[Series]]:
    return readings(mean + spread * np.random.default_rng(seed).standard_normal(count))


def test_a_verdict_carries_means_and_their_bound() -> None:
    verdict = look(SCORE, readings([0.93] * 40), readings([0.92, 0.94] * 20), at=40)
    assert (verdict.verdict, verdict.candidate, verdict.stable, verdict.bound) == (PASS, "93%", "93%", "≥ 92%")
    assert (verdict.samples, verdict.stable_samples) == (40, 40)
    assert verdict.message == (
        "score: 93% over 40 readings (stable 93% over 40) is within ≥ 92%; "
        "beyond what is tolerated by −2.1% to +0.13% (at 99 %, at any time; negative: within)."
    )


def test_a_gross_and_constant_violation_fails_as_soon_as_anything_may() -> None:
    early, late = (look(SCORE, readings([0.75] * n), readings([0.93] * n), at=n, usual=USUAL) for n in (9, 10))
    assert (early.verdict, late.verdict) == (INCONCLUSIVE, FAIL)
    assert late.message.startswith(
        "score: 75% over 10 readings (stable 93% over 10) breaks the limit ≥ 92%; "
        "fewer than 1 in a billion equal candidates would ever look like this; "
    )
    assert look({**SCORE, "tolerance": None, "min": "0.9"}, readings([0.75] * 40), at=40).verdict is FAIL


def test_a_constant_at_its_bound_is_within_it_whatever_floats_make_of_it() -> None:
    for metric, mine, theirs in (
        (SCORE, 0.92, 0.93),
        ({**SCORE, "tolerance": None, "min": "0.3"}, 0.1 * 3 - 5e-17, 0.0),
        (GAUGE, 0.1 + 0.2, 0.29),
    ):
        verdict = look(metric, readings([mine] * 40), readings([theirs] * 40), at=40)
        assert (verdict.verdict, "is within" in verdict.message) == (PASS, True)


def test_a_gauge_that_is_refreshed_seldom_is_not_taken_at_its_word_in_between() -> None:
    # A hair beyond the bound, and the same for ten readings: that is one value, not ten.
    verdict = look(SCORE, readings([0.919] * 12), readings([0.93] * 12), at=12)
    assert verdict.verdict is INCONCLUSIVE
    known = Prior(variance=0.0)  # stable's pods never differed in their history: no noise could make this
    assert look(SCORE, readings([0.90] * 12), readings([0.93] * 12), at=12, usual=known).verdict is FAIL


def test_the_variance_that_stables_history_shows_is_what_counts() -> None:
    drop = readings([0.90, 0.91] * 20), readings([0.93, 0.92] * 20)
    calm, noisy_one = (look(SCORE, *drop, at=40, usual=Prior(variance=variance)) for variance in (1e-4, 1e-2))
    assert (calm.verdict, noisy_one.verdict) == (FAIL, INCONCLUSIVE)


def test_too_few_readings_say_nothing() -> None:
    verdict = look(SCORE, readings([0.75] * 4), readings([0.93] * 4), at=4)
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "score: 75% over 4 readings (stable 93% over 4); needs about 6 more readings (about 90 s).",
    )
    asked = look({**SCORE, "minSamples": 1}, readings([0.75] * 4), readings([0.93] * 4), at=4)
    assert asked.message == verdict.message


def test_a_clear_drop_in_noise_fails_and_an_improvement_never_does() -> None:
    assert look(SCORE, noisy(0.83, 0.01, 40, 2), noisy(0.93, 0.01, 40), at=40, usual=USUAL).verdict is FAIL
    assert look(SCORE, noisy(0.98, 0.01, 40, 2), noisy(0.93, 0.01, 40), at=40).verdict is PASS


def test_a_drop_within_the_noise_waits() -> None:
    verdict = look(SCORE, noisy(0.91, 0.02, 20, 2), noisy(0.93, 0.02, 20), at=20, usual=Prior(variance=1e-3))
    assert verdict.verdict is INCONCLUSIVE
    assert "perhaps by chance; needs about" in verdict.message


def test_lower_is_better_where_the_user_says_so() -> None:
    assert look(GAUGE, readings([0.2] * 40), readings([0.1] * 40), at=40, usual=USUAL).verdict is FAIL
    assert look(GAUGE, readings([0.1] * 40), readings([0.2] * 40), at=40).verdict is PASS


def test_a_relative_tolerance_of_negative_values_is_still_a_tolerance() -> None:
    reward = {**SCORE, "tolerance": {"relative": "10%"}}
    assert look(reward, readings([-105.0] * 40), readings([-100.0] * 40), at=40).verdict is PASS
    known = Prior(variance=400.0)
    assert look(reward, readings([-150.0] * 40), readings([-100.0] * 40), at=40, usual=known).verdict is FAIL


def test_slow_noise_counts_for_few_readings() -> None:
    steps = np.repeat([0.5, -0.2, 0.6, 0.1], 15)  # refreshed every 15 readings
    drifting = look(GAUGE, readings(0.1 + 0.02 * steps + 0.01), readings([0.1] * 60), at=60)
    assert drifting.verdict is INCONCLUSIVE


def test_several_series_of_one_arm_are_refused_and_none_is_chosen() -> None:
    several = {"value": [Series({"pod": str(n)}, readings([0.9])["value"][0].samples) for n in range(4)]}
    verdict = look(SCORE, several, readings([0.93]))
    assert (verdict.verdict, verdict.reason, verdict.message) == (
        Verdict.UNAVAILABLE,
        QUERY_REJECTED,
        "score asks wrongly: the query yields 4 series for the candidate; "
        "aggregate it to one, for example with avg(…).",
    )
    of_stable = look(SCORE, readings([0.93] * 9), several)
    assert (of_stable.verdict, of_stable.reason, of_stable.candidate) == (Verdict.UNAVAILABLE, QUERY_REJECTED, "93%")


def test_readings_that_are_no_numbers_are_dropped() -> None:
    values = [0.93, float("nan"), 0.93, float("inf"), 0.93, float("-inf"), 0.93, 0.93]
    verdict = look(SCORE, readings(values), readings([0.93] * 8))
    assert (verdict.verdict, verdict.samples, verdict.candidate) == (INCONCLUSIVE, 5, "93%")


def test_readings_are_paired_by_their_time() -> None:
    late = {"value": [Series({}, tuple((START + 15 * n, 0.1 * n) for n in range(4, 11)))]}
    verdict = look(GAUGE, late, {"value": [Series({}, tuple((START + 15 * n, 0.1 * n) for n in range(1, 11)))]})
    assert (verdict.samples, verdict.stable_samples, verdict.candidate, verdict.stable) == (7, 7, "0.7", "0.7")


def test_readings_that_never_coincide_are_not_compared() -> None:
    apart = {"value": [Series({}, tuple((START + 7 + 15 * n, 0.5) for n in range(10)))]}
    assert look(GAUGE, apart, readings([0.1] * 10), at=3).message == (
        "drift: no readings yet; needs about 10 more readings."
    )
    later = look(GAUGE, apart, readings([0.1] * 10))
    assert later.verdict is Verdict.NO_DATA
    assert later.message == "drift: nothing was heard of the candidate for 2 min; the candidate shows no readings yet."


@pytest.mark.parametrize("size", [1e300, 1e-300, 5e-324, 1e-12, 1.0])
def test_absurd_numbers_stay_numbers(size: float) -> None:
    plain = {**GAUGE, "tolerance": {"relative": "10%"}}
    assert look(plain, readings([size, size] * 20), readings([size] * 40), at=40).verdict is not FAIL
    assert look(plain, readings([-size] * 40), readings([size] * 40), at=40).verdict is not FAIL
    assert look({**plain, "tolerance": None, "max": "1e15"}, readings([1e300, 1.1e300] * 20), at=20).verdict is FAIL


def test_zero_in_both_arms_breaks_nothing() -> None:
    assert look({**GAUGE, "tolerance": {}}, readings([0.0] * 40), readings([0.0] * 40), at=40).verdict is not FAIL
    assert look(GAUGE, readings([0.0] * 40), readings([0.0] * 40), at=40).verdict is PASS


def test_what_only_breaks_at_a_later_step_is_found_there() -> None:
    fine, broken = [0.93, 0.931] * 100, [0.90, 0.901] * 10
    mine, theirs = readings([*fine, *broken]), readings([0.93, 0.931] * 110)
    verdict = look(SCORE, mine, theirs, at=220, steps=[3000], usual=USUAL)
    assert (verdict.verdict, verdict.samples, verdict.candidate) == (FAIL, 20, "90.1%")


def test_later_steps_share_one_part_of_the_error_rate_however_many_there_are() -> None:
    wished = analysis(SCORE)
    mine = [*noisy(0.93, 0.01, 200)["value"][0].samples, *noisy(0.91, 0.01, 220, seed=2)["value"][0].samples[200:]]
    values = {"candidate": [Series({}, tuple(mine))], "stable": noisy(0.93, 0.01, 220, seed=3)["value"]}

    def evidence(later_steps: int) -> float:
        line = course(wished, 3000, later_steps=later_steps)
        told = Walk(wished, always(), line, Prior(variance=2e-4), values=values).look(3300).verdicts[0]
        assert told.evidence is not None
        return float(told.evidence.removesuffix("%"))

    # Of ln 100 that a rollback takes, ten times as many steps are to cost about ln 10.
    assert evidence(1) - evidence(10) == pytest.approx(50, abs=8)


def test_a_value_of_nothing_in_both_arms_passes_though_nothing_is_tolerated_beyond_it() -> None:
    waiting = {"name": "queue", "value": SCORE["value"], "betterWhen": "lower", "tolerance": {"relative": "10%"}}
    assert look(waiting, readings([0.0] * 12), readings([0.0] * 12), at=12).verdict is PASS
    assert look(waiting, readings([1.0] * 40), readings([0.0] * 40), at=40).verdict is not PASS


def test_without_a_history_a_tolerance_takes_no_traffic_back_and_says_so() -> None:
    """Equal pods may stand at different levels for long, and readings of one release do not tell for how long."""
    verdict = look(SCORE, readings([0.75] * 40), readings([0.93] * 40), at=40)
    assert (verdict.verdict, verdict.evidence) == (INCONCLUSIVE, "0%")
    assert verdict.message.endswith(
        "; an hour of history is needed to know how its readings wander by themselves, "
        "so its tolerance takes no traffic back."
    )
    assert look({**SCORE, "min": "0.9"}, readings([0.75] * 40), readings([0.93] * 40), at=40).verdict is FAIL


def test_what_a_history_never_saw_is_no_proof_when_it_happens_once() -> None:
    """A gauge that moved in none of stable's pods for hours, and then for one reading in the candidate."""
    still = Prior(variance=0.0)
    once = look(GAUGE, readings([0.0] * 20 + [1.0] + [0.0] * 19), readings([0.0] * 40), at=40, usual=still)
    ever = look(GAUGE, readings([0.0] * 20 + [1.0] * 20), readings([0.0] * 40), at=40, usual=still)
    assert (once.verdict, ever.verdict) == (INCONCLUSIVE, FAIL)
