"""A strategy for every route that is valid in spec.traffic, as users write it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.builders import Spec

_labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
_domains = st.lists(_labels, min_size=1, max_size=3).map(".".join)
_tokens = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
_paths = st.from_regex(
    r"(/[-A-Za-z0-9_~!$&'()*+,;=:@]([-A-Za-z0-9_~!$&'()*+,;=:@.]|%[013-9a-fA-F]5){0,8}){1,3}/?", fullmatch=True
)
_ways = st.sampled_from(["Exact", "RegularExpression"])
_durations = st.sampled_from(["0s", "10s", "1m30s", "500ms", "1h", "99999h"])


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries({}, optional=fields)


def _with(required: Spec, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries(required, optional=optional)


def _named(elements: st.SearchStrategy[Spec]) -> st.SearchStrategy[list[Spec]]:
    return st.lists(elements, min_size=1, max_size=3, unique_by=lambda element: str(element["name"]).lower())


_parents = _with(
    {"name": _domains},
    group=_domains | st.just(""),
    kind=st.sampled_from(["Gateway", "ListenerSet", "Service"]),
    namespace=_labels,
    sectionName=_domains,
    port=st.integers(1, 65535),
)
_two_sections = st.builds(
    lambda parent, sections: [{**parent, "sectionName": section} for section in sections],
    _parents,
    st.lists(_domains, min_size=2, max_size=3, unique=True),
)
_hostnames = st.lists(_domains | _domains.map(lambda domain: f"*.{domain}"), max_size=3, unique=True)
_headers = _named(_with({"name": _tokens, "value": _values}, type=_ways))
_path = _maybe(type=st.sampled_from(["Exact", "PathPrefix"]), value=_paths) | st.builds(
    lambda value: {"type": "RegularExpression", "value": value}, st.sampled_from(["/v[12]/.*", "a//b#c"])
)
_http_matches = _maybe(
    path=_path, headers=_headers, queryParams=_headers, method=st.sampled_from(["GET", "POST", "DELETE"])
)
_services = st.sampled_from(["inference.GRPCInferenceService", ".a", "A_1"])
_methods = (
    _with({"service": _services}, type=_ways, method=st.just("Infer"))
    | _with({"method": st.just("Infer")}, type=_ways)
    | st.just({"type": "RegularExpression", "method": "(Model|Stream)Infer"})
)
_grpc_matches = _maybe(method=_methods, headers=_headers)

_changes = _named(_with({"name": _tokens, "value": _values}))
_modifiers = _maybe(set=_changes, add=_changes, remove=st.lists(_tokens, min_size=1, max_size=3, unique_by=str.lower))
_extensions = _with({"group": _domains, "kind": st.just("RateLimit"), "name": _domains})
_whole_paths = _with({"type": st.just("ReplaceFullPath"), "replaceFullPath": _values})
_prefixes = _with({"type": st.just("ReplacePrefixMatch"), "replacePrefixMatch": st.sampled_from(["", "/", "/v1"])})


def _filter(type_: str, field: str, block: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    return st.fixed_dictionaries({"type": st.just(type_), field: block})


_header_filters = (
    _filter("RequestHeaderModifier", "requestHeaderModifier", _modifiers),
    _filter("ResponseHeaderModifier", "responseHeaderModifier", _modifiers),
)
_extension_filters = _filter("ExtensionRef", "extensionRef", _extensions)


@st.composite
def _filters(draw: st.DrawFn, *once: st.SearchStrategy[Spec]) -> list[Spec]:
    """Some of those that may stand there once, and any number of extensions."""
    chosen = [draw(one) for one in once if draw(st.booleans())]
    extensions = draw(st.lists(_extension_filters, min_size=0 if chosen else 1, max_size=2))
    return draw(st.permutations([*chosen, *extensions]))


def _timeouts() -> st.SearchStrategy[Spec]:
    both = st.sampled_from([("10s", "10000ms"), ("0s", "1h"), ("1m", "0s"), ("2m", "1m59s")])
    return (
        _maybe(request=_durations)
        | _maybe(backendRequest=_durations)
        | both.map(lambda pair: {"request": pair[0], "backendRequest": pair[1]})
    )


def _rewrites(path: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    return _filter("URLRewrite", "urlRewrite", _with({"path": path}, hostname=_domains) | _maybe(hostname=_domains))


def _prefix_matches() -> st.SearchStrategy[list[Spec]]:
    path = _maybe(type=st.just("PathPrefix"), value=_paths)
    return st.lists(_maybe(path=path, headers=_headers), min_size=1, max_size=1)


_own = {
    "parentRefs": st.lists(_parents, min_size=1, max_size=3, unique_by=lambda parent: parent["name"]) | _two_sections
}
_any_path = {
    "matches": st.lists(_http_matches, min_size=1, max_size=3),
    "filters": _filters(*_header_filters, _rewrites(_whole_paths)),
}
_one_prefix = {"matches": _prefix_matches(), "filters": _filters(*_header_filters, _rewrites(_prefixes))}

http_routes: st.SearchStrategy[Spec] = _with(_own, hostnames=_hostnames, timeouts=_timeouts(), **_any_path) | _with(
    _own, hostnames=_hostnames, **_one_prefix
)
grpc_routes: st.SearchStrategy[Spec] = _with(
    _own,
    hostnames=_hostnames,
    matches=st.lists(_grpc_matches, min_size=1, max_size=3),
    filters=_filters(*_header_filters),
)
lent_routes: st.SearchStrategy[Spec] = st.fixed_dictionaries({"name": _domains, "rule": _domains | st.integers(0, 15)})
_text = st.sampled_from([{"exact": "a"}, {"prefix": "/v1/"}, {"regex": "[a-z]+"}])
_lower = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)
_texts = st.dictionaries(_lower, _text, min_size=1, max_size=3)
_istio_gateways = st.lists(st.sampled_from(["mesh", "public", "istio-ingress/public"]), min_size=1, max_size=3)
_istio_durations = st.sampled_from(["10s", "1m30s", "500ms", "0.5s"])
_istio_matches = _maybe(
    uri=_text,
    ignoreUriCase=st.booleans(),
    authority=_text,
    method=_text,
    headers=_texts,
    withoutHeaders=_texts,
    queryParams=_texts,
    sourceLabels=st.dictionaries(_labels, _labels, min_size=1, max_size=2),
    gateways=_istio_gateways,
)
istio_routes: st.SearchStrategy[Spec] = _with(
    {"hosts": st.lists(_domains | _domains.map(lambda domain: f"*.{domain}") | st.just("*"), min_size=1, max_size=3)},
    gateways=_istio_gateways,
    matches=st.lists(_istio_matches, min_size=1, max_size=3),
    rewrite=_maybe(uri=_paths, authority=_domains),
    timeout=_istio_durations,
    retries=_with({"attempts": st.integers(0, 100)}, perTryTimeout=_istio_durations, retryOn=st.just("5xx")),
)
routers: st.SearchStrategy[Spec] = (
    st.just({"service": {}})
    | http_routes.map(lambda route: {"gatewayAPI": route})
    | grpc_routes.map(lambda route: {"grpc": route})
    | istio_routes.map(lambda route: {"istio": route})
    | lent_routes.map(lambda route: {"routeRef": route})
)
