"""What the operator tells about itself, over HTTP as the kubelet and Prometheus ask for it."""

from __future__ import annotations

import aiohttp
import pytest
from prometheus_client import generate_latest

from modelrollout.api.status import ModelRolloutStatus, Phase, StageStatus
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import parse
from modelrollout.shell.probes import Probes
from modelrollout.shell.telemetry import OVERDUE, Telemetry
from tests import builders
from tests.fakes.town import NOON

KEY = ("ml", "fraud")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry(clock: Clock) -> Telemetry:
    return Telemetry(clock=clock)


def test_a_pass_that_hangs_is_overdue(telemetry: Telemetry, clock: Clock) -> None:
    telemetry.next_pass(KEY, 0)
    clock.now = OVERDUE - 1
    assert telemetry.overdue() == []
    clock.now = OVERDUE + 1
    assert telemetry.overdue() == [KEY]


def test_a_rollout_that_waits_for_something_to_happen_is_never_overdue(telemetry: Telemetry, clock: Clock) -> None:
    telemetry.next_pass(KEY, None)
    clock.now = 1e9
    assert telemetry.overdue() == []


def test_a_forgotten_rollout_leaves_no_metric_behind(telemetry: Telemetry) -> None:
    status = ModelRolloutStatus(phase=Phase.HEALTHY)
    telemetry.saw(parse(builders.rollout(), {}), Plan(status))
    assert b'phase="Healthy",rollout="fraud"' in generate_latest(telemetry.registry)
    telemetry.forget(KEY)
    assert b'rollout="fraud"' not in generate_latest(telemetry.registry)


def test_the_weight_of_a_candidate_that_is_gone_is_zero(telemetry: Telemetry) -> None:
    stage = StageStatus(index=0, name="canary", step=0, weight=25, entered=NOON, since=NOON)
    telemetry.saw(parse(builders.rollout(), {}), Plan(ModelRolloutStatus(phase=Phase.ROLLED_BACK, stage=stage)))
    assert b'candidate_weight_percent{namespace="ml",rollout="fraud"} 0.0' in generate_latest(telemetry.registry)


def test_the_age_of_a_kind_that_nobody_has_looked_at_is_not_told(telemetry: Telemetry) -> None:
    telemetry.show_ages(lambda: {"pods": 12.0, "services": None})
    told = generate_latest(telemetry.registry).decode()
    assert 'modelrollout_mirror_age_seconds{resource="pods"} 12.0' in told
    assert "services" not in told


async def test_healthz_names_the_rollout_whose_pass_does_not_come(telemetry: Telemetry, clock: Clock) -> None:
    probes = Probes(telemetry, "127.0.0.1", 0)
    port = await probes.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/healthz") as reply:
                assert (reply.status, await reply.text()) == (200, "ok\n")
            telemetry.next_pass(KEY, 0)
            clock.now = OVERDUE + 1
            async with session.get("/healthz") as reply:
                assert reply.status == 503
                assert "ml/fraud" in await reply.text()
            async with session.get("/metrics") as reply:
                assert "modelrollout_pass_failures_total 0.0" in await reply.text()
    finally:
        await probes.stop()
