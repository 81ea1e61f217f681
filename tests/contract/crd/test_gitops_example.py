"""The example of a repository, as an API server takes it."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import KNOWN
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
