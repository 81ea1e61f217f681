"""A real API server takes what the chart renders, in a namespace that enforces Pod Security "restricted"."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from localcluster.kubernetes import envtest_assets
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import merged
from tests.chart.helm import NAMESPACE, Values, needs_helm, text
from tests.chart.test_values import EVERYTHING, SHOWS
from tests.clusters import api_server_of_kind

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_helm]

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
KNOWN: Values = {
    "crds": {"enabled": True},
    "webhook": {"certManager": {"enabled": False}},
    "metrics": {"serviceMonitor": {"enabled": False}, "rules": {"enabled": False}},
}
"""No kinds but Kubernetes' own: no other definitions are installed here."""


def kubectl() -> str | None:
    assets = envtest_assets()
    beside = assets / "kubectl" if assets else None
    return str(beside) if beside is not None and beside.is_file() else shutil.which("kubectl")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    if kubectl() is None:
        pytest.skip("no kubectl")
    async with (
        api_server_of_kind("real", tmp_path_factory.mktemp("restricted")) as endpoint,
        Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster,
    ):
        for name in (NAMESPACE, "ml", "fraud", "leases"):
            metadata = {"name": name, "labels": RESTRICTED}
            await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        yield endpoint.kubeconfig


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["ml", "fraud"]},
        merged(merged(merged(EVERYTHING, SHOWS), KNOWN), {"rbac": {"create": True}}),
    ],
    ids=["defaults", "namespaces", "everything"],
)
async def test_a_dry_run_on_the_server_has_neither_errors_nor_warnings(kubeconfig: Path, values: Values) -> None:
    command = [str(kubectl()), "--kubeconfig", str(kubeconfig), "apply", "--server-side", "--dry-run=server"]
    made = subprocess.run(  # noqa: S603, ASYNC221 - nothing else goes on
        [*command, "--filename", "-"],
        input=text(values),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert "deployment.apps/" in made.stdout
