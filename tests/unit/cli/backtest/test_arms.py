"""Whom the queries mean in history."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.cli.backtest.arms import (
    Selected,
    checked_matchers,
    narrowed,
    opposite,
    past_arm,
    pod_labels,
)
from modelrollout.cli.backtest.policy import Policy
from modelrollout.cli.backtest.trouble import MisuseError
from modelrollout.promql.query import Pods
from modelrollout.rollout.rollout import Wish, read_wish
from tests.builders import metric, small
from tests.builders.metrics import OURS

WISH = read_wish(small())
assert isinstance(WISH, Wish)
POLICY = Policy("ml", "fraud", WISH)


def analysis(*metrics: dict[str, Any]) -> Any:
    return ModelRolloutSpec.model_validate(small(analysis={"metrics": list(metrics)})).analysis


def value(promql: str) -> dict[str, Any]:
    return metric(ratio=None, value=promql, betterWhen="lower")


def text_of(promql: str, matchers: str) -> str | None:
    found = narrowed(analysis(value(promql)), Selected("candidate", matchers=matchers))
    text: str | None = found.metrics[0].value
    return text


def test_matchers_go_into_every_selector_that_names_the_arm() -> None:
    promql = (
        'sum(rate(x{pod=~"{{ pods }}"}[{{ window }}])) / on() group_left() y{a="}"} * max by (z) (w{p=~"{{ pods }}"})'
    )
    assert text_of(promql, 'version="v2"') == (
        'sum(rate(x{version="v2",pod=~"{{ pods }}"}[{{ window }}])) / on() group_left() y{a="}"}'
        ' * max by (z) (w{version="v2",p=~"{{ pods }}"})'
    )


def test_both_parts_of_a_ratio_are_narrowed() -> None:
    found = narrowed(analysis(metric()), Selected("stable", matchers='v!="2"')).metrics[0].ratio
    assert found.bad == f'http_requests_total{{v!="2",{OURS},code=~"5.."}}'
    assert found.total == f'http_requests_total{{v!="2",{OURS}}}'


def test_parts_of_other_kinds_are_narrowed_too() -> None:
    mean = {name: f'{name}_total{{pod=~"{{{{ pods }}}}"}}' for name in ("sum", "squares", "count")}
    pairs = {name: f'{name}_total{{revision="{{{{ revision }}}}"}}' for name in ("candidateWrong", "stableWrong")}
    found = narrowed(
        analysis(
            metric(name="revenue", ratio=None, mean=mean, betterWhen="higher"),
            metric(name="agreement", ratio=None, pairs=pairs),
        ),
        Selected("candidate", matchers='v="2"', names={"revision": "r"}),
    ).metrics
    assert found[0].mean.count == 'count_total{v="2",pod=~"{{ pods }}"}'
    assert found[1].pairs.candidate_wrong == 'candidateWrong_total{v="2",revision="{{ revision }}"}'


def test_a_metric_that_does_not_tell_arms_apart_is_refused() -> None:
    with pytest.raises(MisuseError, match=r"spec\.analysis\.metrics\[errors\]\.value does not tell the arms apart"):
        narrowed(
            analysis(metric(ratio=None, value="sum(x)", tolerance=None, max="1", betterWhen="lower")),
            Selected("stable", matchers='v="1"'),
        )


def test_a_name_that_nobody_knows_of_the_past_is_asked_for() -> None:
    promql = 'x{service="{{ service }}"}'
    with pytest.raises(MisuseError, match=r"say it with --candidate-name service="):
        text_of(promql, "")
    arm = Selected("candidate", names={"service": "fraud-v2"})
    assert narrowed(analysis(value(promql)), arm).metrics[0].value == promql
    assert past_arm(arm, POLICY).values(timedelta(minutes=1))["service"] == "fraud-v2"


def test_pods_are_what_they_were_said_to_be_and_are_escaped() -> None:
    values = past_arm(Selected("stable", pods=r'a\.b"'), POLICY).values(timedelta(minutes=1))
    assert values["pods"] == r"a\\.b\x22"
    assert values["namespace"] == "ml"


def test_pods_are_in_the_namespace_that_file_or_flag_says_or_in_any() -> None:
    unplaced, arm = replace(POLICY, namespace="default", is_placed=False), Selected("stable", pods="a-.+")
    named = replace(arm, names={"namespace": "staging"})
    assert past_arm(arm, POLICY).own_pods == Pods("ml", "a-.+")
    assert past_arm(named, unplaced).own_pods == Pods("staging", "a-.+")
    assert past_arm(arm, unplaced).own_pods is None


@pytest.mark.parametrize(
    ("matchers", "other"),
    [
        ('version="v2"', 'version!="v2"'),
        ('v=~"2|3"', 'v!~"2|3"'),
        ('v!="1"', 'v="1"'),
        ('a="1",b="2"', None),
        ("", None),
    ],
)
def test_everybody_else_is_the_opposite_of_one_matcher(matchers: str, other: str | None) -> None:
    assert opposite(matchers) == other


@pytest.mark.parametrize("text", ['{version="v2"}', ' version = "v2" ', 'version="v2",'])
def test_matchers_may_be_written_with_braces_and_spaces(text: str) -> None:
    assert checked_matchers(text, "--candidate-selector") == 'version="v2"'


def test_what_are_no_matchers_is_refused_with_the_flag() -> None:
    with pytest.raises(MisuseError, match=r"--candidate-selector is 'version: v2'"):
        checked_matchers("version: v2", "--candidate-selector")


def test_the_label_of_pods_is_found_in_selectors_and_in_expressions() -> None:
    found = pod_labels(
        analysis(
            metric(),
            {**value('avg(x{kubernetes_pod=~"{{ pods }}"})'), "name": "v"},
            {**value('x{arm="{{ arm }}"}'), "name": "w"},
        )
    )
    assert found == {"errors": "pod", "v": "kubernetes_pod"}
