"""Whether two answers agree."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.compare import Agreement
from modelrollout.comparer.agreement import NotComparable, Reason, Rules, disagreement


def why(stable: Any, candidate: Any, **agreement: Any) -> Reason | None:
    return disagreement(Rules.of(Agreement.model_validate(agreement)), stable, candidate)


def test_equal_bodies_agree_whatever_the_order_of_their_fields() -> None:
    assert why({"label": 3, "scores": [0.1, 0.9]}, {"scores": [0.1, 0.9], "label": 3}) is None


@pytest.mark.parametrize(
    ("stable", "candidate", "reason"),
    [
        ({"a": 1}, {"b": 1}, Reason.FIELDS),
        ([1, 2], [1], Reason.LENGTH),
        ({"a": "x"}, {"a": "y"}, Reason.VALUE),
        ({"a": 1}, {"a": 2}, Reason.NUMBER),
        ({"a": "1"}, {"a": 1}, Reason.TYPE),
        ({"a": True}, {"a": 1}, Reason.TYPE),
        ({"a": True}, {"a": False}, Reason.VALUE),
        ({"a": None}, {"a": 0}, Reason.TYPE),
        ({"a": [{"b": "x"}]}, {"a": [{"b": "y"}]}, Reason.VALUE),
        ("yes", "no", Reason.VALUE),
        (b"\xff", b"\xfe", Reason.VALUE),
    ],
)
def test_says_how_two_bodies_differ(stable: Any, candidate: Any, reason: Reason) -> None:
    assert why(stable, candidate) is reason


def test_only_the_part_that_the_path_names_counts() -> None:
    assert why({"label": 3, "ms": 5}, {"label": 3, "ms": 9}, path="$.label") is None
    assert why({"label": 3, "ms": 5}, {"label": 4, "ms": 5}, path="$.label") is Reason.NUMBER


def test_a_part_that_the_candidate_lacks_is_missing() -> None:
    assert why({"label": 3}, {"labels": [3]}, path="$.label") is Reason.MISSING


def test_a_path_that_leads_nowhere_in_stable_says_nothing() -> None:
    with pytest.raises(NotComparable, match="path_not_found"):
        why({"label": 3}, {"label": 3}, path="$.lable")


def test_the_same_number_written_as_an_integer_agrees() -> None:
    assert why({"a": 1}, {"a": 1.0}) is None


def test_what_servers_add_does_not_count_unless_it_is_asked_for() -> None:
    one, other = {"id": "a", "model": "m:1", "label": 1}, {"id": "b", "model": "m:2", "label": 1}
    assert why(one, other) is None
    assert why(one, other, ignore=[]) is Reason.VALUE


def test_ignored_parts_may_lie_deep_and_be_lacking() -> None:
    one = {"items": [{"at": 1, "label": "x"}, {"at": 2, "label": "y"}]}
    other = {"items": [{"label": "x"}, {"at": 7, "label": "y"}]}
    assert why(one, other, ignore=["$.items[*].at"]) is None


@pytest.mark.parametrize(
    ("tolerance", "candidate", "agrees"),
    [
        ({"absolute": "0.05"}, 1.04, True),
        ({"absolute": "0.05"}, 1.06, False),
        ({"relative": "10%"}, 0.91, True),
        ({"relative": "10%"}, 0.89, False),
        ({"absolute": "0.05", "relative": "10%"}, 1.14, True),
        ({"relative": "10%"}, float("inf"), False),
        ({"relative": "10%"}, float("nan"), False),
    ],
)
def test_numbers_may_differ_by_the_tolerance(tolerance: dict[str, str], candidate: float, agrees: bool) -> None:
    assert (why({"score": 1.0}, {"score": candidate}, numbers=tolerance) is None) is agrees


def test_two_answers_without_a_number_agree() -> None:
    assert why({"score": float("nan")}, {"score": float("nan")}) is None


def test_an_integer_beyond_all_floats_is_compared_all_the_same() -> None:
    assert why({"a": 10**400}, {"a": 1.5}) is Reason.NUMBER


@pytest.mark.parametrize(
    ("stable", "candidate", "agrees"),
    [
        ([0.1, 0.9, 0.0], [0.3, 0.7, 0.0], True),  # the same best position
        ([0.1, 0.9, 0.0], [0.8, 0.1, 0.1], False),
        ({"cat": 0.9, "dog": 0.1}, {"dog": 0.4, "cat": 0.6}, True),
        ({"cat": 0.9, "dog": 0.1}, {"dog": 0.6, "cat": 0.4}, False),
        (["cat", "dog"], ["cat", "cow"], True),  # in order already
        (["cat", "dog"], ["dog", "cat"], False),
    ],
)
def test_scores_agree_in_their_best_label(stable: Any, candidate: Any, agrees: bool) -> None:
    assert (why({"s": stable}, {"s": candidate}, path="$.s", topK={"k": 1}) is None) is agrees


def test_rankings_share_enough_of_their_first_entries() -> None:
    rule = {"path": "$.found[*].id", "topK": {"k": 4, "overlap": "75%"}}
    found = [{"found": [{"id": one} for one in ids]} for ids in ("abcdx", "dcbe", "abef")]
    assert why(found[0], found[1], **rule) is None
    assert why(found[0], found[2], **rule) is Reason.RANKING


def test_each_ranking_of_a_batch_is_compared() -> None:
    rule = {"path": "$.predictions[*]", "topK": {"k": 1}}
    assert why({"predictions": [[0, 1], [1, 0]]}, {"predictions": [[0, 2], [3, 0]]}, **rule) is None
    assert why({"predictions": [[0, 1], [1, 0]]}, {"predictions": [[0, 2], [0, 3]]}, **rule) is Reason.RANKING


def test_a_rule_for_rankings_says_nothing_about_something_else() -> None:
    with pytest.raises(NotComparable, match="not_a_ranking"):
        why({"label": 3}, {"label": 3}, path="$.label", topK={"k": 1})


@pytest.mark.parametrize(
    ("candidate", "agrees"),
    [
        ("The  quick brown fox jumps over the lazy dog", True),
        ("the quick brown fox leaps over the lazy dog", True),  # six of eight pairs
        ("a dog that is lazy sees the fox", False),
        ("", False),
    ],
)
def test_texts_agree_when_they_share_enough_pairs_of_words(candidate: str, agrees: bool) -> None:
    said = "The quick brown fox jumps over the lazy dog."
    assert (why({"text": said}, {"text": candidate}, text={"similarity": "75%"}) is None) is agrees


def test_texts_without_spaces_are_compared_by_character() -> None:
    assert why("模型回答得很好", "模型回答得很棒", text={"similarity": "80%"}) is None
    assert why("模型回答得很好", "今天天气不错", text={"similarity": "80%"}) is Reason.TEXT


def test_a_text_that_is_json_is_compared_as_json() -> None:
    one, other = {"arguments": '{"city": "Bern", "days": 2}'}, {"arguments": '{"days":2,"city":"Bern"}'}
    assert why(one, other) is None
    assert why(one, {"arguments": '{"days":3,"city":"Bern"}'}) is Reason.NUMBER


def test_bodies_that_are_nested_without_end_say_nothing() -> None:
    deep: Any = 1
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(NotComparable, match="too_deep"):
        why(deep, [[*deep]])
