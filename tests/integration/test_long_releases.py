"""Releases that take minutes, beside the others of test_rollouts.py."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.integration.releases import Release, place, release

__all__ = ["place", "release"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


async def test_prometheus_away_for_a_minute_holds_the_weight(release: Release) -> None:
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 100], "hold": "5s"}}]})
    async with release.users():
        await release.version("v2")
        await release.at(25)
        await release.place.local.metrics.stop()
        try:
            await release.until(
                lambda s: any(c.type == "AnalysisAvailable" and c.status == "False" for c in s.conditions), seconds=30
            )
            for _ in range(60):
                assert await release.candidate_weight() == 25
                await asyncio.sleep(1)
        finally:
            await release.place.local.metrics.start()
        status = await release.serves("v2", seconds=90)
    assert status.history[0].outcome == "Promoted"


@pytest.mark.timeout(900)
async def test_ten_releases_of_an_identical_model_under_bursty_traffic_are_all_promoted(release: Release) -> None:
    dice = random.Random()  # noqa: S311 - other bursts on every run
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 100], "hold": "3s"}}]})
    async with release.users() as users:

        async def burst() -> None:
            while True:
                users.rate = dice.choice([7, 20, 30, 45, 90])
                await asyncio.sleep(dice.uniform(0.3, 3))

        bursting = asyncio.create_task(burst())
        try:
            for number in range(10):
                await release.patch({"model": {"uri": f"models:/digits/again-{number}"}})
                await release.until(lambda s: s.candidate is not None, seconds=30)
                status = await release.until(lambda s: s.candidate is None, seconds=120)
                assert status.history[0].outcome == "Promoted", status.history[0].message
        finally:
            bursting.cancel()
