"""The operator on a real API server: objects that it does not take, and objects that are as large as it takes them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from demo.operator_process import operator
from localcluster.kubernetes import KubernetesEndpoint
from modelrollout.api.crd import definitions
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.kube import Cluster, KubeError
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, EVENTS, MODEL_ROLLOUTS, SERVICES, Resource
from tests.clusters import api_server_of_kind
from tests.contract.api_server.api_server_client import Api
from tests.contract.conftest import session_of
from tests.integration.patience import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OLD_NOTE = "kopf.modelrollout.dev/last-handled-configuration"
MOST_BYTES = 256 * 1024
"""What the annotations of an object may have together, names and values."""
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubernetesEndpoint]:
    async with api_server_of_kind("real", tmp_path_factory.mktemp("kubernetes")) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(endpoint: KubernetesEndpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A real API server with the operator beside it. No controller runs: tests say which pods are ready."""
    async with Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster:
        for definition in definitions():
            await cluster.apply(definition, manager="test")
        await eventually(lambda: _is_served(cluster), "ModelRollouts are served")
        log = tmp_path_factory.mktemp("operator") / "operator.log"
        async with operator(endpoint.kubeconfig, "http://127.0.0.1:9", log):
            yield cluster


async def _is_served(cluster: Cluster) -> bool:
    try:
        await cluster.list(MODEL_ROLLOUTS)
    except KubeError:
        return False
    return True


@pytest_asyncio.fixture(loop_scope="module")
async def namespace(cluster: Cluster) -> str:
    name = f"refusals-{next(_numbers)}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def rollout(namespace: str, version: str = "v1", **container: Any) -> Manifest:
    server = {"name": "server", "image": f"registry.example/fraud:{version}", **container}
    template = {"spec": {"replicas": 1, "template": {"spec": {"containers": [server]}}}}
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "big", "namespace": namespace},
        "spec": {
            "model": {"name": "fraud", "version": version},
            "workload": {"template": template},
            "traffic": {"port": 8080, "service": {}},
            "stages": [{"name": "canary", "canary": {"weights": [100], "hold": "1s"}}],
            "analysis": {"readinessOnly": True},
            "promotion": {"bake": "0s", "keepOld": "0s"},
        },
    }


def large(namespace: str, version: str = "v1") -> Manifest:
    """With a template of 138 KiB."""
    return rollout(namespace, version, env=[{"name": f"C{i}", "value": "x" * 46 * 1024} for i in range(3)])


def as_kubectl_applies_it(manifest: Manifest, **annotations: str) -> Manifest:
    """With the copy that kubectl keeps in it."""
    noted = {LAST_APPLIED: json.dumps(manifest, separators=(",", ":")) + "\n", **annotations}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": noted}}


def room_left(manifest: Manifest) -> int:
    return MOST_BYTES - sum(len(f"{name}{text}") for name, text in manifest["metadata"]["annotations"].items())


async def status(cluster: Cluster, namespace: str) -> ModelRolloutStatus:
    found = await cluster.read(MODEL_ROLLOUTS, namespace, "big")
    return ModelRolloutStatus.model_validate((found or {}).get("status") or {})


async def with_ready_pods(cluster: Cluster, namespace: str) -> None:
    """What the Deployment controller would say, were there one with pods that are ready."""
    for found in (await cluster.list(DEPLOYMENTS, namespace)).items:
        wanted, generation = found["spec"]["replicas"], found["metadata"]["generation"]
        if (found.get("status") or {}).get("observedGeneration") != generation:
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
            said = {"status": {**counts, "observedGeneration": generation}}
            await cluster.patch(DEPLOYMENTS, namespace, found["metadata"]["name"], said, subresource="status")


async def serves(cluster: Cluster, namespace: str, version: str) -> ModelRolloutStatus:
    async def look() -> ModelRolloutStatus | None:
        await with_ready_pods(cluster, namespace)
        seen = await status(cluster, namespace)
        is_there = seen.phase is Phase.HEALTHY and seen.stable is not None and seen.stable.model.version == version
        return seen if is_there else None

    found = await eventually(look, f"{version} serves")
    assert found is not None
    return found


async def is_gone(cluster: Cluster, namespace: str) -> bool:
    return await cluster.read(MODEL_ROLLOUTS, namespace, "big") is None


# Large objects


async def test_a_large_rollout_is_released_and_goes_within_seconds(cluster: Cluster, namespace: str) -> None:
    await cluster.create(as_kubectl_applies_it(large(namespace)))
    await serves(cluster, namespace, "v1")
    newer = as_kubectl_applies_it(large(namespace, "v2"))
    await cluster.patch(
        MODEL_ROLLOUTS, namespace, "big", {"metadata": {"annotations": newer["metadata"]["annotations"]}}
    )
    await cluster.patch(MODEL_ROLLOUTS, namespace, "big", {"spec": newer["spec"]})
    await serves(cluster, namespace, "v2")
    found = await cluster.read(MODEL_ROLLOUTS, namespace, "big")
    assert set(found["metadata"]["annotations"]) == {LAST_APPLIED}
    await cluster.delete(MODEL_ROLLOUTS, namespace, "big")
    await eventually(lambda: is_gone(cluster, namespace), "it is gone", within=10)
    assert await cluster.read(SERVICES, namespace, "big") is None


async def test_a_rollout_whose_annotations_are_full_to_the_last_byte_goes_within_seconds(
    cluster: Cluster, namespace: str
) -> None:
    noted = as_kubectl_applies_it(rollout(namespace), note="")
    noted["metadata"]["annotations"]["note"] = "x" * room_left(noted)
    assert room_left(noted) == 0
    await cluster.create(noted)
    await serves(cluster, namespace, "v1")
    await cluster.delete(MODEL_ROLLOUTS, namespace, "big")
    await eventually(lambda: is_gone(cluster, namespace), "it is gone", within=10)


async def test_notes_of_an_older_operator_are_taken_off(cluster: Cluster, namespace: str) -> None:
    noted = as_kubectl_applies_it(rollout(namespace), **{OLD_NOTE: ""})
    noted["metadata"]["annotations"][OLD_NOTE] = "x" * room_left(noted)
    await cluster.create(noted)

    async def is_rid_of_it() -> bool:
        found = await cluster.read(MODEL_ROLLOUTS, namespace, "big")
        return found is not None and set(found["metadata"]["annotations"]) == {LAST_APPLIED}

    await eventually(is_rid_of_it, "the note is gone", within=10)
    await serves(cluster, namespace, "v1")


# Objects that it does not take


async def told(cluster: Cluster, namespace: str, words: str) -> bool:
    return words in ((await status(cluster, namespace)).message or "")


async def test_a_misspelt_field_is_told_while_the_old_version_serves(cluster: Cluster, namespace: str) -> None:
    await cluster.create(rollout(namespace))
    await serves(cluster, namespace, "v1")
    misspelt = rollout(namespace, "v2", imagePulPolicy="Always")
    await cluster.patch(MODEL_ROLLOUTS, namespace, "big", {"spec": misspelt["spec"]})
    words = 'containers[name="server"].imagePulPolicy: field not declared in schema'
    await eventually(lambda: told(cluster, namespace, words), "it is told", within=10)
    await asyncio.sleep(5)
    seen = await status(cluster, namespace)
    applied = next(condition for condition in seen.conditions if condition.type == "Applied")
    assert (seen.phase, seen.candidate, applied.status) == (Phase.HEALTHY, None, "False")
    events = [one for one in (await cluster.list(EVENTS, namespace)).items if one["reason"] == "Refused"]
    assert [words in event["message"] for event in events] == [True]
    await cluster.patch(MODEL_ROLLOUTS, namespace, "big", {"spec": rollout(namespace, "v3")["spec"]})
    await serves(cluster, namespace, "v3")


async def test_a_quota_is_told_before_anything_begins(
    cluster: Cluster, endpoint: KubernetesEndpoint, namespace: str
) -> None:
    await cluster.create(rollout(namespace))
    await serves(cluster, namespace, "v1")
    hard = {"count/deployments.apps": "1"}
    async with session_of(endpoint) as session:
        await Api(session).made(QUOTAS.path(namespace), {"metadata": {"name": "small"}, "spec": {"hard": hard}})
    said = {"status": {"hard": hard, "used": hard}}  # as the controller of quotas would, which does not run here
    await cluster.patch(QUOTAS, namespace, "small", said, subresource="status")
    await cluster.patch(MODEL_ROLLOUTS, namespace, "big", {"spec": rollout(namespace, "v2")["spec"]})
    await eventually(lambda: told(cluster, namespace, "exceeded quota: small"), "it is told", within=10)
    assert (await status(cluster, namespace)).candidate is None
