"""The example of a repository, and the patch of Argo CD's settings, as an API server takes them."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import KNOWN
from tests.contract.conftest import Kubectl
from tests.docs import documents
from tests.places import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE = ROOT / "examples/gitops"
OBJECTS: dict[str, Manifest] = {
    f"{path.relative_to(EXAMPLE)}": one
    for folder in ("templates", "models")
    for path in sorted((EXAMPLE / folder).rglob("*.yaml"))
    for one in documents(path.read_text())
}


@pytest.mark.parametrize("file", OBJECTS)
@pytest.mark.usefixtures("definitions")
async def test_an_object_of_the_example_is_taken(api: Any, namespace: str, file: str) -> None:
    manifest = OBJECTS[file]
    placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
    resource = KNOWN[manifest["apiVersion"], manifest["kind"]]
    answer = await api.post(resource.path(namespace), placed, fieldValidation="Strict", dryRun="All")
    assert answer.status == 201, answer.body


async def test_the_health_check_is_added_to_the_settings_of_argo_cd(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"^kubectl (patch configmap .*)$", (ROOT / "docs/gitops.md").read_text(), re.MULTILINE)
    metadata = {"name": "argocd-cm", "namespace": "argocd"}
    await kubectl("create", "namespace", "argocd")
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"url": "https://argo.example"}}
    await kubectl("create", "--namespace=argocd", "-f", "-", manifest=settings)
    await kubectl(*shlex.split(command))
    found = yaml.safe_load(await kubectl("get", "configmap", "argocd-cm", "--namespace=argocd", "-o", "yaml"))
    parts = {f"resource.customizations.{part}.modelrollout.dev_ModelRollout" for part in ("health", "actions")}
    assert set(found["data"]) == {"url", *parts}
