"""What stable's history says before the first look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.value import UNKNOWN_READINGS
from modelrollout.analysis.queries import history_queries
from modelrollout.analysis.sensitivity.detectable import Stretch
from modelrollout.analysis.sensitivity.preflight import prior_of, summarise_history
from modelrollout.analysis.sensitivity.unlike_pods import NO_HISTORY, NO_HISTORY_FOR_LIMITS
from modelrollout.analysis.sensitivity.unlike_users import REMARK
from modelrollout.api.status import UsualMetric
from modelrollout.promql.query import Answered, Query, Series, Unanswered
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import ERRORS, GAUGE, INTERVAL, LATENCY, NOON, STABLE, START, analysis
from tests.unit.analysis.traffic import Arm, Floats, scraped, served, summarised

SECONDS = 6 * 3600 + 1
PLAN = [Stretch(0.05, 900), Stretch(0.25, 900), Stretch(0.5, 900), Stretch(1.0, 1800)]
STRICT = {**ERRORS, "tolerance": {}}


def history(share: Floats, *, pods: int = 12, rps: float = 60.0, every: int = 60) -> list[Series]:
    """Six hours of stable's pods, all scraped at once."""
    random = np.random.default_rng(11)
    arm = Arm("fraud-7d9f", pods, np.full(SECONDS, rps), share)
    return list(scraped(arm, *served(random, arm), -SECONDS, every, [0] * pods))


def bursts(pods: int, spread: float, seconds: int, *, memory: float = 0.0) -> Floats:
    """Shares of errors that each pod has for itself, anew every so many seconds."""
    random = np.random.default_rng(12)
    levels = random.standard_normal((pods, SECONDS // seconds + 1))
    for at in range(1, levels.shape[1]):
        levels[:, at] = memory * levels[:, at - 1] + math.sqrt(1 - memory**2) * levels[:, at]
    return np.minimum(np.repeat(0.01 * np.exp(spread * levels), seconds, axis=1)[:, :SECONDS], 0.5)


def noted(metric: Mapping[str, Any], series: list[Series], **fields: Any) -> UsualMetric:
    return summarised(analysis(metric, **fields), PLAN, series)[0]


def mode_of(share: Floats, *, pods: int = 12, **fields: Any) -> Mode:
    return prior_of(noted(STRICT, history(share, pods=pods), **fields)).mode


def test_rates_are_those_of_the_last_hour() -> None:
    share = np.full(SECONDS, 0.05)
    share[-3600:] = 0.01
    usual = prior_of(noted(STRICT, history(share)))
    assert usual.rate == pytest.approx(60, rel=0.01)
    assert usual.share == pytest.approx(0.01, rel=0.1)


def test_requests_that_fail_one_by_one_are_counted_as_they_are() -> None:
    assert mode_of(np.full(SECONDS, 0.01)) is Mode.PLAIN


def test_waves_that_all_pods_share_are_no_noise_of_single_pods() -> None:
    assert mode_of(0.01 * (1 + 0.8 * np.sin(np.arange(SECONDS) / 600))) is Mode.PLAIN


def test_bursts_of_many_pods_are_met_by_ranks_and_those_of_few_by_counting_less() -> None:
    assert mode_of(bursts(12, 1.5, 60)) is Mode.RANKED
    assert mode_of(bursts(4, 1.5, 60), pods=4) is Mode.DISPERSED


def test_slow_drifts_of_single_pods_are_met_by_counting_less() -> None:
    assert mode_of(bursts(12, 0.7, 60, memory=0.97)) is Mode.DISPERSED


@pytest.mark.parametrize(("wish", "mode"), [("independent", Mode.PLAIN), ("strict", Mode.STRICT)])
def test_the_users_word_counts_more_than_the_history(wish: str, mode: Mode) -> None:
    assert mode_of(bursts(12, 1.5, 60), noise=wish) is mode


@pytest.mark.parametrize("kept", [0, 1, 10])
def test_a_history_that_is_too_short_tells_no_noise(kept: int) -> None:
    series = history(np.full(SECONDS, 0.01))
    short = [Series(one.labels, one.samples[len(one.samples) - kept :]) for one in series]
    assert prior_of(noted(STRICT, [one for one in short if one.samples])).mode is Mode.ASSUMED


def test_a_single_pod_is_compared_with_itself_a_moment_earlier() -> None:
    usual = prior_of(noted(STRICT, history(np.full(SECONDS, 0.01), pods=1)))
    assert (usual.mode, usual.rate) == (Mode.PLAIN, pytest.approx(60, rel=0.02))
    assert mode_of(bursts(1, 1.5, 60), pods=1) is Mode.DISPERSED


@pytest.mark.parametrize(
    ("answer", "notes"),
    [
        (Answered(()), (f"{NO_HISTORY}; {REMARK}", NO_HISTORY)),
        (Unanswered("connection refused", rejected=False), (None, None)),
    ],
)
def test_no_answer_is_no_history_and_an_empty_one_is_said(
    answer: Answered | Unanswered, notes: tuple[str | None, str | None]
) -> None:
    wished = analysis(STRICT, LATENCY, GAUGE)
    asked = history_queries(wished, STABLE, ["a", "b"], NOON, INTERVAL)
    found = summarise_history(wished, asked, dict.fromkeys(asked, answer), {}, PLAN, 15.0)
    assert [(prior_of(one).mode, one.sees, one.is_blind, one.note) for one in found] == [
        (Mode.ASSUMED, None, False, notes[0]),
        (Mode.ASSUMED, None, False, notes[1]),
        (Mode.ASSUMED, None, True, UNKNOWN_READINGS),
    ]
    unheard = summarise_history(wished, asked, {}, {}, PLAN, 15.0)
    assert [one.note for one in unheard] == [None, None, UNKNOWN_READINGS]


def test_what_the_plan_sees_is_noted_and_whether_that_is_less_than_a_doubling() -> None:
    seeing, blind = (noted(STRICT, history(np.full(SECONDS, 0.01), rps=rps)) for rps in (60.0, 0.6))
    assert (seeing.is_blind, blind.is_blind) == (False, True)
    assert str(seeing.sees).startswith("errors: at 59.8 requests/s and 1% errors, ")
    assert "5 % for 15 min can see" in str(blind.sees)
    assert seeing.basis == "basis of errors"


def test_a_pod_of_stable_that_would_not_have_passed_as_a_candidate_is_noted() -> None:
    share = np.full((3, SECONDS), 0.01)
    share[1, -3600:] = 0.05
    one = noted(STRICT, history(share, pods=3), noise="independent")
    assert one.note == (
        f"in its history one of stable's pods was worse than the others beyond chance: widen the tolerance; {REMARK}"
    )
    assert noted(STRICT, history(np.full(SECONDS, 0.01)), noise="independent").note == REMARK
    assert noted(ERRORS, history(np.full(SECONDS, 0.01)), noise="independent").note is None


def test_a_threshold_is_calibrated_where_it_was_asked_for_and_can_be() -> None:
    calm = history(np.full(SECONDS, 0.01))
    assert prior_of(noted(STRICT, calm)).threshold is None
    planned = prior_of(noted(STRICT, calm, threshold="planned")).threshold
    assert planned is not None
    assert 2 < planned < math.log(100)
    assert prior_of(noted(ERRORS, calm, threshold="planned")).threshold is None  # it has a margin
    assert prior_of(noted(STRICT, history(bursts(12, 1.5, 60)), threshold="planned")).threshold is None


def test_pods_that_differ_for_good_are_no_noise_and_are_said_with_what_a_candidate_may_have() -> None:
    share = np.repeat(0.01 * np.exp(0.2 * np.linspace(-1.5, 1.5, 12))[:, None], SECONDS, axis=1)
    one = noted(STRICT, history(share))
    usual = prior_of(one)
    assert (usual.mode, usual.pods) == (Mode.PLAIN, 12)
    differ = "its pods differ for good, so a candidate of one pod may have up to 1.9 times stable's share"
    assert one.note == f"{differ}; {REMARK}"
    assert "5 % for 15 min can see 3.1% or more" in str(one.sees)
    assert prior_of(noted(STRICT, history(share), noise="independent")).reach == 0
    assert prior_of(noted(STRICT, history(np.full(SECONDS, 0.01)))).reach == 0


def test_noisy_pods_and_too_few_errors_are_said_beforehand() -> None:
    assert noted(STRICT, history(bursts(4, 1.5, 60), pods=4)).note is not None
    assert noted(STRICT, history(bursts(12, 1.5, 60))).note == (
        f"its pods are noisy by themselves, so their ranks are compared, which takes longer; {REMARK}"
    )
    hardly_any = history(np.full(SECONDS, 1e-6))
    assert noted(ERRORS, hardly_any).note is None
    assert noted(STRICT, hardly_any).note == (
        f"stable has too few errors to tell whether they come in bunches: give an absolute tolerance; {REMARK}"
    )


def test_of_a_limit_it_is_said_whether_noise_is_allowed_for() -> None:
    limited = {"name": "errors", "ratio": ERRORS["ratio"], "max": "2%"}
    noisy = noted(limited, history(bursts(12, 1.5, 60)))
    assert prior_of(noisy).mode is Mode.DISPERSED
    assert (
        noisy.note
        == f"its pods are noisy by themselves, so events count for {prior_of(noisy).inflation:.1f} times fewer"
    )
    assert noted(limited, history(np.full(SECONDS, 0.01))).note is None
    assert noted(limited, history(np.full(SECONDS, 0.01), pods=1)).note is None
    wished = analysis(limited)
    asked = history_queries(wished, STABLE, ["a"], NOON, INTERVAL)
    (unknown,) = summarise_history(wished, asked, dict.fromkeys(asked, Answered(())), {}, PLAN, 15.0)
    assert unknown.note == NO_HISTORY_FOR_LIMITS


def test_of_a_single_pod_it_is_said_that_others_may_differ_from_it() -> None:
    assert noted(ERRORS, history(np.full(SECONDS, 0.01), pods=1)).note == (
        "stable has one pod, so how far pods differ is unknown, and the tolerance has to cover it"
    )


def test_the_history_of_a_histogram_is_kept_by_bucket() -> None:
    def bucket(pod: str, edge: str, share: float) -> Series:
        labels = {"__name__": "http_request_duration_seconds_bucket", "pod": pod, "le": edge}
        times = np.arange(1 - SECONDS, 1, 60.0)
        values = np.round((times + SECONDS) * 5 * share)
        return Series(labels, tuple(zip((START + times).tolist(), values.tolist(), strict=True)))

    edges = {"0.1": 0.9, "0.5": 0.99, "+Inf": 1.0}
    series = [bucket(f"fraud-7d9f-{n}", edge, share) for n in range(3) for edge, share in edges.items()]
    usual = prior_of(noted(LATENCY, series))
    assert usual.buckets is not None
    assert usual.buckets[0.1] / usual.buckets[math.inf] == pytest.approx(0.9, rel=1e-3)
    assert (usual.rate, usual.share) == (pytest.approx(15, rel=1e-3), pytest.approx(0.01))


def gauges(one: Floats, others: Floats | None) -> UsualMetric:
    """`others`: None where stable has one pod only."""
    wished = analysis(GAUGE)
    asked = history_queries(wished, STABLE, ["a", "b", "c"] if others is not None else ["a"], NOON, INTERVAL)
    times = (START - SECONDS + 15.0 * np.arange(one.size)).tolist()
    told = {"history of one pod": one, "history of the other pods": others}
    answers: dict[Query, Answered] = {}
    for query in asked:
        readings = told[query.arm]
        assert readings is not None
        values = readings.tolist()
        answers[query] = Answered((Series({}, tuple(zip(times, values, strict=True))),))
    return summarise_history(wished, asked, answers, {}, PLAN, 15.0)[0]


def test_the_long_run_variance_of_a_gauge_is_that_of_what_pods_do_not_share() -> None:
    random = np.random.default_rng(13)
    shared, own = random.standard_normal(1441).cumsum(), random.standard_normal((2, 1441))
    calm, wild = (prior_of(gauges(shared + size * own[0], shared + size * own[1])).variance for size in (0.1, 1.0))
    assert calm is not None
    assert wild is not None
    assert 0.01 < calm < 0.06  # twice 0.1², and an upper bound
    assert wild == pytest.approx(100 * calm, rel=1e-6)
    assert prior_of(gauges(shared, shared)).variance == 0


def test_of_a_single_pod_all_that_moves_its_gauge_counts() -> None:
    noise = np.random.default_rng(13).standard_normal(1441)
    alone, of_two = (prior_of(gauges(noise, others)).variance for others in (None, np.zeros(1441)))
    assert alone is not None
    assert of_two is not None
    assert alone == pytest.approx(4 * of_two)


@given(st.text(), st.text())
def test_a_note_that_somebody_edited_is_borne(mode: str, state: str) -> None:
    usual = prior_of(UsualMetric(metric="errors", mode=mode, basis="", state=state))
    assert usual.dispersion >= 1


@pytest.mark.parametrize(
    "packed",
    [
        {"dispersion": np.array([math.inf])},
        {"dispersion": np.array([0.0, 1.0])},
        {"edges": np.array([1.0])},
        {"edges": np.array([1.0]), "within": np.array([1.0, 2.0, 3.0])},
        {"rate": np.array([-math.inf])},
        {},
    ],
)
def test_numbers_that_make_no_sense_are_not_known(packed: dict[str, Floats]) -> None:
    state = ledger.write(packed)
    assert prior_of(UsualMetric(metric="errors", mode="Loud", basis="", state=state)) == Prior()


def test_paths_that_differ_in_latency_are_no_noise_of_their_pods() -> None:
    random = np.random.default_rng(14)
    series = []
    for pod in range(4):
        for path, shares in (("/quick", [0.9, 0.09, 0.01]), ("/slow", [0.1, 0.5, 0.4])):
            grown = random.multinomial(random.poisson(600, 360), shares).cumsum(axis=0).cumsum(axis=1)
            labels = {"__name__": "http_request_duration_seconds_bucket", "pod": f"fraud-7d9f-{pod}", "path": path}
            for column, edge in enumerate(("0.1", "0.5", "+Inf")):
                samples = tuple((START - 21600 + 60.0 * at, float(value)) for at, value in enumerate(grown[:, column]))
                series.append(Series({**labels, "le": edge}, samples))
    assert noted(LATENCY, series).mode == Mode.PLAIN.value


def test_buckets_that_are_too_coarse_are_noted_before_anybody_waits() -> None:
    labels = {"__name__": "http_request_duration_seconds_bucket", "pod": "fraud-7d9f-x"}
    within = {"0.1": 5.0, "1.0": 9.99, "+Inf": 10.0}
    series = [
        Series({**labels, "le": edge}, tuple((START - 21600 + 60.0 * at, rate * 60 * at) for at in range(360)))
        for edge, rate in within.items()
    ]
    assert "too coarse for this tolerance" in (noted(LATENCY, series).note or "")
