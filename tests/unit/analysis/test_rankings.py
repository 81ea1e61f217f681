"""The candidate's pods among stable's, block after block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.evidence.tracks import Track, Words
from modelrollout.analysis.kinds import rankings
from modelrollout.analysis.kinds.rankings import RankPath
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import ERRORS, Walk, always, analysis, counter, course, same

STRICT = {**ERRORS, "tolerance": {}}
RANKED = Prior(mode=Mode.RANKED, dispersion=3.0, share=0.01, rate=100.0)
MINUTES = 20


def pods(workload: str, shares: list[float], seed: int) -> Iterator[Series]:
    """Pods with 100 requests a second each, of which this share goes wrong, scraped every 15 s."""
    random = np.random.default_rng(seed)
    for number, share in enumerate(shares):
        bad = random.binomial(1500, share, 4 * MINUTES + 1).cumsum()
        labels = {"__name__": "http_requests_total", "pod": f"{workload}-{number}"}
        yield counter(bad, since=0, every=15, code="500", **labels)
        yield counter(1500 * np.arange(1, 4 * MINUTES + 2) - bad, since=0, every=15, code="200", **labels)


def walk(mine: list[float], theirs: list[float], usual: Prior = RANKED) -> Walk:
    wished = analysis(STRICT)
    series = [*pods("fraud-b41c", mine, 1), *pods("fraud-7d9f", theirs, 2)]
    return Walk(wished, always(*series), course(wished), usual)


def test_a_candidate_whose_pods_are_always_the_worst_fails() -> None:
    verdict = walk([0.05, 0.05], [0.01] * 20).look(60 * MINUTES).verdicts[0]
    assert verdict.verdict is Verdict.FAIL
    assert "so their ranks are compared" in verdict.message


def test_one_wild_pod_among_many_of_stable_says_nothing_of_the_candidate() -> None:
    assert walk([0.01, 0.01], [0.01] * 19 + [0.3]).look(60 * MINUTES).verdicts[0].verdict is not Verdict.FAIL
    assert walk([0.001, 0.001], [0.01] * 20).look(60 * MINUTES).verdicts[0].verdict is not Verdict.FAIL


def test_blocks_are_counted_whole_however_often_one_looks() -> None:
    once, often = walk([0.02], [0.01] * 20), walk([0.02], [0.01] * 20)
    whole = once.look(60 * MINUTES).checkpoint[0]
    for end in range(75, 60 * MINUTES + 1, 45):
        often.look(end, is_saved=end % 2 == 1)
    assert same(whole, often.look(60 * MINUTES).checkpoint[0])


def track(harm: list[float], before: float) -> Track:
    return Track("t", Words("", ""), np.array(harm), before, good=0.0, is_kept=True, share=1.0, threshold=2.0)


def test_ranks_take_the_place_of_counted_events_or_have_to_agree_with_them() -> None:
    counted, ranks = track([1.0, 5.0], 0.5), RankPath(np.array([2.0, 3.0]), 0.7, dict)
    ranked = rankings.with_ranks(counted, ranks, Mode.RANKED)
    assert (ranked.harm.tolist(), ranked.before, ranked.share) == ([2.0, 3.0], 0.7, rankings.SHARE_IN_NOISE)
    strict = rankings.with_ranks(counted, ranks, Mode.STRICT)
    assert (strict.harm.tolist(), strict.before, strict.share) == ([1.0, 3.0], 0.5, 1.0)
    assert {one.joint for one in (ranked, strict)} == {False}
    assert {one.threshold for one in (ranked, strict)} == {None}


@pytest.mark.parametrize("mode", [Mode.RANKED, Mode.STRICT])
def test_a_candidate_without_pods_is_not_ranked(mode: Mode) -> None:
    usual = replace(RANKED, mode=mode)
    silent = walk([], [0.01] * 12, usual).look(60 * MINUTES).verdicts[0]
    assert silent.verdict is Verdict.NO_DATA
