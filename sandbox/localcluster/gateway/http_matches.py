"""An HTTPRoute's matches in Envoy's words, and which of two matches goes first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcluster.gateway import matches
from localcluster.gateway.backends import Object

EVERYTHING: Object = {"path": {"type": "PathPrefix", "value": "/"}}
_PATH_ORDER = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}


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
    method = [{"name": ":method", "string_match": {"exact": match["method"]}}] if match.get("method") else []
    headers = method + matches.header_matchers(match)
    queries = [
        {"name": query["name"], "string_match": matches.string_match(query)} for query in match.get("queryParams") or ()
    ]
    return {
        **_path_match(match),
        **({"headers": headers} if headers else {}),
        **({"query_parameters": queries} if queries else {}),
    }


def expressions(match: Object) -> Iterator[str]:
    """Every regular expression in it."""
    fields = [match.get("path") or {}, *(match.get("headers") or ()), *(match.get("queryParams") or ())]
    return matches.expressions(fields)


def prefix(match: Object) -> str | None:
    """The path prefix that it asks for, empty for every path; None when it asks for a path in another way."""
    kind, value = _path(match)
    return value.rstrip("/") if kind == "PathPrefix" else None


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
