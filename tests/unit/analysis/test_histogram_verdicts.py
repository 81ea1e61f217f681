"""Verdicts on histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelrollout.analysis.kinds.edges import MOST_EDGES, choose_edges, pair_edges
from modelrollout.analysis.kinds.tails import excluded
from modelrollout.analysis.samples.buckets import ArmHistograms, counts_beyond, histograms_of, quantile
from modelrollout.analysis.samples.counters import SampleWindow
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.status import QUERY_REJECTED, Verdict
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import LATENCY, START, Walk, analysis, counter, course, grown, histogram, look

PASS, FAIL, INCONCLUSIVE, NO_DATA = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NO_DATA
FINE = [0.1 * 1.1**n for n in range(12)]  # as fine as native histograms of schema 3
STABLE = histogram({0.05: 9000, 0.1: 9700, 0.25: 9990, 0.5: 10000}, 10000)


def tail(shares: list[float], total: int) -> dict[str, list[Series]]:
    """A histogram on FINE edges of which these shares are slower than each."""
    return histogram({edge: total * (1 - share) for edge, share in zip(FINE, shares, strict=True)}, total)


EVEN = [0.5 * 0.6**n for n in range(12)]  # p99 at 209 ms


def test_a_verdict_carries_quantiles_and_their_bound() -> None:
    verdict = look(LATENCY, tail(EVEN, 2000), tail(EVEN, 20000))
    assert (verdict.verdict, verdict.candidate, verdict.stable, verdict.bound) == (PASS, "209ms", "209ms", "≤ 230ms")
    assert verdict.message == (
        "latency: p99 209ms over 2,000 requests (stable 209ms over 20,000) is within ≤ 230ms; "
        "its share of slow requests is 0.72 to 1.4 times stable's (at 99 %, at any time)."
    )


def test_a_slower_tail_fails_and_says_where() -> None:
    verdict = look(LATENCY, tail([min(3 * share, 0.9) for share in EVEN], 2000), tail(EVEN, 20000))
    assert verdict.verdict is FAIL
    assert "p99 256ms over 2,000 requests (stable 209ms over 20,000) breaks the limit ≤ 230ms; " in verdict.message
    assert "90% took longer than 110ms, of stable 50% longer than 100ms" in verdict.message


def test_everything_a_little_slower_than_tolerated_fails() -> None:
    two_edges_slower = [0.95, 0.8, *EVEN[:10]]
    assert look(LATENCY, tail(two_edges_slower, 5000), tail(EVEN, 50000)).verdict is FAIL


def test_everything_slower_by_just_the_tolerance_does_not_fail() -> None:
    one_edge_slower = [0.8, *EVEN[:11]]
    assert look(LATENCY, tail(one_edge_slower, 50000), tail(EVEN, 50000)).verdict is PASS


def test_a_regression_beside_the_quantile_fails_too() -> None:
    hangs = histogram({0.05: 9000, 0.1: 9700, 0.25: 9940, 0.5: 9940}, 10000)
    verdict = look(LATENCY, hangs, STABLE)
    assert (verdict.verdict, verdict.candidate, verdict.stable) == (FAIL, "225ms", "203ms")
    assert verdict.message.startswith("latency: p99 225ms over 10,000 requests")
    assert "; 0.6% took longer than 500ms, of stable 0.1% longer than 250ms" in verdict.message


def test_a_hidden_regression_is_not_told_as_one_of_the_quantile() -> None:
    slow_half = histogram({0.05: 5000, 0.1: 9700, 0.25: 9990, 0.5: 10000}, 10000)
    verdict = look({**LATENCY, "tolerance": {}}, slow_half, STABLE)
    assert verdict.verdict is FAIL
    assert "p99 203ms over 10,000 requests (stable 203ms over 10,000), and its evidence breaks ≤" in verdict.message
    assert "; 50% took longer than 50ms, of stable 10% longer than 50ms" in verdict.message


def test_a_faster_candidate_passes() -> None:
    assert look(LATENCY, histogram({0.05: 9900, 0.1: 9990, 0.25: 10000, 0.5: 10000}, 10000), STABLE).verdict is PASS


def test_few_slow_requests_do_not_fail_yet() -> None:
    verdict = look(LATENCY, histogram({0.05: 26, 0.1: 28, 0.25: 29, 0.5: 29}, 30), STABLE)
    assert (verdict.verdict, verdict.samples) == (INCONCLUSIVE, 30)
    assert "needs about 70 more requests" in verdict.message


def test_edges_that_are_too_coarse_for_the_tolerance_are_named() -> None:
    verdict = look(LATENCY, STABLE, STABLE)
    assert verdict.verdict is PASS
    assert verdict.message.endswith(
        "; the buckets are too coarse for this tolerance: a slower p99 is sure to be seen only beyond 500ms; "
        "edges at 203ms and 224ms would do."
    )
    short = histogram({0.05: 9000, 0.25: 9990}, 10000)
    assert "is sure to be seen not at all (edges end at 250ms)" in look(LATENCY, short, short).message


def test_what_cannot_be_seen_does_not_matter_once_it_failed() -> None:
    slow = histogram({0.05: 5000, 0.1: 7000, 0.25: 8000, 0.5: 10000}, 10000)
    assert "coarse" not in look(LATENCY, slow, STABLE).message


def test_a_quantile_beyond_the_last_edge_shows_nothing() -> None:
    slow = histogram({0.05: 5000, 0.1: 9000}, 10000)
    verdict = look(LATENCY, slow, slow)
    assert (verdict.verdict, verdict.candidate, verdict.bound) == (NO_DATA, "> 100ms", "what is tolerated")
    assert "stable's p99 is beyond the last bucket edge, 100ms, so it shows nothing" in verdict.message


def test_what_no_two_edges_can_compare_never_passes() -> None:
    usual = histogram({0.5: 50_000}, 50_000)
    for candidate in (histogram({0.5: 0}, 5000), usual):
        verdict = look(LATENCY, candidate, usual)
        assert verdict.verdict is NO_DATA
        assert "the tolerance reaches beyond the last, 500ms, so nothing can be compared" in verdict.message


def test_max_is_broken_by_the_share_beyond_the_next_edge() -> None:
    capped = {"name": "latency", "histogram": LATENCY["histogram"], "max": "300ms"}
    assert look(capped, STABLE).verdict is PASS
    failed = look(capped, histogram({0.25: 900, 0.5: 950}, 1000))
    assert (failed.verdict, failed.candidate, failed.bound) == (FAIL, "> 500ms", "≤ 300ms")


def test_a_max_between_two_edges_may_be_beyond_what_buckets_tell() -> None:
    capped = {"name": "latency", "histogram": LATENCY["histogram"], "max": "300ms"}
    # 4 % between 250 and 500 ms may all be below 300 ms: no Fail; a p99 of 438 ms by straight lines: no Pass.
    between = look(capped, histogram({0.25: 960, 0.5: 1000}, 1000))
    assert (between.verdict, between.candidate, between.message) == (
        NO_DATA,
        "438ms",
        "latency: the buckets do not tell whether max 300ms is kept: p99 lies between 250ms and 500ms; "
        "the candidate shows p99 438ms over 1,000 requests.",
    )


def test_a_max_that_no_edge_reaches_is_said_to_be_blind() -> None:
    verdict = look({"name": "latency", "histogram": LATENCY["histogram"], "max": "2s"}, STABLE)
    assert verdict.message.endswith("; no bucket edge reaches max 2s, so breaking it cannot be seen.")


def test_the_quantile_is_the_users_choice() -> None:
    median = look({**LATENCY, "quantile": "0.5", "tolerance": {"relative": "50%"}}, STABLE, STABLE)
    assert (median.candidate, median.message.startswith("latency: p50 27.8ms over")) == ("27.8ms", True)


def counted(series: list[Series], *edges: float) -> tuple[list[float], float]:
    """Requests within each of the edges, and all, of histograms that were looked at for two minutes."""
    reading = SampleWindow(since=START - 150, look_back=150, warm_up=30)
    side = histograms_of(series, "the candidate", reading)
    assert isinstance(side, ArmHistograms)
    slower, total = counts_beyond(side, edges, np.array([START, START + 150]), reading)
    return [round(float(total[0] - beyond_one), 9) for beyond_one in slower[0]], round(float(total[0]), 9)


def test_pods_with_different_buckets_are_merged_to_the_edges_they_share() -> None:
    one = histogram({0.1: 50, 0.2: 80, 0.5: 100}, 100, pod="a")["histogram"]
    two = histogram({0.1: 40, 0.3: 90, 0.5: 100}, 100, pod="b")["histogram"]
    side = histograms_of([*one, *two], "the candidate", SampleWindow(START - 150, 150, 30))
    assert isinstance(side, ArmHistograms)
    assert side.edges == (0.1, 0.5)
    assert counted([*one, *two], *side.edges) == ([90, 200], 200)


def test_a_pod_without_traffic_takes_no_edges_from_the_others() -> None:
    busy = histogram({0.1: 50, 0.2: 80}, 100, pod="a")["histogram"]
    idle = histogram({0.3: 0}, 0, pod="b")["histogram"]
    verdict = look(LATENCY, {"histogram": [*busy, *idle]}, {"histogram": busy})
    assert verdict.candidate == "> 200ms"


def test_arms_are_compared_on_the_edges_they_share() -> None:
    other = histogram({0.05: 900, 0.1: 970, 0.2: 990, 0.5: 1000}, 1000)
    assert look(LATENCY, other, STABLE).verdict is PASS


def test_arms_without_a_common_edge_cannot_be_compared() -> None:
    verdict = look(LATENCY, histogram({0.3: 1000}, 1000), STABLE)
    assert (verdict.verdict, verdict.reason) == (Verdict.NO_DATA, QUERY_REJECTED)
    assert "the buckets of candidate and stable have no edge in common" in verdict.message


def test_all_buckets_of_a_process_start_anew_together() -> None:
    # After the restart le=0.1 has already caught up with where it was; it is a reset all the same.
    buckets = [counter([100, 120], le="0.1"), counter([1000, 150], le="+Inf")]
    assert counted(buckets, 0.1) == ([120], 150)


def test_an_edge_is_one_number_however_it_is_written() -> None:
    buckets = [counter([0, 3], le="1"), counter([3, 5], le="1.0", since=10, is_new=True), counter([0, 4, 9], le="Inf")]
    assert counted(buckets, 1.0) == ([5], 9)


@pytest.mark.parametrize(
    ("series", "why"),
    [
        ([grown(10)], "have no bucket edge (label le); select the …_bucket series"),
        ([grown(10, le="fast"), grown(20, le="+Inf")], "have no bucket edge (label le)"),
        ([grown(10, le="0.1"), grown(20, le="0.5")], 'lack the bucket le="+Inf"; select all buckets'),
    ],
)
def test_what_is_no_classic_histogram_is_the_metrics_mistake(series: list[Series], why: str) -> None:
    verdict = look(LATENCY, {"histogram": series}, STABLE)
    assert (verdict.verdict, verdict.reason) == (Verdict.NO_DATA, QUERY_REJECTED)
    assert why in verdict.message


def test_only_the_infinite_bucket_says_nothing_and_breaks_nothing() -> None:
    alone = look({"name": "latency", "histogram": LATENCY["histogram"], "max": "1s"}, histogram({}, 1000))
    assert (alone.verdict, alone.candidate) == (NO_DATA, "unknown")


def test_no_request_yet_has_no_quantile() -> None:
    verdict = look(LATENCY, histogram({0.05: 0, 0.25: 0}, 0), STABLE)
    assert (verdict.verdict, verdict.message[:26]) == (INCONCLUSIVE, "latency: no requests yet; ")


def test_a_torn_scrape_yields_no_negative_requests() -> None:
    torn = histogram({0.05: 9000, 0.1: 8000, 0.25: 12000}, 10000)["histogram"]
    assert counted(torn, 0.05, 0.1, 0.25) == ([9000, 9000, 10000], 10000)


@pytest.mark.parametrize(
    ("q", "value"), [(0.5, 0.1), (0.25, 0.05), (0.95, 0.475), (0.99, math.inf), (1e-9, 0.1 * 2e-9), (0.0, 0.0)]
)
def test_quantiles_are_drawn_in_straight_lines(q: float, value: float) -> None:
    assert quantile((0.1, 0.5), np.array([50.0, 2.0]), 100.0, q) == pytest.approx(value, rel=1e-3)


def test_quantiles_below_zero_start_at_their_edge() -> None:
    assert quantile((-2.0, 0.0, 2.0), np.array([50.0, 25.0, 0.0]), 100.0, 0.25) == -2.0
    assert quantile((0.1,), np.array([0.0]), 0.0, 0.5) == math.inf


@pytest.mark.parametrize(
    ("tolerance", "pairs"),
    [
        ({"relative": "10%"}, [(0.1, 0.11), (0.11, 0.2), (0.2, 0.5)]),
        ({}, [(0.1, 0.1), (0.11, 0.11), (0.2, 0.2), (0.5, 0.5)]),
        ({"absolute": "150ms"}, [(0.2, 0.5)]),
    ],
)
def test_edges_are_paired_so_that_the_tolerance_lies_between(
    tolerance: dict[str, str], pairs: list[tuple[float, float]]
) -> None:
    edges = (0.1, 0.11, 0.2, 0.5)
    found = pair_edges(edges, range(4), Tolerance.model_validate(tolerance))
    assert [(edges[near], edges[far]) for near, far in zip(found.near, found.far, strict=True)] == pairs


def test_of_very_many_edges_those_are_kept_that_lie_where_stable_has_its_requests() -> None:
    edges = [0.001 * 1.0905**n for n in range(80)]
    usual = {edge: 10_000 * (1 - 0.9**n) for n, edge in enumerate(edges)} | {math.inf: 10_000.0}
    known = choose_edges(edges, edges, None, None, usual)
    unknown = choose_edges(edges, edges, None, None, None)
    assert max(len(known.all), len(unknown.all)) <= MOST_EDGES
    assert min(abs(usual[edge] / 10_000 - 0.99) for edge in known.all) < 0.001


def test_the_edge_that_a_limit_needs_is_kept_whatever_else_is_left_out() -> None:
    edges = [0.001 * 1.0905**n for n in range(80)]
    for limit in (0.0123, 0.1, 0.5):
        assert next(edge for edge in edges if edge >= limit) in choose_edges(edges, edges, None, limit, None).all


@pytest.mark.parametrize(
    ("fields", "out"),
    [
        ({}, {"relative": "1.000000", "absolute": "0.000000000"}),
        ({"tolerance": {"relative": "80%", "absolute": "5ms"}}, {"relative": "1.600000", "absolute": "0.010000000"}),
        ({"exclude": {"relative": "30%"}}, {"relative": "30%"}),
    ],
)
def test_what_has_to_be_ruled_out_is_twice_as_slow_unless_the_user_says_else(
    fields: dict[str, object], out: dict[str, str]
) -> None:
    assert excluded(Metric.model_validate({**LATENCY, **fields})) == Tolerance.model_validate(out)


def native(within: dict[float, float], total: float, **labels: str) -> list[Series]:
    return histogram(within, total, __name__="http_request_duration_seconds", **labels)["histogram"]


def test_native_histograms_have_no_edges_where_nothing_was_counted() -> None:
    # Both arms have schema 3; what lies between two of one's edges was counted at neither of them.
    mine = native({FINE[0]: 500, FINE[3]: 990, FINE[5]: 1000}, 1000)
    assert counted(mine, FINE[0], FINE[1], FINE[3], FINE[4], FINE[5]) == ([500, 500, 990, 990, 1000], 1000)
    assert counted(mine, FINE[0] / 2, FINE[0]) == ([0, 500], 1000)


def test_native_histograms_are_judged_by_their_own_edges() -> None:
    def arm(edges: list[float], total: float) -> dict[str, list[Series]]:
        return {"histogram": native({edge: total * (n + 1) / len(edges) for n, edge in enumerate(edges)}, total)}

    assert look(LATENCY, arm(FINE, 2000), arm(FINE, 20000)).verdict is PASS
    assert look(LATENCY, arm([edge * 1.1**4 for edge in FINE], 2000), arm(FINE, 20000)).verdict is FAIL


def test_edges_of_a_native_histogram_that_come_and_go_do_not_stop_a_rollout() -> None:
    mine = native({FINE[2]: 3000, FINE[4]: 10000}, 10000)
    theirs = native({FINE[1]: 1000, FINE[2]: 3000, FINE[4]: 10000}, 10000)
    assert look(LATENCY, {"histogram": mine}, {"histogram": theirs}).verdict is PASS


def test_a_limit_at_an_edge_that_only_the_candidate_has_is_kept_or_broken_by_it() -> None:
    capped = {**LATENCY, "max": "300ms"}
    mine = histogram({0.05: 9000, 0.1: 9700, 0.25: 9990, 0.3: 10000}, 10000)
    assert look(capped, mine, STABLE).verdict is PASS
    slow = histogram({0.05: 9000, 0.1: 9700, 0.25: 9700, 0.3: 9700}, 10000)
    assert look(capped, slow, STABLE).verdict is FAIL


@pytest.mark.parametrize("arm", ["fraud-b41c-x", "fraud-7d9f-x"])
def test_buckets_that_change_in_the_middle_of_a_rollout_are_the_metrics_mistake(arm: str) -> None:
    def pod(name: str, *edges: float) -> list[Series]:
        within = {edge: 1000 * (n + 1) for n, edge in enumerate(edges)}
        name_ = "http_request_duration_seconds_bucket"
        series = histogram(within, 1000 * len(edges), __name__=name_, pod=name)["histogram"]
        return [Series(one.labels, tuple((at, value) for at, value in one.samples)) for one in series]

    before = [*pod("fraud-b41c-x", 0.1, 0.2, 0.5), *pod("fraud-7d9f-x", 0.1, 0.2, 0.5)]
    after = [one for one in before if one.labels["pod"] != arm] + pod(arm, 0.1, 0.3, 0.5)
    wished = analysis(LATENCY)
    walk = Walk(wished, lambda now: before if now < START + 140 else after, course(wished))
    walk.look(135)
    verdict = walk.look(150).verdicts[0]
    assert (verdict.verdict, verdict.reason) == (NO_DATA, QUERY_REJECTED)
    assert "the buckets changed in the middle of the rollout" in verdict.message
