"""Exposures are a lattice, and on plain weights each of its rules is the one of whole numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.traffic.exposure import EVERYBODY, NOBODY, Exposure, Match

PERCENT = st.integers(0, 100)
FINE = PERCENT | st.fractions(0, 100, max_denominator=10_000)
MATCHES = st.frozensets(st.sampled_from([Match("x-preview", "1"), Match("x-tenant", "a"), Match("x-tenant", "b")]))
EXPOSURES = st.builds(Exposure, PERCENT | st.sampled_from([0, 100]), FINE, MATCHES)
ALL_WEIGHTS = range(101)


# A lattice


@given(EXPOSURES)
def test_nobody_is_below_and_everybody_above_all(one: Exposure) -> None:
    assert NOBODY <= one <= EVERYBODY
    assert (one & NOBODY, one | NOBODY) == (NOBODY, one)
    assert (one & EVERYBODY, one | EVERYBODY) == (one, EVERYBODY)


@given(EXPOSURES, EXPOSURES, EXPOSURES)
def test_order_is_reflexive_antisymmetric_and_transitive(a: Exposure, b: Exposure, c: Exposure) -> None:
    assert a <= a
    assert not (a <= b and b <= a) or a == b
    assert not (a <= b and b <= c) or a <= c


@given(EXPOSURES, EXPOSURES)
def test_one_is_less_than_another_that_exposes_more(a: Exposure, b: Exposure) -> None:
    assert (a < b) == (a <= b and a != b)


@given(EXPOSURES, EXPOSURES, EXPOSURES)
def test_both_is_the_most_that_is_within_each(a: Exposure, b: Exposure, c: Exposure) -> None:
    assert a & b <= a
    assert a & b <= b
    assert (c <= a and c <= b) == (c <= a & b)


@given(EXPOSURES, EXPOSURES, EXPOSURES)
def test_either_is_the_least_that_holds_each(a: Exposure, b: Exposure, c: Exposure) -> None:
    assert a <= a | b
    assert b <= a | b
    assert (a <= c and b <= c) == (a | b <= c)


@given(EXPOSURES, EXPOSURES)
def test_order_is_told_by_both_and_by_either(a: Exposure, b: Exposure) -> None:
    assert (a <= b) == (a & b == a) == (a | b == b)
    assert (a & b, a | b) == (b & a, b | a)


# As the whole numbers were


def test_every_rule_about_weights_is_that_of_whole_numbers() -> None:
    for live, wanted in product(ALL_WEIGHTS, repeat=2):
        a, b = Exposure(live), Exposure(wanted)
        assert (b <= a, b < a, a == b) == (wanted <= live, wanted < live, live == wanted)  # never rises
        assert ((a & b).weight, (a | b).weight) == (min(live, wanted), max(live, wanted))
        assert (b if b <= a else a & b) == Exposure(wanted if wanted <= live else live)  # what is effective
        assert (NOBODY < a <= b) == (0 < live <= wanted)  # has traffic at its step


@pytest.mark.parametrize("weight", ALL_WEIGHTS)
def test_both_ends_of_the_weights_are_nobody_and_everybody(weight: int) -> None:
    assert (Exposure(weight) == NOBODY, Exposure(weight) == EVERYBODY) == (weight == 0, weight == 100)
    assert Exposure(weight).share == weight / 100
    assert str(Exposure(weight)) == f"{weight} %"


@pytest.mark.parametrize("wrong", [{"weight": -1}, {"weight": 101}, {"mirror": -1}, {"mirror": 101}])
def test_percent_is_from_0_to_100(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="percent"):
        Exposure(**wrong)


# Copies, and who asks


def test_copies_and_those_who_ask_add_nothing_to_everybody() -> None:
    assert Exposure(100, 50, frozenset({Match("x-preview", "1")})) == EVERYBODY


def test_exposure_is_told_in_words() -> None:
    asked = frozenset({Match("x-preview", "1"), Match("x-beta", "yes")})
    assert str(Exposure(mirror=50)) == "a copy of 50 %"
    assert str(Exposure(mirror=Fraction(1, 2))) == "a copy of 0.5 %"
    assert (
        str(Exposure(5, 10, asked))
        == "5 % and a copy of 10 % and who asks with x-beta: yes and who asks with x-preview: 1"
    )


def test_a_header_is_the_same_in_upper_and_lower_case() -> None:
    assert Match("X-Preview", "Yes") == Match("x-preview", "Yes") != Match("x-preview", "yes")


@given(st.sampled_from(["x-preview", "Cookie"]), st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_a_match_is_read_as_it_was_written(header: str, value: str) -> None:
    if value.isprintable():
        assert Match.parse(str(Match(header, value))) == Match(header, value)


@pytest.mark.parametrize("text", ["", "x-preview", ": 1", "x-preview:1", "x-preview: a\nb"])
def test_a_text_that_is_no_match_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="header and its value"):
        Match.parse(text)


def test_many_values_of_one_header_are_counted_and_not_named() -> None:
    buckets = frozenset(Match("x-bucket", f"b{number}") for number in range(10))
    assert str(Exposure(asked=buckets)) == "who asks with x-bucket: one of 10 values"
    assert str(Exposure(asked=buckets | {Match("a", "b")})).startswith("who asks with a: b and who asks with x-bucket")
