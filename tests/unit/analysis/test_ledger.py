"""The state of tests, as text in a status that is anybody's to edit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelrollout.analysis.evidence import ledger

numbers = st.floats(-1e249, 1e249, width=64)
ledgers = st.dictionaries(
    st.text(alphabet='ab.é{}"'), arrays(np.float64, st.integers(0, 5), elements=numbers), max_size=4
)


@given(ledgers)
def test_what_was_written_is_read_to_the_last_bit(kept: dict[str, ledger.Floats]) -> None:
    found = ledger.read(ledger.write(kept))
    assert found.keys() == kept.keys()
    assert all(found[name].tobytes() == kept[name].tobytes() for name in kept)


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e250, -1e300])
def test_numbers_that_no_test_has_make_a_state_unreadable(number: float) -> None:
    assert ledger.read(ledger.write({"tolerance.harm": np.array([0.5, number])})) == {}


def test_the_same_state_is_the_same_text_whatever_the_order_of_its_names() -> None:
    one, two = np.array([1.0]), np.array([2.0, -np.inf])
    assert ledger.write({"a": one, "b": two}) == ledger.write({"b": two, "a": one})


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    assert isinstance(ledger.read(text), dict)


@given(ledgers, st.integers(0, 200), st.text(max_size=3))
def test_a_text_that_was_cut_or_changed_is_borne(kept: dict[str, ledger.Floats], at: int, more: str) -> None:
    text = ledger.write(kept)
    for edited in (text[:at], text[:at] + more + text[at:], text[:at] + more + text[at + 1 :]):
        assert all(not np.isnan(one).any() for one in ledger.read(edited).values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}x",
        "[]",
        '{"a":1}',
        '{"a":2}AAAAAAAA8D8=',
        '{"a":-1,"b":2}AAAAAAAA8D8=',
        '{"a":1.0}AAAAAAAA8D8=',
        '{"a":"1"}AAAAAAAA8D8=',
        '{"a":true}AAAAAAAA8D8=',
        '{"a":null}',
        '{"a":1}AAAAAAAA+H8=',
        '{"a":[1]}AAAAAAAA8D8=',
    ],
)
def test_what_is_no_state_is_an_empty_one(text: str) -> None:
    assert ledger.read(text) == {}


def test_brackets_without_an_end_are_borne() -> None:
    assert ledger.read("[" * 100_000) == {}
