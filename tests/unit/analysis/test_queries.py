"""What is asked of Prometheus."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from modelrollout.analysis.queries import ArmNames, Query, Window, as_regex, in_quotes, pods_of, queries
from modelrollout.templates import UnknownName
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
    window,
)

PODS = "fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?"


def test_counters_are_read_raw_over_the_window_of_both_arms() -> None:
    end = NOON + 4 * INTERVAL
    assert queries(analysis(ACCURACY), CANDIDATE, STABLE, window(4)) == tuple(
        Query("accuracy", arm, part, f'{name}{{pod=~"{workload}-[a-z0-9]+(-[a-z0-9]+)?"}}', NOON, end, None)
        for arm, workload in (("candidate", "fraud-b41c"), ("stable", "fraud-7d9f"))
        for part, name in (("good", "model_correct_total"), ("total", "model_labelled_total"))
    )


def test_values_are_read_at_the_end_of_each_interval() -> None:
    asked = queries(analysis(GAUGE), CANDIDATE, None, window(4))
    promql = f'avg(model_drift{{pod=~"{PODS}"}})'
    assert asked == (Query("drift", "candidate", "value", promql, NOON + INTERVAL, NOON + 4 * INTERVAL, INTERVAL),)


def test_a_stable_that_serves_nobody_is_not_asked() -> None:
    assert {query.arm for query in queries(analysis(ERRORS, LATENCY), CANDIDATE, None, window())} == {"candidate"}


def test_stable_is_asked_only_where_a_tolerance_compares_it() -> None:
    limited = {"name": "limited", "value": "x", "betterWhen": "lower", "max": "1"}
    asked = queries(analysis(ERRORS, limited), CANDIDATE, STABLE, window())
    assert [(query.metric, query.arm, query.part) for query in asked] == [
        ("errors", "candidate", "bad"),
        ("errors", "candidate", "total"),
        ("errors", "stable", "bad"),
        ("errors", "stable", "total"),
        ("limited", "candidate", "value"),
    ]


def test_no_window_reaches_back_further_than_an_hour() -> None:
    asked = queries(analysis(ERRORS, GAUGE), CANDIDATE, None, window(1000))
    end = NOON + 1000 * INTERVAL
    assert [query.start for query in asked] == [end - timedelta(hours=1)] * 2 + [end - timedelta(hours=1) + INTERVAL]
    assert {query.end for query in asked} == {end}


def test_a_capped_window_is_made_of_whole_intervals() -> None:
    assert Window(NOON, NOON + timedelta(minutes=175), 7).recent(timedelta(minutes=25)) == Window(
        NOON + timedelta(minutes=125), NOON + timedelta(minutes=175), 7
    )
    one = Window(NOON, NOON + timedelta(hours=6), 2)
    assert one.recent(timedelta(hours=3)).start == NOON + timedelta(hours=3)


def test_the_same_look_asks_the_same_question_again() -> None:
    wished = analysis(ERRORS, LATENCY, GAUGE)
    assert queries(wished, CANDIDATE, STABLE, window(7)) == queries(wished, CANDIDATE, STABLE, window(7))


def test_every_name_that_the_design_promises_is_known() -> None:
    names = ("namespace", "rollout", "arm", "revision", "workload", "service", "pods", "window")
    text = "sum(x{" + ",".join(f'{name}="{{{{ {name} }}}}"' for name in names) + "})"
    asked = queries(analysis({**GAUGE, "tolerance": None, "max": "1", "value": text}), CANDIDATE, None, window())
    assert asked[0].promql == (
        'sum(x{namespace="ml",rollout="fraud",arm="candidate",revision="b41c",workload="fraud-b41c",'
        f'service="fraud-b41c",pods="{PODS}",window="60s"}})'
    )


def test_a_reading_looks_back_one_interval_but_a_minute_at_least() -> None:
    rate = {"name": "rate", "value": "sum(rate(x[{{ window }}]))", "betterWhen": "lower", "max": "1"}
    assert queries(analysis(rate, interval="5m"), CANDIDATE, None, window())[0].promql == "sum(rate(x[300s]))"
    assert queries(analysis(rate, interval="1s"), CANDIDATE, None, window())[0].promql == "sum(rate(x[60s]))"


def test_an_unknown_name_says_in_which_metric_it_stands() -> None:
    wrong = {**ERRORS, "ratio": {"bad": 'x{pod=~"{{ pods }}"}', "total": 'y{pod=~"{{ pods }}",v="{{ version }}"}'}}
    with pytest.raises(
        UnknownName, match=r"^analysis\.metrics\[errors\]\.ratio\.total: \{\{ version \}\}.*window, workload"
    ):
        queries(analysis(wrong), CANDIDATE, None, window())


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


@pytest.mark.parametrize("text", ["fraud.v1", "a+b", "c^d", r"back\slash", "[x]", "(y|z)", "{1}$", "*?"])
def test_a_name_as_a_regular_expression_matches_only_itself(text: str) -> None:
    assert re.fullmatch(as_regex(text), text)
    assert not re.fullmatch(as_regex(text), text.replace(text[-1], "~"))


def test_names_cannot_break_out_of_quotes() -> None:
    # PromQL knows \x22 in every kind of quotes that knows escapes; \" it refuses between single ones.
    assert in_quotes("a\"b'c`d\\e\nf") == r"a\x22b\x27c\x60d\\e\nf"
    odd = ArmNames("candidate", 'ml"} or x{', "fraud", "b41c", "fraud.v1", "fraud")
    values = odd.values(timedelta(minutes=1))
    assert values["namespace"] == r"ml\x22} or x{"
    assert values["pods"] == "fraud[.]v1-[a-z0-9]+(-[a-z0-9]+)?"
