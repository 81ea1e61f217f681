"""Who may ask a ModelRollout for something, and under whose name: as a real API server decides it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from modelrollout.api.crd import definitions
from modelrollout.api.people import Author
from modelrollout.objects.manifests import Manifest
from modelrollout.plan.actions import VERBS
from modelrollout.rollout.author import ACTION, ACTION_BY, author_of
from tests import builders
from tests.chart.helm import needs_helm, rendered
from tests.chart.test_authors import POLICY, applied
from tests.chart.test_on_kubernetes import kubectl
from tests.clusters import api_server_of_kind
from tests.integration.patience import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_helm]

ROLES = ("ClusterRole", "ClusterRoleBinding")
CHOSEN = {"enabled": True, "subjects": [{"kind": "User", "name": "lead"}]}


def objects() -> list[Manifest]:
    """The policy, and whom the chart's values name."""
    found = rendered({"rbac": {"requireApprovers": CHOSEN}, "crds": {"enabled": False}})
    policies = [one for one in found if one["kind"] in POLICY]
    return [
        *policies,
        *(one for one in found if one["kind"] in ROLES and one["metadata"]["name"].endswith("-approvers")),
    ]


def role(name: str, *verbs: str) -> list[Manifest]:
    """A user of that name who may do so much with ModelRollouts in the namespace `ml`."""
    api, metadata = "rbac.authorization.k8s.io", {"name": name, "namespace": "ml"}
    rules = [{"apiGroups": ["modelrollout.dev"], "resources": ["modelrollouts"], "verbs": list(verbs)}]
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": name}],
        },
    ]


async def asked(kubeconfig: Path, user: str, action: str, by: str | None = None) -> str:
    """What kubectl says to an action; empty where all is well."""
    return await annotated(kubeconfig, user, f"{ACTION}={action}", *([f"{ACTION_BY}={by}"] if by else []))


async def annotated(kubeconfig: Path, user: str, *annotations: str, dry: bool = True) -> str:
    command = [str(kubectl()), "--kubeconfig", str(kubeconfig), "--as", user, "--namespace", "ml", "annotate"]
    command += ["modelrollout", "fraud", "--overwrite", f"--dry-run={'server' if dry else 'none'}", *annotations]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    made = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, env=env)
    return str(made.stderr)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """A cluster with a rollout and the policy in force."""
    if kubectl() is None:
        pytest.skip("no kubectl")
    async with api_server_of_kind("real", tmp_path_factory.mktemp("approvers")) as endpoint:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml"}}
        people = [*role("editor", "get", "patch"), *role("on-call", "get", "patch", "abort", "pause")]
        people += role("restorer", "create")
        made = [*definitions(), namespace, *people, *objects()]
        assert await applied(endpoint.kubeconfig, made) == ""

        async def there_is_one() -> bool:
            return await applied(endpoint.kubeconfig, [builders.rollout()]) == ""

        await eventually(there_is_one, "the definitions are served")

        async def is_in_force() -> bool:
            return "may not abort" in await asked(endpoint.kubeconfig, "editor", "abort/1", by="editor")

        await eventually(is_in_force, "the policy is in force")
        yield endpoint.kubeconfig


async def test_who_may_edit_a_rollout_may_ask_for_nothing_without_the_verb(kubeconfig: Path) -> None:
    told = await asked(kubeconfig, "editor", "promote/1", by="editor")
    assert "annotation modelrollout.dev/action: editor may not promote modelrollouts in namespace ml" in told


async def test_a_verb_of_rbac_allows_it_and_no_other(kubeconfig: Path) -> None:
    assert await asked(kubeconfig, "on-call", "abort/1", by="on-call") == ""
    assert await asked(kubeconfig, "on-call", "pause/b41c0ffee0/1", by="on-call") == ""
    assert "on-call may not promote-full" in await asked(kubeconfig, "on-call", "promote-full/1", by="on-call")


@pytest.mark.parametrize("by", [None, "lead"])
async def test_nobody_asks_under_no_name_or_another(kubeconfig: Path, by: str | None) -> None:
    told = await asked(kubeconfig, "on-call", "abort/1", by=by)
    assert "write your own name beside what you ask for, 'on-call'" in told


async def test_a_restore_brings_an_object_back_with_what_others_asked_for(kubeconfig: Path) -> None:
    """It is not done then: tests/scenarios/test_asked_again.py."""
    rollout = builders.rollout()
    noted = {ACTION: "abort/1", ACTION_BY: "lead"}
    restored = {**rollout, "metadata": {**rollout["metadata"], "name": "restored", "annotations": noted}}
    command = [str(kubectl()), "--kubeconfig", str(kubeconfig), "--as", "restorer", "create", "--filename", "-"]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    run = partial(subprocess.run, capture_output=True, text=True, timeout=60, env=env, input=json.dumps(restored))
    made = await asyncio.to_thread(run, command)
    assert made.stderr == ""


@pytest.mark.parametrize("verb", VERBS)
async def test_whom_the_values_name_may_ask_for_anything(kubeconfig: Path, verb: str) -> None:
    assert await asked(kubeconfig, "lead", f"{verb}/1", by="lead") == ""


async def test_without_a_policy_the_program_is_known_and_no_person(kubeconfig: Path) -> None:
    await annotated(kubeconfig, "lead", f"{ACTION}=pause/1", f"{ACTION_BY}=lead", dry=False)
    command = [str(kubectl()), "--kubeconfig", str(kubeconfig), "--namespace", "ml", "get", "modelrollout", "fraud"]
    env = {**os.environ, "NO_PROXY": "127.0.0.1"}
    options = [*command, "--output", "json", "--show-managed-fields"]
    read = await asyncio.to_thread(subprocess.run, options, capture_output=True, text=True, timeout=60, env=env)
    found = json.loads(read.stdout)
    assert author_of(found, is_admitted=False) == Author(name="kubectl-annotate", known_from="FieldManager")
    assert author_of(found, is_admitted=True) == Author(name="lead", known_from="Admission")


async def test_other_annotations_are_left_alone(kubeconfig: Path) -> None:
    assert await annotated(kubeconfig, "editor", "example.com/team=fraud") == ""
