"""Garbage collection against both API servers: who loses its owner goes, in the way that was asked for."""

from __future__ import annotations

from typing import Literal

import pytest

from localcluster.controllers.garbage import garbage
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, SERVICES, Resource
from tests.integration.patience import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = (CONFIG_MAPS, SERVICES)


async def _family(cluster: Cluster, namespace: str) -> tuple[Manifest, Manifest]:
    """A config map, and a Service that belongs to it."""
    owner = await cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}}
    )
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    child = await cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "child", "namespace": namespace, "ownerReferences": [reference]},
            "spec": {"ports": [{"port": 80}]},
        }
    )
    return owner, child


async def _gone(cluster: Cluster, namespace: str, resource: Resource, name: str) -> None:
    async def is_gone() -> bool:
        return await cluster.read(resource, namespace, name) is None

    await eventually(is_gone, f"{resource.kind} {name} goes", within=10)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_dependents_go_with_their_owner(
    cluster: Cluster, namespace: str, propagation: Literal["Background", "Foreground"]
) -> None:
    async with garbage(cluster, KINDS):
        await _family(cluster, namespace)
        await cluster.delete(CONFIG_MAPS, namespace, "owner", propagation=propagation)
        await _gone(cluster, namespace, SERVICES, "child")
        await _gone(cluster, namespace, CONFIG_MAPS, "owner")


async def test_orphans_stay_and_forget_their_owner(cluster: Cluster, namespace: str) -> None:
    async with garbage(cluster, KINDS):
        await _family(cluster, namespace)
        await cluster.delete(CONFIG_MAPS, namespace, "owner", propagation="Orphan")
        await _gone(cluster, namespace, CONFIG_MAPS, "owner")
        child = await cluster.read(SERVICES, namespace, "child")
    assert child is not None
    assert "ownerReferences" not in child["metadata"]


async def test_another_object_of_the_owners_name_is_not_the_owner(cluster: Cluster, namespace: str) -> None:
    await _family(cluster, namespace)
    await cluster.delete(CONFIG_MAPS, namespace, "owner")
    await _gone(cluster, namespace, CONFIG_MAPS, "owner")
    await cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}}
    )
    async with garbage(cluster, KINDS):
        await _gone(cluster, namespace, SERVICES, "child")
    assert await cluster.read(CONFIG_MAPS, namespace, "owner")
