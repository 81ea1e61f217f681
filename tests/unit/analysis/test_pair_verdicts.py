"""Pairs: the same requests answered by both versions."""

from __future__ import annotations

import numpy as np
import pytest

from modelrollout.api.status import MetricVerdict, Verdict
from modelrollout.promql.query import Series
from tests.unit.analysis.looking import Walk, analysis, counter, course

PAIRS = {
    "name": "labels",
    "pairs": {"candidateWrong": 'wrong_total{who="candidate"}', "stableWrong": 'wrong_total{who="stable"}'},
    "tolerance": {"relative": "20%"},
}
COUNTED = {**PAIRS, "pairs": {**PAIRS["pairs"], "total": "compared_total"}}  # type: ignore[dict-item]


def judged(metric: dict[str, object], mine: float, theirs: float, answers: float = 20.0) -> MetricVerdict:
    """After ten minutes with so many of each in every scrape."""
    wished = analysis(metric)
    store = [
        counter(100 + np.arange(140) * each, __name__=name, pod="comparer-0", **labels)
        for name, labels, each in (
            ("wrong_total", {"who": "candidate"}, mine),
            ("wrong_total", {"who": "stable"}, theirs),
            ("compared_total", {}, answers),
        )
    ]
    return Walk(wished, lambda now: _until(store, now), course(wished)).look(600).verdicts[0]


def _until(store: list[Series], now: float) -> list[Series]:
    return [Series(one.labels, tuple(sample for sample in one.samples if sample[0] <= now)) for one in store]


def test_a_candidate_that_is_the_wrong_one_more_often_fails() -> None:
    verdict = judged(PAIRS, 2.0, 0.5)
    assert verdict.verdict is Verdict.FAIL
    assert "breaks the limit ≤ 1.2 times as often wrong alone" in verdict.message


def test_a_candidate_that_is_wrong_as_often_passes() -> None:
    assert judged(PAIRS, 1.0, 1.0).verdict is Verdict.PASS


@pytest.mark.parametrize("differing", [0.0, 0.01])
def test_models_that_hardly_ever_differ_pass_where_all_answers_are_counted(differing: float) -> None:
    assert judged(COUNTED, differing, differing).verdict is Verdict.PASS
    assert judged(PAIRS, differing, differing).verdict is Verdict.INCONCLUSIVE


def test_no_answers_pass_nothing() -> None:
    assert judged(COUNTED, 0.0, 0.0, answers=0.0).verdict is Verdict.INCONCLUSIVE
