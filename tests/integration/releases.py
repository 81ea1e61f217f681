"""Releases of the digits example with the operator as a process, on real parts, with users.

One sandbox serves all tests of a file; each has a namespace of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
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
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS, Resource
from tests.integration.losses import nobody_failed_by_the_switch

sys.path.insert(0, str(EXAMPLES / "digits"))
import samples as digits

_numbers = itertools.count(1)
INTERVAL = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Place:
    local: LocalCluster
    operator: Operator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    directory = tmp_path_factory.mktemp("sandbox")
    own = {f"test/{name}": Path(__file__).parent / "images" / name for name in ("plain", "shop")}
    try:
        async with local_cluster(directory, images=images(own), definitions=definitions(), access_log=True) as parts:
            log = directory / "operator.log"
            async with operator(parts.kubernetes.kubeconfig, parts.metrics.url, log) as beside:
                parts.metrics.scrape_beside(beside.address)
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

    async def settle(self) -> None:
        """Make its namespace."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await self.place.local.cluster.create(namespace)

    async def create(self, **changes: Any) -> None:
        await self.settle()
        await self.begin(**changes)

    async def begin(self, **changes: Any) -> None:
        """Make the rollout, where its namespace is there."""
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
        await self.place.local.cluster.create(manifest)

    async def patch(self, spec: Manifest) -> None:
        await self.place.local.cluster.patch(MODEL_ROLLOUTS, self.namespace, self.name, {"spec": spec})

    async def judge_by(self, *names: str) -> None:
        """By these of the example's metrics alone: the more there are, the more users a step needs."""
        metrics = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())["spec"]["analysis"]["metrics"]
        await self.patch({"analysis": {"metrics": [metric for metric in metrics if metric["name"] in names]}})

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

    async def follow_weights(self, note: Callable[[int], None]) -> None:
        """Notes each change of the weight that is not with the version that is stable now; a task of its own."""
        stable, weight = (await self.status()).stable, None
        async with aclosing(self.place.local.cluster.watch(HTTP_ROUTES, self.namespace)) as events:
            async for event in events:
                refs = event.object["spec"]["rules"][0]["backendRefs"]
                before, weight = weight, sum(ref["weight"] for ref in refs if stable and ref["name"] != stable.workload)
                if weight != before:
                    note(weight)

    async def gives_the_candidate(self, weight: int) -> bool:
        return await self.candidate_weight() == weight

    async def took_traffic_back(self) -> bool:
        return (await self.status()).phase is not Phase.PROGRESSING and await self.candidate_weight() == 0

    async def has_none(self, resource: Resource) -> bool:
        return not (await self.place.local.cluster.list(resource, self.namespace)).items

    async def until(self, holds: Callable[[ModelRolloutStatus], bool], seconds: float = 60) -> ModelRolloutStatus:
        """Waits for a status, and misses none; fails with the last one seen."""
        status = ModelRolloutStatus()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), aclosing(self._statuses()) as statuses:
                async for status in statuses:
                    if holds(status):
                        return status
        verdicts = "; ".join(verdict.message for verdict in status.verdicts)
        pytest.fail(f"after {seconds} s it is {status.phase}: {status.message} [{verdicts}]")

    async def _statuses(self) -> AsyncGenerator[ModelRolloutStatus]:
        """By a watch: each look would cost both the API server and this process some milliseconds."""
        async with aclosing(self.place.local.cluster.watch(MODEL_ROLLOUTS, self.namespace)) as events:
            async for event in events:
                if event.object["metadata"]["name"] == self.name:
                    yield ModelRolloutStatus.model_validate(event.object.get("status") or {})

    async def serves(self, version: str, seconds: float = 60) -> ModelRolloutStatus:
        """Waits until a version serves everybody, by a route that the gateway follows."""

        def is_served(status: ModelRolloutStatus) -> bool:
            stable, ready = status.stable, status.condition("Ready")
            is_the_one = stable is not None and stable.model.version == version
            return status.phase is Phase.HEALTHY and is_the_one and ready is not None and ready.status == "True"

        return await self.until(is_served, seconds)

    async def at(self, weight: int, seconds: float = 60) -> ModelRolloutStatus:
        return await self.until(
            lambda s: s.phase is Phase.PROGRESSING and s.stage is not None and s.stage.weight == weight, seconds
        )

    @asynccontextmanager
    async def users(self, rate: float = 30, url: str | None = None) -> AsyncIterator[LoadGenerator]:
        """Enough of them to see that nobody fails, and to judge a version of which a quarter of them get answers."""
        asked = [Sample(sample.features, sample.label) for sample in digits.samples()]
        users = LoadGenerator(
            f"{url or self.place.local.gateway.url}/predict",
            asked,
            digits.answers("v1"),
            stable="v1",
            rate=rate,
            host=None if url else self.host,
        )
        async with users.coming():
            yield users

    async def lost_no_request_of(self, users: LoadGenerator) -> None:
        await nobody_failed_by_the_switch(users, self.place.local.directory)


@pytest_asyncio.fixture(loop_scope="module")
async def release(place: Place) -> AsyncIterator[Release]:
    """Version v1 of the digits example serves."""
    release = Release(place)
    await release.create()
    await release.serves("v1")
    yield release
    await place.local.cluster.delete(MODEL_ROLLOUTS, release.namespace, release.name)


async def comes_true(holds: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Waits until it holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.1)
