"""What of a history is told at an apply, and how much of it."""

from __future__ import annotations

from modelrollout.analysis.sensitivity.unlike_pods import NO_HISTORY
from modelrollout.analysis.sensitivity.unlike_users import REMARK
from modelrollout.api.status import UsualMetric
from modelrollout.plan import foresight
from modelrollout.plan.foresight import LONGEST_WARNING, MOST_WARNINGS, cut_to_limits, in_sentences, queries_to_ask
from modelrollout.rollout.rollout import parse
from tests import builders
from tests.fakes.applied import NOON, applied, serving


def usual(metric: str = "errors", *, is_blind: bool = False, note: str | None = None) -> UsualMetric:
    return UsualMetric(metric=metric, mode="Plain", basis="", sees=f"{metric}: little", is_blind=is_blind, note=note)


def test_only_what_cannot_see_a_doubling_is_told() -> None:
    assert in_sentences([usual(), usual("accuracy", is_blind=True)]) == ("accuracy: little",)


def test_notes_follow_with_the_metric_that_they_are_of() -> None:
    found = in_sentences([usual(note="pods differ"), usual("accuracy", is_blind=True)])
    assert found == ("accuracy: little", "errors: pods differ")


def test_what_is_unlike_is_told_whole_in_a_warning_each() -> None:
    found = in_sentences([usual(note=f"{NO_HISTORY}; {REMARK}")])
    assert found == (f"errors: {NO_HISTORY}", f"errors: {REMARK}")


def test_a_metric_of_which_nothing_is_known_is_not_told() -> None:
    assert in_sentences([UsualMetric(metric="errors", mode="Assumed", basis="", is_blind=True)]) == ()


def test_long_sentences_are_cut_where_kubernetes_would() -> None:
    assert cut_to_limits(["a" * LONGEST_WARNING]) == ("a" * LONGEST_WARNING,)
    (short,) = cut_to_limits(["a" * (LONGEST_WARNING + 1)])
    assert len(short) == LONGEST_WARNING
    assert short.endswith("a…")


def test_of_many_sentences_the_last_says_how_many_are_left_out() -> None:
    assert len(cut_to_limits(["a"] * MOST_WARNINGS)) == MOST_WARNINGS
    found = cut_to_limits(["a"] * (MOST_WARNINGS + 3))
    assert len(found) == MOST_WARNINGS
    assert found[-1].startswith("4 more like these")


def test_stable_is_asked_for_and_only_of_what_can_be_counted() -> None:
    value = {"name": "accuracy", "value": 'accuracy{pod=~"{{ pods }}"}', "betterWhen": "higher"}
    new = applied(
        analysis={"interval": "15s", "metrics": [builders.ERRORS, {**value, "tolerance": {"absolute": "1%"}}]}
    )
    (query,) = queries_to_ask(parse(new, {}), new, serving(), NOON)
    assert (query.metric, query.arm, query.end) == ("errors", "history", NOON)
    assert serving()["status"]["stable"]["workload"] in query.promql


def test_without_answers_nothing_is_told() -> None:
    new = applied()
    queries = queries_to_ask(parse(new, {}), new, serving(), NOON)
    assert foresight.warnings(parse(new, {}), queries, {}) == ()
