"""What the documentation has people type is typed here, by the real kubectl: on a rollout that has a status to show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.api.base import API_VERSION, KIND
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.builders import spec
from tests.contract.api_server.api_server_client import MERGE, Api
from tests.contract.conftest import Kubectl
from tests.site.commands import of_program

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLLOUT = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "fraud"}, "spec": spec()}
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "modelrollout"}, "spec": {}}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {}}
ENDED = {"Ready": "True", "Progressing": "False", "Healthy": "True"}
MADE_HERE = ("models/fraud.yaml", "./token", "./ca.crt")
"""Files that the commands name."""


@pytest.mark.parametrize("command", of_program("kubectl"))
async def test_kubectl_takes_it(
    api: Api, namespace: str, kubectl: Kubectl, definitions: None, tmp_path: Path, command: str
) -> None:
    await api.made(MODEL_ROLLOUTS.path(namespace), ROLLOUT)
    await api.made(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases", LEASE)
    await api.made(f"/api/v1/namespaces/{namespace}/configmaps", CONFIG)
    path = MODEL_ROLLOUTS.path(namespace, "fraud", "status")
    assert (await api.patch(path, {"status": _waited_for(command)}, media=MERGE)).status == 200
    for name in MADE_HERE:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(ROLLOUT))
    await kubectl(*_here(command, tmp_path))


def _waited_for(command: str) -> dict[str, Any]:
    """A status at which nobody waits any longer: the release is over, and in the phase that the command names."""
    named = re.search(r"\.status\.phase}'?=(\w+)", command)
    told = {"reason": "Serving", "message": "Version 1 serves.", "lastTransitionTime": "2026-11-27T12:00:00Z"}
    conditions = [{"type": type_, "status": status, **told} for type_, status in ENDED.items()]
    phase = named[1] if named else "Healthy"
    return {"phase": phase, "observedGeneration": 1, "message": "It serves.", "conditions": conditions}


def _here(command: str, folder: Path) -> list[str]:
    """Its arguments, in the test's namespace and folder."""
    words = iter(shlex.split(command)[1:])
    kept = [word for word in words if word != "--namespace" or not next(words)]
    for name in MADE_HERE:
        kept = [word.replace(name, str(folder / name)) for word in kept]
    return [word for word in kept if word != "--all-namespaces"]
