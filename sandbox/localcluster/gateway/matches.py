"""An HTTPRoute's matches in Envoy's words, and which of two matches goes first. Pure."""

from __future__ import annotations

import re
from typing import Any

from localcluster.gateway.backends import Object

_PATH_ORDER = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}
# Python knows these and Envoy's RE2 does not: look-around, back references, atomic and possessive groups, some escapes.
# One such expression would make Envoy refuse the routes of everybody, so they are found before.
_NOT_IN_RE2 = re.compile(r"\(\?(?:[=!>(]|<[=!]|P=)|\\[1-9ZuUN]|[*+?}]\+")


def precedence(match: Object) -> tuple[int, int, bool, int, int]:
    """The smaller goes first: exact path, longest prefix, a method, most headers, most query parameters."""
    kind, value = _path(match)
    return (
        _PATH_ORDER[kind],
        -len(value),
        not match.get("method"),
        -len(match.get("headers") or ()),
        -len(match.get("queryParams") or ()),
    )


def envoy_match(match: Object) -> dict[str, Any]:
    """An `envoy.config.route.v3.RouteMatch`."""
    headers = _headers(match)
    queries = [{"name": query["name"], "string_match": _text(query)} for query in match.get("queryParams") or ()]
    return {
        **_path_match(match),
        **({"headers": headers} if headers else {}),
        **({"query_parameters": queries} if queries else {}),
    }


def bad_expression(match: Object) -> str | None:
    """A regular expression in it that Envoy would refuse."""
    fields = [match.get("path") or {}, *(match.get("headers") or ()), *(match.get("queryParams") or ())]
    texts = (f.get("value", "") for f in fields if f.get("type") == "RegularExpression")
    return next((text for text in texts if not _is_re2(text)), None)


def _path(match: Object) -> tuple[str, str]:
    path = match.get("path") or {}
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    return kind, (value.rstrip("/") or "/") if kind == "PathPrefix" else value


def _path_match(match: Object) -> dict[str, Any]:
    match _path(match):
        case "Exact", value:
            return {"path": value}
        case "RegularExpression", value:
            return {"safe_regex": {"regex": value}}
        case _, "/":
            return {"prefix": "/"}
        case _, value:  # /foo is /foo and /foo/bar, not /foobar
            return {"path_separated_prefix": value}


def _headers(match: Object) -> list[dict[str, Any]]:
    method = [{"name": ":method", "string_match": {"exact": match["method"]}}] if match.get("method") else []
    return method + [
        {"name": header["name"], "string_match": _text(header)} for header in _first_of_each(match.get("headers"))
    ]


def _first_of_each(fields: list[Object] | None) -> list[Object]:
    """Of several with one name only the first counts; header names know no case."""
    seen: dict[str, Object] = {}
    for field in fields or ():
        seen.setdefault(field["name"].lower(), field)
    return list(seen.values())


def _text(field: Object) -> dict[str, Any]:
    if field.get("type") == "RegularExpression":
        return {"safe_regex": {"regex": field["value"]}}
    return {"exact": field["value"]}


def _is_re2(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return not _NOT_IN_RE2.search(text)
