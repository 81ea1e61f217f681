"""Texts of PromQL: what stands between quotes, what it means, and how any text is put there. Pure.

Source: promql/parser/lex.go and util/strutil/quote.go of Prometheus; their escapes are those of Go.
"""

from __future__ import annotations

import re

STRING = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`""", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:(?P<letter>[abfnrtv\\])|(?P<quote>[\"'])|x(?P<x>[\da-fA-F]{2})|(?P<octal>[0-7]{3})"
    r"|u(?P<u>[\da-fA-F]{4})|U(?P<U>[\da-fA-F]{8})|.)",
    re.DOTALL | re.ASCII,
)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


class TextError(ValueError):
    """What stands between the quotes is no text."""


def unquoted(text: str) -> str:
    """The meaning of a text in double, single or back quotes. Raises TextError."""
    quote, inner = text[0], text[1:-1]
    if quote == "`":
        return inner
    read, at = b"", 0
    try:
        for found in _ESCAPE.finditer(inner):
            read += inner[at : found.start()].encode() + _meant(found, quote)
            at = found.end()
        return (read + inner[at:].encode()).decode()
    except ValueError as error:  # no such character, half of one, or bytes that are no text
        raise TextError(f"{text} is no text of PromQL") from error


def _meant(escape: re.Match[str], quote: str) -> bytes:
    """The bytes that an escape stands for; \\x and octal ones are bytes, and may be parts of a character."""
    if letter := escape["letter"]:
        return _LETTERS[letter].encode()
    if escape["quote"] == quote:
        return quote.encode()
    if digits := escape["u"] or escape["U"]:
        return chr(int(digits, 16)).encode()
    if escape["x"]:
        return bytes([int(escape["x"], 16)])
    if escape["octal"]:
        return bytes([int(escape["octal"], 8)])
    raise ValueError(escape[0])


def quoted(text: str) -> str:
    """The text in double quotes."""
    return f'"{"".join(map(_written, text))}"'


def _written(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    if character < " " or character == "\x7f":
        return f"\\x{ord(character):02x}"
    return r"\ufffd" if character == "\ufffd" else character  # which the lexer takes for broken text


def as_regex(text: str) -> str:
    """The text as an RE2 expression that matches only it. `[.]`, unlike `\\.`, reads alike in every kind of quotes."""
    return re.sub(r"[.+*?()|{}$]|[\\^\[\]]", lambda found: _literally(found[0]), text)


def _literally(character: str) -> str:
    return f"\\{character}" if character in "\\^[]" else f"[{character}]"


_IN_EITHER = {"\\": r"\\", "\n": r"\n", '"': r"\x22", "'": r"\x27", "`": r"\x60"}


def in_quotes(text: str) -> str:
    r"""The text as it is written between PromQL's single or double quotes.

    Quotes as \x22 and \x27: PromQL refuses \' between double quotes and \" between single ones (strutil.Unquote).
    """
    return "".join(_IN_EITHER.get(character, character) for character in text)
