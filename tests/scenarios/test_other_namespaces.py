"""A rollout stays in its namespace: nothing that a spec may say makes, changes or leads to an object elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from modelrollout.api.crd import definitions
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.town import Town, releasing

GATEWAYS = [{"name": "inference-gateway", "namespace": "ingress"}]
SHADOW = {"name": "shadow", "shadow": {"methods": ["POST"], "hold": "30s", "compare": {"minAgreement": "90%"}}}
ROUTERS = [
    {"port": 8080, "gatewayAPI": {"parentRefs": GATEWAYS}},
    {"port": 8080, "grpc": {"parentRefs": GATEWAYS}},
    {"port": 8080, "istio": {"hosts": ["fraud.example.com"], "gateways": ["ingress/public"]}},
    {"port": 8080, "service": {}},
]


def fields(schema: Any, path: str = "") -> Iterator[str]:
    """Every field of a schema, by its path."""
    if isinstance(schema, dict):
        for name, part in (schema.get("properties") or {}).items():
            yield f"{path}.{name}"
            yield from fields(part, f"{path}.{name}")
        yield from fields(schema.get("items"), f"{path}[]")


def test_no_field_of_a_spec_names_a_namespace_but_that_of_a_gateway_which_says_whom_it_takes() -> None:
    (schema,) = (
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for definition in definitions()
        if definition["spec"]["names"]["kind"] == "ModelRollout"
    )
    assert [path for path in fields(schema) if path.lower().endswith("namespace")] == [
        ".traffic.gatewayAPI.parentRefs[].namespace",
        ".traffic.grpc.parentRefs[].namespace",
    ]


@pytest.mark.parametrize("traffic", ROUTERS, ids=lambda traffic: next(name for name in traffic if name != "port"))
def test_all_that_is_made_is_in_the_rollouts_namespace_and_leads_to_its_services(traffic: Manifest) -> None:
    analysis = {"readinessOnly": True} if "grpc" in traffic else builders.spec()["analysis"]
    town = releasing(traffic=traffic, analysis=analysis)
    town.go(Phase.PROGRESSING)
    made = [one for one in town.cluster.objects.values() if one["metadata"].get("ownerReferences")]
    assert {one["metadata"]["namespace"] for one in made} == {"ml"}
    assert [*backends(made)] == []


def backends(objects: list[Manifest]) -> Iterator[Manifest]:
    """References from the rules of routes to another namespace, which a ReferenceGrant would have to allow."""
    for one in objects:
        for rule in one["spec"].get("rules") or ():
            yield from (ref for ref in rule["backendRefs"] if "namespace" in ref)
        for rule in one["spec"].get("http") or ():
            yield from (to for to in rule["route"] if "." in to["destination"]["host"])


def test_a_template_that_names_another_namespace_or_owner_is_made_in_the_rollouts_own() -> None:
    spec = builders.spec()
    foreign = {
        "namespace": "kube-system",
        "ownerReferences": [{"uid": "x"}],
        "finalizers": ["x/y"],
        "labels": {"a": "b"},
    }
    template = {**spec["workload"]["template"], "metadata": foreign}
    town = Town()
    town.wish("1", workload={"template": template})
    town.go(Phase.HEALTHY)
    (found,) = town.cluster.all(DEPLOYMENTS)
    metadata = found["metadata"]
    assert metadata["namespace"] == "ml"
    assert "finalizers" not in metadata
    assert [one["kind"] for one in metadata["ownerReferences"]] == ["ModelRollout"]


@pytest.mark.parametrize(
    ("version", "kind"),
    [("v1", "Pod"), ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ("batch/v1", "Job"), ("v1", "Secret")],
)
def test_a_template_is_a_workload_and_of_no_other_kind(version: str, kind: str) -> None:
    template = {**builders.spec()["workload"]["template"], "apiVersion": version, "kind": kind}
    town = Town()
    town.wish("1", workload={"template": template})
    town.run(minutes=1)
    assert (town.phase, [one["kind"] for one in town.cluster.objects.values() if one["kind"] == kind]) == (
        Phase.INVALID,
        [],
    )


def test_a_comparer_asks_the_rollouts_own_services_and_has_no_token() -> None:
    town = releasing(stages=[SHADOW])
    town.run(until=lambda town: comparers(town) != [], minutes=10)
    (pod,) = comparers(town)
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert "volumes" not in pod
    urls = [part for part in container["args"][-1].split('"') if part.startswith("http")]
    addresses = {one["spec"]["clusterIP"] for one in town.cluster.objects.values() if one["kind"] == "Service"}
    assert urls
    assert all(any(f"//{address}:" in url for address in addresses) or ".ml.svc" in url for url in urls)


def comparers(town: Town) -> list[Manifest]:
    """The pods that compare answers."""
    found = (one for one in town.cluster.all(DEPLOYMENTS) if one["metadata"]["name"].endswith("-cmp"))
    return [one["spec"]["template"]["spec"] for one in found]
