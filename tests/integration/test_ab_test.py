"""An A/B test on real parts: users with names who come again, through a real Envoy, judged by a real Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localcluster.load import LoadGenerator, Outcome, Sample, named_users, versions_met
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.integration.releases import Place, Release, place

__all__ = ["place"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

BUCKETS = [f"b{number:02d}" for number in range(20)]
STICKY = {"bucketHeader": {"name": "x-bucket", "prefix": "b", "count": len(BUCKETS)}}
GOAL = {"metric": "bought", "superiority": True}
CROWD = named_users(200, "x-bucket", BUCKETS)
RATE = 100.0
SCRAPE = INTERVAL = OF_OUR_OWN = 1.0  # seconds


def shop(name: str, part: str) -> dict[str, Any]:
    """A metric: so many of all who came."""
    where = '{namespace="{{ namespace }}",pod=~"{{ pods }}"}'
    return {"name": name, "ratio": {part: f"shop_{name}_total{where}", "total": f"shop_came_total{where}"}}


def spec(notes: Path, **experiment: Any) -> dict[str, Any]:
    server = {
        "name": "server",
        "image": "test/shop",
        "args": ["--version", "{{ model.version }}", "--notes", str(notes)],
        "env": [
            {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "PORT", "value": "8080"},
        ],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5},
    }
    metrics = [
        {**shop("bought", "good"), "tolerance": {"absolute": "20%"}},
        {**shop("failed", "bad"), "max": "20%"},
    ]
    arms = {"sticky": STICKY, "goal": GOAL, "minDuration": "1s", "maxDuration": "1h"}
    return {
        "workload": {"template": {"spec": {"replicas": 1, "template": {"spec": {"containers": [server]}}}}},
        "stages": [{"name": "sale", "abTest": {**arms, **experiment}}],
        "analysis": {"interval": "1s", "warmUp": "0s", "noise": "independent", "metrics": metrics},
    }


@asynccontextmanager
async def released(place: Place, notes: Path, **experiment: Any) -> AsyncIterator[Release]:
    """Version v1 serves, and v2 is asked for."""
    release = Release(place, name="shop")
    await release.create(**spec(notes, **experiment))
    await release.serves("v1")
    try:
        yield release
    finally:
        await place.local.cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)


@asynccontextmanager
async def visited(release: Release) -> AsyncIterator[LoadGenerator]:
    """The whole crowd comes, again and again."""
    url, visit = f"{release.place.local.gateway.url}/", [Sample((), 1)]
    load = LoadGenerator(url, visit, [1], stable="v1", rate=RATE, host=release.host, users=CROWD)
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stop()
        await running


async def experiment_with(release: Release, buckets: int) -> None:
    await release.until(lambda status: is_drawn(status, buckets))


def is_drawn(status: ModelRolloutStatus, buckets: int) -> bool:
    """So many buckets are with the candidate, and a gateway follows."""
    return status.stage is not None and len(status.stage.asked) == buckets and status.stage.since is not None


async def restarted(place: Place) -> None:
    """The operator is lost without a word, the gateway with all its connections; both come back."""
    await place.operator.kill()
    await place.local.gateway.restart()
    await place.operator.start()


def drawn(buckets: int) -> set[str]:
    return {user.name for user in CROWD if user.headers["x-bucket"] in BUCKETS[:buckets]}


def met(outcomes: Iterable[Outcome], version: str) -> set[str]:
    return {one.user for one in outcomes if one.user is not None and one.version == version}


async def test_users_move_once_and_only_to_the_candidate_over_a_ramp_and_restarts_and_back_all_at_once(
    place: Place, notes: Path
) -> None:
    async with released(place, notes, percent=5) as release, visited(release) as load:
        await release.version("v2")
        await experiment_with(release, 1)
        await asyncio.sleep(2)
        await restarted(place)
        await release.patch(spec(notes, percent=50))
        await experiment_with(release, 10)
        await asyncio.sleep(2)
        await restarted(place)
        await asyncio.sleep(2)
        (notes / "v2").touch()
        broken = time.time()
        await release.until(lambda status: status.phase is Phase.ROLLED_BACK)
        await asyncio.sleep(2)
    before = [one for one in load.outcomes if one.at < broken]
    assert {*versions_met(before).values()} == {("v1",), ("v2",), ("v1", "v2")}
    assert met(before, "v2") <= drawn(10)
    last = max(one.at for one in load.outcomes if one.version == "v2")
    assert last - broken <= 2 * (SCRAPE + INTERVAL + OF_OUR_OWN)  # twice: machines of tests are busy
    after = [one for one in load.outcomes if one.at > last]
    assert {one.version for one in after} == {"v1"}
    assert len(met(after, "v1") & met(before, "v2")) >= 20
    assert (await release.status()).rejected[0].message.startswith("failed:")


async def test_equal_versions_are_held_for_a_person_or_taken_back_in_words_once_the_time_is_over(
    place: Place, notes: Path
) -> None:
    async with released(place, notes, maxDuration="5s") as release, visited(release):
        await release.version("v2")
        await release.until(lambda status: _reason(status) == "GoalNotShown")
        told = (await release.status()).message or ""
        assert "within spec.stages[sale].abTest.maxDuration nothing showed that bought is better. A person" in told
        await release.patch(spec(notes, maxDuration="5s", onInconclusive="rollback"))
        await release.until(lambda status: status.phase is Phase.ROLLED_BACK)
    why = (await release.status()).rejected[0]
    assert why.reason == "StepDeadlineExceeded"
    assert "nothing showed that bought is better. bought: " in why.message
    assert why.message.endswith("spec.stages[sale].abTest.onInconclusive is rollback.")


def _reason(status: ModelRolloutStatus) -> str | None:
    return next((one.reason for one in status.conditions if one.type == "Progressing"), None)
