"""Kinds that are little more than storage: what little there is. Pure."""

from __future__ import annotations

import base64
from typing import Any

from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.store import Object

NAME_LABEL = "kubernetes.io/metadata.name"

# events.k8s.io/v1 shows the objects of v1 under other names.
_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}


def with_namespace_label(namespace: Object) -> Object:
    metadata = dict(namespace.get("metadata") or {})
    if name := metadata.get("name"):
        metadata["labels"] = {**(metadata.get("labels") or {}), NAME_LABEL: name}
    return {**namespace, "metadata": metadata}


def created_namespace(namespace: Object) -> Object:
    """A deleted namespace waits until a controller has emptied it."""
    return {**namespace, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def updated_namespace(new: Object, old: Object) -> Object:
    """Only /finalize lets go of what holds a namespace."""
    return {**new, "spec": old.get("spec") or {}}


def namespace_is_held(namespace: Object) -> bool:
    return bool((namespace.get("spec") or {}).get("finalizers"))


def deleted_namespace(namespace: Object) -> Object:
    return without_grace({**namespace, "status": {**(namespace.get("status") or {}), "phase": "Terminating"}})


def without_grace(item: Object) -> Object:
    """Namespaces and definitions are deleted on a way of their own, which knows no grace period."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "deletionGracePeriodSeconds"}
    return {**item, "metadata": metadata}


def created_node(node: Object) -> Object:
    """A new node takes no pods until someone says it is ready."""
    taint = {"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"}
    known = (
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "kubeletVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    )
    status = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": dict.fromkeys(known, "")}
    spec = node.get("spec") or {}
    return {**node, "spec": {**spec, "taints": [*(spec.get("taints") or ()), taint]}, "status": status}


def with_autoscaler_defaults(autoscaler: Object) -> Object:
    spec = dict(autoscaler.get("spec") or {})
    target = {"averageUtilization": 80, "type": "Utilization"}
    spec.setdefault("metrics", [{"resource": {"name": "cpu", "target": target}, "type": "Resource"}])
    return {**autoscaler, "spec": spec}


def with_policy_defaults(policy: Object) -> Object:
    spec = dict(policy.get("spec") or {})
    spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if spec.get("egress") else [])])
    return {**policy, "spec": spec}


def with_secret_data(secret: Object) -> Object:
    """`stringData` is for writing only: it lands in `data`."""
    plain = secret.get("stringData")
    if not plain:
        return secret
    written = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    kept = {key: value for key, value in secret.items() if key != "stringData"}
    return {**kept, "data": {**(secret.get("data") or {}), **written}}


def fixed_errors(new: Object, old: Object | None) -> list[FieldError]:
    """An immutable ConfigMap or Secret keeps its data; a Secret keeps its type."""
    if old is None:
        return []
    fixed = ("data", "binaryData", "immutable") if old.get("immutable") else ()
    why = "field is immutable when `immutable` is set"
    found = [FieldError(key, "Forbidden", why) for key in fixed if new.get(key) != old.get(key)]
    if new.get("type") != old.get("type"):
        found.append(FieldError("type", "Invalid value", f'"{new.get("type")}": field is immutable'))
    return found


def event_errors(new: Object, old: Object | None) -> list[FieldError]:
    """An event stands in the namespace of what it is about."""
    home = (new.get("involvedObject") or {}).get("namespace") or "default"
    if home != new["metadata"].get("namespace"):
        detail = f'"{home}": does not match event.namespace'
        return [FieldError("involvedObject.namespace", "Invalid value", detail)]
    return []


def with_event_nulls(event: Object) -> Object:
    """Fields of an event that are written even when they say nothing."""
    nothing: dict[str, Any] = {"eventTime": None, "firstTimestamp": None, "lastTimestamp": None, "source": {}}
    return {**nothing, "reportingComponent": "", "reportingInstance": "", **event}


def with_new_event_nulls(event: Object) -> Object:
    """The same of events.k8s.io/v1."""
    return as_new_event(with_event_nulls(as_old_event(event)))


def as_new_event(event: Object) -> Object:
    """An event of v1 as events.k8s.io/v1 shows it."""
    return {_EVENT_NAMES.get(key, key): value for key, value in event.items()}


def as_old_event(event: Object) -> Object:
    """The way back."""
    names = {new: old for old, new in _EVENT_NAMES.items()}
    return {names.get(key, key): value for key, value in event.items()}
