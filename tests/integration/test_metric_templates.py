"""A real operator beside a real API server: a template that comes or changes wakes the rollouts that refer to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from demo.operator_process import operator
from localcluster.kubernetes import api_server
from modelrollout.api.crd import definitions
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CLUSTER_METRIC_TEMPLATES, CUSTOM_RESOURCES, METRIC_TEMPLATES, MODEL_ROLLOUTS
from tests import builders
from tests.integration.patience import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """An API server with our kinds, and an operator. Nothing runs pods, and nobody asks Prometheus."""
    directory = tmp_path_factory.mktemp("templates")
    async with api_server(directory) as endpoint, Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster:
        for definition in definitions():
            await cluster.create(definition)
        for definition in definitions():
            name = definition["metadata"]["name"]
            await eventually(lambda name=name: established(cluster, name), f"{name} is served")
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}})
        async with operator(endpoint.kubeconfig, "http://127.0.0.1:9", directory / "operator.log"):
            yield cluster


async def established(cluster: Cluster, name: str) -> bool:
    conditions = (await cluster.read(CUSTOM_RESOURCES, None, name) or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


async def create(cluster: Cluster, name: str, *templates: Manifest) -> None:
    wanted = builders.rollout(traffic={"port": 8080, "service": {}}, analysis={"templates": list(templates)})
    await cluster.create({**wanted, "metadata": {"name": name, "namespace": "ml"}})


async def comes_to(cluster: Cluster, name: str, phase: str, text: str = "") -> None:
    async def has_come() -> bool:
        status = (await cluster.read(MODEL_ROLLOUTS, "ml", name) or {}).get("status") or {}
        return status.get("phase") == phase and text in status.get("message", "")

    # Long before the operator would look again by itself.
    await eventually(has_come, f"{name} is {phase}, and says {text!r}")


@pytest.mark.parametrize("kind", ["MetricTemplate", "ClusterMetricTemplate"])
async def test_rollouts_hear_of_their_templates_at_once(cluster: Cluster, kind: str) -> None:
    resource, namespace = (METRIC_TEMPLATES, "ml") if kind == "MetricTemplate" else (CLUSTER_METRIC_TEMPLATES, None)
    rollout, template = f"of-{kind.lower()[:7]}", builders.metric_template(kind, "late")
    await create(cluster, rollout, {"name": "late", "kind": kind})
    await comes_to(cluster, rollout, "Invalid", f"{kind} 'late' does not exist")
    await cluster.create(template)
    await comes_to(cluster, rollout, "Pending")
    await cluster.patch(resource, namespace, "late", {"spec": {"arguments": []}})
    await comes_to(cluster, rollout, "Invalid", " }} is not a known name")
    await cluster.patch(resource, namespace, "late", {"spec": template["spec"]})
    await comes_to(cluster, rollout, "Pending")
    await cluster.delete(resource, namespace, "late")
    await comes_to(cluster, rollout, "Invalid", "does not exist")


async def test_rollout_that_is_edited_hears_of_its_new_template(cluster: Cluster) -> None:
    await create(cluster, "edited", {"name": "first"})
    await comes_to(cluster, "edited", "Invalid", "MetricTemplate 'first' does not exist")
    await cluster.patch(MODEL_ROLLOUTS, "ml", "edited", {"spec": {"analysis": {"templates": [{"name": "second"}]}}})
    await comes_to(cluster, "edited", "Invalid", "MetricTemplate 'second' does not exist")
    await cluster.create(builders.metric_template(name="second"))
    await comes_to(cluster, "edited", "Pending")
