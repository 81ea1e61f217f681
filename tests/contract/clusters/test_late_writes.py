"""Writes that an earlier leader sent, and that reach an API server when another one has taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
import pytest_asyncio

from modelrollout.api.crd import definitions
from modelrollout.kube import AlreadyExists, Cluster, Conflict, KubeError
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import MODEL_ROLLOUTS, SERVICES
from modelrollout.shell.reader import Direct
from modelrollout.shell.succession import Succession
from tests import builders
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANDIDATE = {
    "revision": "b",
    "model": {"name": "fraud", "version": "2"},
    "workload": "fraud-b",
    "port": 8080,
    "since": "2026-01-01T12:00:00Z",
}


@pytest_asyncio.fixture(loop_scope="module")
async def served(cluster: Cluster) -> None:
    """The API server knows ModelRollouts."""
    for definition in definitions():
        try:
            await cluster.create(definition)
        except AlreadyExists:
            continue
    async with asyncio.timeout(30):
        while not await _is_answered(cluster.list(MODEL_ROLLOUTS)):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


async def _is_answered(call: Awaitable[Any]) -> bool:
    try:
        await call
    except KubeError:
        return False
    return True


def front(namespace: str, revision: str) -> Manifest:
    labels = {"modelrollout.dev/rollout": "fraud", "modelrollout.dev/revision": revision}
    spec = {"selector": labels, "ports": [{"name": "http-front", "port": 80, "targetPort": 8080}]}
    metadata = {"name": "fraud", "namespace": namespace, "labels": {"modelrollout.dev/rollout": "fraud"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@pytest.mark.usefixtures("served")
async def test_what_was_under_way_when_another_took_over_is_refused_and_the_objects_are_as_they_were(
    cluster: Cluster, namespace: str
) -> None:
    manifest = builders.rollout("2", traffic={"port": 8080, "service": {}})
    manifest["metadata"] = {"name": "fraud", "namespace": namespace, "finalizers": manifest["metadata"]["finalizers"]}
    made = await cluster.create(manifest)
    rollout = await cluster.replace_status({**made, "status": {"phase": "Progressing", "candidate": CANDIDATE}})
    service = await cluster.apply(front(namespace, "a"), manager="modelrollout")

    direct = Direct(cluster)
    succession = Succession(cluster, direct)
    assert await succession.took_over((namespace, "fraud"), rollout)
    assert not await succession.took_over((namespace, "fraud"), rollout)

    moves = front(namespace, "b")
    moves["metadata"]["resourceVersion"] = service["metadata"]["resourceVersion"]
    with pytest.raises(Conflict):
        await cluster.apply(moves, manager="modelrollout")
    with pytest.raises(Conflict):
        await cluster.replace_status({**rollout, "status": {"phase": "Promoting", "candidate": CANDIDATE}})
    for resource, before in ((SERVICES, service), (MODEL_ROLLOUTS, rollout)):
        after = await cluster.read(resource, namespace, "fraud")
        assert after is not None
        assert content(after) == content(before)


def content(manifest: Manifest) -> Manifest:
    """All but what tells of writes."""
    bare = {name: value for name, value in manifest["metadata"].items() if name != "resourceVersion"}
    bare.pop("managedFields", None)
    return {**manifest, "metadata": {**bare, "annotations": bare.get("annotations") or {}}}
