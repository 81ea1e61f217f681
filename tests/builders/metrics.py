"""Metrics of every kind, as users write them."""

from __future__ import annotations

from typing import Any

OURS = 'namespace="{{ namespace }}",pod=~"{{ pods }}"'
"""Matchers of an arm's own pods."""

ERRORS: dict[str, Any] = {
    "name": "errors",
    "ratio": {
        "bad": f'http_requests_total{{{OURS},code=~"5.."}}',
        "total": f"http_requests_total{{{OURS}}}",
    },
    "tolerance": {"relative": "25%", "absolute": "0.1%"},
    "max": "5%",
    "minSamples": 50,
}
"""The one that most tests judge by; `metric` makes others of it."""


def metric(**fields: Any) -> dict[str, Any]:
    """One of bad to total, within a tolerance; a field given as None is left out."""
    whole = {
        "name": "errors",
        "ratio": ERRORS["ratio"],
        "tolerance": {"absolute": "1%"},
        **fields,
    }
    return {name: value for name, value in whole.items() if value is not None}


def value_metric(**fields: Any) -> dict[str, Any]:
    return metric(**{"ratio": None, "value": f"accuracy{{{OURS}}}", "betterWhen": "higher", **fields})


def histogram_metric(**fields: Any) -> dict[str, Any]:
    return metric(**{"ratio": None, "histogram": f"seconds_bucket{{{OURS}}}", **fields})


def good_metric(**fields: Any) -> dict[str, Any]:
    ratio = {"good": f"right_total{{{OURS}}}", "total": f"all_total{{{OURS}}}"}
    return metric(**{"ratio": ratio, **fields})
