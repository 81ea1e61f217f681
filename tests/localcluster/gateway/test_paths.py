"""Redirects and rewrites: which address comes of them, by expressions that Python reads as Envoy does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from localcluster.gateway.paths import lacks_prefix, redirect, rewrite


def prefix(value: str) -> dict[str, Any]:
    return {"path": {"type": "PathPrefix", "value": value}}


def rewritten(path: str, match: dict[str, Any], **change: str) -> str:
    """The path that Envoy would ask the backend for."""
    change = {"type": next(iter(change))[0].upper() + next(iter(change))[1:], **change}
    made = rewrite([{"type": "URLRewrite", "urlRewrite": {"path": change}}], match)["regex_rewrite"]
    return str(re.sub(made["pattern"]["regex"], made["substitution"], path))


@pytest.mark.parametrize(
    ("path", "matched", "replacement", "expected"),
    [  # HTTPPathModifier in the Gateway API's reference
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo/foo", "/foo", "/", "/foo"),
        ("/bar", "/", "/xyz", "/xyz/bar"),
    ],
)
def test_a_prefix_is_replaced_as_the_gateway_api_says(path: str, matched: str, replacement: str, expected: str) -> None:
    assert rewritten(path, prefix(matched), replacePrefixMatch=replacement) == expected


def test_a_full_path_is_replaced_whole() -> None:
    assert rewritten("/foo/bar", prefix("/"), replaceFullPath=r"/one\1") == r"/one\1"


def test_a_hostname_is_rewritten_alone() -> None:
    asked = [{"type": "URLRewrite", "urlRewrite": {"hostname": "other.example"}}]
    assert rewrite(asked, prefix("/")) == {"host_rewrite_literal": "other.example"}
    assert rewrite([], prefix("/")) == {}


def test_a_redirect_changes_what_it_names_and_answers_302_unless_it_says_otherwise() -> None:
    whole = {"scheme": "https", "hostname": "other.example", "port": 8443, "statusCode": 308}
    assert redirect([{"type": "RequestRedirect", "requestRedirect": whole}], prefix("/")) == {
        "redirect": {
            "scheme_redirect": "https",
            "host_redirect": "other.example",
            "port_redirect": 8443,
            "response_code": "PERMANENT_REDIRECT",
        }
    }
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}
    assert redirect([{"type": "RequestRedirect", "requestRedirect": {"path": path}}], prefix("/v1")) == {
        "redirect": {
            "regex_rewrite": {"pattern": {"regex": "^/v1"}, "substitution": "/v2"},
            "response_code": "FOUND",
        }
    }
    assert redirect([], prefix("/")) == {}


def test_a_prefix_can_be_replaced_only_where_one_is_matched() -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}
    asked = [{"type": "URLRewrite", "urlRewrite": {"path": path}}]
    assert not lacks_prefix(asked, [prefix("/a"), {}])
    assert lacks_prefix(asked, [prefix("/a"), {"path": {"type": "Exact", "value": "/b"}}])
    assert not lacks_prefix([], [{"path": {"type": "Exact", "value": "/b"}}])
