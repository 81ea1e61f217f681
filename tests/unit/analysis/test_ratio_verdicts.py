"""Verdicts on ratios of counters."""

from __future__ import annotations

import pytest

from modelrollout.analysis.conclusions import is_mistake
from modelrollout.analysis.queries import Series
from modelrollout.api.status import MetricVerdict, Verdict
from tests.unit.analysis.looking import ACCURACY, ERRORS, INTERVAL, NOON, START, counter, grown, look, requests

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
CAPPED = {**ERRORS, "max": "2%"}
BAD = 'http_requests_total{pod=~"fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?",code=~"5.."}'
TOTAL = 'http_requests_total{pod=~"fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?"}'


def test_a_verdict_carries_its_evidence() -> None:
    assert look(ERRORS, requests(4, 1812), requests(68, 34012)) == MetricVerdict(
        metric="errors",
        verdict=PASS,
        candidate="0.22%",
        stable="0.2%",
        bound="≤ 0.35%",
        samples=1812,
        stable_samples=34012,
        message="errors: 0.22% over 1,812 requests (stable 0.2% over 34,012) is within ≤ 0.35%.",
        query=f"{BAD} / {TOTAL}",
        window_start=NOON,
        window_end=NOON + 10 * INTERVAL,
    )


def test_twelve_errors_in_sixty_requests_fail_at_once() -> None:
    verdict = look(CAPPED, requests(12, 60), requests(0, 1100), others=2)
    assert (verdict.verdict, verdict.message) == (
        FAIL,
        "errors: 20% over 60 requests (stable 0% over 1,100) breaks the limit ≤ 0.1%; "
        "less than 1 in a billion by chance.",
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
    assert look({**ERRORS, "minSamples": 40}, requests(0, 60), requests(0, 1100)).verdict is PASS
    assert look({**ERRORS, "minSamples": 5000}, requests(0, 3000), requests(0, 9000)).verdict is INCONCLUSIVE


def test_what_may_be_chance_waits_and_says_how_much_more_would_tell() -> None:
    verdict = look(ERRORS, requests(6, 500), requests(30, 10000))
    assert verdict.verdict is INCONCLUSIVE
    assert verdict.bound == "≤ 0.47%"
    assert (
        "is beyond ≤ 0.47%, perhaps by chance; needs about 4,200 more requests to tell (about 21 min)"
        in verdict.message
    )


def test_the_estimate_of_what_is_missing_is_about_right() -> None:
    grows = 1 + 4157 / 500
    later = look(ERRORS, requests(6 * grows, 500 * grows), requests(30 * grows, 10000 * grows), at=round(10 * grows))
    assert later.verdict is FAIL


def test_a_hair_beyond_the_bound_promises_nothing() -> None:
    verdict = look({**ERRORS, "tolerance": {}}, requests(1001, 100000), requests(1000, 100000))
    assert (verdict.verdict, verdict.message.endswith("is beyond ≤ 1%, too little to tell from chance.")) == (
        INCONCLUSIVE,
        True,
    )


def test_the_tolerance_is_relative_and_absolute_together() -> None:
    at_limit = requests(26, 1000)  # 2 % × 1.25 + 0.1 points
    assert look(ERRORS, at_limit, requests(200, 10000)).verdict is PASS
    assert look(ERRORS, requests(27, 1000), requests(200, 10000)).verdict is INCONCLUSIVE
    assert look(ERRORS, requests(60, 1000), requests(200, 10000)).verdict is FAIL


def test_without_a_tolerance_only_the_limit_judges() -> None:
    only_limit = {**ERRORS, "tolerance": None, "max": "2%"}
    assert look(only_limit, requests(15, 1000), requests(0, 10000)).verdict is PASS
    failed = look(only_limit, requests(60, 1000), requests(0, 10000))
    assert (failed.verdict, failed.bound, failed.stable) == (FAIL, "≤ 2%", None)


def test_the_limit_judges_whatever_stable_does() -> None:
    both_bad = look(CAPPED, requests(60, 1000), requests(600, 10000))
    assert (both_bad.verdict, both_bad.bound) == (FAIL, "≤ 2%")


def test_at_the_limit_is_not_beyond_it() -> None:
    assert look({**ERRORS, "tolerance": None, "max": "2%"}, requests(20, 1000)).verdict is PASS
    assert look({**ERRORS, "tolerance": None, "max": "0%"}, requests(0, 1000)).verdict is PASS


def test_a_shared_incident_blames_nobody() -> None:
    assert look(ERRORS, requests(150, 500), requests(3000, 10000)).verdict is PASS


def test_accuracy_is_judged_the_other_way_round() -> None:
    good = {"part": "good"}
    assert look(ACCURACY, requests(940, 1000, **good), requests(9300, 10000, **good)).verdict is PASS
    assert look(ACCURACY, requests(921, 1000, **good), requests(9300, 10000, **good)).verdict is PASS
    assert look(ACCURACY, requests(915, 1000, **good), requests(9300, 10000, **good)).verdict is INCONCLUSIVE
    failed = look(ACCURACY, requests(75, 100, **good), requests(1860, 2000, **good), others=2)
    assert (failed.verdict, failed.candidate, failed.stable, failed.bound) == (FAIL, "75%", "93%", "≥ 92%")


def test_accuracy_below_its_floor_fails_without_any_stable() -> None:
    floor = {**ACCURACY, "tolerance": None, "min": "0.92"}
    failed = look(floor, requests(150, 200, part="good"))
    assert (failed.verdict, failed.bound) == (FAIL, "≥ 0.92")
    assert look(floor, requests(185, 200, part="good")).verdict is PASS
    assert look(floor, requests(183, 200, part="good")).verdict is INCONCLUSIVE


def test_a_relative_tolerance_of_accuracy_is_a_share_of_it() -> None:
    relative = {**ACCURACY, "tolerance": {"relative": "50%"}}
    assert look(relative, requests(500, 1000, part="good"), requests(9300, 10000, part="good")).verdict is PASS
    assert look(relative, requests(300, 1000, part="good"), requests(9300, 10000, part="good")).verdict is FAIL


def test_errors_that_never_happened_have_no_series_and_count_as_none() -> None:
    no_bad = {"total": [grown(500)]}
    verdict = look(ERRORS, no_bad, requests(3, 10000))
    assert (verdict.verdict, verdict.candidate) == (PASS, "0%")
    assert verdict.message.endswith("; no series counts bad of the candidate, taken as 0.")
    assert look(ERRORS, no_bad, no_bad).message.endswith(
        "; no series counts bad of the candidate or stable, taken as 0."
    )


def test_the_first_errors_of_a_pod_are_not_lost_to_their_baseline() -> None:
    total = counter(range(0, 300, 10), code="200")
    errors = counter(range(20, 45), code="500", since=5 + 5 * 5)  # the first scrape that shows them shows 20
    candidate = {"bad": [errors], "total": [total, errors]}
    verdict = look(ERRORS, candidate, requests(0, 1100))
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
    assert (verdict.verdict, is_mistake(verdict), verdict.message) == (
        Verdict.NO_DATA,
        True,
        "errors asks wrongly: bad grew by 600 and total by 500 only; bad has to be a part of total.",
    )


def test_no_traffic_yet_is_inconclusive() -> None:
    verdict = look(CAPPED, requests(0, 0), requests(0, 1100))
    assert (verdict.verdict, verdict.message) == (
        INCONCLUSIVE,
        "errors: no requests yet; needs about 100 more requests.",
    )


def test_one_scrape_alone_is_no_traffic() -> None:
    one = {"bad": [counter([5], code="500")], "total": [counter([50])]}
    assert look(ERRORS, one, requests(0, 1100)).verdict is INCONCLUSIVE


def test_a_restarted_pod_is_counted_on() -> None:
    bad = counter([10, 15, 2, 4], code="500")
    total = counter([1000, 1100, 40, 80])
    verdict = look(ERRORS, {"bad": [bad], "total": [total]}, requests(0, 1100))
    assert (verdict.samples, verdict.candidate) == (180, "5%")


def test_an_incident_that_only_one_arm_was_seen_in_is_not_compared() -> None:
    # Stable was not scraped while everybody's errors rose; after that both are fine.
    candidate = {
        "bad": [counter([0, 40, 80, 80, 80, 80, 80], every=20, code="500")],
        "total": [counter([0, 200, 400, 600, 800, 1000, 1200], every=20)],
    }
    stable = {
        "bad": [counter([700, 700, 700, 700], since=65, every=20, code="500")],
        "total": [counter([9000, 12000, 15000, 18000], since=65, every=20)],
    }
    verdict = look(ERRORS, candidate, stable)
    assert (verdict.verdict, verdict.candidate, verdict.samples) == (PASS, "0%", 600)


def test_the_same_labels_on_thousands_of_pods_are_added_up() -> None:
    def arm(bad: int) -> dict[str, list[Series]]:
        pods = [f"pod-{n}" for n in range(2000)]
        return {
            "bad": [grown(bad if n < 100 else 0, code="500", pod=pod) for n, pod in enumerate(pods)],
            "total": [grown(10, pod=pod) for pod in pods],
        }

    assert look(ERRORS, arm(0), arm(0)).samples == 20_000
    assert look(ERRORS, arm(5), arm(0)).verdict is FAIL


def test_absurd_numbers_stay_numbers() -> None:
    most = 2.0**53
    odd = Series({"pod": "x", "code": "500"}, ((START, 0.0), (START + 10, most), (START + 20, 0.0), (START + 30, most)))
    verdict = look(CAPPED, {"bad": [odd], "total": [odd]}, requests(0, 1e12))
    assert (verdict.verdict, verdict.samples) == (FAIL, 2**54)


def test_evidence_older_than_an_hour_is_said_to_be_left_out() -> None:
    verdict = look(ERRORS, requests(0, 500), requests(0, 1000), at=300)
    assert verdict.message.endswith("is within ≤ 0.1%; only the last 60 min count.")
    assert verdict.window_start == NOON + 60 * INTERVAL


def test_a_metric_without_anybody_to_compare_with_passes_on_enough_requests_only() -> None:
    assert (
        look(ERRORS, requests(900, 1000)).message == "errors: 90% over 1,000 requests, with nothing to compare it with."
    )
    assert look(ERRORS, requests(0, 10)).verdict is INCONCLUSIVE
