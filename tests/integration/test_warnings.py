"""kubectl, a real API server and a running operator: an apply is told what its plan will not see, and goes through."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from demo.operator_process import Operator, operator
from localcluster.kubernetes import api_server, envtest_assets
from localcluster.processes.ports import free_port
from modelrollout.api.crd import definitions
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.shell.webhook import PATH
from tests.contract.conftest import Kubectl
from tests.docs import blocks
from tests.fakes.applied import applied, counters, serving
from tests.fakes.certificates import make_certificate
from tests.fakes.prometheus import fake_prometheus
from tests.integration.patience import eventually
from tests.places import ROOT

pytestmark = [
    pytest.mark.skipif(
        envtest_assets() is None, reason="no kube-apiserver and etcd in KUBEBUILDER_ASSETS; ours has no webhooks"
    ),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH"),
]

PAGE = ROOT / "docs/warnings.md"
WARNED = "Warning: errors: at 50 requests/s and 0.1% errors, 5 % for 60 s can see"


@dataclass(frozen=True, slots=True)
class Scene:
    """Version 1 serves, Prometheus knows its past, and the webhook is configured as the docs say."""

    kubectl: Kubectl
    operator: Operator
    cluster: Cluster

    async def apply(self, manifest: Manifest, *flags: str, name: str = "fraud") -> str:
        metadata = {"name": name, "namespace": "ml"}
        return await self.kubectl(
            "apply", "-f", "-", *flags, manifest=without_status(manifest) | {"metadata": metadata}
        )


def without_status(manifest: Manifest) -> Manifest:
    return {name: value for name, value in manifest.items() if name != "status"}


SERVICE = {"name": "webhook", "namespace": "ml"}
LEADS_HERE: Manifest = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": SERVICE,
    "spec": {"type": "ExternalName", "externalName": "localhost"},
}
"""No Service has addresses here. To this one the API server goes by its name, and wants a certificate for it."""


def configuration(**client: Any) -> Manifest:
    """The docs' own, with other words on where the webhook is."""
    (written,) = (block for block in blocks(PAGE) if block["kind"] == "ValidatingWebhookConfiguration")
    (webhook,) = written["webhooks"]
    return {**written, "webhooks": [{**webhook, "clientConfig": client}]}


@pytest_asyncio.fixture(params=["brought", "own"])
async def scene(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """The webhook's certificate is brought, or made by the operator itself, as the chart has it: for a Service."""
    port = free_port()
    client: dict[str, Any]
    if request.param == "brought":
        authority = make_certificate(tmp_path / "certificates").read_bytes()
        client = {"url": f"https://127.0.0.1:{port}{PATH}", "caBundle": base64.b64encode(authority).decode()}
        monkeypatch.setenv("MODELROLLOUT_WEBHOOK_CERTIFICATES", str(tmp_path / "certificates"))
    else:
        client = {"service": {**SERVICE, "path": PATH, "port": port}}
        monkeypatch.setenv("MODELROLLOUT_WEBHOOK_CONFIGURATION", "modelrollout")
    monkeypatch.setenv("MODELROLLOUT_WEBHOOK_PORT", str(port))
    now = datetime.now(UTC)
    async with (
        fake_prometheus() as prometheus,
        api_server(tmp_path / "api", kind="real") as endpoint,
        Cluster.connect(endpoint.kubeconfig) as cluster,
    ):
        for series in counters(50, 0.001, now - timedelta(hours=7), now + timedelta(minutes=15)):  # however slow
            labels: dict[str, Any] = dict(series.labels)
            prometheus.add(labels.pop("__name__"), labels, series.samples)
        kubectl = Kubectl(str(shutil.which("kubectl")), endpoint.kubeconfig, "ml", tmp_path / "kubectl-cache")
        await kubectl("apply", "-f", "-", manifest=list(definitions()))
        await kubectl("wait", "--for=condition=Established", "crd", "--all")
        await kubectl("create", "namespace", "ml")
        async with operator(endpoint.kubeconfig, prometheus.url, tmp_path / "operator.log") as handle:
            scene = Scene(kubectl, handle, cluster)
            await scene.apply(serving())
            await settle(cluster)
            await kubectl("apply", "-f", "-", manifest=LEADS_HERE)
            await kubectl("apply", "-f", "-", manifest=configuration(**client))
            yield scene


async def settle(cluster: Cluster) -> None:
    """Say in its status that version 1 serves: no pods run here."""

    async def is_seen() -> bool:
        return bool((await cluster.read(MODEL_ROLLOUTS, "ml", "fraud") or {}).get("status"))

    await eventually(is_seen, "the operator saw the rollout")
    serves = {**serving()["status"], "candidate": None}
    await cluster.patch(MODEL_ROLLOUTS, "ml", "fraud", {"status": serves}, subresource="status")


async def until_warned(scene: Scene) -> str:
    """The API server hears of a new configuration a moment later; a dry run changes nothing."""

    async def said() -> str:
        told = await scene.apply(applied(), "--dry-run=server")
        return told if "Warning" in told else ""

    return await eventually(said, "the API server asked the webhook")


async def test_apply_prints_what_the_plan_will_not_see(scene: Scene) -> None:
    assert WARNED in await until_warned(scene)
    said = await scene.apply(applied())
    assert WARNED in said
    assert "fraud configured" in said
    assert "Warning" not in await scene.apply(applied()), "nothing changed"
    assert "Warning" not in await scene.kubectl("annotate", "mro", "fraud", "team=fraud")

    said = await scene.apply(applied(analysis={"templates": [{"name": "missing"}]}), name="another")
    assert "another created" in said
    assert "Warning: TemplateNotFound: spec.analysis.templates[0]: MetricTemplate 'missing' does not exist" in said

    await scene.operator.stop()
    said = await scene.apply(applied("3"))
    assert "fraud configured" in said, "an operator that is away stands in nobody's way"
    assert "Warning" not in said
