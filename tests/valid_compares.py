"""A strategy for every valid `compare` of a shadow stage."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_paths = st.sampled_from(["$", "$.label", "$.choices[*].message.content", "$['odd key'][0]", "$.a-b._c[1234]"])
_many_paths = st.lists(_paths, max_size=3)
_parts = st.sampled_from(["1%", "98%", "100%", "0.5", "0.001", "99.95%"])
_amounts = st.sampled_from(["0", "0.01", "1%", "5"])


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _one_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(*(st.fixed_dictionaries({name: field}) for name, field in fields.items()))


_rankings = st.fixed_dictionaries({"k": st.integers(1, 1000)}, optional={"overlap": _parts})
_numbers = _maybe(absolute=_amounts, relative=_parts)
_forms = st.just({}) | _one_of(topK=_rankings, text=st.fixed_dictionaries({"similarity": _parts}))
_agreements = st.builds(
    lambda one, other: {**one, **other}, _maybe(path=_paths, ignore=_many_paths, numbers=_numbers), _forms
)
_places = _one_of(header=st.sampled_from(["X-Tenant", "accept-language"]), path=_paths)
_segments = st.builds(lambda one, other: {**one, **other}, _places, _maybe(values=st.integers(1, 100)))

compares = st.fixed_dictionaries(
    {"minAgreement": _parts},
    optional={
        "sample": _parts,
        "agreement": _agreements,
        "segment": _segments,
        "examples": _maybe(keep=st.integers(0, 500), bodies=st.booleans(), redact=_many_paths),
        "requestSizes": st.sampled_from(['http_request_size_bytes_bucket{pod=~"{{ pods }}"}', "size_bucket"]),
        "limits": _maybe(
            concurrency=st.integers(1, 1000),
            bodyKibibytes=st.integers(1, 1024),
            timeout=st.sampled_from(["500ms", "30s", "1.5m"]),
        ),
        "replicas": st.integers(1, 20),
    },
)
