"""Which pods Prometheus scrapes and under which labels: what `kubernetes_sd` and the usual relabelling make of them.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from modelrollout.objects.manifests import Manifest

PORT_NAME = "http"
LAST_PORT = 65_535
LONGEST_SCRAPE = timedelta(seconds=10)
ENDED = ("Succeeded", "Failed")


def configuration(targets: Path, scrape_interval: timedelta) -> dict[str, Any]:
    """The contents of prometheus.yml."""
    return {
        "global": {
            "scrape_interval": _duration(scrape_interval),
            "scrape_timeout": _duration(min(scrape_interval, LONGEST_SCRAPE)),
        },
        "scrape_configs": [
            {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)]}]},
            {"job_name": "beside", "honor_labels": True, "file_sd_configs": [{"files": [str(beside(targets))]}]},
        ],
    }


def beside(targets: Path) -> Path:
    """The file with what is no pod."""
    return targets.with_name("beside.json")


def target_groups(pods: Iterable[Manifest]) -> list[dict[str, Any]]:
    """The targets to scrape, as a file for `file_sd`; sorted, so that the same pods give the same file.

    The port is the one named `http`; the annotations prometheus.io/port, /path and /scrape: "false" say otherwise. A
    pod stays in from the moment that it has an address until it is gone: nothing is lost by trying while it starts,
    and what it counts while it terminates happened to users.
    """
    groups = [group for group in map(_target_group, pods) if group]
    return sorted(groups, key=lambda group: (group["labels"]["namespace"], group["labels"]["pod"]))


def _target_group(pod: Manifest) -> dict[str, Any] | None:
    metadata, status = pod["metadata"], pod.get("status", {})
    annotations = metadata.get("annotations") or {}
    address = status.get("podIP")
    port, container = _port(pod, annotations.get("prometheus.io/port"))
    if not port or not _is_here(address) or status.get("phase") in ENDED:
        return None
    if annotations.get("prometheus.io/scrape") == "false":
        return None
    path = annotations.get("prometheus.io/path")
    labels = {
        **{_label_name(name): value for name, value in (metadata.get("labels") or {}).items()},
        "namespace": metadata["namespace"],
        "pod": metadata["name"],
        **({"container": container} if container else {}),
        **({"__metrics_path__": path} if path else {}),
    }
    return {"targets": [f"{address}:{port}"], "labels": labels}


def _port(pod: Manifest, wanted: str | None) -> tuple[int | None, str | None]:
    """The port with the metrics, and the container that has it if one declares it."""
    declared = [
        (port["containerPort"], port.get("name"), container["name"])
        for container in pod["spec"].get("containers", ())
        for port in container.get("ports") or ()
    ]
    if wanted is None:
        return next(((number, container) for number, name, container in declared if name == PORT_NAME), (None, None))
    if not wanted.isdecimal() or not 0 < int(wanted) <= LAST_PORT:
        return None, None
    return int(wanted), next((container for number, _, container in declared if number == int(wanted)), None)


def _is_here(address: str | None) -> bool:
    """Whether the pod is a process on this machine. An existing cluster has others, which are not ours to scrape."""
    return address is not None and address.startswith("127.")


def _label_name(name: str) -> str:
    """As `labelmap` in the usual scrape configuration: app.kubernetes.io/name is app_kubernetes_io_name."""
    return re.sub(r"^(?=[0-9])|[^a-zA-Z0-9_]", "_", name)


def _duration(length: timedelta) -> str:
    return f"{length // timedelta(milliseconds=1)}ms"
