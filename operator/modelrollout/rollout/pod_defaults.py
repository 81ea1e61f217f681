"""The values that the API server gives to fields of a pod that are left out. Pure.

Only constants, and the one rule that depends on another field. Source: Kubernetes, pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_FILES = {"defaultMode": 0o644}

_CONSTANTS: Mapping[str, Mapping[str, Any]] = {
    "spec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
        "volumeMode": "Filesystem",  # of a volume claim
    },
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "ports": {"protocol": "TCP"},
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
    "httpGet": {"path": "/", "scheme": "HTTP"},
    "grpc": {"service": ""},
    "fieldRef": {"apiVersion": "v1"},
    "configMap": _FILES,
    "secret": _FILES,
    "downwardAPI": _FILES,
    "projected": _FILES,
    "hostPath": {"type": ""},
    "serviceAccountToken": {"expirationSeconds": 3600},
}
"""By the field that holds an object, or a list of them."""


def is_default(where: str, field: str, item: Mapping[str, Any]) -> bool:
    """Whether an object's field has the value that it would have if it were left out."""
    if field == "imagePullPolicy":
        return bool(item[field] == _pull_policy(str(item.get("image") or "")))
    constants = _CONSTANTS.get(where, {})
    return field in constants and type(item[field]) is type(constants[field]) and item[field] == constants[field]


def _pull_policy(image: str) -> str:
    name = image.rsplit("/", 1)[-1]
    is_latest = "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if is_latest else "IfNotPresent"
