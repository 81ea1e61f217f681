"""What is the same for every kind of metric: arms that cannot be seen, mistakes, order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelrollout.analysis.evidence import ledger
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.judge import judge
from modelrollout.api.status import QUERY_REJECTED, MetricEvidence, Verdict
from modelrollout.promql.query import Answered, Series, Unanswered
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import (
    ACCURACY,
    ERRORS,
    GAUGE,
    LATENCY,
    Told,
    Walk,
    always,
    analysis,
    asked_by,
    case,
    counter,
    course,
    grown,
    histogram,
    look,
    part_by_part,
    readings,
    requests,
)

AWAY = Unanswered("Prometheus at http://prometheus:9090 cannot be reached: connection refused.", rejected=False)
REJECTED = Unanswered("Prometheus rejects the query: 1:3: parse error: unexpected end of input", rejected=True)
NAN = float("nan")

KINDS: list[tuple[Mapping[str, Any], str, Told]] = [
    (ERRORS, "total", requests(0, 3000)),
    (ACCURACY, "total", requests(930, 1000, part="good")),
    (LATENCY, "histogram", histogram({0.05: 2000, 0.1: 2990, 0.25: 3000, 0.5: 3000}, 3000)),
    (GAUGE, "value", readings([0.05] * 40)),
]
every_kind = pytest.mark.parametrize(("metric", "part", "good"), KINDS, ids=["bad", "good", "histogram", "value"])


@every_kind
def test_two_equal_arms_pass(metric: Mapping[str, Any], part: str, good: Told) -> None:
    assert look(metric, good, good, at=40 if part == "value" else 10).verdict is Verdict.PASS


@every_kind
def test_an_unreachable_prometheus_is_unavailable(metric: Mapping[str, Any], part: str, good: Told) -> None:
    for candidate, stable in (({**good, part: AWAY}, good), (good, {**good, part: AWAY})):
        verdict = look(metric, candidate, stable)
        assert verdict.verdict is Verdict.UNAVAILABLE
        assert verdict.message.startswith(f"{metric['name']}: Prometheus at http://prometheus:9090 cannot be reached")
        assert verdict.reason is None


@every_kind
def test_a_rejected_query_is_told_from_an_absent_prometheus(metric: Mapping[str, Any], part: str, good: Told) -> None:
    for candidate, stable in (({**good, part: REJECTED}, good), (good, {**good, part: REJECTED})):
        verdict = look(metric, candidate, stable)
        assert verdict.verdict is Verdict.UNAVAILABLE
        assert verdict.message.startswith(
            f"{metric['name']} asks wrongly: Prometheus rejects the query: 1:3: parse error"
        )
        assert verdict.reason == QUERY_REJECTED


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
    assert "(as bad only series selectors can stand, without rate() or sum())" in told.message
    assert "selector" not in look(GAUGE, {"value": REJECTED}, readings([1])).message


def test_breaking_a_hard_limit_needs_no_stable() -> None:
    capped = {**ERRORS, "max": "2%"}
    for silent in (AWAY, Answered(())):
        assert look(capped, requests(300, 1000), {"bad": silent, "total": silent}).verdict is Verdict.FAIL
        assert look(capped, requests(0, 1000), {"bad": silent, "total": silent}).verdict is not Verdict.PASS


def test_queries_that_were_never_answered_are_unavailable() -> None:
    wished = analysis(ERRORS)
    one = case(wished, course(wished), 150)
    asked = part_by_part(asked_by(one))
    told = (*judge(one, asked, {}).verdicts, *judge(one, (), {}).verdicts)
    assert [verdict.message for verdict in told] == ["errors: bad was not answered.", "errors: it was not asked for."]
    assert {verdict.verdict for verdict in told} == {Verdict.UNAVAILABLE}


def test_verdicts_come_in_the_order_of_the_spec() -> None:
    wished = analysis(LATENCY, ERRORS, GAUGE)
    one = case(wished, course(wished), 150)
    asked = asked_by(one)
    told = judge(one, asked, dict.fromkeys(reversed(asked), AWAY)).verdicts
    assert [verdict.metric for verdict in told] == ["latency", "errors", "drift"]


def test_readiness_alone_has_no_verdicts() -> None:
    wished = analysis(readinessOnly=True)
    one = case(wished, course(wished), 150)
    told = judge(one, asked_by(one), {})
    assert (told.verdicts, told.checkpoint) == ((), ())


STRICT = {**ERRORS, "tolerance": {}}


def test_more_metrics_and_bounds_ask_for_more_evidence_and_a_higher_rate_for_less() -> None:
    doubtful = requests(16.5, 1000), requests(50, 10000)
    assert look(STRICT, *doubtful).verdict is Verdict.FAIL
    assert look(STRICT, *doubtful, others=30).verdict is Verdict.INCONCLUSIVE
    assert look({**STRICT, "max": "90%"}, requests(16.1, 1000), requests(50, 10000)).verdict is Verdict.INCONCLUSIVE
    assert look(STRICT, requests(16.1, 1000), requests(50, 10000)).verdict is Verdict.FAIL
    assert look(STRICT, *doubtful, others=30, falseRollbackRate="30%").verdict is Verdict.FAIL
    assert look(STRICT, *doubtful, falseRollbackRate="0.01%").verdict is Verdict.INCONCLUSIVE


def test_several_metrics_that_are_worse_together_fail_before_any_of_them_would_alone() -> None:
    def arm(pod: str, bad: int, total: int) -> Iterator[Series]:
        for n in range(4):
            labels = {"pod": pod, "instance": pod}
            yield grown(bad, __name__=f"errors_{n}", code="500", **labels)
            yield grown(total - bad, __name__=f"errors_{n}", code="200", **labels)

    def metric(n: int) -> dict[str, Any]:
        text = f'errors_{n}{{pod=~"{{{{ pods }}}}"'
        return {"name": f"metric-{n}", "ratio": {"bad": f'{text},code="500"}}', "total": f"{text}}}"}, "tolerance": {}}

    store = always(*arm("fraud-b41c-x", 17, 1000), *arm("fraud-7d9f-x", 50, 10000))
    together = analysis(*(metric(n) for n in range(4)))
    failed = [one for one in Walk(together, store, course(together)).look(150).verdicts if one.verdict is Verdict.FAIL]
    assert len(failed) == 1  # the one that says most
    absent = [metric(0), *({**GAUGE, "name": f"other-{n}"} for n in range(3))]
    alone = analysis(*absent)
    values = {"candidate": readings([0.05] * 10)["value"], "stable": readings([0.05] * 10)["value"]}
    assert Walk(alone, store, course(alone), values=values).look(150).verdicts[0].verdict is Verdict.INCONCLUSIVE


def test_noise_that_was_found_in_the_history_asks_for_more_evidence_and_is_said() -> None:
    doubtful = requests(17, 1000), requests(50, 10000)
    assert look(STRICT, *doubtful).verdict is Verdict.FAIL
    noisy = look(STRICT, *doubtful, usual=Prior(mode=Mode.DISPERSED, dispersion=2.0))
    assert noisy.verdict is Verdict.INCONCLUSIVE
    assert noisy.message.endswith("; its pods are noisy by themselves, so events count for 3.0 times fewer.")
    ranked = look(STRICT, *doubtful, usual=Prior(mode=Mode.RANKED, dispersion=2.0))
    assert ranked.message.endswith("; its pods are noisy by themselves, so their ranks are compared.")


def test_a_calibrated_threshold_finds_what_the_usual_one_waits_for() -> None:
    wished = analysis(STRICT)
    store = [
        grown(amount, __name__="http_requests_total", pod=pod, code=code)
        for pod, amounts in {"fraud-b41c-x": (14, 986), "fraud-7d9f-x": (50, 9950)}.items()
        for code, amount in zip(("500", "200"), amounts, strict=True)
    ]
    one = case(wished, course(wished), 150)
    asked = asked_by(one)
    walk = Walk(wished, always(*store), course(wished))
    answers = walk.answers(asked, 150)
    assert judge(one, asked, answers).verdicts[0].verdict is Verdict.INCONCLUSIVE
    assert judge(replace(one, thresholds={"errors": 2.5}), asked, answers).verdicts[0].verdict is Verdict.FAIL


def test_a_checkpoint_holds_whole_ticks_that_no_sample_on_its_way_can_change() -> None:
    wished = analysis(ERRORS)
    walk = Walk(wished, always(*labelled(30, 1000)), course(wished))
    ends = (15, 60, 75, 90, 105, 152)
    assert [[kept.ticks for kept in walk.look(end).checkpoint] for end in ends] == [[], [], [], [1], [2], [5]]


@pytest.mark.parametrize("silent", ["fraud-b41c-x", "fraud-7d9f-x"])
def test_a_checkpoint_waits_while_prometheus_is_away_but_not_for_data_that_are_not_there(silent: str) -> None:
    wished = analysis(ERRORS)
    walk = Walk(wished, always(*labelled(30, 1000)), course(wished))
    known = walk.look(120).checkpoint
    one = replace(case(wished, course(wished), 150), kept=walk.kept)
    asked = asked_by(one)
    answers = walk.answers(asked, 150)
    arm = "candidate" if silent == "fraud-b41c-x" else "stable"
    away = {query: AWAY if query.arm == arm else answer for query, answer in answers.items()}
    assert judge(one, asked, away).checkpoint == known
    nothing = {query: Answered(()) if query.arm == arm else answer for query, answer in answers.items()}
    told = judge(one, asked, nothing)
    assert told.verdicts[0].verdict is Verdict.NO_DATA
    assert told.checkpoint[0].ticks == (known[0].ticks if arm == "candidate" else 6)


def test_evidence_on_other_terms_is_none() -> None:
    wished = analysis(ERRORS)
    walk = Walk(wished, always(*labelled(30, 1000)), course(wished))
    (kept,) = walk.look(150).checkpoint
    one = case(wished, course(wished), 165)
    for other in (
        MetricEvidence(metric="errors", basis="of another spec", ticks=kept.ticks, state=kept.state),
        MetricEvidence(metric="errors", basis=kept.basis, ticks=0, state="{"),
    ):
        before = replace(one, kept={"errors": other}).before(wished.metrics[0])
        assert (before.first, before.ledger) == (0, {})


@pytest.mark.parametrize("state", ["", "{", "{}", '{"totals":5}AAAA', '{"tolerance.harm":9}' + "AAAA" * 24, "nonsense"])
def test_a_state_that_somebody_edited_ends_no_look_in_an_error(state: str) -> None:
    wished = analysis(ERRORS, {**LATENCY, "max": "300ms"}, GAUGE)
    same = {"candidate": readings([0.05] * 10)["value"], "stable": readings([0.05] * 10)["value"]}
    walk = Walk(wished, always(*labelled(30, 1000)), course(wished), values=same)
    walk.kept = {
        metric.name: MetricEvidence(metric=metric.name, basis=f"basis of {metric.name}", ticks=3, state=state)
        for metric in wished.metrics
    }
    # What cannot be read is as if nothing had been kept: all is read again.
    judged = Verdict.INCONCLUSIVE if ledger.read(state) else Verdict.PASS
    told = walk.look(150).verdicts
    assert {verdict.metric: verdict.verdict for verdict in told} == {
        "errors": judged,
        "latency": Verdict.NO_DATA,
        "drift": judged,
    }


def labelled(bad: float, total: float) -> list[Series]:
    """Both arms' counters under the names that ERRORS asks for; the candidate is as stable is."""
    return [
        grown(amount, __name__="http_requests_total", pod=pod, code=code)
        for pod in ("fraud-b41c-x", "fraud-7d9f-x")
        for code, amount in (("500", bad), ("200", total - bad))
    ]


def test_a_metric_that_cannot_be_judged_keeps_no_other_from_failing() -> None:
    edited = ledger.write({"edges": np.array([0.1, 0.5]), "nears": np.array([7.0])})  # there is no eighth edge
    wished = analysis(LATENCY, ERRORS)
    broken = MetricEvidence(metric="latency", basis="basis of latency", ticks=1, state=edited)
    store = [
        counter([1000.0 + at for at in range(60)], le="0.1", **SLOW),
        counter([1000.0 + at for at in range(60)], le="0.5", **SLOW),
        counter([1000.0 + at for at in range(60)], le="+Inf", **SLOW),
        *bad_requests("fraud-b41c-x", 0.5),
        *bad_requests("fraud-7d9f-x", 0.0),
    ]
    walk = Walk(wished, lambda now: store, course(wished), kept={"latency": broken})
    latency, errors = walk.look(150).verdicts
    assert (latency.verdict, errors.verdict) == (Verdict.UNAVAILABLE, Verdict.FAIL)
    assert "could not be judged, which is a defect of ModelRollout (" in latency.message


SLOW = {"__name__": "http_request_duration_seconds_bucket", "pod": "fraud-b41c-x"}


def bad_requests(pod: str, share: float) -> list[Series]:
    named = {"__name__": "http_requests_total", "pod": pod}
    grown = np.arange(60) * 50.0
    return [
        counter(1000 + share * grown, code="500", **named),
        counter(1000 + (1 - share) * grown, code="200", **named),
    ]
