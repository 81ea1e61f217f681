"""The operator as a process, on real parts, with users: what the design promises, seen from outside.

One sandbox serves all tests of this file; each has a namespace of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from demo.operator_process import Operator, operator
from demo.playground import EXAMPLES, images
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.gateway import EnvoyMissingError
from localcluster.load import LoadGenerator, Sample
from localcluster.metrics import PrometheusMissingError
from modelrollout.api.crd import definitions
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.kube import Conflict, Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, EVENTS, HTTP_ROUTES, MODEL_ROLLOUTS, PODS, SERVICES, Resource

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

sys.path.insert(0, str(EXAMPLES / "digits"))
import samples as digits  # noqa: E402 - the example is not a package

_numbers = itertools.count(1)
INTERVAL = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Place:
    local: LocalCluster
    operator: Operator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    directory = tmp_path_factory.mktemp("sandbox")
    plain = Path(__file__).parent / "images" / "plain"
    try:
        async with local_cluster(directory, images=images({"test/plain": plain}), definitions=definitions()) as parts:
            log = directory / "operator.log"
            async with operator(parts.kubernetes.kubeconfig, parts.metrics.url, log) as beside:
                yield Place(parts, beside)
    except (PrometheusMissingError, EnvoyMissingError) as missing:
        pytest.skip(str(missing))


@dataclass
class Release:
    """A rollout of the digits example in a namespace of its own."""

    place: Place
    namespace: str = field(default_factory=lambda: f"release-{next(_numbers)}")
    name: str = "digits"

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    async def create(self, **changes: Any) -> None:
        cluster = self.place.local.cluster
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        manifest = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())
        manifest["metadata"] = {"name": self.name, "namespace": self.namespace}
        spec = manifest["spec"]
        spec["traffic"]["gatewayAPI"] = {
            "parentRefs": [{"name": "sandbox", "namespace": "default"}],
            "hostnames": [self.host],
        }
        spec["workload"]["template"]["spec"]["replicas"] = 1
        spec["stages"][0]["canary"]["hold"] = "3s"
        spec["promotion"] = {"bake": "3s", "keepOld": "10s"}
        spec |= changes
        await cluster.create(manifest)

    async def patch(self, spec: Manifest) -> None:
        await self.place.local.cluster.patch(MODEL_ROLLOUTS, self.namespace, self.name, {"spec": spec})

    async def version(self, version: str) -> None:
        await self.patch({"model": {"version": version}})

    async def status(self) -> ModelRolloutStatus:
        manifest = await self.place.local.cluster.read(MODEL_ROLLOUTS, self.namespace, self.name)
        return ModelRolloutStatus.model_validate((manifest or {}).get("status") or {})

    async def weights(self) -> dict[str, int]:
        route = await self.place.local.cluster.read(HTTP_ROUTES, self.namespace, self.name)
        refs = route["spec"]["rules"][0]["backendRefs"] if route else []
        return {ref["name"]: ref["weight"] for ref in refs}

    async def candidate_weight(self) -> int:
        status = await self.status()
        stable = status.stable.workload if status.stable else ""
        return sum(weight for name, weight in (await self.weights()).items() if name != stable)

    async def gives_the_candidate(self, weight: int) -> bool:
        return await self.candidate_weight() == weight

    async def took_traffic_back(self) -> bool:
        return (await self.status()).phase is not Phase.PROGRESSING and await self.candidate_weight() == 0

    async def has_none(self, resource: Resource) -> bool:
        return not (await self.place.local.cluster.list(resource, self.namespace)).items

    async def until(self, holds: Callable[[ModelRolloutStatus], bool], seconds: float = 60) -> ModelRolloutStatus:
        """Waits for a status; fails with the last one seen."""
        status = ModelRolloutStatus()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            status = await self.status()
            if holds(status):
                return status
            await asyncio.sleep(0.1)
        verdicts = "; ".join(verdict.message for verdict in status.verdicts)
        pytest.fail(f"after {seconds} s it is {status.phase}: {status.message} [{verdicts}]")

    async def serves(self, version: str, seconds: float = 60) -> ModelRolloutStatus:
        return await self.until(
            lambda s: s.phase is Phase.HEALTHY and s.stable is not None and s.stable.model.version == version, seconds
        )

    async def at(self, weight: int, seconds: float = 60) -> ModelRolloutStatus:
        return await self.until(
            lambda s: s.phase is Phase.PROGRESSING and s.stage is not None and s.stage.weight == weight, seconds
        )

    @asynccontextmanager
    async def users(self, rate: float = 60, url: str | None = None) -> AsyncIterator[LoadGenerator]:
        asked = [Sample(sample.features, sample.label) for sample in digits.samples()]
        users = LoadGenerator(
            f"{url or self.place.local.gateway.url}/predict",
            asked,
            digits.answers("v1"),
            stable="v1",
            rate=rate,
            host=None if url else self.host,
        )
        running = asyncio.create_task(users.run())
        try:
            yield users
        finally:
            users.stop()
            await running


@pytest_asyncio.fixture(loop_scope="module")
async def release(place: Place) -> AsyncIterator[Release]:
    """Version v1 of the digits example serves."""
    release = Release(place)
    await release.create()
    await release.serves("v1")
    yield release
    await place.local.cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)


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
                            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
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
    async with release.users():
        await release.version("v3")
        await release.at(5)
        await _comes_true(release.took_traffic_back)
        gone = datetime.now(UTC)
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK)
    seen = [verdict.window_end for verdict in status.verdicts if verdict.verdict == "Fail"]
    assert seen, [verdict.message for verdict in status.verdicts]
    assert gone - min(end for end in seen if end) <= INTERVAL + timedelta(seconds=2)
    assert status.rejected[0].reason == "MetricFailed"


async def test_promotion_with_plain_services_fails_no_request(place: Place) -> None:
    release = Release(place)
    manifest = yaml.safe_load((EXAMPLES / "plain-services.yaml").read_text())
    steps = {"steps": [{"weight": 50}, {"weight": 100}], "hold": "3s"}
    await release.create(
        traffic=manifest["spec"]["traffic"],
        stages=[{"name": "canary", "canary": steps}],
        analysis={**manifest["spec"]["analysis"], "interval": "2s"},
    )
    await release.serves("v1")
    url = await place.local.gateway.service_url(release.namespace, release.name, 8080)
    async with release.users(url=url) as users:
        await release.version("v2")
        await release.serves("v2", seconds=90)
        await asyncio.sleep(1)
    counts = users.snapshot()
    assert counts.failed_by_switch == 0, counts
    assert counts.by_version["v2"].requests > 100


async def test_candidate_killed_in_a_loop_loses_its_traffic_at_once(release: Release) -> None:
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [50, 100], "hold": "2m"}}]})
    async with release.users():
        await release.version("v2")
        status = await release.at(50)
        assert status.candidate
        await _comes_true(lambda: release.gives_the_candidate(50))
        killed = time.monotonic()
        while (await release.status()).phase is Phase.PROGRESSING:
            await _kill_pods(release, status.candidate.workload)
            await asyncio.sleep(0.2)
            if time.monotonic() - killed > 1.5 + INTERVAL.total_seconds():
                assert await release.candidate_weight() == 0
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK, seconds=30)
    assert status.rejected[0].reason == "CrashLoop"


async def _comes_true(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits until it holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


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
    seen: list[int] = []

    async def watch() -> None:
        while True:
            weight = await release.candidate_weight()
            if not seen or seen[-1] != weight:
                seen.append(weight)
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    async with release.users():  # whose requests the demo's test counts, with the machine for itself
        await release.version("v2")
        for weight in (5, 25, 50):
            await release.at(weight)
            await release.place.operator.kill()
            await asyncio.sleep(0.5)
            await release.place.operator.start()
        await release.until(lambda s: s.phase in (Phase.BAKING, Phase.HEALTHY))
        watching.cancel()
        await release.serves("v2")
    climbing = [weight for weight in seen if weight]
    assert climbing == sorted(climbing), seen


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
    assert users.snapshot().failed_by_switch == 0
    await cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)
    for resource in (MODEL_ROLLOUTS, HTTP_ROUTES, DEPLOYMENTS, SERVICES, PODS):
        await _comes_true(lambda resource=resource: release.has_none(resource), seconds=45)


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

    await _comes_true(is_right, seconds=10)


@pytest.mark.timeout(900)
async def test_ten_releases_of_an_identical_model_under_bursty_traffic_are_all_promoted(release: Release) -> None:
    dice = random.Random()  # noqa: S311 - other bursts on every run
    await release.patch({"stages": [{"name": "canary", "canary": {"weights": [25, 100], "hold": "3s"}}]})
    async with release.users() as users:

        async def burst() -> None:
            while True:
                users.rate = dice.choice([15, 40, 60, 90, 180])
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
