"""Objects that the API server will not take: what it says of them, tried or written, on each cluster."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelrollout import kube
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS
from tests.builders import deployment
from tests.clusters import namespace
from tests.contract.clusters.test_verbs import cluster

__all__ = ["cluster", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTAINER = '.spec.template.spec.containers[name="server"]'
TWICE = [{"name": "MODE", "value": "a"}, {"name": "MODE", "value": "b"}]
MISTAKES = [
    ({"imagePulPolicy": "Always"}, f"{CONTAINER}.imagePulPolicy: field not declared in schema"),
    ({"env": TWICE}, f'{CONTAINER}.env: duplicate entries for key [name="MODE"]'),
]


def with_server(namespace: str, **fields: Any) -> Manifest:
    manifest = copy.deepcopy(deployment(namespace))
    manifest["spec"]["template"]["spec"]["containers"][0] |= fields
    return manifest


async def refused(cluster: Cluster, manifest: Manifest) -> kube.Failed:
    """The answer to an object that does not fit the types of its kind; the same to a rehearsal and to the write."""
    with pytest.raises(kube.Failed) as tried:
        await cluster.rehearse(manifest, manager="operator")
    with pytest.raises(kube.Failed) as written:
        await cluster.apply(manifest, manager="operator")
    assert (tried.value.status, tried.value.message) == (written.value.status, written.value.message)
    return tried.value


async def test_a_rehearsal_leaves_no_trace(cluster: Cluster, namespace: str) -> None:
    said = await cluster.rehearse(deployment(namespace, 2), manager="operator")
    assert said["spec"]["replicas"] == 2
    assert await cluster.read(DEPLOYMENTS, namespace, "fraud") is None
    made = await cluster.apply(deployment(namespace, 2), manager="operator")
    assert (await cluster.rehearse(deployment(namespace, 3), manager="operator"))["spec"]["replicas"] == 3
    assert await cluster.read(DEPLOYMENTS, namespace, "fraud") == made


@pytest.mark.parametrize(("fields", "says"), MISTAKES, ids=["unknown field", "named twice"])
async def test_a_mistake_in_a_container_is_told_with_its_field(
    cluster: Cluster, namespace: str, fields: Manifest, says: str
) -> None:
    refusal = await refused(cluster, with_server(namespace, **fields))
    place = f"{namespace}/fraud; apps/v1, Kind=Deployment"
    assert (refusal.status, refusal.message) == (500, f"failed to create typed patch object ({place}): {says}")


async def test_a_value_of_another_type_is_told_with_its_field(cluster: Cluster, namespace: str) -> None:
    manifest = deployment(namespace)
    manifest["spec"]["replicas"] = "four"
    refusal = await refused(cluster, manifest)
    assert (refusal.status, ".spec.replicas: expected numeric (int or float), got string" in refusal.message) == (
        500,
        True,
    )
