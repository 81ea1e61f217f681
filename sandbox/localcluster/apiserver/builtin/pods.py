"""Pods and the pod templates of workloads: what is filled in, what is refused, how long a deletion takes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.store import Object

_VOLUMES = ("emptyDir", "hostPath", "secret", "persistentVolumeClaim", "downwardAPI", "configMap", "projected")
_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def with_pod_defaults(pod: Object) -> Object:
    """A pod with what depends on its other fields."""
    spec = pod_spec(pod.get("spec") or {})
    if "containers" in spec:
        spec["containers"] = [_with_requests(each) for each in spec["containers"]]
    return {**pod, "spec": {"enableServiceLinks": True, **spec}}


def _with_requests(container: dict[str, Any]) -> dict[str, Any]:
    """A limit without a request is the request as well."""
    resources = dict(container.get("resources") or {})
    if limits := resources.get("limits"):
        return {**container, "resources": {**resources, "requests": {**limits, **(resources.get("requests") or {})}}}
    return container


def _tolerations(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Five minutes of grace on a node that is not ready: an admission plug-in's default."""
    found = list(spec.get("tolerations") or ())
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(each.get("key") in (key, None) and each.get("effect") in ("NoExecute", None) for each in found):
            found.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})
    return found


def with_template_defaults(workload: Object) -> Object:
    """A workload whose pod template has been filled in."""
    spec = workload.get("spec") or {}
    template = spec.get("template") or {}
    if not template.get("spec"):
        return workload
    template = {**template, "spec": pod_spec(template["spec"])}
    return {**workload, "spec": {**spec, "template": template}}


def pod_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """The defaults that depend on other fields of a pod's spec."""
    filled = dict(spec)
    for key in ("containers", "initContainers"):
        if key in filled:
            filled[key] = [_container(each) for each in filled[key]]
    if filled.get("serviceAccountName"):
        filled["serviceAccount"] = filled["serviceAccountName"]
    elif filled.get("serviceAccount"):
        filled["serviceAccountName"] = filled["serviceAccount"]
    if volumes := filled.get("volumes"):
        filled["volumes"] = [each if len(each) > 1 else {**each, "emptyDir": {}} for each in volumes]
    return filled


def _container(container: dict[str, Any]) -> dict[str, Any]:
    image = container.get("image", "")
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    policy = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
    return {"imagePullPolicy": policy, **container}


def created(pod: Object) -> Object:
    """A new pod waits, whatever its manifest says, and has what admission adds to every pod."""
    given = {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
    spec = {**given, **pod["spec"], "tolerations": _tolerations(pod["spec"])}
    return {**pod, "spec": spec, "status": {"phase": "Pending", "qosClass": _quality(spec)}}


def _quality(spec: dict[str, Any]) -> str:
    resources = [each.get("resources") or {} for each in spec.get("containers") or ()]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    sure = all(
        (each.get("limits") or {}).keys() >= {"cpu", "memory"} and each.get("requests") == each.get("limits")
        for each in resources
    )
    return "Guaranteed" if sure else "Burstable"


def grace(pod: Object) -> int:
    """Seconds until a deleted pod may go; a pod on no node, or one that has ended, goes at once."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if not pod["spec"].get("nodeName") or ended:
        return 0
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))


def pod_errors(new: Object, old: Object | None) -> list[FieldError]:
    found = list(spec_errors(new.get("spec") or {}, "spec"))
    if old is not None and _fixed(new["spec"]) != _fixed(old["spec"]):
        found.append(FieldError("spec", "Forbidden", _ONLY))
    return found


def _fixed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec without what may change on a running pod."""
    changeable = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
    kept = {key: value for key, value in spec.items() if key not in changeable}
    for key in ("containers", "initContainers"):
        kept[key] = [{name: value for name, value in each.items() if name != "image"} for each in spec.get(key) or ()]
    return kept


def spec_errors(spec: dict[str, Any], path: str) -> Iterator[FieldError]:
    """The errors in a pod's spec."""
    if not spec.get("containers"):
        yield FieldError(f"{path}.containers", "Required value")
    names: set[str] = set()
    for index, container in enumerate(spec.get("containers") or ()):
        where = f"{path}.containers[{index}]"
        yield from _container_errors(container, where)
        if container.get("name") in names:
            yield FieldError(f"{where}.name", "Duplicate value", json.dumps(container["name"]))
        names.add(container.get("name", ""))
    for index, volume in enumerate(spec.get("volumes") or ()):
        for second in sorted(volume.keys() - {"name"}, key=_volume_order)[1:]:
            why = "may not specify more than 1 volume type"
            yield FieldError(f"{path}.volumes[{index}].{second}", "Forbidden", why)
    yield from one_of(spec.get("restartPolicy"), f"{path}.restartPolicy", ("Always", "OnFailure", "Never"))


def _volume_order(kind: str) -> int:
    """Kubernetes takes the first kind that it comes upon as the one that was meant."""
    return _VOLUMES.index(kind) if kind in _VOLUMES else len(_VOLUMES)


def _container_errors(container: dict[str, Any], where: str) -> Iterator[FieldError]:
    for key in ("name", "image"):
        if not container.get(key):
            yield FieldError(f"{where}.{key}", "Required value")
    policies = ("Always", "IfNotPresent", "Never")
    yield from one_of(container.get("imagePullPolicy"), f"{where}.imagePullPolicy", policies)
    for number, port in enumerate(container.get("ports") or ()):
        at = f"{where}.ports[{number}]"
        if not port.get("containerPort"):
            yield FieldError(f"{at}.containerPort", "Required value")
        elif not 0 < port["containerPort"] < 65536:
            detail = f"{port['containerPort']}: must be between 1 and 65535, inclusive"
            yield FieldError(f"{at}.containerPort", "Invalid value", detail)
        yield from one_of(port.get("protocol"), f"{at}.protocol", ("SCTP", "TCP", "UDP"))
        if port.get("name") and port["name"] in (each.get("name") for each in container["ports"][:number]):
            yield FieldError(f"{at}.name", "Duplicate value", json.dumps(port["name"]))


def one_of(value: Any, path: str, allowed: tuple[str, ...]) -> Iterator[FieldError]:
    """A field that has only so many values."""
    if value is not None and value not in allowed:
        said = ", ".join(f'"{each}"' for each in sorted(allowed))
        yield FieldError(path, "Unsupported value", f"{json.dumps(value)}: supported values: {said}")
