"""RE2 expressions, as Prometheus matches labels with them, evaluated by Python's `re`. Pure.

An expression is read token by token and written anew for Python. What the two engines read differently is refused, and
so is what Python, which tries one way after the other, could take very long over: RE2 never does. Refusing costs one
query more; a wrong match would count a request twice, or not at all.

Sources: https://pkg.go.dev/regexp/syntax and https://prometheus.io/docs/prometheus/latest/querying/basics/ (anchored at
both ends; `.` is any character, a newline too, since Prometheus 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

DEEPEST = 20  # groups inside one another
LONGEST = 1_000  # of a counted repetition; RE2 refuses more
MANY = 100  # ways in which a repetition may divide a value of some length
MOST_WAYS = 100_000  # that Python may have to try for one value

_QUANTIFIER = re.compile(r"[*+?]|\{(0|[1-9]\d{0,3})(,(0|[1-9]\d{0,3})?)?\}", re.ASCII)
_LETTERS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}  # ASCII, and \s without \v: not what Python's own are
_ANCHORS = {"A": r"\A", "z": r"\Z", "b": r"\b"}


class UnclearRegex(ValueError):  # noqa: N818 - it may be a fine expression; it is only not for us to evaluate
    """Python would read the expression differently from RE2, take too long over it, or it is no expression at all."""


@lru_cache(maxsize=1_024)
def compiled(expression: str) -> re.Pattern[str]:
    """A pattern whose `fullmatch` says of a label's value what Prometheus would say. Raises UnclearRegex."""
    pattern = _Reader(expression).whole()
    try:
        return re.compile(pattern, re.DOTALL | re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:  # pragma: no cover - what is written anew is well-formed
        raise UnclearRegex(f"{expression!r} cannot be evaluated here: {error}") from error


@lru_cache(maxsize=16_384)  # a few hundred values come back for each of thousands of series
def matches(expression: str, value: str) -> bool:
    """Whether Prometheus' `=~` holds. Raises UnclearRegex."""
    return compiled(expression).fullmatch(value) is not None


def is_clear(expression: str) -> bool:
    """Whether `matches` can say."""
    try:
        compiled(expression)
    except UnclearRegex:
        return False
    return True


def literally(text: str) -> str:
    """The text as an expression that matches only it."""
    return re.sub(r"[.+*?()|\[\]{}^$\\]", r"\\\g<0>", text)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the pattern, and in how many ways it may match; an anchor must not be repeated."""

    text: str
    ways: int = 1
    is_anchor: bool = False


class _Reader:
    """Reads the expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self) -> str:
        part = self._alternatives(0)
        if self._at < len(self._text):
            raise self._unclear("a closing parenthesis too many")
        if part.ways > MOST_WAYS:
            raise self._unclear("too many ways to match")
        return part.text

    def _unclear(self, why: str) -> UnclearRegex:
        return UnclearRegex(f"{self._text!r} cannot be evaluated here: {why}")

    def _took(self, wanted: str) -> bool:
        if not self._text.startswith(wanted, self._at):
            return False
        self._at += len(wanted)
        return True

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._unclear("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self, depth: int) -> _Part:
        if depth > DEEPEST:
            raise self._unclear("groups in groups in groups")
        branches = [self._sequence(depth)]
        while self._took("|"):
            branches.append(self._sequence(depth))
        return _Part("|".join(branch.text for branch in branches), sum(branch.ways for branch in branches))

    def _sequence(self, depth: int) -> _Part:
        text, ways = "", 1
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._repeated(self._atom(depth))
            text += part.text
            ways = min(ways * part.ways, MOST_WAYS + 1)
        return _Part(text, ways)

    def _repeated(self, part: _Part) -> _Part:
        found = _QUANTIFIER.match(self._text, self._at)
        if not found:
            return part
        self._at = found.end()
        self._took("?")  # lazy: another order of trying, the same answer
        if part.is_anchor:
            raise self._unclear("an anchor that is repeated")
        if _QUANTIFIER.match(self._text, self._at):
            raise self._unclear("a repetition that is repeated")
        least, most = _counts(found)
        if max(least, most or 0) > LONGEST or (most is not None and most < least):
            raise self._unclear("a repetition that RE2 refuses")
        if most is not None and most <= 1:
            return _Part(part.text + found[0], part.ways + 1)
        if part.ways > 1:
            raise self._unclear("choices that are repeated")
        return _Part(part.text + found[0], 1 if most == least else MANY)

    def _atom(self, depth: int) -> _Part:
        match character := self._next():
            case "(":
                return self._group(depth)
            case "[":
                return _Part(self._set())
            case "\\":
                return self._escaped()
            case ".":
                return _Part(".")
            case "^":
                return _Part(r"\A", is_anchor=True)
            case "$":
                return _Part(r"\Z", is_anchor=True)  # Python's own $ also stands before a newline at the end
            case "*" | "+" | "?" | "{":
                raise self._unclear(f"{character!r} with nothing to repeat")
            case _:
                return _Part(re.escape(character))

    def _group(self, depth: int) -> _Part:
        if not self._took("?:") and self._took("?"):
            raise self._unclear("flags and named groups are not the same in both")
        inner = self._alternatives(depth + 1)
        if not self._took(")"):
            raise self._unclear("a parenthesis that is not closed")
        return _Part(f"(?:{inner.text})", inner.ways)

    def _escaped(self) -> _Part:
        character = self._next()
        if character in _ANCHORS:
            return _Part(_ANCHORS[character], is_anchor=True)
        if character.lower() in _CLASSES:
            return _Part(f"[{'^' if character.isupper() else ''}{_CLASSES[character.lower()]}]")
        return _Part(re.escape(self._literal(character)))

    def _literal(self, character: str) -> str:
        """The character that stands after a backslash."""
        if character in _LETTERS:
            return _LETTERS[character]
        if character == "x" and (
            found := re.compile(r"([\da-fA-F]{2})|\{([\da-fA-F]{1,6})\}").match(self._text, self._at)
        ):
            self._at = found.end()
            code = int(found[1] or found[2], 16)
            if code <= 0x10FFFF:
                return chr(code)
        if not character.isascii() or character.isalnum():
            raise self._unclear(f"\\{character} is not the same in both")
        return character

    def _set(self) -> str:
        text = "[^" if self._took("^") else "["
        is_first = True
        while is_first or not self._took("]"):
            is_first = False
            text += self._member()
        return text + "]"

    def _member(self) -> str:
        character = self._next()
        if character == "[" and self._text.startswith(":", self._at):
            raise self._unclear("[:classes:] are not known to Python")
        if character == "\\":
            character = self._next()
            if character in _CLASSES:
                return _CLASSES[character]
            character = self._literal(character)  # not \D, \W and \S: a letter that stands for nothing else
        if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
            return re.escape(character)
        self._at += 1
        end = self._next()
        if end == "\\":
            end = self._literal(self._next())
        if end < character:
            raise self._unclear("a range that runs backwards")
        return f"{re.escape(character)}-{re.escape(end)}"


def _counts(quantifier: re.Match[str]) -> tuple[int, int | None]:
    """At least, and at most, how often; None without an end."""
    match quantifier[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case _:
            least = int(quantifier[1])
            if quantifier[2] is None:
                return least, least
            return least, int(quantifier[3]) if quantifier[3] else None
