"""Every mistake that spec.traffic.gatewayAPI and spec.traffic.grpc can hold, and what is said of it in both voices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.broken import Broken
from tests.builders import GONE

_VALUES = "supported values"


def _http(mistake: str, changes: Mapping[str, Any], path: str, sentence: str, server: str | None = None) -> Broken:
    """A mistake in traffic.gatewayAPI, at a path below it."""
    edits = {f"traffic.gatewayAPI.{field}": value for field, value in changes.items()}
    return Broken(mistake, edits, f"spec.traffic.gatewayAPI{path}", sentence, server)


def _path(mistake: str, path: Mapping[str, Any], sentence: str) -> Broken:
    return _http(mistake, {"matches": [{"path": path}]}, ".matches[0].path", sentence)


def _grpc(mistake: str, changes: Mapping[str, Any], path: str, sentence: str, server: str | None = None) -> Broken:
    """A mistake in traffic.grpc, at a path below it."""
    route = {"parentRefs": [{"name": "inference"}], **changes}
    edits = {"traffic.gatewayAPI": GONE, "traffic.grpc": route}
    return Broken(mistake, edits, f"spec.traffic.grpc{path}", sentence, server)


def _extension(name: str) -> dict[str, Any]:
    return {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "RateLimit", "name": name}}


_TWICE = [{"name": "X-Model", "value": "a"}, {"name": "x-model", "value": "b"}]
_PREFIX_GONE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}

BROKEN_ROUTES = (
    Broken(
        "no Gateway",
        {"traffic.gatewayAPI.parentRefs": []},
        "spec.traffic.gatewayAPI.parentRefs",
        "needs at least 1 element",
        "at least 1 items",
    ),
    Broken(
        "host name in upper case",
        {"traffic.gatewayAPI.hostnames": ["Fraud.example.com"]},
        "spec.traffic.gatewayAPI.hostnames[0]",
        "this is not a host name such as fraud.example.com",
    ),
    Broken(
        "host name twice",
        {"traffic.gatewayAPI.hostnames": ["a.b", "a.b"]},
        "spec.traffic.gatewayAPI.hostnames",
        "each host name may stand here once",
    ),
    _http(
        "a Gateway twice",
        {"parentRefs": [{"name": "inference"}, {"name": "inference", "kind": "Gateway"}]},
        ".parentRefs",
        "two of these name the same parent: give each a sectionName of its own, or remove one",
    ),
    _http(
        "a Gateway and one of its listeners",
        {"parentRefs": [{"name": "inference"}, {"name": "inference", "sectionName": "https"}]},
        ".parentRefs",
        "two of these name the same parent",
    ),
    _http(
        "a Gateway's name in upper case",
        {"parentRefs": [{"name": "A"}]},
        ".parentRefs[0].name",
        "the name of an object",
    ),
    _http(
        "a group with a version",
        {"parentRefs": [{"name": "a", "group": "gateway.networking.k8s.io/v1"}]},
        ".parentRefs[0].group",
        "this is not an API group such as gateway.networking.k8s.io, without a version",
    ),
    _http(
        "a kind with a dot",
        {"parentRefs": [{"name": "a", "kind": "Gateway.v1"}]},
        ".parentRefs[0].kind",
        "not a kind of",
    ),
    _http(
        "a namespace with a dot",
        {"parentRefs": [{"name": "a", "namespace": "a.b"}]},
        ".parentRefs[0].namespace",
        "this is not the name of a namespace",
    ),
    _path("a path without a slash", {"value": "v1"}, "a path starts with /, such as /v1/models"),
    _path("an exact path without a slash", {"type": "Exact", "value": "v1"}, "a path starts with /"),
    *(
        _path(f"a path with {value}", {"type": "PathPrefix", "value": value}, "write the path that is meant")
        for value in ("/a//b", "/a/./b", "/a/../b", "/a%2Fb", "/a%2fb", "/a#b", "/a/.", "/a/..")
    ),
    _path("a path with a space", {"value": "/a b"}, "write every other character as % and two digits"),
    _path("a path with half a code", {"value": "/a%2"}, "write every other character as % and two digits"),
    _http(
        "an empty path", {"matches": [{"path": {"value": ""}}]}, ".matches[0].path.value", "not be empty", "at least 1"
    ),
    _http(
        "a path by prefix",
        {"matches": [{"path": {"type": "Prefix", "value": "/"}}]},
        ".matches[0].path.type",
        "this must be 'Exact', 'PathPrefix' or 'RegularExpression'",
        _VALUES,
    ),
    _http(
        "a header by prefix",
        {"matches": [{"headers": [{"name": "a", "value": "b", "type": "Prefix"}]}]},
        ".matches[0].headers[0].type",
        "this must be 'Exact' or 'RegularExpression'",
        _VALUES,
    ),
    _http("a method in lower case", {"matches": [{"method": "post"}]}, ".matches[0].method", "'POST'", _VALUES),
    _http(
        "a header twice",
        {"matches": [{"headers": _TWICE}]},
        ".matches[0].headers",
        "each header may stand here once, and upper and lower case are the same: remove the second one",
    ),
    _http(
        "a pseudo-header",
        {"matches": [{"headers": [{"name": ":path", "value": "/"}]}]},
        ".matches[0].headers[0].name",
        "this is not the name of a header, such as X-Model",
    ),
    _http(
        "a header without a value",
        {"matches": [{"headers": [{"name": "X-Model"}]}]},
        ".matches[0].headers[0].value",
        "is missing: add it",
        "Required value",
    ),
    _http(
        "a query parameter twice",
        {"matches": [{"queryParams": [{"name": "model", "value": "a"}, {"name": "model", "value": "b"}]}]},
        ".matches[0].queryParams",
        "each query parameter may stand here once: remove the second one",
    ),
    _http(
        "a mirror of one's own",
        {"filters": [{"type": "RequestMirror"}]},
        ".filters[0].type",
        "the operator alone mirrors requests: remove this filter",
    ),
    _http(
        "a redirect",
        {"filters": [{"type": "RequestRedirect"}]},
        ".filters[0].type",
        "a redirect is answered by the gateway and never reaches a model: remove this filter",
    ),
    _http(
        "an unheard-of filter",
        {"filters": [{"type": "CORS"}]},
        ".filters[0].type",
        "known: RequestHeaderModifier, ResponseHeaderModifier, ExtensionRef, URLRewrite",
    ),
    _http(
        "a filter without its field",
        {"filters": [{"type": "RequestHeaderModifier"}]},
        ".filters[0]",
        "a filter has the field that its type names, and no other: RequestHeaderModifier needs requestHeaderModifier",
    ),
    _http(
        "a filter with another's field",
        {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}, "responseHeaderModifier": {}}]},
        ".filters[0]",
        "a filter has the field that its type names, and no other",
    ),
    _http(
        "a filter without a type",
        {"filters": [{"requestHeaderModifier": {}}]},
        ".filters[0].type",
        "is missing: add it",
        "Required value",
    ),
    _http(
        "a filter twice",
        {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}] * 2},
        ".filters",
        "each type of filter but ExtensionRef may stand here once: put both into one filter",
    ),
    _http(
        "more filters than leave room for the mirror",
        {"filters": [_extension(f"f{number}") for number in range(16)]},
        ".filters",
        "at most 15 elements",
        "at most 15 items",
    ),
    _http(
        "a header set twice",
        {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": _TWICE}}]},
        ".filters[0].requestHeaderModifier.set",
        "each header may stand here once",
    ),
    _http(
        "a header removed twice",
        {"filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["Server", "server"]}}]},
        ".filters[0].responseHeaderModifier.remove",
        "each header may stand here once",
    ),
    _http(
        "a rewrite to any host",
        {"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "*.example.com"}}]},
        ".filters[0].urlRewrite.hostname",
        "this is not one host name such as fraud.example.com",
    ),
    _http(
        "a rewrite whose type names another field",
        {
            "filters": [
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replacePrefixMatch": "/"}}}
            ]
        },
        ".filters[0].urlRewrite.path",
        "a path is rewritten by the field that its type names, and no other: ReplaceFullPath needs replaceFullPath",
    ),
    _http(
        "a prefix taken from an exact path",
        {"matches": [{"path": {"type": "Exact", "value": "/fraud"}}], "filters": [_PREFIX_GONE]},
        "",
        "a filter with ReplacePrefixMatch needs exactly one match, by a path of type PathPrefix",
    ),
    _http(
        "a prefix taken from two paths",
        {"matches": [{"path": {"value": "/a"}}, {"path": {"value": "/b"}}], "filters": [_PREFIX_GONE]},
        "",
        "leave one match, or use ReplaceFullPath",
    ),
    _http(
        "an extension in no group",
        {"filters": [{"type": "ExtensionRef", "extensionRef": {"kind": "Limit", "name": "a"}}]},
        ".filters[0].extensionRef.group",
        "is missing: add it",
        "Required value",
    ),
    _http(
        "a timeout in days",
        {"timeouts": {"request": "1d"}},
        ".timeouts.request",
        "this is not a duration such as 10s, 1m30s or 500ms",
    ),
    _http(
        "a timeout with a fraction",
        {"timeouts": {"request": "1.5s"}},
        ".timeouts.request",
        "not a duration such as 10s",
    ),
    _http(
        "a try longer than the request",
        {"timeouts": {"request": "10s", "backendRequest": "10001ms"}},
        ".timeouts",
        "backendRequest is longer than request, of which it is a part: make it shorter",
    ),
    _grpc("no Gateway for gRPC", {"parentRefs": []}, ".parentRefs", "needs at least 1 element", "at least 1 items"),
    _grpc(
        "a call of nothing",
        {"matches": [{"method": {}}]},
        ".matches[0].method",
        "a match by method needs service, method or both",
    ),
    _grpc(
        "a gRPC service with a slash",
        {"matches": [{"method": {"service": "inference/Model"}}]},
        ".matches[0].method",
        "this is not a gRPC service: write it with its package, such as inference.GRPCInferenceService",
    ),
    _grpc(
        "a gRPC method with its service",
        {"matches": [{"method": {"type": "Exact", "method": "a.Infer"}}]},
        ".matches[0].method",
        "this is not a gRPC method: write its name alone, such as ModelInfer",
    ),
    _grpc(
        "metadata twice", {"matches": [{"headers": _TWICE}]}, ".matches[0].headers", "each header may stand here once"
    ),
    _grpc(
        "a rewrite of a gRPC call",
        {"filters": [{"type": "URLRewrite"}]},
        ".filters[0].type",
        "this is not a type of filter here; known: RequestHeaderModifier, ResponseHeaderModifier, ExtensionRef",
    ),
    _grpc(
        "a mirror of gRPC calls",
        {"filters": [{"type": "RequestMirror"}]},
        ".filters[0].type",
        "the operator alone mirrors requests",
    ),
)


def _gateway(**fields: Any) -> dict[str, Any]:
    return {f"traffic.gatewayAPI.{field}": value for field, value in fields.items()}


def _matched(**fields: Any) -> dict[str, Any]:
    return _gateway(matches=[fields])


def _calls(**fields: Any) -> dict[str, Any]:
    return {"traffic.gatewayAPI": GONE, "traffic.grpc": {"parentRefs": [{"name": "inference"}], **fields}}


def _several(number: int) -> list[dict[str, Any]]:
    return [{"name": f"n{each}", "value": "v"} for each in range(number)]


def _rewritten(**rewrite: Any) -> dict[str, Any]:
    return {"type": "URLRewrite", "urlRewrite": rewrite}


ROUTE_BORDERS: tuple[dict[str, Any], ...] = (
    _gateway(matches=[]),
    _gateway(matches=[{}] * 64),
    _gateway(matches=[{}] * 65),
    _gateway(hostnames=[f"a{number}" for number in range(16)]),
    _gateway(hostnames=[f"a{number}" for number in range(17)]),
    _gateway(hostnames=["*"]),
    *(
        _matched(path={"value": value})
        for value in ("/.a", "/...", "/.", "/..", "/%41", "/%zz", "/é", "/a\n", "/a'(b)", "/" * 2, "/" + "a" * 1023)
    ),
    _matched(path={"value": "/" + "a" * 1024}),
    _matched(path={"type": "RegularExpression", "value": "a b//#(["}),
    _matched(path={"type": "Exact"}),
    _matched(headers=_several(15)),
    _matched(headers=_several(16)),
    _matched(headers=[{"name": "a" * 256, "value": "v" * 4096}]),
    _matched(headers=[{"name": "a" * 257, "value": "v"}]),
    _matched(headers=[{"name": "a", "value": "v" * 4097}]),
    _matched(headers=[{"name": "!#$%&'*+-.^_`|~", "value": "v"}]),
    _matched(headers=[{"name": "a b", "value": "v"}]),
    _matched(queryParams=_several(16)),
    _matched(queryParams=_several(17)),
    _matched(queryParams=[{"name": "a", "value": "v"}, {"name": "A", "value": "v"}]),
    _gateway(filters=[_extension(f"f{number}") for number in range(15)]),
    _gateway(filters=[{"type": "ResponseHeaderModifier", "responseHeaderModifier": {}}]),
    _gateway(filters=[{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": _several(16)}}]),
    _gateway(filters=[{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": _several(17)}}]),
    _gateway(filters=[{"type": "ExtensionRef", "extensionRef": {"group": "", "kind": "Secret", "name": "a"}}]),
    _gateway(filters=[_rewritten()]),
    _gateway(filters=[_rewritten(path={"type": "ReplaceFullPath", "replaceFullPath": ""})]),
    _gateway(filters=[_PREFIX_GONE]),
    _gateway(filters=[_PREFIX_GONE], matches=[]),
    _gateway(filters=[_PREFIX_GONE], matches=[{}]),
    _gateway(filters=[_PREFIX_GONE], matches=[{"path": {"type": "RegularExpression", "value": "/a"}}]),
    _gateway(parentRefs=[{"name": "a"}, {"name": "b"}]),
    _gateway(parentRefs=[{"name": "a"}, {"name": "a", "namespace": "b"}]),
    _gateway(parentRefs=[{"name": "a", "port": 80}, {"name": "a", "port": 443}]),
    _gateway(parentRefs=[{"name": "a", "sectionName": "s"}, {"name": "a", "sectionName": "t"}]),
    _gateway(parentRefs=[{"name": "a", "sectionName": "s"}, {"name": "a", "sectionName": "s", "port": 80}]),
    _gateway(parentRefs=[{"name": "a", "group": ""}, {"name": "a"}]),
    _gateway(parentRefs=[{"name": f"a{number}"} for number in range(33)]),
    _gateway(timeouts={}),
    _gateway(timeouts={"request": "0s", "backendRequest": "99999h99999h99999h99999h"}),
    _gateway(timeouts={"request": "99999h99999h99999h99999h", "backendRequest": "0ms"}),
    _gateway(timeouts={"request": "1s", "backendRequest": "1001ms"}),
    _gateway(timeouts={"request": "1s1s", "backendRequest": "2s"}),
    _gateway(timeouts={"request": "100000s"}),
    _calls(),
    _calls(matches=[{}] * 64),
    _calls(matches=[{"method": {"service": ".a._b.C1"}}]),
    _calls(matches=[{"method": {"service": "a."}}]),
    _calls(matches=[{"method": {"type": "RegularExpression", "service": "a.", "method": ".*"}}]),
    _calls(matches=[{"method": {"type": "RegularExpression"}}]),
    _calls(filters=[_extension("a"), _extension("a")]),
)
"""Routes that are just valid, or just no more: both voices must agree which."""
