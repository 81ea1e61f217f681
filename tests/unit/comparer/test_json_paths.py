"""Parts of a JSON value, found, taken out and blacked out."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.comparer.json_paths import blacked_out, find, keys, without

BODY = {"a": {"odd key": 1, "list": [{"x": 1}, {"x": 2, "y": 3}]}, "b": None}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [BODY]),
        ("$.a['odd key']", [1]),
        ("$.a.list[1].y", [3]),
        ("$.a.list[*].x", [1, 2]),
        ("$.a.list[*].y", [3]),
        ("$.b", [None]),
        ("$.b.c", []),
        ("$.a.list[7]", []),
        ("$.a[0]", []),
        ("$.a[*][0].x", [1]),
    ],
)
def test_finds_all_parts_that_a_path_leads_to(path: str, found: list[Any]) -> None:
    assert find(keys(path), BODY) == found


def test_takes_parts_out_and_leaves_the_value_as_it_was() -> None:
    taken = without([keys("$.a.list[*].x"), keys("$.a['odd key']"), keys("$.c")], BODY)
    assert taken == {"a": {"list": [{}, {"y": 3}]}, "b": None}
    assert BODY["a"]["list"][0] == {"x": 1}  # type: ignore[index]


def test_takes_one_entry_out_of_a_list() -> None:
    assert without([keys("$[0]")], [1, 2]) == [2]


def test_blacks_parts_out() -> None:
    assert blacked_out([keys("$.a.list[*].x"), keys("$.b")], BODY) == {
        "a": {"odd key": 1, "list": [{"x": "(redacted)"}, {"x": "(redacted)", "y": 3}]},
        "b": "(redacted)",
    }
