"""A GRPCRoute's matches in Envoy's words, and which of two matches goes first. Pure.

A call of method M of service S is a request for the path /S/M (grpc.io, PROTOCOL-HTTP2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcluster.gateway import matches
from localcluster.gateway.backends import Object

EVERYTHING: Object = {}
_ANY = "[^/]+"


def precedence(match: Object) -> tuple[int, int, int]:
    """The smaller goes first: longest service, longest method, most headers."""
    _, service, method = _method(match)
    return -len(service), -len(method), -len(match.get("headers") or ())


def envoy_match(match: Object) -> dict[str, Any]:
    """An `envoy.config.route.v3.RouteMatch`, of gRPC requests alone."""
    headers = matches.header_matchers(match)
    return {**_path_match(match), "grpc": {}, **({"headers": headers} if headers else {})}


def expressions(match: Object) -> Iterator[str]:
    """Every regular expression in it."""
    kind, service, method = _method(match)
    if kind == "RegularExpression":
        yield from (text for text in (service, method) if text)
    yield from matches.expressions(match.get("headers") or ())


def _method(match: Object) -> tuple[str, str, str]:
    asked = match.get("method") or {}
    return asked.get("type", "Exact"), asked.get("service", ""), asked.get("method", "")


def _path_match(match: Object) -> dict[str, Any]:
    match _method(match):
        case _, "", "":
            return {"prefix": "/"}
        case "Exact", service, "":
            return {"prefix": f"/{service}/"}
        case "Exact", "", method:  # a name of protobuf: nothing in it means anything to an expression
            return {"safe_regex": {"regex": f"/{_ANY}/{method}"}}
        case "Exact", service, method:
            return {"path": f"/{service}/{method}"}
        case _, service, method:
            return {"safe_regex": {"regex": f"/(?:{service or _ANY})/(?:{method or _ANY})"}}
