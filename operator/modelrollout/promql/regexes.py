"""Regular expressions as Prometheus matches labels with them: those of RE2, anchored at both ends. Pure.

Google's RE2 is the engine, and Go's, which Prometheus uses, is its twin. Either takes time in proportion to the value,
whatever the expression; here memory has a bound, too.

Sources: https://github.com/google/re2/wiki/Syntax and https://prometheus.io/docs/prometheus/latest/querying/basics/
(since Prometheus 3 `.` is any character, a newline too).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

MOST_MEMORY = 1 << 20
"""Bytes for one compiled expression. One that lists 20,000 pods by their names fits."""


class RegexError(ValueError):
    """A text is no expression of RE2, or one that takes too much memory; the message says why."""


@lru_cache(maxsize=256)  # 256 MiB, should each be as hostile as can be; an ordinary one takes a few KiB
def compiled(expression: str) -> Any:
    """A pattern of google-re2. Raises RegexError."""
    options = re2.Options()
    options.max_mem = MOST_MEMORY
    options.dot_nl = True
    options.log_errors = False  # to stderr; we raise them
    try:
        return re2.compile(expression, options)
    except UnicodeEncodeError:
        raise RegexError(f"{expression!r} is no text") from None
    except re2.error as error:
        raise RegexError(f"{expression!r} is no regular expression of RE2: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    (reason,) = error.args
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


@lru_cache(maxsize=16_384)  # a few hundred values come back for each of thousands of series
def matches(expression: str, value: str) -> bool:
    """Whether Prometheus' `=~` holds. Raises RegexError."""
    text = value.encode(errors="replace")  # half a character, which no Prometheus sends, is a question mark
    return compiled(expression).fullmatch(text) is not None
