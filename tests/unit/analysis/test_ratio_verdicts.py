"""Verdicts on ratios of counters."""

from __future__ import annotations

import re

import pytest

from modelrollout.api.status import QUERY_REJECTED, MetricVerdict, Verdict
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import (
    ACCURACY,
    ERRORS,
    INTERVAL,
    NOON,
    START,
    Walk,
    always,
    analysis,
    counter,
    course,
    grown,
    look,
    requests,
)

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
CAPPED = {**ERRORS, "max": "2%"}
ONLY_LIMIT = {**ERRORS, "tolerance": None, "max": "2%"}
STRICT = {**ERRORS, "tolerance": {}}
BAD = 'http_requests_total{pod=~"fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?",code=~"5.."}'
TOTAL = 'http_requests_total{pod=~"fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?"}'


def test_a_verdict_carries_its_evidence() -> None:
    assert look(ERRORS, requests(4, 2812), requests(68, 34012)) == MetricVerdict(
        metric="errors",
        verdict=PASS,
        candidate="0.14%",
        stable="0.2%",
        bound="≤ 0.35%",
        difference="its share of errors is at most 3.1 times stable's (at 99 %, at any time)",
        evidence="0%",
        ruled_out="100%",
        samples=2812,
        stable_samples=34012,
        message="errors: 0.14% over 2,812 requests (stable 0.2% over 34,012) is within ≤ 0.35%; "
        "its share of errors is at most 3.1 times stable's (at 99 %, at any time).",
        query=f"{BAD} / {TOTAL}",
        window_start=NOON,
        window_end=NOON + 10 * INTERVAL,
    )


def test_twelve_errors_in_sixty_requests_fail_at_once() -> None:
    verdict = look(CAPPED, requests(12, 60), requests(0, 1100), others=2)
    assert (verdict.verdict, verdict.message) == (
        FAIL,
        "errors: 20% over 60 requests (stable 0% over 1,100) breaks the limit ≤ 0.1%; "
        "fewer than 1 in a billion equal candidates would ever look like this; "
        "its share of errors is at least 13 times stable's (at 99 %, at any time).",
    )


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_error_or_two_in_sixty_requests_do_not_fail(bad: int) -> None:
    assert look(CAPPED, requests(bad, 60), requests(0, 1100), others=2).verdict is INCONCLUSIVE


def test_too_few_samples_say_how_many_are_missing_and_for_how_long() -> None:
    assert look(ERRORS, requests(0, 60), requests(0, 1100)).message == (
        "errors: 0% over 60 requests (stable 0% over 1,100); needs about 40 more requests (about 100 s)."
    )
    assert look(ERRORS, requests(0, 99), requests(0, 1100)).message.endswith("needs about 1 more request (about 2 s).")


def test_samples_of_stable_can_be_too_few_as_well() -> None:
    verdict = look(ERRORS, requests(0, 500), requests(0, 50))
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "errors: 0% over 500 requests (stable 0% over 50); stable needs about 50 more requests (about 2 min).",
    )


def test_the_user_says_how_many_samples_are_enough() -> None:
    easy = {**ERRORS, "exclude": {"relative": "25%", "absolute": "10%"}}
    assert look(easy, requests(0, 60), requests(0, 1100)).verdict is INCONCLUSIVE
    assert look({**easy, "minSamples": 40}, requests(0, 60), requests(0, 1100)).verdict is PASS
    assert look({**ERRORS, "minSamples": 5000}, requests(0, 3000), requests(0, 9000)).verdict is INCONCLUSIVE


def test_what_is_fine_so_far_says_what_is_not_yet_ruled_out_and_how_long_that_takes() -> None:
    verdict = look(ERRORS, requests(4, 1812), requests(68, 34012))
    assert (verdict.verdict, verdict.ruled_out) == (INCONCLUSIVE, "85%")
    assert re.fullmatch(
        r"errors: 0\.22% over 1,812 requests \(stable 0\.2% over 34,012\) is within ≤ 0\.35% so far; "
        r"needs about \d+ more requests \(about \d+ s\) to rule out ≥ 0\.6%\.",
        verdict.message,
    )


def test_what_may_be_chance_waits_and_says_how_much_more_would_tell() -> None:
    verdict = look(ERRORS, requests(6, 500), requests(30, 10000))
    assert (verdict.verdict, verdict.bound) == (INCONCLUSIVE, "≤ 0.47%")
    assert "is beyond ≤ 0.47%, perhaps by chance; needs about" in verdict.message
    assert "more requests (about 5 min) to tell." in verdict.message


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [((6, 500), (30, 10000), FAIL), ((4, 1812), (68, 34012), PASS), ((0, 500), (0, 9500), PASS)],
)
def test_the_estimate_of_what_is_missing_is_about_right(
    mine: tuple[int, int], theirs: tuple[int, int], told: Verdict
) -> None:
    def later(more: float) -> MetricVerdict:
        grows = 1 + more / mine[1]
        return look(ERRORS, requests(*(grows * n for n in mine)), requests(*(grows * n for n in theirs)))

    said = re.search(r"needs about ([\d,]+) more", later(0).message)
    assert said
    missing = int(said[1].replace(",", ""))
    assert [later(missing / 4).verdict, later(2 * missing).verdict] == [INCONCLUSIVE, told]


def test_a_hair_beyond_the_bound_is_neither_a_fail_nor_a_reason_to_wait_for_ever() -> None:
    verdict = look(STRICT, requests(1001, 100000), requests(1000, 100000))
    assert verdict.verdict is PASS
    assert "is beyond ≤ 1%, but not by more than chance does, and ≥ 2.2% is ruled out" in verdict.message


def test_the_tolerance_is_relative_and_absolute_together() -> None:
    at_limit = requests(52, 2000)  # 2 % × 1.25 + 0.1 points
    assert look(ERRORS, at_limit, requests(200, 10000)).message.startswith(
        "errors: 2.6% over 2,000 requests (stable 2% over 10,000) is within ≤ 2.6%"
    )
    assert look(ERRORS, requests(27, 1000), requests(200, 10000)).verdict is INCONCLUSIVE
    assert look(ERRORS, requests(60, 1000), requests(200, 10000)).verdict is FAIL


def test_what_has_to_be_ruled_out_is_the_users_choice_else_twice_as_bad() -> None:
    mine, theirs = requests(5, 500), requests(95, 9500)
    assert "to rule out ≥ 2.2%" in look(STRICT, mine, theirs).message
    assert "to rule out ≥ 1.5%" in look({**STRICT, "exclude": {"relative": "50%"}}, mine, theirs).message
    assert look({**STRICT, "exclude": {"relative": "400%"}}, mine, theirs).verdict is PASS


def test_without_a_tolerance_only_the_limit_judges() -> None:
    assert look(ONLY_LIMIT, requests(15, 1000), requests(0, 10000)).verdict is PASS
    failed = look(ONLY_LIMIT, requests(60, 1000), requests(0, 10000))
    assert (failed.verdict, failed.bound, failed.stable) == (FAIL, "≤ 2%", None)


def test_the_limit_judges_whatever_stable_does() -> None:
    both_bad = look(CAPPED, requests(60, 1000), requests(600, 10000))
    assert (both_bad.verdict, both_bad.bound) == (FAIL, "≤ 2%")


def test_at_the_limit_is_not_beyond_it() -> None:
    assert look(ONLY_LIMIT, requests(60, 3000)).verdict is PASS
    assert look({**ONLY_LIMIT, "max": "0%"}, requests(0, 3000)).verdict is PASS


def test_a_shared_incident_blames_nobody() -> None:
    assert look(ERRORS, requests(150, 500), requests(3000, 10000)).verdict is PASS


def test_accuracy_is_judged_the_other_way_round() -> None:
    good = {"part": "good"}
    for right in (940, 921):
        fine = look(ACCURACY, requests(right, 1000, **good), requests(9300, 10000, **good))
        assert (fine.verdict, "is within ≥ 92%" in fine.message) == (PASS, True)
    below = look(ACCURACY, requests(915, 1000, **good), requests(9300, 10000, **good))
    assert "is beyond ≥ 92%, but not by more than chance does, and ≤ 84% is ruled out" in below.message
    failed = look(ACCURACY, requests(75, 100, **good), requests(1860, 2000, **good), others=2)
    assert (failed.verdict, failed.candidate, failed.stable, failed.bound) == (FAIL, "75%", "93%", "≥ 92%")


def test_accuracy_below_its_floor_fails_without_any_stable() -> None:
    floor = {**ACCURACY, "tolerance": None, "min": "0.92"}
    failed = look(floor, requests(150, 200, part="good"))
    assert (failed.verdict, failed.bound) == (FAIL, "≥ 0.92")
    assert look(floor, requests(925, 1000, part="good")).verdict is PASS
    below = look(floor, requests(183, 200, part="good"))
    assert (below.verdict, "to rule out ≤ 88%" in below.message) == (INCONCLUSIVE, True)


@pytest.mark.parametrize(("relative", "broken"), [("5%", 750), ("50%", 300), ("90%", 20)])
def test_a_relative_tolerance_of_accuracy_is_a_share_of_it(relative: str, broken: int) -> None:
    metric = {**ACCURACY, "tolerance": {"relative": relative}}
    theirs = requests(9300, 10000, part="good")
    assert look(metric, requests(930, 1000, part="good"), theirs).verdict is PASS
    assert look(metric, requests(broken, 1000, part="good"), theirs).verdict is FAIL


@pytest.mark.parametrize("exclude", [{"relative": "100%", "absolute": "1%"}, {"relative": "50%", "absolute": "60%"}])
def test_an_exclusion_of_everything_is_one_of_answers_that_are_never_right(exclude: dict[str, str]) -> None:
    theirs = requests(9300, 10000, part="good")
    assert look({**ACCURACY, "exclude": exclude}, requests(920, 1000, part="good"), theirs).verdict is PASS
    assert look({**ACCURACY, "exclude": exclude}, requests(0, 1000, part="good"), theirs).verdict is FAIL


def test_errors_that_never_happened_have_no_series_and_count_as_none() -> None:
    no_bad = {"total": [grown(5000)]}
    verdict = look(ERRORS, no_bad, requests(3, 10000))
    assert (verdict.verdict, verdict.candidate) == (PASS, "0%")
    assert verdict.message.endswith("; no series counts bad of the candidate, taken as 0.")
    assert look(ERRORS, no_bad, no_bad).message.endswith(
        "; no series counts bad of the candidate or stable, taken as 0."
    )


def test_the_first_errors_of_a_pod_are_not_lost_to_their_baseline() -> None:
    total = counter(range(0, 300, 10), code="200")
    # The first scrape that shows errors shows 20 of them.
    errors = counter(range(20, 45), code="500", since=5 + 5 * 5, is_new=True)
    verdict = look(ERRORS, {"bad": [errors], "total": [total, errors]}, requests(0, 1100))
    assert (verdict.verdict, verdict.samples) == (FAIL, 290 + 44)


def test_answers_that_never_were_right_may_be_a_wrong_selector() -> None:
    verdict = look(ACCURACY, {"total": [grown(500)]}, requests(930, 1000, part="good"))
    assert (verdict.verdict, verdict.message) == (
        Verdict.NO_DATA,
        "accuracy: good has no samples of the candidate, though total has some.",
    )


def test_errors_without_a_total_are_no_data() -> None:
    verdict = look(ERRORS, {"bad": [grown(50)]}, requests(0, 1000))
    assert (verdict.verdict, verdict.message) == (
        Verdict.NO_DATA,
        "errors: total has no samples of the candidate, though bad has some.",
    )


def test_more_errors_than_requests_is_the_metrics_mistake() -> None:
    verdict = look(ERRORS, requests(600, 500), requests(0, 1000))
    assert (verdict.verdict, verdict.reason, verdict.message) == (
        Verdict.NO_DATA,
        QUERY_REJECTED,
        "errors asks wrongly: bad grew by 600 and total by 500 only; bad has to be a part of total.",
    )


def test_no_traffic_yet_is_inconclusive() -> None:
    verdict = look(CAPPED, requests(0, 0), requests(0, 1100))
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "errors: no requests yet; needs about 100 more requests.",
    )


def test_one_scrape_alone_is_no_traffic() -> None:
    one = {"bad": [counter([5], code="500", is_new=True)], "total": [counter([50], is_new=True)]}
    assert look(ERRORS, one, requests(0, 1100)).verdict is INCONCLUSIVE


def test_a_restarted_pod_is_counted_on() -> None:
    bad = counter([10, 15, 2, 4], code="500")
    total = counter([1000, 1100, 40, 80])
    verdict = look(ERRORS, {"bad": [bad], "total": [total]}, requests(0, 1100))
    assert (verdict.samples, verdict.candidate) == (180, "5%")


def test_an_incident_that_only_one_arm_was_seen_in_is_no_evidence() -> None:
    # Stable was not scraped while everybody's errors rose; after that both are fine.
    candidate = {
        "bad": [counter([0, 40, 80, 80, 80, 80, 80], every=20, code="500")],
        "total": [counter([0, 200, 400, 600, 800, 1000, 1200], every=20)],
    }
    stable = {
        "bad": [counter([700, 700, 700, 700], since=65, every=20, code="500", is_new=True)],
        "total": [counter([9000, 12000, 15000, 18000], since=65, every=20, is_new=True)],
    }
    verdict = look(ERRORS, candidate, stable)
    assert (verdict.verdict, verdict.evidence) == (INCONCLUSIVE, "0%")


def test_the_same_labels_on_thousands_of_pods_are_added_up() -> None:
    def arm(bad: int) -> dict[str, list[Series]]:
        pods = [f"pod-{n}" for n in range(2000)]
        return {
            "bad": [grown(bad if n < 100 else 0, code="500", pod=pod, every=30) for n, pod in enumerate(pods)],
            "total": [grown(10, pod=pod, every=30) for pod in pods],
        }

    assert look(ERRORS, arm(0), arm(0)).samples == 20_000
    assert look(ERRORS, arm(5), arm(0)).verdict is FAIL


def test_absurd_numbers_stay_numbers() -> None:
    most = 2.0**53
    values = (0.0, most, 0.0, most)
    quiet = [(START - 140 + 10 * n, 0.0) for n in range(14)]
    odd = Series({"pod": "x", "code": "500"}, (*quiet, *((START + 10 * n, value) for n, value in enumerate(values))))
    verdict = look(CAPPED, {"bad": [odd], "total": [odd]}, requests(0, 1e12))
    assert (verdict.verdict, verdict.samples) == (FAIL, 2**54)


def test_a_metric_without_anybody_to_compare_with_passes_on_enough_requests_only() -> None:
    assert (
        look(ERRORS, requests(900, 1000)).message == "errors: 90% over 1,000 requests, with nothing to compare it with."
    )
    assert look(ERRORS, requests(0, 10)).verdict is INCONCLUSIVE


def test_both_parts_that_came_in_one_answer_are_told_apart() -> None:
    arms = {"fraud-b41c-x": (30, 970), "fraud-7d9f-x": (100, 9900)}
    store = [
        grown(amount, __name__="http_requests_total", pod=pod, code=code)
        for pod, amounts in arms.items()
        for code, amount in zip(("500", "200"), amounts, strict=True)
    ]
    wished = analysis(ERRORS)
    verdict = Walk(wished, always(*store), course(wished)).look(150).verdicts[0]
    assert (verdict.candidate, verdict.stable, verdict.samples, verdict.stable_samples) == ("3%", "1%", 1000, 10_000)
    assert verdict.query == TOTAL  # every error is a request, too


def test_what_was_fine_at_a_smaller_weight_is_ruled_out_anew_at_every_step() -> None:
    mine, theirs = requests(40, 4000), requests(100, 10000)
    assert look(ERRORS, mine, theirs).verdict is PASS
    verdict = look(ERRORS, mine, theirs, steps=[120])
    assert (verdict.verdict, verdict.samples, verdict.window_start) == (INCONCLUSIVE, 800, NOON + 8 * INTERVAL)


def test_evidence_of_harm_is_carried_on_from_step_to_step() -> None:
    mine, theirs = requests(16, 1000), requests(50, 10000)
    whole = look(STRICT, mine, theirs)
    assert whole.verdict is FAIL
    assert look(STRICT, mine, theirs, steps=[75]).verdict is FAIL


WIDE = {**ERRORS, "tolerance": {"relative": "10%"}, "exclude": {"relative": "200%"}}


@pytest.mark.parametrize(
    ("hold", "verdict", "says"),
    [
        (600.0, INCONCLUSIVE, "perhaps by chance; needs about 1,100 more requests (about 52 s) to tell"),
        (150.0, INCONCLUSIVE, "perhaps by chance; needs about 1,100 more requests (about 52 s) to tell"),
        (100.0, PASS, "but not by more than chance does"),  # another hold would not be long enough
        (0.0, PASS, "but not by more than chance does"),
    ],
)
def test_a_candidate_beyond_the_tolerance_is_waited_for_while_another_hold_would_tell(
    hold: float, verdict: Verdict, says: str
) -> None:
    seen = look(WIDE, requests(55, 3000), requests(600, 57000), hold=hold)
    assert seen.verdict is verdict
    assert says in seen.message


def test_a_candidate_beyond_the_tolerance_by_little_is_not_waited_for() -> None:
    """To tell it from one that is within would take longer than another hold."""
    assert look(WIDE, requests(45, 3000), requests(600, 57000), hold=150.0).verdict is PASS
