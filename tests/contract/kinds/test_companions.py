"""What stands beside a version's workload, on plain dictionaries and on both API servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.scaling import ScaledObject
from modelrollout.api.workload import Workload
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest, Owner, Ref, is_applied, ref_of
from modelrollout.objects.resources import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, SCALED_OBJECTS
from modelrollout.workloads.companions import companions
from modelrollout.workloads.deployment import DEPLOYMENT
from tests.contract.kinds.test_kinds import NAMES, applied, cluster, owner, template
from tests.contract.routers.conftest import serves
from tests.docs import document
from tests.fakes.cluster import FakeCluster
from tests.integration.patience import eventually

__all__ = ["cluster", "owner"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
_GPU = {
    "type": "Pods",
    "pods": {"metric": {"name": "gpu_utilization"}, "target": {"type": "AverageValue", "averageValue": "1000m"}},
}
_SLOWLY = {"type": "Pods", "value": 1, "periodSeconds": 60}
HPAS = [
    {"maxReplicas": 10},
    {"minReplicas": 2, "maxReplicas": 10, "metrics": [_CPU, _GPU]},
    {"maxReplicas": 10, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [_SLOWLY]}}},
]
BUDGETS = [
    {"maxUnavailable": "25%"},
    {"minAvailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
    {"minAvailable": "50%"},
]
EACH = [
    *({"autoscaling": {"horizontalPodAutoscaler": hpa}} for hpa in HPAS),
    *({"podDisruptionBudget": budget} for budget in BUDGETS),
]


def made(owner: Owner, least: int = 0, **wished: Any) -> Manifest:
    workload = Workload.model_validate({"template": {}, **wished})
    (found,) = companions(owner, NAMES, DEPLOYMENTS, workload, least)
    return found


async def there(cluster: Cluster, ref: Ref) -> Manifest:
    found = await cluster.read(ref.resource, ref.namespace, ref.name)
    assert found is not None
    return found


async def scaled(cluster: Cluster, owner: Owner, number: int) -> tuple[int, str | None]:
    """The number of pods and whose it is, once an autoscaler has written one."""
    scale = {"spec": {"replicas": number}}
    await cluster.patch(DEPLOYMENTS, owner.namespace, NAMES.workload, scale, subresource="scale")
    state = DEPLOYMENT.state(await there(cluster, Ref(DEPLOYMENTS, owner.namespace, NAMES.workload)))
    return state.replicas, state.scaled_by


@pytest.mark.parametrize("wished", EACH, ids=str)
async def test_nothing_is_asked_again_of_what_was_applied(
    cluster: Cluster, owner: Owner, wished: dict[str, Any]
) -> None:
    wanted = made(owner, **wished)
    await cluster.rehearse(wanted, manager="modelrollout-workload")
    await cluster.apply(wanted, manager="modelrollout-workload")
    assert is_applied(wanted, await there(cluster, ref_of(wanted)))


async def test_a_floor_that_is_over_leaves_what_the_author_wrote(cluster: Cluster, owner: Owner) -> None:
    wished = {"autoscaling": {"horizontalPodAutoscaler": HPAS[0]}}
    ref = Ref(HORIZONTAL_POD_AUTOSCALERS, owner.namespace, NAMES.workload)
    await cluster.apply(made(owner, 5, **wished), manager="modelrollout-workload")
    assert (await there(cluster, ref))["spec"]["minReplicas"] == 5
    await cluster.apply(made(owner, **wished), manager="modelrollout-workload")
    assert (await there(cluster, ref))["spec"].get("minReplicas", 1) == 1


async def test_a_number_that_was_set_through_scale_stays_when_it_is_no_longer_applied(
    cluster: Cluster, owner: Owner
) -> None:
    await applied(cluster, DEPLOYMENT.render(owner, NAMES, template(DEPLOYMENT), 4))
    assert await scaled(cluster, owner, 4) == (4, None)  # nothing changed hands
    assert await scaled(cluster, owner, 7) == (7, "test")
    after = await applied(cluster, DEPLOYMENT.render(owner, NAMES, template(DEPLOYMENT), None))
    assert (DEPLOYMENT.state(after).replicas, DEPLOYMENT.state(after).scaled_by) == (7, "test")


@pytest.mark.parametrize("number", [4, 7], ids=["another", "the same"])
async def test_a_number_that_is_applied_is_nobody_elses_until_it_is_scaled_again(
    cluster: Cluster, owner: Owner, number: int
) -> None:
    await applied(cluster, DEPLOYMENT.render(owner, NAMES, template(DEPLOYMENT), 3))
    assert await scaled(cluster, owner, 7) == (7, "test")
    after = await applied(cluster, DEPLOYMENT.render(owner, NAMES, template(DEPLOYMENT), number))
    assert (DEPLOYMENT.state(after).replicas, DEPLOYMENT.state(after).scaled_by) == (number, None)
    assert await scaled(cluster, owner, 8) == (8, "test")


async def test_a_number_that_is_patched_is_nobody_elses(cluster: Cluster, owner: Owner) -> None:
    await applied(cluster, DEPLOYMENT.render(owner, NAMES, template(DEPLOYMENT), None))
    assert await scaled(cluster, owner, 6) == (6, None)  # of a number that was nobody's no owner is kept
    ref = Ref(DEPLOYMENTS, owner.namespace, NAMES.workload)
    for number in (5, 4):
        await cluster.patch(DEPLOYMENTS, ref.namespace, ref.name, DEPLOYMENT.resized(ref, number).patch)
        state = DEPLOYMENT.state(await there(cluster, ref))
        assert (state.replicas, state.scaled_by) == (number, None)
        assert await scaled(cluster, owner, 7) == (7, "test")


async def test_nothing_is_asked_again_of_what_keda_was_given(cluster: Cluster, owner: Owner) -> None:
    if not isinstance(cluster, FakeCluster):
        await cluster.create(document(Path(__file__).parent / "scaledobjects.yaml"))
        await eventually(lambda: serves(cluster, SCALED_OBJECTS), "the server knows ScaledObjects")
    trigger = {"type": "prometheus", "metadata": {"query": "sum(rate(x[1m]))", "threshold": "5"}}
    config = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}
    keda = {
        "triggers": [trigger],
        "minReplicaCount": 0,
        "maxReplicaCount": 4,
        "pollingInterval": 5,
        "fallback": {"failureThreshold": 3, "replicas": 2},
        "advanced": {"horizontalPodAutoscalerConfig": config},
    }
    wanted = made(owner, 2, autoscaling={"scaledObject": keda})
    await cluster.rehearse(wanted, manager="modelrollout-workload")
    await cluster.apply(wanted, manager="modelrollout-workload")
    assert is_applied(wanted, await there(cluster, ref_of(wanted)))


async def test_kedas_has_the_same_floor_and_never_idles_below_it() -> None:
    keda = ScaledObject.model_validate({"triggers": [{"type": "cpu"}], "idleReplicaCount": 0, "maxReplicaCount": 4})
    wished = {"autoscaling": {"scaledObject": keda.to_wire()}}
    owner = Owner("ml", "fraud", "uid")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud-1"}
    assert made(owner, **wished)["spec"] == {**keda.to_wire(), "scaleTargetRef": target}
    floored = {"triggers": [{"type": "cpu"}], "maxReplicaCount": 4, "minReplicaCount": 4, "scaleTargetRef": target}
    assert made(owner, 9, **wished)["spec"] == floored
