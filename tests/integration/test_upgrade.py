"""The version before and this one take turns in the middle of a release: definitions and process, there and back.

The version before comes from this repository's history; a clone without it skips this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.operator_process import Operator, operator
from demo.playground import images
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.gateway import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from modelrollout.api.crd import definitions
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.manifests import Manifest
from tests.docs import document
from tests.integration.releases import Place, Release
from tests.places import ROOT
from tests.version_before import unpacked

pytestmark = [pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Version:
    """What an upgrade brings: the definitions, and the code that runs."""

    definitions: tuple[Manifest, ...]
    code: Path


TODAY = Version(definitions(), ROOT / "operator")


def version_before(folder: Path) -> Version:
    unpacked(folder, "operator", "crds")
    return Version(tuple(map(document, sorted((folder / "crds").glob("*.yaml")))), folder / "operator")


@asynccontextmanager
async def running(local: LocalCluster, version: Version) -> AsyncIterator[Operator]:
    """As `helm upgrade` does: the definitions first, then the process."""
    for definition in version.definitions:
        await local.cluster.apply(definition, manager="helm")
    log = local.directory / f"{version.code.parent.name}.log"
    async with operator(local.kubernetes.kubeconfig, local.metrics.url, log, code=version.code) as process:
        yield process


async def climbs(release: Release, weights: list[int]) -> None:
    """Notes every weight of the candidate."""
    while True:
        weight = await release.candidate_weight()
        if weights[-1:] != [weight]:
            weights.append(weight)
        await asyncio.sleep(0.05)


def kept(before: ModelRolloutStatus, after: ModelRolloutStatus) -> bool:
    """Whether a status says what it said, and no clock began anew."""
    arms = (before.stable, before.candidate and before.candidate.revision) == (
        after.stable,
        after.candidate and after.candidate.revision,
    )
    stages = before.stage and (before.stage.entered, before.stage.since)
    return (
        arms
        and stages == (after.stage and (after.stage.entered, after.stage.since))
        and (before.history == after.history)
    )


async def test_an_upgrade_in_the_middle_of_a_release_and_the_way_back_lose_nothing(tmp_path: Path) -> None:
    before = version_before(tmp_path / "before")
    try:
        async with local_cluster(tmp_path / "sandbox", images=images({}), definitions=before.definitions) as local:
            await _take_turns(local, before)
    except (PrometheusMissingError, EnvoyMissingError) as missing:
        pytest.skip(str(missing))


async def _take_turns(local: LocalCluster, before: Version) -> None:
    weights: list[int] = []
    async with running(local, before) as process:
        release = Release(Place(local, process), name="digits")
        steps = [{"weight": weight, "hold": "6s"} for weight in (25, 50, 100)]
        await release.create(
            analysis={"readinessOnly": True, "interval": "2s"}, stages=[{"name": "canary", "canary": {"steps": steps}}]
        )
        await release.serves("v1")
        watching = asyncio.create_task(climbs(release, weights))
        await release.version("v2")
        at_25 = await _in_force(release, 25)
    async with running(local, TODAY):
        await release.until(lambda status: kept(at_25, status), 5)
        at_50 = await _in_force(release, 50)
    async with running(local, before):
        await release.until(lambda status: kept(at_50, status), 5)
        status = await release.serves("v2")
    watching.cancel()
    assert weights[:4] == [0, 25, 50, 100]
    assert set(weights[4:]) <= {0}  # of nobody, once it is the stable version
    assert [outcome.outcome for outcome in status.history] == ["Promoted", "Installed"]


async def _in_force(release: Release, weight: int) -> ModelRolloutStatus:
    await release.at(weight)
    return await release.until(lambda status: status.stage is not None and status.stage.since is not None)
