"""However the process that runs the pods ends, theirs end too."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from localcluster.kubernetes import KubernetesEndpoint
from localcluster.processes.children import Process
from modelrollout.kube import Cluster
from modelrollout.objects.resources import PODS
from tests.integration.patience import eventually
from tests.integration.world import World, are_gone, ask, is_running, process_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
async def test_no_process_outlives_the_one_that_runs_the_pods(
    kubernetes: KubernetesEndpoint, cluster: Cluster, namespace: str, tmp_path: Path, ending: signal.Signals
) -> None:
    world = World(cluster, namespace, tmp_path, tmp_path / "logs")
    script = Path(__file__).parent / "run_pods.py"
    command = [sys.executable, str(script), str(kubernetes.kubeconfig), str(tmp_path)]
    runner = await Process.start(command, folder=tmp_path, environment=os.environ, log=tmp_path / "runner.log")
    try:
        await world.create_pod(world.container("--child"), restartPolicy="Never")
        pod = await world.ready_pod()
        family = [process_of(pod), *(await ask(pod))["children"]]
        assert all(is_running(pid) for pid in family)
        os.kill(runner.pid, ending)
        await runner.wait()
        await eventually(lambda: are_gone(*family), "all are gone")
    finally:
        await runner.stop(5)
        await cluster.delete(PODS, namespace, "solo", grace=0)
