"""Specs for tests of the API: a small one, and what others are made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Spec = dict[str, Any]

GONE = object()
"""Instead of a value: the field is taken out."""


def metric(**fields: Any) -> dict[str, Any]:
    """One of bad to total, within a tolerance; a field given as None is left out."""
    whole = {
        "name": "errors",
        "ratio": {"bad": 'errors_total{pod=~"{{ pods }}"}', "total": 'requests_total{pod=~"{{ pods }}"}'},
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


def canary(*weights: int, name: str = "canary", **fields: Any) -> dict[str, Any]:
    return {"name": name, "canary": {"weights": list(weights), **fields}}


def stepwise(*weights: int, name: str = "canary", **fields: Any) -> dict[str, Any]:
    return {"name": name, "canary": {"steps": [{"weight": weight} for weight in weights], **fields}}


def workload_ref(**fields: Any) -> dict[str, Any]:
    """A Deployment that is there already; a field given as None is left out."""
    whole = {"kind": "Deployment", "name": "fraud", **fields}
    return {name: value for name, value in whole.items() if value is not None}


def small(**changes: Any) -> Spec:
    """A valid spec that says no more than it must; `changes` replace whole fields of it."""
    spec: Spec = {
        "model": {"name": "fraud", "version": "12"},
        "workload": {"template": {"spec": {"template": {"spec": {"containers": [{"name": "server"}]}}}}},
        "traffic": {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference"}]}},
        "analysis": {"metrics": [metric()]},
    }
    return {**copy.deepcopy(spec), **changes}


def edited(edits: Mapping[str, Any]) -> Spec:
    """The small spec with values put in, or taken out, at dotted paths."""
    spec = small()
    for path, value in edits.items():
        *parents, last = path.split(".")
        place: Any = spec
        for part in parents:
            place = place.setdefault(part, {})
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    return spec
