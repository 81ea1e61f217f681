"""Noise of single pods in the new ticks: learned on the way, heavier with load, and levels that stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import ERRORS, LATENCY, Walk, always, analysis, counter, course, same

STRICT = {**ERRORS, "tolerance": {}}
MINUTES = 20
NOTHING_KNOWN = Prior()


def pods(workload: str, levels: list[float], seed: int, *, rps: float = 20.0, cluster: int = 1) -> Iterator[Series]:
    """Pods whose errors come in clusters, scraped every 15 s."""
    random = np.random.default_rng(seed)
    for number, share in enumerate(levels):
        total = np.full(4 * MINUTES + 1, 15 * rps)
        bad = (cluster * random.binomial(total.astype(int), share / cluster)).cumsum()
        labels = {"__name__": "http_requests_total", "pod": f"{workload}-{number}"}
        yield counter(bad, since=0, every=15, code="500", **labels)
        yield counter(total.cumsum() - bad, since=0, every=15, code="200", **labels)


def walk(usual: Prior, mine: float, *, seed: int = 1, cluster: int = 1, metric: dict[str, Any] = STRICT) -> Walk:
    wished = analysis(metric)
    candidate = pods("fraud-b41c", [mine], seed, cluster=cluster)
    series = [*candidate, *pods("fraud-7d9f", [0.02] * 4, seed + 1000, cluster=cluster)]
    return Walk(wished, always(*series), course(wished), usual)


def test_errors_in_bunches_of_a_service_without_history_take_no_equal_candidate_back() -> None:
    found = [walk(NOTHING_KNOWN, 0.02, seed=seed, cluster=5).look(60 * MINUTES) for seed in range(20)]
    assert [one.verdicts[0].verdict for one in found if one.verdicts[0].verdict is Verdict.FAIL] == []


def test_a_gross_regression_of_a_service_without_history_is_found_within_minutes() -> None:
    verdict = walk(NOTHING_KNOWN, 0.2).look(90).verdicts[0]
    assert verdict.verdict is Verdict.FAIL
    assert "the noise of its pods is being learned, since stable has no history: so far events count for" in (
        verdict.message
    )


def test_many_failures_among_few_requests_of_a_service_without_history_are_found_within_minutes() -> None:
    """Three requests a second in all: 20 % of the candidate's fail."""
    wished = analysis(STRICT)
    series = [*pods("fraud-b41c", [0.2], 1, rps=1.5), *pods("fraud-7d9f", [0.002], 2, rps=1.5)]
    assert Walk(wished, always(*series), course(wished), NOTHING_KNOWN).look(210).verdicts[0].verdict is Verdict.FAIL


def test_cells_of_several_ticks_do_not_depend_on_when_anybody_looks() -> None:
    wished = analysis(STRICT, interval="4s")
    series = [*pods("fraud-b41c", [0.05], 1), *pods("fraud-7d9f", [0.02] * 4, 2)]
    once, often = (Walk(wished, always(*series), course(wished), NOTHING_KNOWN) for _ in range(2))
    for end in range(76, 600, 28):
        often.look(end, is_saved=end % 8 == 0)
    assert same(once.look(600).checkpoint[0], often.look(600).checkpoint[0])


@pytest.mark.parametrize("usual", [NOTHING_KNOWN, Prior(mode=Mode.DISPERSED, dispersion=2.0, load=5.0, reach=0.3)])
def test_what_is_learned_does_not_depend_on_when_anybody_looks(usual: Prior) -> None:
    once, often = walk(usual, 0.02), walk(usual, 0.02)
    whole = once.look(60 * MINUTES).checkpoint[0]
    for end in range(75, 60 * MINUTES + 1, 45):
        often.look(end, is_saved=end % 2 == 1)
    assert same(whole, often.look(60 * MINUTES).checkpoint[0])


def test_a_quiet_history_is_no_reason_to_fear_bunches() -> None:
    young, old = (walk(Prior(seen=seen), 0.06).look(60).verdicts[0].evidence for seen in (0.0, 21_600.0))
    assert int(str(young)[:-1]) < int(str(old)[:-1])


def test_pods_that_differ_for_good_may_have_more_than_stable_and_it_is_said() -> None:
    apart = Prior(mode=Mode.PLAIN, reach=0.5, pods=4)
    assert walk(Prior(mode=Mode.PLAIN), 0.03).look(60 * MINUTES).verdicts[0].verdict is Verdict.FAIL
    verdict = walk(apart, 0.03).look(60 * MINUTES).verdicts[0]
    assert verdict.verdict is not Verdict.FAIL
    assert "its pods differ for good, so up to 1.8 times stable's share may be the pods'" in verdict.message
    assert walk(apart, 0.1).look(60 * MINUTES).verdicts[0].verdict is Verdict.FAIL


def test_without_a_history_pods_that_differ_for_good_are_found_out_on_the_way() -> None:
    def lasting(mine: float, theirs: list[float]) -> Walk:
        wished = analysis(STRICT)
        series = [*pods("fraud-b41c", [mine], 1, rps=100.0), *pods("fraud-7d9f", theirs, 2, rps=100.0)]
        return Walk(wished, always(*series), course(wished), NOTHING_KNOWN)

    apart = lasting(0.026, [0.02, 0.015, 0.025, 0.018, 0.023]).look(60 * MINUTES).verdicts[0]
    assert apart.verdict is not Verdict.FAIL
    assert "its pods differ for good" in apart.message
    assert lasting(0.026, [0.02] * 5).look(60 * MINUTES).verdicts[0].verdict is Verdict.FAIL


@pytest.mark.parametrize("state", [np.array([1.0, 2.0]), np.array([-1.0, 1.0, 1.0]), np.array([])])
def test_a_state_of_what_was_learned_that_cannot_be_read_is_learned_anew(state: np.ndarray) -> None:
    one = walk(NOTHING_KNOWN, 0.02)
    (kept,) = one.look(300).checkpoint
    known = {**ledger.read(kept.state), "learned": state, "pods": state}
    one.kept = {"errors": kept.model_copy(update={"state": ledger.write(known)})}
    assert one.look(600).verdicts[0].verdict is not Verdict.UNAVAILABLE


def test_a_tolerance_that_allows_more_covers_what_pods_differ_by() -> None:
    wide = {**ERRORS, "tolerance": {"relative": "200%"}}
    apart, alike = (
        walk(Prior(mode=Mode.PLAIN, reach=reach), 0.05, metric=wide).look(600).verdicts[0].bound for reach in (0.3, 0.0)
    )
    assert apart == alike


def test_a_pod_with_more_to_do_is_noisier_than_those_in_the_history() -> None:
    few, many = (
        walk(Prior(mode=Mode.DISPERSED, dispersion=3.0, load=load), 0.04).look(60 * MINUTES).verdicts[0].evidence
        for load in (20.0, 1.0)
    )
    assert int(str(few)[:-1]) > int(str(many)[:-1])


def test_of_a_slow_tail_so_much_is_taken_for_the_pods_as_they_differ_by() -> None:
    random = np.random.default_rng(3)
    series = []
    for pod, shares in (
        ("fraud-b41c-0", [0.88, 0.1, 0.02]),
        *((f"fraud-7d9f-{n}", [0.9, 0.09, 0.01]) for n in range(4)),
    ):
        within = random.multinomial(300, shares, 4 * MINUTES + 1).cumsum(axis=0).cumsum(axis=1)
        labels = {"__name__": "http_request_duration_seconds_bucket", "pod": pod}
        series += [
            counter(within[:, place], since=0, every=15, le=edge, **labels)
            for place, edge in enumerate(("0.1", "0.5", "+Inf"))
        ]
    wished = analysis({**LATENCY, "tolerance": {}})
    alike, apart = (
        Walk(wished, always(*series), course(wished), Prior(mode=Mode.PLAIN, reach=0.8, reaches=reaches)).look(
            60 * MINUTES
        )
        for reaches in ({0.1: 0.0, 0.5: 0.0}, {0.1: 0.2, 0.5: 0.8})
    )
    assert alike.verdicts[0].verdict is Verdict.FAIL
    assert apart.verdicts[0].verdict is not Verdict.FAIL
