"""What holds for every selector and every series: nothing is lost on the way, and nothing changes hands."""

from __future__ import annotations

import re

import promql_parser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelrollout.promql.matchers import KEYWORDS, Kind, Matcher, Selector
from modelrollout.promql.regexes import RegexError, compiled, matches
from modelrollout.promql.selectors import SelectorError, histogram_selector, parse, union
from modelrollout.promql.strings import as_regex

KINDS: list[Kind] = ["=", "!=", "=~", "!~"]
LABELS = ["pod", "code", "job"]
SIGNS: dict[str, Kind] = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


def is_expression(text: str) -> bool:
    try:
        compiled(text)
    except RegexError:
        return False
    return True


kinds = st.sampled_from(KINDS)
texts = st.text(st.characters(codec="utf-8"), max_size=8)
label_names = st.one_of(st.sampled_from([*LABELS, "__name__", "on", "le"]), texts.filter(bool))
written = st.one_of(
    st.builds(Matcher, label_names, st.sampled_from(KINDS[:2]), texts),
    st.builds(Matcher, label_names, st.sampled_from(KINDS[2:]), texts.filter(is_expression)),
)
selectors = st.lists(written, min_size=1, max_size=4).map(lambda matchers: Selector(tuple(matchers)))

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
    assert compiled(as_regex(text)).fullmatch(text)
    assert not matches(as_regex(text), text + "x")


@settings(max_examples=400)
@given(st.text("ab.|()^?*+{12\\dws-xn:", max_size=10), st.text("ab1 -\n", max_size=6))
def test_an_expression_means_what_it_means_in_python(expression: str, value: str) -> None:
    """Without what the two read differently: `$`, sets, and braces with a comma (`{,2}` is a text to RE2)."""
    try:
        python = re.compile(expression, re.DOTALL | re.ASCII)
        found = matches(expression, value)
    except (re.error, RegexError):
        return
    assert found == (python.fullmatch(value) is not None)


pieces = st.sampled_from(
    [
        "up",
        "po_d",
        "a:b",
        "on",
        "{",
        "}",
        ",",
        "=",
        "!=",
        "=~",
        "!~",
        "'a'",
        '"a.b"',
        "`\\n`",
        '""',
        r'"\"\x41\n\u00e9"',
        r"'\''",
        " ",
        "\n",
        "# }\n",
        " offset 5m",
        " @ 1",
        "[5m]",
        " or ",
        "(",
        ")",
        "-",
        "1",
        "é",
        ".",
    ]
)
labels = st.sampled_from(["po_d", "on", "'a'", '"a.b"', "__name__"])
parts = st.one_of(
    st.tuples(labels, kinds.map(str), st.sampled_from(["'a'", '"a|b"', '""', "`.`"])).map(" ".join), pieces
)
braced = st.tuples(
    st.sampled_from(["up", ""]), st.lists(parts, max_size=4).map(" , ".join), st.one_of(st.just(""), pieces)
)


@settings(max_examples=1_000)
@given(st.one_of(st.lists(pieces, max_size=8).map("".join), braced.map(lambda found: "{}{{{}}}{}".format(*found))))
@example("up offset 0s")
@example('{"a"="b",c="d",}')
def test_a_text_means_what_a_second_reader_of_promql_finds_in_it(text: str) -> None:
    ours, theirs = read(text), read_by_library(text)
    if theirs is None:  # it also refuses, as Prometheus does, what selects everything
        assert ours is None or all(matcher.accepts("") for matcher in ours.matchers)
    elif len(theirs.named) > 1 or any(name.value == "" for name in theirs.named):
        # It overlooks the second of two names; we take an empty one as a matcher, and not between quotes.
        assert ours is None or ours == theirs
    elif {name.value for name in theirs.named} & KEYWORDS:
        assert ours is None
    else:
        assert ours is not None
        assert sorted(map(str, ours.matchers)) == sorted(map(str, theirs.matchers))


def read(text: str) -> Selector | None:
    try:
        return parse(text)
    except SelectorError:
        return None


def read_by_library(text: str) -> Selector | None:
    try:
        tree = promql_parser.parse(text)
    except ValueError:
        return None
    if not isinstance(tree, promql_parser.VectorSelector):
        return None
    if tree.offset is not None or tree.at is not None or tree.matchers.or_matchers:
        return None
    name = [Matcher("__name__", "=", tree.name)] if tree.name else []
    return Selector((*name, *(Matcher(each.name, SIGNS[str(each.op)], each.value) for each in tree.matchers.matchers)))
