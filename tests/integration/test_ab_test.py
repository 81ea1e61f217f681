"""An A/B test on real parts: users with names who come again, through a real Envoy, judged by a real Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localcluster.load import LoadGenerator, Outcome, Sample, named_users, versions_met
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.resources import MODEL_ROLLOUTS
from tests.integration.releases import Place, Release, place

__all__ = ["place"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BUCKETS = [f"b{number:02d}" for number in range(20)]
BY_BUCKET = {"bucketHeader": {"name": "x-bucket", "prefix": "b", "count": len(BUCKETS)}}
BY_COOKIE = {"cookie": {"name": "arm"}}
GOAL = {"metric": "bought", "superiority": True}
CROWD = named_users(120, "x-bucket", BUCKETS)
RATE = 60.0
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
    arms = {"sticky": BY_BUCKET, "goal": GOAL, "minDuration": "1s", "maxDuration": "1h"}
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
    async with load.coming():
        yield load


async def drawn(release: Release, percent: int) -> None:
    """Waits until so many are with the candidate, and a gateway follows."""

    def are_drawn(status: ModelRolloutStatus) -> bool:
        stage = status.stage
        return stage is not None and stage.since is not None and percent in (stage.weight, 5 * len(stage.asked))

    await release.until(are_drawn)


async def restarted(place: Place) -> None:
    """The operator is lost without a word, the gateway with all its connections; both come back."""
    await place.operator.kill()
    await place.local.gateway.restart()
    await place.operator.start()


def met(outcomes: Iterable[Outcome], version: str) -> set[str]:
    return {one.user for one in outcomes if one.user is not None and one.version == version}


async def test_users_move_once_and_only_to_the_candidate_over_a_ramp_and_restarts_and_back_all_at_once(
    place: Place, notes: Path
) -> None:
    kinds = (BY_BUCKET, BY_COOKIE)
    async with AsyncExitStack() as stack:
        opened = [stack.enter_async_context(released(place, notes, percent=5, sticky=sticky)) for sticky in kinds]
        releases = await asyncio.gather(*opened)
        loads = [await stack.enter_async_context(visited(release)) for release in releases]
        await asyncio.gather(*(release.version("v2") for release in releases))
        await asyncio.gather(*(drawn(release, 5) for release in releases))
        await asyncio.sleep(2)
        await restarted(place)
        for release, sticky in zip(releases, kinds, strict=True):
            await release.patch(spec(notes, percent=50, sticky=sticky))
        await asyncio.gather(*(drawn(release, 50) for release in releases))
        await asyncio.sleep(2)
        await restarted(place)
        await asyncio.sleep(2)
        (notes / "v2").touch()
        broken = time.time()
        for release in releases:
            status = await release.until(lambda status: status.phase is Phase.ROLLED_BACK)
            assert status.rejected[0].message.startswith("failed:")
        await asyncio.sleep(2)
    for load in loads:
        stayed_and_went_back(load, broken)


def stayed_and_went_back(load: LoadGenerator, broken: float) -> None:
    before = [one for one in load.outcomes if one.at < broken]
    ways = {*versions_met(before).values()}
    assert {("v1",), ("v1", "v2")} <= ways <= {("v1",), ("v2",), ("v1", "v2")}
    assert 0.3 <= len(met(before, "v2")) / len(met(before, "v1") | met(before, "v2")) <= 0.65
    last = max(one.at for one in load.outcomes if one.version == "v2")
    assert last - broken <= 2 * (SCRAPE + INTERVAL + OF_OUR_OWN)  # twice: machines of tests are busy
    after = [one for one in load.outcomes if one.at > last]
    assert {one.version for one in after} == {"v1"}
    assert len(met(after, "v1") & met(before, "v2")) >= 20


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
