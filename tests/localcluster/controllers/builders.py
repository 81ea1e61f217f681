"""Workloads and their pods, as the controllers' plans get them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def workload(replicas: int | None, *, image: str = "v1", status: Any = None, generation: int = 1, **spec: Any) -> Any:
    return {
        "metadata": {"name": "web", "namespace": "ml", "uid": "owner", "generation": generation},
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": image}]}},
            **spec,
        },
        "status": status or {},
    }


def seen(
    made: Any,
    *,
    ready: bool = True,
    since: datetime = NOON,
    leaving: bool = False,
    phase: str = "Running",
    **metadata: str,
) -> Any:
    """The pod as the API server has it after a while."""
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    times = {"deletionTimestamp": "2026-01-01T12:00:00Z"} if leaving else {}
    status = {"phase": phase, "conditions": [condition]}
    return {**made, "metadata": {**made["metadata"], **times, **metadata}, "status": status}
