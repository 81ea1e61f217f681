"""A ModelRollout that is being applied over one whose version 1 serves, and what Prometheus knows of that one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.api.analysis import PrometheusServer
from modelrollout.objects.manifests import Manifest
from modelrollout.promql.query import Answer, Answered, Query, Series, Unanswered
from modelrollout.rollout.rollout import Wish, read_wish
from tests import builders

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def revision(spec: Manifest) -> str:
    wish = read_wish(spec)
    assert isinstance(wish, Wish)
    return wish.revision


def serving(**changes: Any) -> Manifest:
    """Version 1 of the builders' rollout, which serves."""
    manifest = builders.rollout("1", **changes)
    arm = {
        "revision": revision(manifest["spec"]),
        "model": {"name": "fraud-detector", "version": "1"},
        "workload": f"fraud-{revision(manifest['spec'])}",
    }
    return {**manifest, "status": {"phase": "Healthy", "stable": arm}}


def applied(version: str = "2", **changes: Any) -> Manifest:
    """The same with another spec, as an admission webhook sees it: with the status that it has."""
    return {**serving(), "spec": builders.spec(version, **changes)}


def review(new: Manifest, old: Manifest | None = None, uid: str = "review-1") -> dict[str, Any]:
    """What the API server sends."""
    request = {
        "uid": uid,
        "kind": {"group": "modelrollout.dev", "version": "v1alpha1", "kind": "ModelRollout"},
        "operation": "UPDATE" if old else "CREATE",
        "namespace": "ml",
        "name": "fraud",
        "object": new,
        "oldObject": old,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def counters(
    rps: float, bad: float, start: datetime, end: datetime, pods: int = 4, namespace: str = "ml"
) -> tuple[Series, ...]:
    """http_requests_total of each pod, minute by minute, of which a share is bad; spread as evenly as can be."""
    minutes = [start + timedelta(minutes=n) for n in range(int((end - start) / timedelta(minutes=1)) + 1)]
    return tuple(
        Series(
            {
                "__name__": "http_requests_total",
                "namespace": namespace,
                "pod": f"fraud-{revision(builders.spec())}-{pod}",
                "code": code,
            },
            tuple(
                (at.timestamp(), float(round(1e3 + rps / pods * share * (at - start).total_seconds())))
                for at in minutes
            ),
        )
        for pod in range(pods)
        for code, share in (("200", 1 - bad), ("500", bad))
    )


@dataclass
class History:
    """Prometheus, as far as it was asked of stable's past."""

    rps: float = 50
    bad: float = 0.001
    namespaces: tuple[str, ...] = ("ml",)  # in which there are pods of the same names
    is_away: bool = False
    is_hanging: bool = False
    asked: list[Query] = field(default_factory=list)
    urls: list[str | None] = field(default_factory=list)

    async def ask(
        self, namespace: str, named: PrometheusServer | None, queries: tuple[Query, ...]
    ) -> Mapping[Query, Answer]:
        self.asked += queries
        self.urls.append(named.url if named is not None else None)
        if self.is_hanging:
            await asyncio.Event().wait()
        if self.is_away:
            return {query: Unanswered("connection refused", rejected=False) for query in queries}
        return {query: Answered(self._found(query)) for query in queries}

    def _found(self, query: Query) -> tuple[Series, ...]:
        each = [counters(self.rps, self.bad, query.start, query.end, namespace=name) for name in self.namespaces]
        return tuple(one for found in each for one in found)
