"""What holds for every selector and every series: nothing is lost on the way, and nothing changes hands."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelrollout.promql.matchers import Kind, Matcher, Selector
from modelrollout.promql.regexes import UnclearRegex, compiled, literally, matches
from modelrollout.promql.selectors import SelectorError, histogram_selector, parse, union

KINDS: list[Kind] = ["=", "!=", "=~", "!~"]
LABELS = ["pod", "code", "job"]

kinds = st.sampled_from(KINDS)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
label_names = st.one_of(st.sampled_from([*LABELS, "__name__", "on", "le"]), texts.filter(bool))
selectors = st.lists(st.builds(Matcher, label_names, kinds, texts), min_size=1, max_size=4).map(
    lambda matchers: Selector(tuple(matchers))
)

# Few values, so that random series are often selected, and by both.
values = st.sampled_from(["", "a", "b", "ab", "a\n", "500", "404"])
expressions = st.sampled_from(["a", "a|b", ".*", ".+", "5..", "[ab]+", "(a|ab)b?", "", "(?i)A"])
names = st.one_of(
    st.builds(Matcher, st.just("__name__"), st.just("="), st.sampled_from(["x", "y", "x.y"])),
    st.builds(Matcher, st.just("__name__"), kinds, st.sampled_from(["x", "x|y", "x.y"])),
)
few = st.builds(Matcher, st.sampled_from(LABELS), kinds, st.one_of(values, expressions))
matchers = st.lists(few, max_size=3)
series = st.fixed_dictionaries(
    {"__name__": st.sampled_from(["x", "y", "xzy", "z"])}, optional=dict.fromkeys(LABELS, values)
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Selector, Selector]:
    """Two selectors that often have something in common, as the two parts of a ratio have."""
    common = draw(matchers)

    def selector() -> Selector:
        own = draw(st.lists(names, min_size=0, max_size=1)) + draw(st.permutations([*common, *draw(matchers)]))
        return Selector(tuple(own)) if own else Selector((draw(names),))

    return selector(), selector()


@given(selectors)
@example(Selector((Matcher("a", "=", "x"), Matcher("__name__", "=", "x"))))
@example(Selector((Matcher("__name__", "=", "x"), Matcher("__name__", "!=", "y"))))
def test_what_is_written_is_read_back(selector: Selector) -> None:
    assert parse(str(selector)) == selector


@given(st.one_of(st.text(max_size=20), st.text("x{}=~!\"'`\\,_a1 \n#", max_size=20)))
def test_any_text_is_a_selector_or_is_refused(text: str) -> None:
    try:
        selector = parse(text)
    except SelectorError:
        assert histogram_selector(text) == text
    else:
        assert parse(str(selector)) == selector


@settings(max_examples=400)
@given(pairs(), st.lists(series, max_size=12))
def test_one_selector_has_all_series_of_both_and_they_can_be_told_apart(
    pair: tuple[Selector, Selector], everything: list[dict[str, str]]
) -> None:
    both = union(*pair)
    if both is None:
        return
    answered = [labels for labels in everything if both.matches(labels)]
    for selector in pair:
        assert [each for each in answered if selector.matches(each)] == [
            each for each in everything if selector.matches(each)
        ]
        assert any(not matcher.accepts("") for matcher in both.matchers) or both in pair


@given(texts)
def test_a_literal_text_is_an_expression_for_itself_alone(text: str) -> None:
    assert compiled(literally(text)).fullmatch(text)
    assert not matches(literally(text), text + "x")


@settings(max_examples=400)
@given(st.text("ab.|()^?*+{1,2}\\dws-xn:", max_size=10), st.text("ab1 -\n", max_size=6))
def test_an_expression_that_is_evaluated_means_in_python_what_was_written(expression: str, value: str) -> None:
    """Without what is translated, `$` and sets: these are held against a real Prometheus."""
    try:
        found = matches(expression, value)
    except UnclearRegex:
        return
    assert found == (re.fullmatch(expression, value, re.DOTALL | re.ASCII) is not None)
