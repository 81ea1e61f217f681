"""The operator as a process, on real parts, with users: what the design promises, seen from outside.

Those that take minutes are in test_long_releases.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from charts.panels import NOTES, PANELS
from demo.dashboard import Source
from demo.playground import EXAMPLES
from localcluster.processes.background import running
from modelrollout.api.status import Phase
from modelrollout.kube import Conflict, Refused
from modelrollout.objects.resources import DEPLOYMENTS, EVENTS, HTTP_ROUTES, MODEL_ROLLOUTS, PODS, SERVICES
from modelrollout.reports.plot import Span
from tests.integration.releases import INTERVAL, Place, Release, comes_true, place, release

__all__ = ["place", "release"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def quiet(place: Place) -> AsyncIterator[tuple[list[Release], dict[str, str], float]]:
    """Ten healthy rollouts, and what they looked like when they had become quiet."""
    notes = place.local.directory / "notes"
    notes.mkdir()
    template = {
        "spec": {
            "replicas": 1,
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "server",
                            "image": "test/plain:{{ model.version }}",
                            "command": ["python", "server.py", "--notes", str(notes)],
                            "env": [
                                {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                                {"name": "PORT", "value": "8080"},
                            ],
                            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
                        }
                    ]
                }
            },
        }
    }
    releases = [Release(place, name=f"quiet-{number}") for number in range(10)]
    for each in releases:
        await each.create(workload={"template": template}, analysis={"readinessOnly": True})
    for each in releases:
        await each.serves("v1")
    await asyncio.sleep(2)  # what follows from becoming healthy: the last status, Events
    yield releases, await _versions(releases), time.monotonic()
    for each in releases:
        await place.local.cluster.delete(MODEL_ROLLOUTS, each.namespace, each.name)


async def _versions(releases: list[Release]) -> dict[str, str]:
    """Resource versions of everything in the releases' namespaces: any write at all changes one."""
    cluster = releases[0].place.local.cluster
    return {
        f"{resource.plural}/{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"][
            "resourceVersion"
        ]
        for each in releases
        for resource in (MODEL_ROLLOUTS, DEPLOYMENTS, PODS, SERVICES, HTTP_ROUTES, EVENTS)
        for item in (await cluster.list(resource, each.namespace)).items
    }


@pytest.mark.usefixtures("quiet")  # its minute passes while the tests that follow run
async def test_failing_version_loses_its_traffic_within_an_interval_of_being_seen(release: Release) -> None:
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 100], "hold": "3s"}}]})
    async with release.users():
        await release.version("v3")
        await release.at(25)
        await comes_true(release.took_traffic_back)
        gone = datetime.now(UTC)
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK)
    seen = [verdict.window_end for verdict in status.verdicts if verdict.verdict == "Fail"]
    assert seen, [verdict.message for verdict in status.verdicts]
    assert gone - min(end for end in seen if end) <= INTERVAL + timedelta(seconds=2)
    assert status.rejected[0].reason == "MetricFailed"


async def test_every_panel_of_the_dashboard_has_an_answer_while_a_version_is_taken_back(release: Release) -> None:
    began, url = time.time(), release.place.local.metrics.url
    async with release.users(rate=60):
        await release.version("v3")
        await release.until(lambda s: bool(s.verdicts) and s.stage is not None)
        await asyncio.sleep(2)  # Prometheus looks each second
        spans = [Span(began, time.time())]
        await release.until(lambda s: s.phase is Phase.ROLLED_BACK)
    async with aiohttp.ClientSession() as client:

        async def is_told() -> bool:
            ended = f'modelrollout_outcome_timestamp_seconds{{namespace="{release.namespace}",outcome="RolledBack"}}'
            return bool(await Source(client, url, Span(began, time.time())).ask(ended))

        await comes_true(is_told)
        spans.append(Span(began, time.time()))
        sources = [Source(client, url, span) for span in spans]
        seen = [one for source in sources for panel in PANELS for one in await source.seen(panel)]
        decisions = [mark.text for note in NOTES for mark in await sources[-1].marks(note)]
    answered = {one.title for one in seen if one.curves}
    assert {one.title for one in seen} == answered
    by_title = {
        one.title: {curve.name: max(value for _, value in curve.points) for curve in one.curves} for one in seen
    }
    assert {"digits candidate", "digits stable"} <= by_title["errors: candidate and stable"].keys()
    assert by_title["errors: candidate and stable"]["digits candidate"] > 0.05
    assert max(by_title["Evidence of a regression"].values()) == 1
    assert by_title["Who meets the candidate"]["digits weight"] == pytest.approx(0.05)
    assert [most for name, most in by_title["Who leads"].items() if name.endswith(": leaders")] == [1]
    assert "digits: version v3 is taken back" in decisions


async def test_promotion_with_plain_services_fails_no_request(place: Place) -> None:
    release = Release(place)
    manifest = yaml.safe_load((EXAMPLES / "plain-services.yaml").read_text())
    steps = {"steps": [{"weight": 50}, {"weight": 100}], "hold": "3s"}
    await release.create(
        traffic=manifest["spec"]["traffic"],
        stages=[{"name": "canary", "canary": steps}],
        analysis={**manifest["spec"]["analysis"], "interval": "2s", "noise": "independent"},
    )
    await release.serves("v1")
    url = await place.local.gateway.service_url(release.namespace, release.name, 8080)
    async with release.users(url=url) as users:
        await release.version("v2")
        await release.serves("v2", seconds=90)
        await asyncio.sleep(1)
    await release.lost_no_request_of(users)
    assert users.snapshot().by_version["v2"].requests > 100


async def test_candidate_killed_in_a_loop_loses_its_traffic_at_once(release: Release) -> None:
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [50, 100], "hold": "2m"}}]})
    async with release.users():
        await release.version("v2")
        status = await release.at(50)
        assert status.candidate
        await comes_true(lambda: release.gives_the_candidate(50))
        killed = time.monotonic()
        while (await release.status()).phase is Phase.PROGRESSING:
            await _kill_pods(release, status.candidate.workload)
            await asyncio.sleep(0.2)
            if time.monotonic() - killed > 1.5 + INTERVAL.total_seconds():
                assert await release.candidate_weight() == 0
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK, seconds=30)
    assert status.rejected[0].reason == "CrashLoop"


async def _kill_pods(release: Release, workload: str) -> None:
    """SIGKILL for every process that has the address of one of the workload's pods."""
    pods = (await release.place.local.cluster.list(PODS, release.namespace)).items
    addresses = {
        f"HOST={pod['status']['podIP']}".encode()
        for pod in pods
        if pod["metadata"]["name"].startswith(f"{workload}-") and pod.get("status", {}).get("podIP")
    }
    for pid in await asyncio.to_thread(_with_environment, addresses):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _with_environment(entries: set[bytes]) -> list[int]:
    """The processes that have one of these in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entries & set((process / "environ").read_bytes().split(b"\0")):
                found.append(int(process.name))
    return found


async def test_killed_operator_goes_on_where_it_was_and_no_traffic_moves_backwards(release: Release) -> None:
    await release.judge_by("errors")
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 50, 75, 100], "hold": "3s"}}]})
    seen: list[int] = []
    # The users' requests are counted by the demo's test, with the machine for itself.
    async with release.users(), running(release.follow_weights(seen.append)):
        await release.version("v2")
        for weight in (25, 50, 75):
            await release.at(weight)
            await release.place.operator.kill()
            await asyncio.sleep(0.5)
            await release.place.operator.start()
        await release.serves("v2")
    climbing = [weight for weight in seen if weight]
    assert climbing == [25, 50, 75, 100], seen


async def test_newer_version_in_the_middle_of_a_rollout_and_deletion_leave_nothing_behind(release: Release) -> None:
    cluster = release.place.local.cluster
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 100], "hold": "1m"}}]})
    async with release.users() as users:
        await release.version("v2")
        await release.at(25)
        await release.version("v5")
        await release.until(lambda s: s.candidate is not None and s.candidate.model.version == "v5")
        assert await release.candidate_weight() == 0
        await release.version("v1")
        await release.serves("v1")
        await asyncio.sleep(1)
    await release.lost_no_request_of(users)
    await cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)
    for resource in (MODEL_ROLLOUTS, HTTP_ROUTES, DEPLOYMENTS, SERVICES, PODS):
        await comes_true(lambda resource=resource: release.has_none(resource), seconds=45)


async def test_broken_spec_is_refused_with_a_sentence_and_moves_nothing(release: Release) -> None:
    before = await release.weights()
    with pytest.raises(Refused, match="weights"):
        await release.patch({"stages": [{"name": "canary", "canary": {"weights": [50, 25]}}]})
    # What only the operator can see.
    await release.patch({"workload": {"template": {"spec": {"selector": {"matchLabels": {"a": "b"}}}}}})
    status = await release.until(lambda s: s.phase is Phase.INVALID)
    assert "selector must be left out" in (status.message or "")
    assert await release.weights() == before
    await release.patch({"workload": {"template": {"spec": {"selector": None}}}})
    await release.serves("v1")


async def test_ten_healthy_rollouts_write_nothing_for_a_minute(
    quiet: tuple[list[Release], dict[str, str], float],
) -> None:
    releases, before, since = quiet
    await asyncio.sleep(max(0.0, since + 60 - time.monotonic()))
    after = await _versions(releases)
    assert len(before) >= 10 * 6
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


async def test_foreign_edit_of_the_weights_is_put_right(release: Release) -> None:
    cluster = release.place.local.cluster
    right = await release.weights()
    with_other = {"name": "somewhere-else", "port": 80, "weight": 100}
    patch = {"spec": {"rules": [{"backendRefs": [with_other]}]}}
    try:
        await cluster.patch(HTTP_ROUTES, release.namespace, release.name, patch)
    except Conflict:
        pytest.fail("nobody else writes this route")

    async def is_right() -> bool:
        return await release.weights() == right

    await comes_true(is_right, seconds=10)
