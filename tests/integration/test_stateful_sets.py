"""StatefulSets over pods as processes, on the built-in API server and on a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from localcluster.controllers.garbage import garbage
from localcluster.controllers.stateful_sets import stateful_sets
from localcluster.pods import NODE, pods
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import PODS, STATEFUL_SETS
from tests.integration.patience import eventually
from tests.integration.world import World, ask, is_ready

HERE = Path(__file__).parent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Pods, StatefulSets and garbage are looked after; the folder has the logs."""
    directory = tmp_path_factory.mktemp("machine")
    images = {"plain": HERE / "images" / "plain"}
    async with pods(cluster, directory, images), stateful_sets(cluster, NODE), garbage(cluster):
        yield directory


@pytest.fixture
def world(machine: Path, cluster: Cluster, namespace: str, notes: Path) -> World:
    return World(cluster, namespace, notes, machine / "logs")


async def apply(world: World, replicas: int, container: Manifest | None = None, **spec: Any) -> None:
    await world.deploy(replicas, container, kind="StatefulSet", serviceName="webs", **spec)


async def settled(world: World, replicas: int) -> Manifest:
    status = await world.settled(replicas, STATEFUL_SETS)
    assert status["currentRevision"] == status["updateRevision"]
    return status


async def names(world: World) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in await world.pods())


async def test_a_stateful_set_becomes_ready_in_order_and_is_scaled(world: World) -> None:
    await apply(world, 3)
    status = await settled(world, 3)
    assert status["readyReplicas"] == status["currentReplicas"] == 3
    found = {pod["metadata"]["name"]: pod for pod in await world.pods()}
    assert sorted(found) == ["web-0", "web-1", "web-2"]
    made = [found[name]["metadata"]["creationTimestamp"] for name in sorted(found)]
    assert made == sorted(made)
    last = found["web-2"]
    assert (last["spec"]["hostname"], last["spec"]["subdomain"]) == ("web-2", "webs")
    assert last["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "2"
    assert await ask(last)
    for replicas, left in ((1, ["web-0"]), (2, ["web-0", "web-1"]), (0, [])):
        await world.cluster.patch(STATEFUL_SETS, world.namespace, "web", {"spec": {"replicas": replicas}})
        await settled(world, replicas)
        assert await names(world) == left


async def test_a_new_template_replaces_the_pods_from_the_highest_down(world: World) -> None:
    await apply(world, 2)
    before = await settled(world, 2)
    gone: list[str] = []
    async with aclosing(world.cluster.watch(PODS, world.namespace)) as events:
        await apply(world, 2, world.container(env=[{"name": "NEW", "value": "yes"}]))
        async for event in events:
            if event.type == "DELETED":
                gone.append(event.object["metadata"]["name"])
            if len(gone) == 2:
                break
    after = await settled(world, 2)
    assert gone == ["web-1", "web-0"]
    assert after["currentRevision"] != before["currentRevision"]


async def test_parallel_pods_do_not_wait_for_one_another(world: World) -> None:
    (world.notes / "unready").touch()
    await apply(world, 3, podManagementPolicy="Parallel")

    async def all_are_there() -> bool:
        return await names(world) == ["web-0", "web-1", "web-2"]

    await eventually(all_are_there, "all three pods are there")
    assert not any(is_ready(pod) for pod in await world.pods())
    (world.notes / "unready").unlink()
    await settled(world, 3)


async def test_a_deleted_pod_comes_back_under_its_name_and_all_go_with_the_set(world: World) -> None:
    await apply(world, 1)
    await settled(world, 1)
    [old] = await world.pods()
    await world.cluster.delete(PODS, world.namespace, "web-0")

    async def another() -> bool:
        return any(pod["metadata"]["uid"] != old["metadata"]["uid"] for pod in await world.pods())

    await eventually(another, "another web-0 is there")
    await settled(world, 1)
    await world.cluster.delete(STATEFUL_SETS, world.namespace, "web")

    async def none() -> bool:
        return not await world.pods()

    await eventually(none, "the pods are gone with their set")
