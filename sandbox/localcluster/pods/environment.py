"""The environment of a container: its own variables, what they say of the pod, and `$(NAME)` filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Pod = Mapping[str, Any]


class UnsupportedError(Exception):
    """The pod asks for something that the local cluster does not do; the message says what."""


def environment(pod: Pod, container: Mapping[str, Any], base: Mapping[str, str]) -> dict[str, str]:
    """All variables, later ones seeing earlier ones. Raises `UnsupportedError`."""
    if container.get("envFrom"):
        raise UnsupportedError(f"container {container['name']}: the local cluster does not do envFrom")
    found = dict(base)
    for variable in container.get("env") or ():
        name = variable["name"]
        if source := variable.get("valueFrom"):
            found[name] = _from(pod, name, source)
        else:
            found[name] = expand(variable.get("value") or "", found)
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value when there is one; `$$(NAME)` means the text `$(NAME)`."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        return variables.get(match[1], match[0])

    return re.sub(r"\$?\$\(([^()\s]+)\)", value, text)


def at_home(text: str, address: str) -> str:
    """`0.0.0.0` means every address of the pod, and in a pod of ours that is this one address."""
    return re.sub(r"(?<![\d.])0\.0\.0\.0(?![\d.])", address, text)


def _from(pod: Pod, name: str, source: Mapping[str, Any]) -> str:
    path = (source.get("fieldRef") or {}).get("fieldPath")
    if path is None:
        raise UnsupportedError(
            f"variable {name}: the local cluster does valueFrom.fieldRef only, not {', '.join(source)}"
        )
    metadata, status = pod["metadata"], pod.get("status") or {}
    if entry := re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path):
        return str((metadata.get(entry[1]) or {}).get(entry[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path not in known:
        raise UnsupportedError(f"variable {name}: there is no field {path}")
    return str(known[path])
