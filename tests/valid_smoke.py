"""A strategy for every list of smoke requests that is valid, as users write them."""

from __future__ import annotations

from hypothesis import strategies as st

_WHOLE = {
    "name": "predicts",
    "method": "PUT",
    "scheme": "HTTPS",
    "path": "/v1/predict?verbose=1",
    "headers": [{"name": "X-Tenant", "value": "smoke tests"}, {"name": "Content-Type", "value": "application/json"}],
    "body": {"pixels": [[0, 1.5], [None, True]], "name": "ä"},
    "expect": {
        "status": "200-204,4xx",
        "json": [
            {"path": "$.label", "equals": "cat"},
            {"path": "$.scores[*]", "equals": 0.93, "numbers": {"absolute": "0.01", "relative": "1%"}},
            {"path": "$.shape", "equals": [1, {"a": 2}]},
        ],
        "contains": "cat",
        "maxLatency": "2s",
    },
}
_bodies = st.sampled_from(["plain text", "", 5, [1, 2], {}, {"a": {"b": "c"}}])
# Not "200": it is the number 200, and comes back as such.
_statuses = st.sampled_from([200, "2xx", "200,404", "500-599"])
_small = st.fixed_dictionaries(
    {},
    optional={"body": _bodies, "expect": st.fixed_dictionaries({}, optional={"status": _statuses})},
)
smoke_requests = st.lists(_small, max_size=3).map(
    lambda rest: [_WHOLE, *({**one, "name": f"other-{number}"} for number, one in enumerate(rest))]
)
