"""Pods as processes and Deployments over them, on the built-in API server and on a real one."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from localcluster.controllers.deployments import deployments
from localcluster.pods import NODE, pods
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, PODS
from tests.integration.patience import eventually
from tests.integration.world import (
    World,
    are_gone,
    ask,
    condition,
    container_of,
    is_ready,
    is_running,
    process_of,
    waits_for,
)

HERE = Path(__file__).parent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """Pods and Deployments are looked after; the folder has their logs."""
    directory = tmp_path_factory.mktemp("machine")
    images = {"plain": HERE / "images" / "plain"}
    async with pods(cluster, directory, images), deployments(cluster, NODE):
        yield directory


@pytest.fixture
def world(machine: Path, cluster: Cluster, namespace: str, notes: Path) -> World:
    return World(cluster, namespace, notes, machine / "logs")


async def test_a_deployment_is_scaled_up_and_down(world: World) -> None:
    await world.deploy(2)
    status = await world.settled(2)
    assert status["readyReplicas"] == 2
    assert "unavailableReplicas" not in status
    assert condition(status, "Available")["reason"] == "MinimumReplicasAvailable"
    assert condition(status, "Progressing")["reason"] == "NewReplicaSetAvailable"
    found = await world.pods()
    assert len({pod["status"]["podIP"] for pod in found}) == 2
    assert all(pod["metadata"]["name"].startswith("web-") and pod["spec"]["nodeName"] == NODE for pod in found)
    for replicas in (4, 1, 0):
        await world.cluster.patch(DEPLOYMENTS, world.namespace, "web", {"spec": {"replicas": replicas}})
        await world.settled(replicas)


async def test_a_settled_deployment_is_left_in_peace(world: World, cluster: Cluster) -> None:
    await world.deploy(2)
    await world.settled(2)
    before = cluster.writes
    version = await cluster.read(DEPLOYMENTS, world.namespace, "web")
    await asyncio.sleep(2.5)  # two probe periods and more: the absence of something has no condition to wait for
    assert cluster.writes == before
    assert await cluster.read(DEPLOYMENTS, world.namespace, "web") == version


async def test_readiness_is_lost_and_found_without_a_restart(world: World) -> None:
    await world.deploy(1, progressDeadlineSeconds=2)
    await world.settled(1)
    pid = process_of(await world.pod())
    (world.notes / "unready").touch()
    await eventually(lambda: world.pod_if(lambda pod: not is_ready(pod)), "the pod is not ready")
    status = await eventually(_status_if(world, lambda s: not s.get("readyReplicas")), "no replica counts as ready")
    assert (status["replicas"], status["unavailableReplicas"]) == (1, 1)
    assert condition(status, "Available")["status"] == "False"
    assert condition(status, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert container_of(await world.pod())["state"].keys() == {"running"}
    (world.notes / "unready").unlink()
    await world.settled(1)
    assert process_of(await world.pod()) == pid


def _status_if(world: World, holds: Any) -> Any:
    async def look() -> Manifest:
        status = await world.status()
        return status if holds(status) else {}

    return look


async def test_a_crash_loop_is_reported_and_runs_into_the_progress_deadline(world: World) -> None:
    await world.deploy(1, world.container("--exit-after", "0.1", "--code", "3"), progressDeadlineSeconds=3)
    pod = await eventually(
        lambda: world.pod_if(lambda p: waits_for("CrashLoopBackOff")(p) and container_of(p)["restartCount"] >= 2),
        "the pod is in a crash loop",
    )
    assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 3
    assert container_of(pod)["lastState"]["terminated"]["reason"] == "Error"
    assert not is_ready(pod)
    assert pod["status"]["phase"] == "Running"
    status = await eventually(
        _status_if(world, lambda s: condition(s, "Progressing").get("status") == "False"), "progress is given up on"
    )
    assert condition(status, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert condition(status, "Available")["status"] == "False"


async def test_a_killed_process_is_started_again(world: World) -> None:
    await world.deploy(1)
    await world.settled(1)
    os.kill(process_of(await world.pod()), signal.SIGKILL)
    pod = await eventually(
        lambda: world.pod_if(lambda p: container_of(p).get("restartCount") == 1 and is_ready(p)), "it runs again"
    )
    assert container_of(pod)["lastState"]["terminated"]["exitCode"] == 137


async def test_a_changed_template_replaces_pods_one_by_one_and_never_serves_with_fewer(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.deploy(2, strategy=rolling)
    await world.settled(2)
    old = {pod["metadata"]["uid"] for pod in await world.pods()}
    present = {pod["metadata"]["uid"]: pod for pod in await world.pods()}
    fewest, most = 2, 2
    async with aclosing(world.cluster.watch(PODS, world.namespace)) as events:
        await world.deploy(2, world.container(env=[{"name": "NEW", "value": "yes"}]), strategy=rolling)
        async for event in events:
            pod = event.object
            present[pod["metadata"]["uid"]] = pod
            if event.type == "DELETED":
                del present[pod["metadata"]["uid"]]
            staying = [p for p in present.values() if not p["metadata"].get("deletionTimestamp")]
            fewest = min(fewest, sum(is_ready(p) for p in staying))
            most = max(most, len(staying))
            if not old & present.keys():
                break
    assert (fewest, most) == (2, 3)
    await world.settled(2)
    assert [(await ask(pod))["env"]["NEW"] for pod in await world.pods()] == ["yes", "yes"]


async def test_a_template_that_never_gets_ready_leaves_the_old_pods_serving(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await world.deploy(2, strategy=rolling)
    await world.settled(2)
    await world.deploy(2, world.container(image="elsewhere/unknown:1"), strategy=rolling, progressDeadlineSeconds=2)
    status = await eventually(
        _status_if(world, lambda s: condition(s, "Progressing").get("status") == "False"), "progress is given up on"
    )
    assert (status["readyReplicas"], status["updatedReplicas"], status["replicas"]) == (2, 1, 3)
    await world.deploy(2, strategy=rolling)
    assert condition(await world.settled(2), "Progressing")["status"] == "True"


async def test_deleting_a_deployment_deletes_its_pods(world: World) -> None:
    await world.deploy(2)
    await world.settled(2)
    pids = [process_of(pod) for pod in await world.pods()]
    await world.cluster.delete(DEPLOYMENTS, world.namespace, "web")
    await eventually(lambda: are_gone(*pids), "the processes have ended")
    await eventually(lambda: _none(world), "the pods are gone")


async def _none(world: World) -> bool:
    return not await world.pods()


async def test_a_deleted_pod_is_unready_first_and_told_to_stop_only_then(world: World) -> None:
    await world.create_pod(world.container())
    pod = await world.ready_pod()
    pid = process_of(pod)
    await world.cluster.delete(PODS, world.namespace, "solo")
    await eventually(lambda: world.pod_if(lambda p: not is_ready(p)), "the pod is not ready")
    unready_at = time.time()
    assert is_running(pid)
    await ask(pod)  # it serves those who have not heard yet
    await eventually(lambda: _none(world), "the pod is gone")
    told_at = float((world.notes / "term-solo").read_text())
    assert told_at - unready_at > 0.5
    assert not is_running(pid)


async def test_a_pre_stop_sleep_is_waited_for(world: World) -> None:
    await world.create_pod(world.container(lifecycle={"preStop": {"sleep": {"seconds": 2}}}))
    await world.ready_pod()
    asked_at = time.time()
    await world.cluster.delete(PODS, world.namespace, "solo")
    await eventually(lambda: _none(world), "the pod is gone")
    assert float((world.notes / "term-solo").read_text()) - asked_at > 1.9


async def test_a_process_that_will_not_stop_is_killed_when_its_grace_is_over(world: World) -> None:
    await world.create_pod(world.container("--ignore-term"), terminationGracePeriodSeconds=2)
    pid = process_of(await world.ready_pod())
    await world.cluster.delete(PODS, world.namespace, "solo")
    await eventually(lambda: _none(world), "the pod is gone")
    assert (world.notes / "term-solo").exists()
    assert not is_running(pid)


async def test_an_unknown_image_is_reported_as_kubernetes_does(world: World) -> None:
    await world.create_pod(world.container(image="elsewhere/unknown:1"))
    pod = await eventually(lambda: world.pod_if(waits_for("ImagePullBackOff")), "the image is not found")
    assert "the local cluster has no such image; it has plain" in container_of(pod)["state"]["waiting"]["message"]
    assert pod["status"]["phase"] == "Pending"


async def test_what_the_local_cluster_cannot_do_is_said(world: World) -> None:
    secret = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    await world.create_pod(world.container(env=[secret]))
    pod = await eventually(lambda: world.pod_if(waits_for("CreateContainerConfigError")), "the pod says what it lacks")
    assert "not secretKeyRef" in container_of(pod)["state"]["waiting"]["message"]


async def test_a_program_that_is_not_there_is_a_crash(world: World) -> None:
    await world.create_pod(world.container(command=["no-such-program"]))
    pod = await eventually(lambda: world.pod_if(waits_for("CrashLoopBackOff")), "it cannot be started")
    ended = container_of(pod)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert "no-such-program" in ended["message"]


async def test_a_container_knows_its_pod_and_runs_in_its_image(world: World) -> None:
    def field(name: str, path: str) -> Manifest:
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    env = [
        field("POD", "metadata.name"),
        field("WHERE", "metadata.namespace"),
        field("APP", "metadata.labels['app']"),
        {"name": "URL", "value": "http://$(POD_IP_LATER):$(PORT)/$(POD)?$$(POD)"},
        {"name": "BIND", "value": "0.0.0.0:80"},
    ]
    await world.create_pod(world.container("--code", "$(PORT)", env=env))
    pod = await world.ready_pod()
    seen = await ask(pod)
    address = pod["status"]["podIP"]
    assert {name: seen["env"][name] for name in ("POD", "WHERE", "APP", "URL", "BIND", "GREETING", "HOSTNAME")} == {
        "POD": "solo",
        "WHERE": world.namespace,
        "APP": "solo",
        "URL": "http://$(POD_IP_LATER):8080/solo?$(POD)",
        "BIND": f"{address}:80",
        "GREETING": "good day",
        "HOSTNAME": "solo",
    }
    assert seen["argv"][-1] == "8080"
    assert seen["cwd"] == str(HERE / "images" / "plain")


async def test_a_pod_that_nobody_placed_is_run_here(world: World) -> None:
    await world.create_pod(world.container(), nodeName=None)
    pod = await world.ready_pod()
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["startTime"]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (7, "Failed")])
async def test_a_pod_that_is_not_restarted_ends_as_its_process_did(world: World, code: int, phase: str) -> None:
    job = world.container("--exit-after", "0.1", "--code", str(code))
    await world.create_pod(job, restartPolicy="Never")
    pod = await eventually(lambda: world.pod_if(lambda p: p.get("status", {}).get("phase") == phase), f"it is {phase}")
    assert container_of(pod)["state"]["terminated"]["exitCode"] == code
    assert not is_ready(pod)
    await world.cluster.delete(PODS, world.namespace, "solo")
    await eventually(lambda: _none(world), "the pod is gone")


async def test_a_liveness_probe_that_fails_restarts_the_container(world: World) -> None:
    alive = {"exec": {"command": ["test", "!", "-e", str(world.notes / "stuck")]}, "periodSeconds": 1}
    await world.create_pod(world.container(livenessProbe={**alive, "failureThreshold": 1}))
    await world.ready_pod()
    (world.notes / "stuck").touch()
    await eventually(lambda: world.pod_if(lambda p: not is_ready(p)), "the process is stopped")
    (world.notes / "stuck").unlink()
    await eventually(lambda: world.pod_if(lambda p: container_of(p)["restartCount"] == 1 and is_ready(p)), "it is back")


async def test_a_startup_probe_holds_readiness_back(world: World) -> None:
    started = {"exec": {"command": ["test", "-e", str(world.notes / "started")]}}
    await world.create_pod(world.container(startupProbe={**started, "failureThreshold": 30}))
    pod = await eventually(lambda: world.pod_if(lambda p: "running" in container_of(p).get("state", {})), "it runs")
    await eventually(lambda: _answers(pod), "it would pass its readiness probe")
    now = await world.pod()
    assert (container_of(now)["started"], is_ready(now)) == (False, False)
    (world.notes / "started").touch()
    assert container_of(await world.ready_pod())["started"]


async def _answers(pod: Manifest) -> bool:
    try:
        await ask(pod, "/healthz")
    except aiohttp.ClientError:
        return False
    return True


async def test_an_init_container_runs_first(world: World) -> None:
    first = {"name": "first", "image": "plain", "command": ["touch", str(world.notes / "prepared")]}
    await world.create_pod(world.container(), initContainers=[first])
    pod = await world.ready_pod()
    assert (world.notes / "prepared").exists()
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_output_is_kept_in_a_log(world: World) -> None:
    await world.create_pod({"name": "say", "image": "plain", "command": ["echo", "hello"]}, restartPolicy="Never")
    await eventually(lambda: world.pod_if(lambda p: p.get("status", {}).get("phase") == "Succeeded"), "it has spoken")
    assert (world.logs / f"{world.namespace}_solo.log").read_text() == "hello\n"
