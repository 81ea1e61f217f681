"""Every kind of workload, on plain dictionaries and on both API servers: one that is added passes this unchanged."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from localcluster.apiserver.objects import generated_name
from localcluster.controllers import deployment_plan, stateful_set_plan
from modelrollout.api.workload import Workload
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, Ref, is_applied, ref_of
from modelrollout.rollout.template import template_of
from modelrollout.workloads.deployment import DEPLOYMENT
from modelrollout.workloads.kind import Kind, Names
from modelrollout.workloads.kind_table import KINDS
from modelrollout.workloads.state import WorkloadState
from modelrollout.workloads.stateful_set import STATEFUL_SET
from tests.clusters import any_cluster
from tests.fakes.cluster import FakeCluster, merged

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = Names("fraud-1", "1")
LABELS = {ROLLOUT_LABEL: "fraud", REVISION_LABEL: "1"}
_CLAIM = {
    "metadata": {"name": "weights"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
}
_CLAIMS: Mapping[str, Manifest] = {STATEFUL_SET.resource.kind: {"volumeClaimTemplates": [_CLAIM]}}
_numbers = itertools.count(1)

ALL = list(KINDS.values())
EVERY_KIND = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.resource.kind)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["dictionaries", "built-in", "real"])
async def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with any_cluster(request.param, tmp_path_factory.mktemp("kubernetes")) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def owner(cluster: Cluster) -> Owner:
    """A rollout in a namespace of the test's own."""
    name = f"kinds-{next(_numbers)}"
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return Owner(name, "fraud", "uid-fraud")


def template(kind: Kind, **spec: Any) -> Manifest:
    """As users write it; `spec` beside the pod."""
    container: Manifest = {
        "name": "server",
        "image": "registry.example/fraud:1",
        "args": [],
        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}},
        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
        "ports": [{"containerPort": 8080}],
    }
    pod = {"metadata": {"labels": {"app": "fraud"}, "annotations": {"a": "b"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": kind.resource.api_version,
        "kind": kind.resource.kind,
        "metadata": {"labels": {"team": "risk"}, "annotations": {"note": "x"}},
        "spec": {"replicas": 4, "template": pod, **spec},
    }


async def applied(cluster: Cluster, wanted: Manifest) -> Manifest:
    await cluster.apply(wanted, manager="modelrollout-workload")
    return await there(cluster, wanted)


async def there(cluster: Cluster, wanted: Manifest) -> Manifest:
    resource = KINDS[wanted["apiVersion"], wanted["kind"]].resource
    found = await cluster.read(resource, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
    assert found is not None
    return found


# Written


@EVERY_KIND
@pytest.mark.parametrize("size", [4, 0, None])
async def test_nothing_is_asked_again_of_what_was_applied(
    cluster: Cluster, owner: Owner, kind: Kind, size: int | None
) -> None:
    wanted = kind.render(owner, NAMES, template(kind), size)
    assert is_applied(wanted, await applied(cluster, wanted))
    assert is_applied(kind.render(owner, NAMES, template(kind), size), await there(cluster, wanted))


@EVERY_KIND
async def test_revision_has_pods_of_its_own_and_keeps_what_the_user_wrote(
    cluster: Cluster, owner: Owner, kind: Kind
) -> None:
    found = await applied(cluster, kind.render(owner, NAMES, template(kind, minReadySeconds=7), 4))
    assert found["spec"]["selector"] == {"matchLabels": LABELS}
    pod = found["spec"]["template"]["metadata"]
    assert (pod["labels"], pod["annotations"]) == ({"app": "fraud", **LABELS}, {"a": "b"})
    assert found["metadata"]["labels"] == {"team": "risk", **LABELS}
    assert found["metadata"]["annotations"]["note"] == "x"
    assert (found["spec"]["minReadySeconds"], found["spec"]["replicas"]) == (7, 4)
    assert owner.owns(found)


@EVERY_KIND
async def test_field_that_was_taken_out_of_the_template_goes(cluster: Cluster, owner: Owner, kind: Kind) -> None:
    await applied(cluster, kind.render(owner, NAMES, template(kind, minReadySeconds=7), 4))
    wanted = kind.render(owner, NAMES, template(kind), 4)
    assert not is_applied(wanted, await there(cluster, wanted))
    found = await applied(cluster, wanted)
    assert is_applied(wanted, found)
    assert not found["spec"].get("minReadySeconds")


@EVERY_KIND
async def test_what_others_wrote_is_kept_and_no_drift(cluster: Cluster, owner: Owner, kind: Kind) -> None:
    wanted = kind.render(owner, NAMES, template(kind), None)
    await applied(cluster, wanted)
    theirs: Manifest = {"metadata": {"annotations": {"theirs": "y"}, "labels": {"cost": "7"}}, "spec": {"replicas": 9}}
    await cluster.patch(kind.resource, owner.namespace, NAMES.workload, theirs)
    assert is_applied(wanted, await there(cluster, wanted))
    found = await applied(cluster, wanted)
    assert is_applied(theirs, found)


@EVERY_KIND
async def test_resized_changes_the_size_and_nothing_else(cluster: Cluster, owner: Owner, kind: Kind) -> None:
    before = await applied(cluster, kind.render(owner, NAMES, template(kind), 4))
    write = kind.resized(Ref(kind.resource, owner.namespace, NAMES.workload), 7)
    await cluster.patch(write.ref.resource, write.ref.namespace, write.ref.name, write.patch)
    after = await there(cluster, before)
    assert kind.state(after).replicas == 7
    assert after["spec"] == {**before["spec"], "replicas": 7}
    assert after["metadata"].get("labels") == before["metadata"]["labels"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


@EVERY_KIND
async def test_state_of_what_no_controller_has_seen_is_not_observed(cluster: Cluster, owner: Owner, kind: Kind) -> None:
    if isinstance(cluster, FakeCluster):
        pytest.skip("plain dictionaries count no generations")
    found = await applied(cluster, kind.render(owner, NAMES, template(kind), None))
    assert kind.state(found) == WorkloadState("fraud-1", "1", 1, 0, 0, is_observed=False)


@EVERY_KIND
async def test_workload_that_is_there_is_a_template_like_any_other(cluster: Cluster, owner: Owner, kind: Kind) -> None:
    wanted = template(kind, selector={"matchLabels": {"app": "fraud"}}, **_CLAIMS.get(kind.resource.kind, {}))
    wanted["metadata"] |= {"name": "by-hand", "namespace": owner.namespace}
    await cluster.create(wanted)
    named = Workload.model_validate({"workloadRef": {"kind": kind.resource.kind, "name": "by-hand"}})
    found = template_of(named, {ref_of(wanted): await there(cluster, wanted)}, owner.namespace)
    assert isinstance(found, dict)
    assert kind.fault(found) is None
    made = kind.render(owner, NAMES, found, kind.size(found))
    assert is_applied(made, await applied(cluster, made))
    assert "app" not in made["spec"]["template"]["metadata"]["labels"]
    again = template_of(named, {ref_of(wanted): await there(cluster, wanted)}, owner.namespace)
    assert again == found


async def test_stateful_set_keeps_what_is_the_users_own(cluster: Cluster, owner: Owner) -> None:
    own: Manifest = {
        "serviceName": "fraud-peers",
        "podManagementPolicy": "Parallel",
        **_CLAIMS["StatefulSet"],
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "updateStrategy": {"type": "OnDelete"},
    }
    wanted = STATEFUL_SET.render(owner, NAMES, template(STATEFUL_SET, **own), 4)
    assert wanted["spec"].items() >= own.items()
    assert is_applied(wanted, await applied(cluster, wanted))


# Read of a template


@EVERY_KIND
async def test_another_pod_is_another_identity_and_another_size_is_not(kind: Kind) -> None:
    one = template(kind)
    another = merged(one, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 60}}}})
    labelled = merged(one, {"spec": {"template": {"metadata": {"labels": {"tier": "gold"}}}}})
    resized = merged(one, {"spec": {"replicas": 9, "minReadySeconds": 7}, "metadata": {"labels": {"team": "x"}}})
    assert kind.identity(another) != kind.identity(one) != kind.identity(labelled)
    assert kind.identity(resized) == kind.identity(one)


async def test_volumes_of_a_stateful_set_are_part_of_its_identity() -> None:
    one, other = template(STATEFUL_SET), template(STATEFUL_SET, volumeClaimTemplates=[{"metadata": {"name": "w"}}])
    assert STATEFUL_SET.identity(one) != STATEFUL_SET.identity(other)
    assert STATEFUL_SET.identity(template(STATEFUL_SET, serviceName="x")) == STATEFUL_SET.identity(one)


@EVERY_KIND
@pytest.mark.parametrize(("replicas", "size"), [(4, 4), (0, 0), (None, None)])
async def test_size_is_that_of_the_template_or_an_autoscalers(
    kind: Kind, replicas: int | None, size: int | None
) -> None:
    assert kind.size(template(kind, replicas=replicas)) == size
    assert kind.size(merged(template(kind), {"spec": {"replicas": None}})) is None


@EVERY_KIND
@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"spec": None}, "spec.template.spec.containers"),
        ({"spec": "none"}, "spec.template.spec.containers"),
        ({"spec": {"template": None}}, "spec.template.spec.containers"),
        ({"spec": {"template": {"spec": {"containers": []}}}}, "spec.template.spec.containers"),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, "spec.template.spec.containers"),
        ({"spec": {"replicas": "4"}}, "spec.replicas"),
        ({"spec": {"replicas": -1}}, "spec.replicas"),
        ({"spec": {"replicas": True}}, "spec.replicas"),
        ({"spec": {"replicas": 1.5}}, "spec.replicas"),
        ({"spec": {"selector": {}}}, "spec.selector"),
        ({"spec": {"paused": True}}, "spec.paused"),
        ({"metadata": {"name": "mine"}}, "metadata.name"),
        ({"metadata": "mine"}, "metadata"),
        ({"metadata": {"labels": ["a"]}}, "metadata"),
        ({"spec": {"template": {"metadata": "mine"}}}, "spec.template.metadata"),
        ({"spec": {"template": {"metadata": {"annotations": "a"}}}}, "spec.template.metadata"),
    ],
)
async def test_template_that_makes_no_sense_is_told_with_its_field_and_the_mend(
    kind: Kind, patch: Manifest, field: str
) -> None:
    assert kind.fault(template(kind)) is None
    why = kind.fault(merged(template(kind), patch))
    assert why is not None
    assert why.reason == "InvalidTemplate"
    assert re.match(rf"spec\.workload\.template\.{re.escape(field)} must .+\.$", why.message)


# What controllers make of it


@dataclass(frozen=True)
class Controller:
    """The local cluster's controller of a kind: its statuses, and the names that it gives to pods."""

    status: Callable[[Manifest, int], Manifest]
    pod_names: Callable[[str], list[str]]


def _status_of_a_deployment(manifest: Manifest, ready: int) -> Manifest:
    pods = [_seen(deployment_plan.pod_of(manifest, "node"), f"{n}", is_ready=n < ready) for n in range(4)]
    return deployment_plan.plan(manifest, pods, NOON).status


def _status_of_a_set(manifest: Manifest, ready: int) -> Manifest:
    pods = [_seen(stateful_set_plan.pod_of(manifest, n, "node"), "", is_ready=n < ready) for n in range(4)]
    return stateful_set_plan.plan(manifest, pods, NOON).status


def _seen(pod: Manifest, ending: str, *, is_ready: bool) -> Manifest:
    condition = {"type": "Ready", "status": str(is_ready), "lastTransitionTime": "2026-01-01T12:00:00Z"}
    metadata = {**pod["metadata"], "creationTimestamp": "2026-01-01T12:00:00Z"}
    metadata.setdefault("name", metadata.get("generateName", "") + ending)
    metadata["uid"] = f"uid-{metadata['name']}"
    return {**pod, "metadata": metadata, "status": {"phase": "Running", "conditions": [condition]}}


def _names_in_a_deployment(workload: str) -> list[str]:
    made = deployment_plan.pod_of(_named(workload), "node")["metadata"]["generateName"]
    of_kubernetes = f"{workload}-5d9c7b6f4-"  # through a ReplicaSet, which the local cluster has none of
    return [generated_name(made), generated_name(of_kubernetes)]


def _names_in_a_set(workload: str) -> list[str]:
    return [stateful_set_plan.pod_of(_named(workload), n, "node")["metadata"]["name"] for n in (0, 3, 12)]


def _named(workload: str) -> Manifest:
    return {
        "metadata": {"name": workload, "namespace": "ml", "uid": "u"},
        "spec": {"template": {"metadata": {}, "spec": {"containers": []}}},
    }


CONTROLLERS: Mapping[str, Controller] = {
    DEPLOYMENT.resource.kind: Controller(_status_of_a_deployment, _names_in_a_deployment),
    STATEFUL_SET.resource.kind: Controller(_status_of_a_set, _names_in_a_set),
}


async def test_every_kind_has_a_controller_here() -> None:
    assert CONTROLLERS.keys() == {kind.resource.kind for kind in ALL}


@EVERY_KIND
@pytest.mark.parametrize("ready", [0, 1, 4])
async def test_state_is_what_its_controller_says(kind: Kind, ready: int) -> None:
    made = kind.render(Owner("ml", "fraud", "uid"), NAMES, template(kind), 4)
    made = merged(made, {"metadata": {"generation": 3, "uid": "u"}})
    made["status"] = CONTROLLERS[kind.resource.kind].status(made, ready)
    assert kind.state(made) == WorkloadState("fraud-1", "1", 4, ready, ready, is_observed=True)
    changed = merged(made, {"metadata": {"generation": 4}})
    assert kind.state(changed) == WorkloadState("fraud-1", "1", 4, ready, ready, is_observed=False)


@EVERY_KIND
async def test_pods_that_are_ready_are_available_after_min_ready_seconds(kind: Kind) -> None:
    made = kind.render(Owner("ml", "fraud", "uid"), NAMES, template(kind, minReadySeconds=1), 4)
    made["metadata"] |= {"generation": 1, "uid": "u"}
    made["status"] = CONTROLLERS[kind.resource.kind].status(made, 4)
    assert kind.state(made) == WorkloadState("fraud-1", "1", 4, 4, 0, is_observed=True)


@EVERY_KIND
@pytest.mark.parametrize("workload", ["fraud-1", "fraud-1a2b3c4d5e", f"{'f' * 52}-1a2b3c4d5e", "a.b-1"])
async def test_pods_are_named_and_no_neighbours_are(kind: Kind, workload: str) -> None:
    pattern, names = re.compile(kind.pods_named(workload)), CONTROLLERS[kind.resource.kind].pod_names
    assert all(pattern.fullmatch(name) for name in names(workload))
    if len(workload) < 58:  # the name of a Deployment's pod is cut, so that of the neighbour may be the same
        for neighbour in (f"{workload}0", f"x{workload}", workload[:-1] + "z", workload.replace(".", "x") + "y"):
            assert not any(pattern.fullmatch(name) for name in names(neighbour)), neighbour
