"""The `/scale` subresource: replicas, and nothing else, of anything that has them. Pure."""

from __future__ import annotations

from typing import Any

from localcluster.apiserver.errors import FieldError, invalid
from localcluster.apiserver.resources import Resource, ScalePaths
from localcluster.apiserver.store import Object


def shown_scale(resource: Resource, item: Object) -> Object:
    """The `Scale` of an object."""
    paths = _paths(resource)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status = {"replicas": _at(item, paths.status) or 0}
    selector = _at(item, paths.selector) if paths.selector else None
    if selector:
        status["selector"] = selector if isinstance(selector, str) else _as_text(selector)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: item["metadata"][key] for key in kept if key in item["metadata"]},
        "spec": {"replicas": _at(item, paths.spec) or 0},
        "status": status,
    }


def scaled(resource: Resource, item: Object, scale: Object) -> Object:
    """The object with the replicas that a `Scale` asks for."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        error = FieldError("spec.replicas", "Invalid value", f"{replicas}: must be greater than or equal to 0")
        raise invalid("autoscaling", "Scale", item["metadata"]["name"], [error])
    changed = _with(item, _paths(resource).spec, replicas)
    told = scale.get("metadata") or {}
    of_whom = {key: told[key] for key in ("namespace", "resourceVersion") if told.get(key)}
    return {**changed, "metadata": {**item["metadata"], **of_whom}}


def _paths(resource: Resource) -> ScalePaths:
    return resource.scale or ScalePaths()


def _at(item: Any, path: str) -> Any:
    for key in path.strip(".").split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return item


def _with(item: Object, path: str, value: Any) -> Object:
    key, _, rest = path.strip(".").partition(".")
    return {**item, key: _with(item.get(key) or {}, rest, value) if rest else value}


def _as_text(selector: dict[str, Any]) -> str:
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        values = ",".join(each.get("values") or ())
        match each["operator"]:
            case "Exists":
                terms.append(each["key"])
            case "DoesNotExist":
                terms.append(f"!{each['key']}")
            case operator:
                terms.append(f"{each['key']} {operator.lower()} ({values})")
    return ",".join(terms)
