"""The version before and this one take turns in the middle of a release under traffic: definitions and pods, there and
back.

The version before comes from this repository's history; a clone without it skips this.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar, cast

import pytest

from demo.operator_process import Operator
from demo.playground import images
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.gateway import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from localcluster.processes.background import running
from modelrollout.api.crd import definitions
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS, Resource
from tests.docs import document
from tests.integration.releases import Place, Release
from tests.places import ROOT
from tests.version_before import unpacked

pytestmark = [pytest.mark.timeout(300)]

T = TypeVar("T")
WEIGHTS, HOLD = [20, 40, 60, 80, 100], timedelta(seconds=8)


@dataclass(frozen=True, slots=True)
class Version:
    """What an upgrade brings: the definitions, and the code that runs."""

    definitions: tuple[Manifest, ...]
    code: Path


TODAY = Version(definitions(), ROOT / "operator")


def version_before(folder: Path) -> Version:
    unpacked(folder, "operator", "crds")
    return Version(tuple(map(document, sorted((folder / "crds").glob("*.yaml")))), folder / "operator")


@dataclass
class Pods:
    """The operator's two pods, of which one leads."""

    local: LocalCluster
    there: list[Operator] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def install(self, version: Version) -> None:
        await self._define(version)
        for _ in range(2):
            await self._start_one(version)

    async def give_way_to(self, version: Version) -> None:
        """As `helm upgrade` does: definitions first; then, whenever a new pod is ready, an old one is told to stop."""
        await self._define(version)
        for old in tuple(self.there):
            await self._start_one(version)
            self.there.remove(old)
            await old.stop()

    async def stop(self) -> None:
        for each in self.there:
            await each.stop()

    async def _define(self, version: Version) -> None:
        for definition in version.definitions:
            await self.local.cluster.apply(definition, manager="helm")

    async def _start_one(self, version: Version) -> None:
        log = self.local.directory / f"operator-{next(self._numbers)}.log"
        one = Operator(self.local.kubernetes.kubeconfig, self.local.metrics.url, log, flags=(), code=version.code)
        self.there.append(one)
        await one.start()


@dataclass
class Witness:
    """Each step that a release was at, and each weight that its route gave to the candidate, in their order."""

    release: Release
    stable: str
    steps: list[tuple[int, datetime, datetime]] = field(default_factory=list)
    """Weight, when it was entered, and since when it is in force."""
    weights: list[int] = field(default_factory=list)
    known: list[object] = field(default_factory=list)
    """Who is stable, who is the candidate, and what was before."""

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async with running(self._follow(MODEL_ROLLOUTS, self._note_step), self._follow(HTTP_ROUTES, self._note_weight)):
            yield

    async def _follow(self, resource: Resource, note: Callable[[Manifest], None]) -> None:
        async with aclosing(self.release.place.local.cluster.watch(resource, self.release.namespace)) as events:
            async for event in events:
                note(event.object)

    def _note_step(self, rollout: Manifest) -> None:
        status = ModelRolloutStatus.model_validate(rollout["status"])
        if status.phase is Phase.PROGRESSING and status.stage is not None and status.stage.since is not None:
            _note(self.steps, (status.stage.weight, status.stage.entered, status.stage.since))
            _note(self.known, (status.stable, status.candidate and status.candidate.revision, status.history))

    def _note_weight(self, route: Manifest) -> None:
        refs = route["spec"]["rules"][0]["backendRefs"]
        weight = sum(ref["weight"] for ref in refs if ref["name"] != self.stable)
        _note(self.weights, weight)


def _note(seen: list[T], now: T) -> None:
    if now not in seen[-1:]:
        seen.append(now)


async def test_an_upgrade_in_the_middle_of_a_release_and_the_way_back_lose_nothing(tmp_path: Path) -> None:
    before = version_before(tmp_path / "before")
    try:
        async with local_cluster(tmp_path / "sandbox", images=images({}), definitions=before.definitions) as local:
            pods = Pods(local)
            try:
                await _take_turns(pods, before)
            finally:
                await pods.stop()
    except (PrometheusMissingError, EnvoyMissingError) as missing:
        pytest.skip(str(missing))


def stages(*waits: int) -> list[Manifest]:
    """It waits at these weights for long."""
    steps = [{"weight": weight, "hold": "1h" if weight in waits else f"{HOLD.seconds}s"} for weight in WEIGHTS]
    return [{"name": "canary", "canary": {"steps": steps}}]


async def _take_turns(pods: Pods, before: Version) -> None:
    await pods.install(before)
    release = Release(cast("Place", pods), name="digits")  # of which it needs the cluster alone
    await release.create(analysis={"readinessOnly": True, "interval": "2s"}, stages=stages(40, 80))
    status = await release.serves("v1")
    assert status.stable is not None
    witness = Witness(release, status.stable.workload)
    async with witness.watching(), release.users(rate=10) as users:
        await release.version("v2")
        for begin, version, end, later in ((20, TODAY, 40, stages(80)), (60, before, 80, stages())):
            await release.at(begin)
            await pods.give_way_to(version)
            await release.at(end)
            await release.patch({"stages": later})
        status = await release.serves("v2")
    assert [outcome for outcome in users.outcomes if outcome.failure] == []
    assert {outcome.version for outcome in users.outcomes} == {"v1", "v2"}
    assert witness.weights == [0, *WEIGHTS]
    assert [weight for weight, _, _ in witness.steps] == WEIGHTS  # no clock began anew
    assert all(later[1] >= earlier[2] + HOLD for earlier, later in itertools.pairwise(witness.steps)), witness.steps
    assert len(witness.known) == 1
    assert [outcome.outcome for outcome in status.history] == ["Promoted", "Installed"]
