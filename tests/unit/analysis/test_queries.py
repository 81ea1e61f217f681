"""What is asked of Prometheus."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from modelrollout.analysis.queries import ArmNames, Reach, history_queries, pods_of, queries
from modelrollout.analysis.samples.stable_history import HISTORY, HISTORY_STEP
from modelrollout.api.placeholders import UnknownName
from modelrollout.promql.query import Pods, Query, Series
from tests.unit.analysis.looking import (
    ACCURACY,
    CANDIDATE,
    ERRORS,
    GAUGE,
    INTERVAL,
    LATENCY,
    NOON,
    STABLE,
    analysis,
)

PODS = "fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?"
TICK = timedelta(seconds=15)
TOLD = Reach(NOON - timedelta(seconds=150), NOON + TICK, NOON + 4 * INTERVAL, TICK)


def asked(*metrics: dict[str, object], stable: ArmNames | None = STABLE, **fields: object) -> tuple[Query, ...]:
    """The queries of a look that reaches as far for each metric."""
    wished = analysis(*metrics, **fields)
    return queries(wished, CANDIDATE, stable, {metric.name: TOLD for metric in wished.metrics})


def test_counters_are_read_raw_since_a_while_before_the_checkpoint_of_both_arms() -> None:
    assert asked(ACCURACY) == tuple(
        Query(
            "accuracy",
            arm,
            "counters",
            f'{{__name__=~"model_correct_total|model_labelled_total",pod=~"{workload}-[a-z0-9]+(-[a-z0-9]+)?"}}',
            TOLD.since,
            TOLD.end,
            None,
            (
                ("good", f'model_correct_total{{pod=~"{workload}-[a-z0-9]+(-[a-z0-9]+)?"}}'),
                ("total", f'model_labelled_total{{pod=~"{workload}-[a-z0-9]+(-[a-z0-9]+)?"}}'),
            ),
            Pods("ml", f"{workload}-[a-z0-9]+(-[a-z0-9]+)?"),
        )
        for arm, workload in (("candidate", "fraud-b41c"), ("stable", "fraud-7d9f"))
    )


def test_an_answer_to_one_query_for_all_counters_is_told_apart_again() -> None:
    errors = Series({"__name__": "http_requests_total", "pod": "fraud-b41c-x", "code": "503"}, ())
    fine = Series({"__name__": "http_requests_total", "pod": "fraud-b41c-x", "code": "200"}, ())
    (both,) = asked(ERRORS, stable=None)
    assert both.split([errors, fine]) == {"bad": (errors,), "total": (errors, fine)}


def test_counters_that_no_selector_could_ask_for_at_once_are_asked_for_one_by_one() -> None:
    apart = {**ERRORS, "ratio": {"bad": 'x{pod=~"{{ pods }}"}', "total": 'y{workload="{{ workload }}"}'}}
    assert [query.part for query in asked(apart, stable=None)] == ["bad", "total"]


def test_values_are_read_at_the_end_of_each_tick() -> None:
    promql = f'avg(model_drift{{pod=~"{PODS}"}})'
    assert asked(GAUGE, stable=None) == (
        Query("drift", "candidate", "value", promql, NOON + TICK, NOON + 4 * INTERVAL, TICK),
    )


def test_a_metric_that_reaches_nowhere_is_not_asked_for() -> None:
    assert {query.metric for query in queries(analysis(ERRORS, GAUGE), CANDIDATE, STABLE, {"drift": TOLD})} == {"drift"}


def test_a_stable_that_serves_nobody_is_not_asked() -> None:
    assert {query.arm for query in asked(ERRORS, LATENCY, stable=None)} == {"candidate"}


def test_stable_is_asked_only_where_a_tolerance_compares_it() -> None:
    limited = {"name": "limited", "value": "x", "betterWhen": "lower", "max": "1"}
    assert [(query.metric, query.arm, query.part) for query in asked(ERRORS, limited)] == [
        ("errors", "candidate", "counters"),
        ("errors", "stable", "counters"),
        ("limited", "candidate", "value"),
    ]


def test_the_same_look_asks_the_same_question_again() -> None:
    assert asked(ERRORS, LATENCY, GAUGE) == asked(ERRORS, LATENCY, GAUGE)


def test_every_name_that_the_design_promises_is_known() -> None:
    names = ("namespace", "rollout", "arm", "revision", "workload", "service", "pods", "window")
    text = "sum(x{" + ",".join(f'{name}="{{{{ {name} }}}}"' for name in names) + "})"
    (query,) = asked({**GAUGE, "tolerance": None, "max": "1", "value": text}, stable=None)
    assert query.promql == (
        'sum(x{namespace="ml",rollout="fraud",arm="candidate",revision="b41c",workload="fraud-b41c",'
        f'service="fraud-b41c",pods="{PODS}",window="60s"}})'
    )


def test_a_reading_looks_back_one_interval_but_a_minute_at_least() -> None:
    rate = {"name": "rate", "value": "sum(rate(x[{{ window }}]))", "betterWhen": "lower", "max": "1"}
    assert asked(rate, stable=None, interval="5m")[0].promql == "sum(rate(x[300s]))"
    assert asked(rate, stable=None, interval="1s")[0].promql == "sum(rate(x[60s]))"


def test_an_unknown_name_says_in_which_metric_it_stands() -> None:
    wrong = {**ERRORS, "ratio": {"bad": 'x{pod=~"{{ pods }}"}', "total": 'y{pod=~"{{ pods }}",v="{{ version }}"}'}}
    with pytest.raises(
        UnknownName, match=r"^analysis\.metrics\[errors\]\.ratio\.total: \{\{ version \}\}.*window, workload"
    ):
        asked(wrong, stable=None)


def test_what_stable_did_before_is_read_in_steps_of_a_minute() -> None:
    found = history_queries(analysis(ERRORS, LATENCY), STABLE, ["fraud-7d9f-x"], NOON, TICK)
    assert [(query.metric, query.arm, query.part) for query in found] == [
        ("errors", "history", "counters"),
        ("latency", "history", "histogram"),
    ]
    assert {(query.start, query.end, query.step) for query in found} == {(NOON - HISTORY, NOON, HISTORY_STEP)}
    assert all("fraud-7d9f-[a-z0-9]+" in query.promql for query in found)


def test_one_of_stables_pods_is_read_beside_the_others_as_a_candidate_would_be() -> None:
    found = history_queries(analysis(GAUGE), STABLE, ["fraud-7d9f-b", "fraud-7d9f-a", "fraud-7d9f-c"], NOON, TICK)
    assert [(query.arm, query.promql, query.step) for query in found] == [
        ("history of one pod", 'avg(model_drift{pod=~"fraud-7d9f-a"})', TICK),
        ("history of the other pods", 'avg(model_drift{pod=~"fraud-7d9f-b|fraud-7d9f-c"})', TICK),
    ]
    alone = history_queries(analysis(GAUGE), STABLE, ["fraud-7d9f-a"], NOON, TICK)
    assert [query.arm for query in alone] == ["history of one pod"]


def test_a_history_is_no_longer_than_prometheus_gives_points() -> None:
    (first, _) = history_queries(analysis(GAUGE), STABLE, ["a", "b"], NOON, timedelta(seconds=1))
    assert first.step is not None
    assert (first.end - first.start) / first.step <= 11_000


def test_the_noise_of_requests_is_read_for_limits_as_well() -> None:
    limited = {"name": "errors", "ratio": ERRORS["ratio"], "max": "2%"}
    compared = {**limited, "tolerance": {}}
    found, same = (history_queries(analysis(one), STABLE, ["a"], NOON, TICK) for one in (limited, compared))
    assert found == same != ()


def test_no_noise_of_pods_is_read_where_a_limit_counts_nothing_by_pod() -> None:
    compared = {
        "bad": 'disagreed_total{revision="{{ revision }}"}',
        "total": 'compared_total{revision="{{ revision }}"}',
    }
    limited = {"name": "agreement", "ratio": compared, "max": "2%"}
    assert history_queries(analysis(limited), STABLE, ["a"], NOON, TICK) == ()


def test_there_is_no_history_to_read_of_what_is_not_compared() -> None:
    limited = {"name": "limited", "value": "x", "betterWhen": "lower", "max": "1"}
    assert history_queries(analysis(limited), STABLE, ["a", "b"], NOON, TICK) == ()


@pytest.mark.parametrize(
    ("pod", "is_its_own"),
    [
        ("fraud-b41c-x7k2p", True),
        ("fraud-b41c-0", True),
        ("fraud-b41c-5d9c7b6f4-x7k2p", True),
        ("fraud-b41c", False),
        ("fraud-b41c2-5d9c7b6f4-x7k2p", False),
        ("fraud-b41c-7d9f-5d9c7b6f4-x7k2p", False),  # a rollout named fraud-b41c, revision 7d9f
    ],
)
def test_pods_are_told_by_name(pod: str, is_its_own: bool) -> None:
    assert bool(re.fullmatch(pods_of("fraud-b41c"), pod)) is is_its_own


def test_pods_are_found_when_kubernetes_cuts_their_long_names() -> None:
    for length in range(50, 64):
        workload = "f" * length
        assert re.fullmatch(pods_of(workload), f"{workload}-5d9c7b6f4-"[:58] + "x7k2p"), length


def test_names_cannot_break_out_of_quotes() -> None:
    odd = ArmNames("candidate", 'ml"} or x{', "fraud", "b41c", "fraud.v1", "fraud", pods_of("fraud.v1"))
    values = odd.values(timedelta(minutes=1))
    assert values["namespace"] == r"ml\x22} or x{"
    assert values["pods"] == "fraud[.]v1-[a-z0-9]+(-[a-z0-9]+)?"


def test_pods_of_a_namespace_that_nobody_said_may_be_anywhere() -> None:
    assert replace(STABLE, is_anywhere=True).own_pods is None
