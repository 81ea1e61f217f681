"""Where Kubernetes' own controllers make the pods: ReplicaSets, quotas, availability and garbage collection."""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from localcluster.controllers.manager import manager_program
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, PODS, REPLICA_SETS, SERVICES
from tests.integration.releases import Place, Release, comes_true, place

__all__ = ["place"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        manager_program() is None, reason="no kube-controller-manager in the folder that KUBEBUILDER_ASSETS names"
    ),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl"),
]

QUICK = {
    "analysis": {"readinessOnly": True, "interval": "2s"},
    "stages": [{"name": "canary", "canary": {"weights": [50, 100], "hold": "2s"}}],
}


@pytest_asyncio.fixture(loop_scope="module")
async def release(place: Place) -> AsyncIterator[Release]:
    """Version v1 of the digits example serves, judged by readiness alone."""
    release = Release(place)
    await release.create(**QUICK)
    await release.serves("v1")
    yield release
    await place.local.cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)


async def _kubectl(release: Release, *arguments: str) -> None:
    kubeconfig = str(release.place.local.kubernetes.kubeconfig)
    command = ("kubectl", "--kubeconfig", kubeconfig, "--namespace", release.namespace, *arguments)
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, arguments


async def _workload(release: Release, version: str) -> Manifest | None:
    status = await release.status()
    arms = [arm for arm in (status.stable, status.candidate) if arm is not None and arm.model.version == version]
    return await release.place.local.cluster.read(DEPLOYMENTS, release.namespace, arms[0].workload) if arms else None


async def test_pods_belong_to_replica_sets_and_all_of_it_goes_with_the_rollout(place: Place) -> None:
    release = Release(place)
    await release.create(**QUICK)
    await release.serves("v1")
    pods = (await place.local.cluster.list(PODS, release.namespace)).items
    owners = [owner["kind"] for pod in pods for owner in pod["metadata"]["ownerReferences"]]
    assert owners == ["ReplicaSet"]
    await release.version("v2")
    await release.serves("v2")
    await place.local.cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)
    for kind in (MODEL_ROLLOUTS, HTTP_ROUTES, DEPLOYMENTS, REPLICA_SETS, SERVICES, PODS):
        await comes_true(functools.partial(release.has_none, kind), seconds=60)


async def test_a_quota_that_is_used_up_is_told_in_its_own_words_and_waited_for(release: Release) -> None:
    await _kubectl(release, "create", "quota", "few", "--hard=pods=1")
    await release.version("v2")
    status = await release.until(lambda s: "exceeded quota: few" in (s.message or ""))
    assert status.phase is Phase.PENDING
    assert await release.candidate_weight() == 0
    await _kubectl(release, "delete", "quota", "few")
    # The ReplicaSet controller tries again after pauses that grow.
    await release.serves("v2", seconds=180)


async def test_pod_security_is_that_of_the_namespace_and_its_refusal_is_told_in_its_own_words(release: Release) -> None:
    await _kubectl(release, "label", "namespace", release.namespace, "pod-security.kubernetes.io/enforce=restricted")
    await release.version("v2")
    status = await release.until(lambda s: 'violates PodSecurity "restricted:latest"' in (s.message or ""))
    assert status.phase is Phase.PENDING
    assert "allowPrivilegeEscalation" in (status.message or "")
    assert await release.candidate_weight() == 0


async def test_no_traffic_before_pods_are_available(release: Release) -> None:
    await release.patch({"workload": {"template": {"spec": {"minReadySeconds": 10}}}, "model": {"version": "v2"}})
    while (await release.candidate_weight()) == 0:
        workload = await _workload(release, "v2")
        if ((workload or {}).get("status") or {}).get("availableReplicas"):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the candidate had traffic before any of its pods was available")
    await release.serves("v2")
