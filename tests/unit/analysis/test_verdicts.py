"""What is the same for every kind of metric: arms that cannot be seen, mistakes, order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelrollout.analysis.conclusions import is_mistake
from modelrollout.analysis.queries import Answered, Unanswered, queries
from modelrollout.analysis.verdicts import judge
from modelrollout.api.status import Verdict
from tests.unit.analysis.looking import (
    ACCURACY,
    CANDIDATE,
    ERRORS,
    GAUGE,
    LATENCY,
    STABLE,
    Told,
    analysis,
    counter,
    histogram,
    look,
    readings,
    requests,
    window,
)

AWAY = Unanswered("Prometheus at http://prometheus:9090 cannot be reached: connection refused.", rejected=False)
REJECTED = Unanswered("Prometheus rejects the query: 1:3: parse error: unexpected end of input", rejected=True)
NAN = float("nan")

KINDS: list[tuple[Mapping[str, Any], str, Told]] = [
    (ERRORS, "total", requests(0, 1000)),
    (ACCURACY, "total", requests(930, 1000, part="good")),
    (LATENCY, "histogram", histogram({0.1: 990, 0.5: 1000}, 1000)),
    (GAUGE, "value", readings([0.05] * 10)),
]
every_kind = pytest.mark.parametrize(("metric", "part", "good"), KINDS, ids=["bad", "good", "histogram", "value"])


@every_kind
def test_two_equal_arms_pass(metric: Mapping[str, Any], part: str, good: Told) -> None:
    assert look(metric, good, good).verdict is Verdict.PASS


@every_kind
def test_an_unreachable_prometheus_is_unavailable(metric: Mapping[str, Any], part: str, good: Told) -> None:
    for candidate, stable in (({**good, part: AWAY}, good), (good, {**good, part: AWAY})):
        verdict = look(metric, candidate, stable)
        assert verdict.verdict is Verdict.UNAVAILABLE
        assert verdict.message.startswith(f"{metric['name']}: Prometheus at http://prometheus:9090 cannot be reached")
        assert not is_mistake(verdict)


@every_kind
def test_a_rejected_query_is_told_from_an_absent_prometheus(metric: Mapping[str, Any], part: str, good: Told) -> None:
    for candidate, stable in (({**good, part: REJECTED}, good), (good, {**good, part: REJECTED})):
        verdict = look(metric, candidate, stable)
        assert verdict.verdict is Verdict.UNAVAILABLE
        assert verdict.message.startswith(
            f"{metric['name']} asks wrongly: Prometheus rejects the query: 1:3: parse error"
        )
        assert is_mistake(verdict)


@every_kind
@pytest.mark.parametrize("nothing", [[], [counter([NAN, NAN, NAN])]], ids=["empty", "nan"])
def test_nothing_of_an_arm_is_no_data(metric: Mapping[str, Any], part: str, good: Told, nothing: Any) -> None:
    assert look(metric, {**good, part: nothing}, good).verdict is Verdict.NO_DATA
    verdict = look(metric, good, {**good, part: nothing})
    assert verdict.verdict is Verdict.NO_DATA
    assert "stable" in verdict.message
    assert verdict.candidate is not None  # what is known is shown


def test_a_rejected_selector_says_what_a_selector_is() -> None:
    told = look(ERRORS, {**requests(0, 1000), "bad": REJECTED}, requests(0, 1000))
    assert "(bad is a series selector, without rate() or sum())" in told.message
    assert "selector" not in look(GAUGE, {"value": REJECTED}, readings([1])).message


def test_breaking_a_hard_limit_needs_no_stable() -> None:
    capped = {**ERRORS, "max": "2%"}
    for silent in (AWAY, Answered(())):
        assert look(capped, requests(300, 1000), {"bad": silent, "total": silent}).verdict is Verdict.FAIL
        assert look(capped, requests(0, 1000), {"bad": silent, "total": silent}).verdict is not Verdict.PASS


def test_queries_that_were_never_answered_are_unavailable() -> None:
    wished = analysis(ERRORS)
    asked = queries(wished, CANDIDATE, STABLE, window())
    unanswered, unasked = judge(wished, asked, {}, window(), stretches=5), judge(wished, (), {}, window(), stretches=5)
    assert [verdict.message for verdict in (*unanswered, *unasked)] == [
        "errors: bad was not answered.",
        "errors: it was not asked for.",
    ]
    assert {verdict.verdict for verdict in (*unanswered, *unasked)} == {Verdict.UNAVAILABLE}


def test_verdicts_come_in_the_order_of_the_spec() -> None:
    wished = analysis(LATENCY, ERRORS, GAUGE)
    asked = queries(wished, CANDIDATE, STABLE, window())
    told = judge(wished, asked, dict.fromkeys(reversed(asked), AWAY), window(), stretches=5)
    assert [verdict.metric for verdict in told] == ["latency", "errors", "drift"]


def test_readiness_alone_has_no_verdicts() -> None:
    wished = analysis(readinessOnly=True)
    assert judge(wished, queries(wished, CANDIDATE, STABLE, window()), {}, window(), stretches=5) == ()


def test_more_looks_metrics_and_stretches_ask_for_more_evidence() -> None:
    tight = {**ERRORS, "tolerance": {}}
    doubtful = requests(11, 1000), requests(50, 20000)
    assert look(tight, *doubtful, at=1).verdict is Verdict.FAIL
    assert look(tight, *doubtful, at=20).verdict is Verdict.INCONCLUSIVE
    assert look(tight, *doubtful, at=1, others=30).verdict is Verdict.INCONCLUSIVE
    assert look(tight, *doubtful, at=20, falseRollbackRate="50%").verdict is Verdict.FAIL


def test_looks_before_a_new_beginning_are_not_forgotten() -> None:
    wished = analysis({**ERRORS, "tolerance": {}})
    asked = queries(wished, CANDIDATE, STABLE, window(1))
    told = {"candidate": requests(13, 1000), "stable": requests(50, 20000)}
    answers = {query: Answered(tuple(told[query.arm][query.part])) for query in asked}
    assert judge(wished, asked, answers, window(1), stretches=5)[0].verdict is Verdict.FAIL
    assert judge(wished, asked, answers, window(1), stretches=5, earlier=99)[0].verdict is Verdict.INCONCLUSIVE
