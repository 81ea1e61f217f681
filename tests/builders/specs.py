"""Specs of a ModelRollout: one with everything in it, a small one, and what others are made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.builders.metrics import ERRORS, metric

Spec = dict[str, Any]

GONE = object()
"""Instead of a value: the field is taken out."""


def spec(version: str = "1", **changes: Any) -> Spec:
    """A spec whose canary has the steps 5, 25, 50, 100, each held for a minute."""
    wanted: Spec = {
        "model": {"name": "fraud-detector", "version": version},
        "workload": {
            "template": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {
                    "replicas": 4,
                    "template": {
                        "spec": {
                            "containers": [{"name": "server", "image": "registry.example/fraud:{{ model.version }}"}]
                        }
                    },
                },
            }
        },
        "traffic": {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}},
        "stages": [{"name": "canary", "canary": {"weights": [5, 25, 50, 100], "hold": "1m"}}],
        "analysis": {"interval": "15s", "metrics": [ERRORS]},
        "promotion": {"bake": "2m", "keepOld": "5m"},
        "progressDeadline": "10m",
    }
    return {**wanted, **changes}


def canary(*weights: int, name: str = "canary", **fields: Any) -> dict[str, Any]:
    return {"name": name, "canary": {"weights": list(weights), **fields}}


def stepwise(*weights: int, name: str = "canary", **fields: Any) -> dict[str, Any]:
    return {"name": name, "canary": {"steps": [{"weight": weight} for weight in weights], **fields}}


def shadow(name: str = "shadow", **fields: Any) -> dict[str, Any]:
    return {"name": name, "shadow": fields}


def blue_green(name: str = "switch", **fields: Any) -> dict[str, Any]:
    return {"name": name, "blueGreen": fields}


def smoke(name: str = "predicts", *, body: Any = None, path: str = "/", **expect: Any) -> dict[str, Any]:
    """A request that a candidate has to answer before anybody meets it."""
    sent = {"name": name, "path": path, **({"body": body} if body is not None else {})}
    return {**sent, **({"expect": expect} if expect else {})}


def ab_test(name: str = "ab", *, count: int = 20, **fields: Any) -> dict[str, Any]:
    """Half of all users, told by the header x-bucket, for a while; the goal is fewer errors."""
    sticky = {"bucketHeader": {"name": "x-bucket", "prefix": "b", "count": count}}
    arms = {} if "audience" in fields else {"sticky": sticky}
    goal = {"metric": "errors", "superiority": True}
    return {"name": name, "abTest": {**arms, "goal": goal, "minDuration": "2m", "maxDuration": "20m", **fields}}


def workload_ref(**fields: Any) -> dict[str, Any]:
    """A Deployment that is there already; a field given as None is left out."""
    whole = {"kind": "Deployment", "name": "fraud", **fields}
    return {name: value for name, value in whole.items() if value is not None}


def small(**changes: Any) -> Spec:
    """A valid spec that says no more than it must; `changes` replace whole fields of it."""
    wanted: Spec = {
        "model": {"name": "fraud", "version": "12"},
        "workload": {"template": {"spec": {"template": {"spec": {"containers": [{"name": "server"}]}}}}},
        "traffic": {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference"}]}},
        "analysis": {"metrics": [metric()]},
    }
    return {**copy.deepcopy(wanted), **changes}


def edited(edits: Mapping[str, Any]) -> Spec:
    """The small spec with values put in, or taken out, at dotted paths."""
    wanted = small()
    for path, value in edits.items():
        *parents, last = path.split(".")
        place: Any = wanted
        for part in parents:
            place = place.setdefault(part, {})
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    return wanted
