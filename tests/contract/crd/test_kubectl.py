"""ModelRollouts in the hands of kubectl: waiting for an end, listing, and explaining."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelrollout.api.status import Phase
from tests import builders
from tests.contract.conftest import Kubectl
from tests.contract.crd.test_crd import Rollouts, rollout, rollouts
from tests.fakes.town import Town, releasing

__all__ = ["rollouts"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


def status_at(phase: Phase) -> dict[str, Any]:
    """What the operator wrote when a release came to this."""
    town = _town_at(phase)
    status: dict[str, Any] = town.manifest["status"]
    for condition in status["conditions"]:
        condition["observedGeneration"] = 1
    return {**status, "observedGeneration": 1}


def _town_at(phase: Phase) -> Town:
    town = releasing(stages=[builders.canary(50, hold="1m")])
    if phase is Phase.INVALID:
        town.wish("3", traffic={"port": 8080})
    if phase is Phase.ROLLED_BACK:
        town.metrics.bad = {"2": 0.5}
    town.go(phase)
    return town


async def put(rollouts: Rollouts, name: str, status: dict[str, Any]) -> None:
    made = (await rollouts.api.get(rollouts.path(name))).body
    answer = await rollouts.api.put(rollouts.path(name, "status"), {**made, "status": status})
    assert answer.status == 200, answer.body


async def test_wait_returns_when_the_version_that_was_applied_serves(rollouts: Rollouts, kubectl: Kubectl) -> None:
    await rollouts.create(rollout(builders.small(), "good"))
    await put(rollouts, "good", await asyncio.to_thread(status_at, Phase.PROGRESSING))
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Ready", "mro/good", "--timeout=30s"))
    await put(rollouts, "good", await asyncio.to_thread(status_at, Phase.HEALTHY))
    assert "modelrollout.modelrollout.dev/good condition met" in await waiting
    assert "condition met" in await kubectl("wait", "--for=condition=Progressing=False", "mro/good", "--timeout=1s")
    assert "condition met" in await kubectl("wait", "--for=jsonpath={.status.phase}=Healthy", "mro/good")


async def test_wait_is_not_fooled_by_what_was_said_of_the_spec_before(rollouts: Rollouts, kubectl: Kubectl) -> None:
    await rollouts.create(rollout(builders.small(), "edited"))
    await put(rollouts, "edited", await asyncio.to_thread(status_at, Phase.HEALTHY))
    await kubectl("patch", "mro", "edited", "--type=merge", "-p", '{"spec":{"model":{"version":"13"}}}')
    said = await kubectl("wait", "--for=condition=Ready", "mro/edited", "--timeout=1s", fails=True)
    assert "timed out" in said


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.INVALID])
async def test_wait_tells_an_end_that_is_none_of_the_wished(rollouts: Rollouts, kubectl: Kubectl, phase: Phase) -> None:
    name = f"bad-{phase.lower()}"
    await rollouts.create(rollout(builders.small(), name))
    await put(rollouts, name, await asyncio.to_thread(status_at, phase))
    for end in ("Stalled", "Progressing=False", "Ready=False"):
        assert "condition met" in await kubectl("wait", f"--for=condition={end}", f"mro/{name}", "--timeout=1s")


async def test_one_word_lists_all_of_our_kinds(rollouts: Rollouts, kubectl: Kubectl) -> None:
    await rollouts.create(rollout(builders.small(), "listed"))
    assert "modelrollout.modelrollout.dev/listed" in await kubectl("get", "ml", "-o", "name")
    assert "listed" not in await kubectl("get", "all")


async def test_explain_tells_of_autoscalers_and_budgets(rollouts: Rollouts, kubectl: Kubectl) -> None:
    told = " ".join((await kubectl("explain", "mro.spec.workload", "--recursive")).split())
    assert all(field in told for field in ("horizontalPodAutoscaler", "scaledObject", "podDisruptionBudget"))
    for field in ("spec.workload.autoscaling", "spec.workload.podDisruptionBudget", "status.conditions"):
        assert "<no description>" not in await kubectl("explain", f"mro.{field}")
