"""Both Deployment controllers, the local cluster's and the fake one, say the same of what the operator reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcluster.controllers import deployment_plan
from localcluster.controllers.replicas import TEMPLATE_HASH, template_hash
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, PODS
from tests import builders
from tests.fakes.cluster import FakeCluster

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
READ = ("observedGeneration", "replicas", "readyReplicas", "availableReplicas")


def ran(cluster: FakeCluster, replicas: int = 4, least: int = 0) -> Manifest:
    """A Deployment as the fake's controllers leave it after a while."""
    made = builders.deployment("ml", replicas=replicas)
    cluster.put({**made, "spec": {**made["spec"], "minReadySeconds": least}})
    for seconds in (0, 5):
        cluster.run_controllers(NOON + timedelta(seconds=seconds))
    found = cluster.get(DEPLOYMENTS, "fraud")
    assert found is not None
    return found


def status_by_the_local_cluster(deployment: Manifest, pods: list[Manifest]) -> dict[str, Any]:
    of_now = {TEMPLATE_HASH: template_hash(deployment)}
    theirs = [{**pod, "metadata": {**pod["metadata"], "annotations": of_now}} for pod in pods]
    made = deployment_plan.plan(deployment, theirs, NOON + timedelta(seconds=5))
    assert (made.create, made.delete) == (0, ())
    return {name: made.status[name] for name in READ if name in made.status}


@pytest.mark.parametrize(
    "cluster",
    [
        FakeCluster(),
        FakeCluster(slow=timedelta(minutes=1)),
        FakeCluster(broken={"plain"}),
        FakeCluster(limping={"plain": 3}),
    ],
    ids=["all ready", "starting", "broken", "some ready"],
)
def test_counts_of_ready_pods_are_said_in_the_same_way(cluster: FakeCluster) -> None:
    found = ran(cluster)
    assert found["status"] == status_by_the_local_cluster(found, cluster.all(PODS))


@pytest.mark.parametrize("least", [4, 5, 6])
def test_pods_are_available_after_min_ready_seconds_in_both(least: int) -> None:
    cluster = FakeCluster()
    found = ran(cluster, least=least)
    assert found["status"].get("availableReplicas", 0) == (4 if least <= 5 else 0)
    assert found["status"] == status_by_the_local_cluster(found, cluster.all(PODS))


@pytest.mark.parametrize("replicas", [0, 1, 6])
def test_a_scaled_deployment_has_as_many_pods_in_both(replicas: int) -> None:
    cluster = FakeCluster()
    ran(cluster)
    found = ran(cluster, replicas)
    assert found["status"] == status_by_the_local_cluster(found, cluster.all(PODS))
