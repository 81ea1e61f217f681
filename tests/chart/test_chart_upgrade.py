"""The chart of the version before, upgraded to this one, rolled back, and taken away by Helm, beside a release that is
going on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.chart.helm import CHART, NAMESPACE, RELEASE, needs_helm, program
from tests.clusters import api_server_of_kind
from tests.places import ROOT
from tests.version_before import unpacked

RECORD: Manifest = json.loads((ROOT / "tests/recorded/at-25-with-evidence-gateway.json").read_text())["rollout"]
NOTHING_RUNS = ("--set=replicas=0", "--set=podDisruptionBudget.enabled=false")


class Helm:
    """Helm on one API server."""

    def __init__(self, kubeconfig: Path) -> None:
        self._where = ("--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE)

    def __call__(self, *arguments: str) -> str:
        command = [str(program()), *arguments, *self._where]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        made = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)  # noqa: S603
        assert made.returncode == 0, made.stderr
        return made.stdout


async def begun(cluster: Cluster) -> Manifest:
    """A ModelRollout with the status of a release at 25 %."""
    made = await cluster.create({**RECORD, "metadata": {"name": "fraud", "namespace": NAMESPACE}})
    return await cluster.replace_status({**made, "status": RECORD["status"]})


def kept(manifest: Any) -> Manifest:
    """All of it that may not change: it is the same object, and says the same."""
    return {"uid": manifest["metadata"]["uid"], **{part: manifest[part] for part in ("spec", "status")}}


@needs_helm
async def test_whatever_becomes_of_the_chart_rollouts_and_their_statuses_are_kept(tmp_path: Path) -> None:
    before = unpacked(tmp_path / "before", "charts") / "charts/modelrollout"
    async with (
        api_server_of_kind("real", tmp_path / "server") as endpoint,
        Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster,
    ):
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        helm = Helm(endpoint.kubeconfig)
        helm("install", RELEASE, str(before), *NOTHING_RUNS)
        known = kept(await begun(cluster))
        values = tmp_path / "values.yaml"
        values.write_text(helm("get", "values", RELEASE, "--output", "yaml"))
        today = (RELEASE, str(CHART), "--values", str(values))
        for step in (("upgrade", *today), ("rollback", RELEASE, "1"), ("uninstall", RELEASE), ("install", *today)):
            helm(*step)
            assert kept(await cluster.read(MODEL_ROLLOUTS, NAMESPACE, "fraud")) == known
