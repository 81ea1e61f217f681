"""Metrics of every kind, as users write them."""

from __future__ import annotations

from typing import Any

ERRORS: dict[str, Any] = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
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
    return metric(**{"ratio": None, "value": 'accuracy{pod=~"{{ pods }}"}', "betterWhen": "higher", **fields})


def histogram_metric(**fields: Any) -> dict[str, Any]:
    return metric(**{"ratio": None, "histogram": 'seconds_bucket{pod=~"{{ pods }}"}', **fields})


def good_metric(**fields: Any) -> dict[str, Any]:
    ratio = {"good": 'right_total{pod=~"{{ pods }}"}', "total": 'all_total{pod=~"{{ pods }}"}'}
    return metric(**{"ratio": ratio, **fields})
