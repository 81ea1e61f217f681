"""Plain PromQL series selectors: read, written, evaluated, and two made into one. Pure.

Plain: a metric name and matchers, and nothing around them (no range, offset, @ or function).
Source: https://prometheus.io/docs/prometheus/latest/querying/basics/ and promql/parser of Prometheus.
"""

from __future__ import annotations

import re
from typing import get_args

from modelrollout.promql.matchers import KEYWORDS, LABEL, METRIC, NAME, Kind, Matcher, Selector
from modelrollout.promql.regexes import RegexError, compiled
from modelrollout.promql.strings import STRING, TextError, as_regex, unquoted

BUCKET = "_bucket"


_SKIP = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_KIND = re.compile(r"=~|!~|!=|=")


class SelectorError(ValueError):
    """A text is no plain selector; the message says where it stops being one."""


def parse(text: str) -> Selector:
    """What Prometheus reads in the text. Raises SelectorError for whatever is no plain selector."""
    reader = _Reader(text)
    name = reader.take(METRIC)
    if name and name.lower() in KEYWORDS:
        raise SelectorError(f"{name!r} is a word of PromQL, not the name of a metric, in {text!r}")
    names = [name] if name else []
    matchers: list[Matcher] = []
    if not names or not reader.is_at_end:
        reader.expect("{")
        while not reader.took("}"):
            found = reader.matcher()
            if isinstance(found, Matcher):
                matchers.append(found)
            else:
                names.append(found)
            if not reader.took(","):
                reader.expect("}")
                break
    if not reader.is_at_end:
        raise reader.error("the end")
    if len(names) > 1 or (names and any(matcher.label == NAME for matcher in matchers)):
        raise SelectorError(f"the metric has two names in {text!r}")
    found_all = (*(Matcher(NAME, "=", name) for name in names), *matchers)
    if not found_all:
        raise SelectorError("a selector without any matcher")
    return Selector(found_all)


class _Reader:
    """Reads tokens from left to right; space and comments between them are nothing."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._skip()

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._text)

    def _skip(self) -> None:
        if found := _SKIP.match(self._text, self._at):
            self._at = found.end()

    def take(self, token: re.Pattern[str]) -> str | None:
        if not (found := token.match(self._text, self._at)):
            return None
        self._at = found.end()
        self._skip()
        return found[0]

    def took(self, token: str) -> bool:
        return self.take(re.compile(re.escape(token))) is not None

    def expect(self, token: str) -> None:
        if not self.took(token):
            raise self.error(repr(token))

    def error(self, wanted: str) -> SelectorError:
        return SelectorError(f"{wanted} is wanted at character {self._at + 1} of {self._text!r}")

    def matcher(self) -> Matcher | str:
        """A matcher, or the metric's name in quotes."""
        quoted = self.take(STRING)
        label = self._meant(quoted) if quoted else self.take(LABEL)
        if not label:
            raise self.error("a label")
        kind = self.take(_KIND)
        if kind is None and quoted:
            return label
        value = self.take(STRING)
        for known in get_args(Kind):
            if kind == known and value is not None:
                return self._made(label, known, self._meant(value))
        raise self.error("=, !=, =~ or !~ and a text in quotes")

    def _made(self, label: str, kind: Kind, value: str) -> Matcher:
        try:
            return Matcher(label, kind, value)
        except RegexError as error:
            raise SelectorError(f"{error} in {self._text!r}") from error

    def _meant(self, text: str) -> str:
        try:
            return unquoted(text)
        except TextError as error:
            raise SelectorError(f"{error} in {self._text!r}") from error


def union(one: Selector, other: Selector) -> Selector | None:
    """One selector of all series of both; which are whose, their `matches` says. None where two queries are better.

    Kept is what both say, and the names of both. That may select more than the two together, but never less. None when
    that would be too much (they have nothing else in common, though they say something else), or when it would not be a
    selector to Prometheus (each needs a matcher that refuses the empty text).
    """
    for wide, narrow in ((one, other), (other, one)):
        if set(wide.matchers) <= set(narrow.matchers):
            return wide
    others = [matcher for matcher in (*one.matchers, *other.matchers) if matcher.label != NAME]
    common = [matcher for matcher in dict.fromkeys(others) if matcher in one.matchers and matcher in other.matchers]
    names = _names(one.named, other.named)
    if names is None or (others and not common):
        return None
    both = Selector((*names, *common))
    return both if any(not matcher.accepts("") for matcher in both.matchers) else None


def _names(one: tuple[Matcher, ...], other: tuple[Matcher, ...]) -> tuple[Matcher, ...] | None:
    if one and set(one) == set(other):
        return one
    if len(one) != 1 or len(other) != 1:
        return None
    try:
        return (Matcher(NAME, "=~", "|".join(_expression(name) for name in (*one, *other))),)
    except RegexError:
        return None


def _expression(name: Matcher) -> str:
    """For one side of `|`. Raises RegexError where it cannot stand there."""
    if name.kind == "=":
        return as_regex(name.value)
    alone = f"(?:{name.value})"
    if name.kind != "=~" or compiled(alone).groupindex:  # the other may have a group of that name, an error in Go
        raise RegexError(f"{name} cannot be one name of two")
    return alone


def histogram_selector(text: str) -> str:
    """The same selector, only of both forms of a histogram: the native `x` and the classic `x_bucket`.

    People write either. What is no plain selector of one metric is left as it is; Prometheus says what is wrong.
    """
    try:
        selector = parse(text)
    except SelectorError:
        return text
    if [name.kind for name in selector.named] != ["="]:
        return text
    base = selector.named[0].value.removesuffix(BUCKET)
    if not base:
        return text
    name = as_regex(base)
    rest = (matcher for matcher in selector.matchers if matcher.label != NAME)
    return str(Selector((Matcher(NAME, "=~", f"{name}|{name}{BUCKET}"), *rest)))
