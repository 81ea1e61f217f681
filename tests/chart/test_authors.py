"""A ModelRollout is taken only from who may make himself what it makes for him: as a real API server decides it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from modelrollout.api.crd import definitions
from modelrollout.objects.manifests import Manifest
from tests import builders
from tests.chart.helm import needs_helm, rendered
from tests.chart.test_on_kubernetes import kubectl
from tests.clusters import api_server_of_kind
from tests.integration.patience import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_helm]

POLICY = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
MAY = {
    "modelrollouts": ("modelrollout.dev", ["create"]),
    "deployments": ("apps", ["create"]),
    "services": ("", ["create"]),
    "httproutes": ("gateway.networking.k8s.io", ["create"]),
}
BESIDE = {
    "horizontalpodautoscalers": ("autoscaling", ["create"]),
    "scaledobjects": ("keda.sh", ["create"]),
    "poddisruptionbudgets": ("policy", ["create"]),
}


def role(name: str, *resources: str) -> list[Manifest]:
    """A user of that name who may do so much in the namespace `ml`."""
    rights = {**MAY, **BESIDE}
    rules = [{"apiGroups": [rights[one][0]], "resources": [one], "verbs": rights[one][1]} for one in resources]
    api = "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": "ml"}
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": name}],
        },
    ]


async def applied(kubeconfig: Path, objects: list[Manifest], *options: str) -> str:
    """What kubectl says; empty where all is well."""
    command = [str(kubectl()), "--kubeconfig", str(kubeconfig), "create", "--filename", "-", *options]
    text = yaml.dump_all(objects) if len(objects) != 1 else json.dumps(objects[0])
    made = await asyncio.to_thread(
        subprocess.run,
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    return str(made.stderr)


async def refusal(kubeconfig: Path, author: str, rollout: Manifest) -> str:
    return await applied(kubeconfig, [rollout], "--as", author, "--dry-run=server")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A cluster with the policy in force."""
    if kubectl() is None:
        pytest.skip("no kubectl")
    async with api_server_of_kind("real", tmp_path_factory.mktemp("authors")) as endpoint:
        objects = rendered({"rbac": {"checkAuthors": True}, "crds": {"enabled": False}})
        policy = [one for one in objects if one["kind"] in POLICY]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}
        people = [*role("nobody", "modelrollouts"), *role("deployer", *MAY), *role("scaler", *MAY, *BESIDE)]
        assert await applied(endpoint.kubeconfig, [*definitions(), namespace, *policy, *people]) == ""

        async def is_in_force() -> bool:
            return "spec.workload" in await refusal(endpoint.kubeconfig, "nobody", builders.rollout())

        await eventually(is_in_force, "the policy is in force")
        yield endpoint.kubeconfig


async def test_who_may_create_no_deployments_has_none_made(kubeconfig: Path) -> None:
    told = await refusal(kubeconfig, "nobody", builders.rollout())
    assert "spec.workload: you may not create deployments in namespace ml" in told


async def test_who_may_create_all_of_it_himself_is_let_in(kubeconfig: Path) -> None:
    assert await refusal(kubeconfig, "deployer", builders.rollout()) == ""


async def test_who_may_not_get_a_secret_has_it_shown_to_nobody(kubeconfig: Path) -> None:
    named = {"prometheus": {"secretRef": {"name": "prometheus"}}}
    analysis = {**builders.spec()["analysis"], **named}
    told = await refusal(kubeconfig, "deployer", builders.rollout(analysis=analysis))
    assert "secretRef: you may not get each of the Secrets prometheus in namespace ml" in told


@pytest.mark.parametrize(
    ("beside", "field", "resources"),
    [
        (
            {"autoscaling": {"horizontalPodAutoscaler": {"maxReplicas": 9}}},
            "autoscaling",
            "horizontalpodautoscalers",
        ),
        ({"autoscaling": {"scaledObject": {"triggers": [{"type": "cron"}]}}}, "autoscaling", "scaledobjects"),
        ({"podDisruptionBudget": {"maxUnavailable": 1}}, "podDisruptionBudget", "poddisruptionbudgets"),
    ],
    ids=["hpa", "keda", "budget"],
)
async def test_who_may_not_create_what_goes_beside_a_workload_has_it_made_by_nobody(
    kubeconfig: Path, beside: Manifest, field: str, resources: str
) -> None:
    rollout = builders.rollout(workload={**builders.spec()["workload"], **beside})
    told = f"spec.workload.{field}: you may not create {resources} in namespace ml"
    assert told in await refusal(kubeconfig, "deployer", rollout)
    assert await refusal(kubeconfig, "scaler", rollout) == ""


@pytest.mark.parametrize(
    ("traffic", "routes"),
    [
        ({"grpc": {"parentRefs": [{"name": "g"}]}}, "grpcroutes"),
        ({"istio": {"hosts": ["fraud"]}}, "virtualservices"),
        ({"routeRef": {"name": "theirs", "rule": 0}}, "httproutes"),
    ],
    ids=["grpc", "istio", "routeRef"],
)
async def test_who_may_not_write_a_route_has_it_written_by_nobody(
    kubeconfig: Path, traffic: Manifest, routes: str
) -> None:
    analysis = {"readinessOnly": True}
    rollout = builders.rollout(traffic={"port": 8080, **traffic}, analysis=analysis)
    assert f"you may not write {routes} in namespace ml" in await refusal(kubeconfig, "deployer", rollout)


async def test_a_kind_that_is_left_out_is_a_deployment_and_a_stateful_set_is_one(kubeconfig: Path) -> None:
    template = {**builders.spec()["workload"]["template"], "kind": "StatefulSet"}
    told = await refusal(kubeconfig, "deployer", builders.rollout(workload={"template": template}))
    assert "you may not create statefulsets" in told
