"""The parts that matches of all kinds of routes share, for Envoy: headers and texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from localcluster.gateway.backends import Object

# Python knows these and Envoy's RE2 does not: look-around, back references, atomic and possessive groups, some escapes.
# One such expression would make Envoy refuse the routes of everybody, so they are found before.
_NOT_IN_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9ZuUN]|[*+?}]\+")


def header_matchers(match: Object) -> list[dict[str, Any]]:
    """Of several headers with one name only the first counts; names ignore case."""
    seen: dict[str, Object] = {}
    for header in match.get("headers") or ():
        seen.setdefault(header["name"].lower(), header)
    return [{"name": header["name"], "string_match": string_match(header)} for header in seen.values()]


def string_match(field: Object) -> dict[str, Any]:
    if field.get("type") == "RegularExpression":
        return {"safe_regex": {"regex": field["value"]}}
    return {"exact": field["value"]}


def expressions(fields: Iterable[Object]) -> Iterator[str]:
    """The regular expressions among values."""
    return (field.get("value", "") for field in fields if field.get("type") == "RegularExpression")


def is_re2(text: str) -> bool:
    """Whether Envoy would take the expression, as far as that can be told from its form."""
    try:
        re.compile(text)
    except re.error:
        return False
    return not _NOT_IN_RE2.search(text)
