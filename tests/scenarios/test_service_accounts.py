"""As whom the pods of a template run: as a ServiceAccount of the rollout's own namespace, which has to be there."""

from __future__ import annotations

from typing import Any

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS
from tests.fakes.town import Town
from tests.scenarios.test_refusals import refusing


def account(namespace: str = "ml") -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": "server"}}


def running_as(name: Any) -> dict[str, Any]:
    containers = [{"name": "server", "image": "registry.example/fraud:{{ model.version }}"}]
    pod = {"spec": {"serviceAccountName": name, "containers": containers}}
    template = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 4, "template": pod}}
    return {"workload": {"template": template}}


def ready_because(town: Town) -> str:
    return next(one.reason for one in town.status.conditions if one.type == "Ready")


def test_service_account_that_the_namespace_does_not_have_is_told_before_anything_is_made() -> None:
    town = Town()
    town.cluster.put(account("elsewhere"))
    town.wish("1", **running_as("server"))
    town.run(minutes=1)
    assert (town.phase, ready_because(town)) == (Phase.INVALID, "ServiceAccountNotFound")
    assert town.status.message == (
        "ServiceAccount 'server' (spec.workload.template.spec.template.spec.serviceAccountName) does not exist in "
        "namespace 'ml': create it, or name another; traffic stays as it is."
    )
    assert town.cluster.all(DEPLOYMENTS) == []
    assert "Stalled" not in {one.type for one in town.status.conditions}  # it may be on its way
    town.cluster.put(account())
    town.go(Phase.HEALTHY)


def test_service_account_of_another_version_moves_no_traffic() -> None:
    town = Town()
    town.old = town.wish("1")
    town.go(Phase.HEALTHY)
    town.wish("2", **running_as("server"))
    town.run(minutes=1)
    assert (town.phase, town.share(town.old)) == (Phase.INVALID, 100)


def test_service_account_that_may_not_be_read_or_is_yet_to_be_filled_in_is_left_to_the_api_server() -> None:
    for name in ("server", "{{ model.name }}", "default"):
        town = Town()
        town.cluster.hook = refusing(Refused(403, "serviceaccounts is forbidden", "/api"), "get", "serviceaccounts")
        town.wish("1", **running_as(name))
        town.go(Phase.HEALTHY)
