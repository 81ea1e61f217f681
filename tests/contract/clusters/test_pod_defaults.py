"""Pods that mean the same are stored alike: whatever is one revision to us is one object to the API server."""

from __future__ import annotations

import pytest

from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.rollout.identity import meaning
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

BARE: Manifest = {
    "containers": [
        {
            "name": "server",
            "image": "registry.example/fraud:1",
            "ports": [{"containerPort": 8080}],
            "env": [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "readinessProbe": {"httpGet": {"port": 8080}},
            "livenessProbe": {"grpc": {"port": 8081}},
            "volumeMounts": [{"name": "files", "mountPath": "/files"}],
        }
    ],
    "initContainers": [{"name": "load", "image": "registry.example/load"}],
    "volumes": [{"name": "files", "configMap": {"name": "files"}}, {"name": "host", "hostPath": {"path": "/models"}}],
}


async def test_what_the_api_server_fills_in_is_no_other_revision(cluster: Cluster, namespace: str) -> None:
    labels = {"app": "fraud"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "fraud"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": BARE}},
    }
    stored = (await cluster.create(deployment))["spec"]["template"]
    assert stored["spec"] != BARE
    assert meaning(stored) == meaning(deployment["spec"]["template"])  # type: ignore[index]
