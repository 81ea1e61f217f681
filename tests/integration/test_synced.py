"""An application stays Synced through a whole release, a rollback and the revert in Git.

The ModelRollout, what surrounds it in Git, and for `routeRef` a route that Git describes: at each look Argo CD and Flux
compare live and Git, and Argo CD heals at every other one. None of them ever finds, or changes, anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.base import API_VERSION, KIND
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.manifests import Manifest, ref_of
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS
from tests.integration.releases import Place, Release, place
from tests.integration.synced import LEFT_ALONE, Application

__all__ = ["place"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PARENTS = [{"name": "sandbox", "namespace": "default"}]
PAUSE = 0.3  # seconds between two looks; Argo CD's are minutes apart


def workload(notes: Path) -> Manifest:
    """Each version is unready while there is a file of its own."""
    server = {
        "name": "server",
        "image": "test/plain:{{ model.version }}",
        "args": ["--notes", f"{notes}/{{{{ model.version }}}}"],
        "env": [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1},
    }
    pod = {"spec": {"containers": [server], "terminationGracePeriodSeconds": 1}}
    return {"template": {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1, "template": pod}}}


def rollout(release: Release, notes: Path, traffic: Manifest) -> Manifest:
    """As Git has it. Many fields are left to their defaults, which is what tools stumble over."""
    spec = {
        "model": {"name": "plain", "version": "v1"},
        "workload": workload(notes),
        "traffic": {"port": 8080, **traffic},
        "stages": [{"name": "canary", "canary": {"weights": [50, 100], "hold": "2s"}}],
        "analysis": {"readinessOnly": True, "interval": "1s"},
        "promotion": {"bake": "2s", "keepOld": "2s"},
        "progressDeadline": "8s",
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata(release, release.name), "spec": spec}


def metadata(release: Release, name: str, **more: Any) -> Manifest:
    """With the label by which Argo CD tracks what belongs to an application."""
    return {
        "name": name,
        "namespace": release.namespace,
        "labels": {"app.kubernetes.io/instance": "models"},
        **more,
    }


def surroundings(release: Release) -> list[Manifest]:
    ratio = {"bad": 'http_requests_total{code=~"5.."}', "total": "http_requests_total"}
    metric = {"name": "errors", "ratio": ratio, "tolerance": {"absolute": "1%"}}
    template = {"apiVersion": API_VERSION, "kind": "MetricTemplate", "metadata": metadata(release, "errors")}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(release, "settings"), "data": {"a": "1"}}
    return [{**template, "spec": {"metrics": [metric]}}, config]


def users_route(release: Release) -> Manifest:
    rule = {"name": "plain", "backendRefs": [{"name": "before", "port": 80}]}
    return {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": HTTP_ROUTES.kind,
        "metadata": metadata(release, "models", annotations=dict([LEFT_ALONE])),
        "spec": {"parentRefs": PARENTS, "hostnames": [release.host], "rules": [rule]},
    }


def with_a_route_of_its_own(release: Release, notes: Path) -> Application:
    traffic = {"gatewayAPI": {"parentRefs": PARENTS, "hostnames": [release.host]}}
    return Application(release.place.local.cluster, [rollout(release, notes, traffic), *surroundings(release)])


def with_a_route_in_git(release: Release, notes: Path) -> Application:
    route, traffic = users_route(release), {"routeRef": {"name": "models", "rule": "plain"}}
    ignored = {ref_of(route): [("spec", "rules")]}
    return Application(release.place.local.cluster, [rollout(release, notes, traffic), route], ignored)


async def watched(application: Application, release: Release, seen: set[Phase | None]) -> None:
    """Compares again and again, and heals at every other look."""
    while True:
        async with application.turn:
            before = (await release.status()).phase
            assert await application.drift() == [], before
            if application.looks % 2:
                assert await application.heal() == [], before
            seen.add(before)
        await asyncio.sleep(PAUSE)


async def release_and_roll_back(
    application: Application, release: Release, notes: Path, seen: set[Phase | None]
) -> None:
    async def until(phase: Phase, version: str) -> None:
        """It has come to that, and was compared there."""
        await release.until(lambda status: status.phase is phase and is_about(status, version))
        seen.discard(phase)
        async with asyncio.timeout(60):
            while phase not in seen:  # noqa: ASYNC110 - the looks go on in a task of their own
                await asyncio.sleep(PAUSE)

    await application.push("v2")
    await until(Phase.HEALTHY, "v2")
    await application.push("v3")
    await release.until(lambda status: status.phase is Phase.PROGRESSING and is_about(status, "v3"))
    (notes / "v3").mkdir(parents=True)
    (notes / "v3/unready").touch()
    await until(Phase.ROLLED_BACK, "v2")
    await lose_status(release)  # as a restore from a backup does; the route remembers
    await release.until(lambda status: bool(status.rejected))
    await until(Phase.ROLLED_BACK, "v2")
    assert await release.candidate_weight() == 0
    await application.push("v2")
    await until(Phase.HEALTHY, "v2")


async def lose_status(release: Release) -> None:
    cluster = release.place.local.cluster
    await cluster.patch(MODEL_ROLLOUTS, release.namespace, release.name, {"status": None}, subresource="status")


def is_about(status: ModelRolloutStatus, version: str) -> bool:
    arm = status.candidate or status.stable
    return arm is not None and arm.model.version == version


async def is_synced_throughout(application: Application, release: Release, notes: Path) -> set[Phase | None]:
    """The phases in which there was nothing to be seen, and nothing to be healed."""
    await release.settle()
    await application.sync()
    await release.serves("v1")
    seen: set[Phase | None] = set()
    looking = asyncio.create_task(watched(application, release, seen))
    releasing = asyncio.create_task(release_and_roll_back(application, release, notes, seen))
    done, _ = await asyncio.wait({looking, releasing}, return_when=asyncio.FIRST_COMPLETED)
    looking.cancel()
    releasing.cancel()
    for task in done:
        task.result()
    return seen


async def test_applications_stay_synced(place: Place, tmp_path: Path) -> None:
    async def one(made: Callable[[Release, Path], Application]) -> tuple[set[Phase | None], Manifest]:
        release, notes = Release(place, name="plain"), tmp_path / made.__name__
        seen = await is_synced_throughout(made(release, notes), release, notes)
        live = await place.local.cluster.read(MODEL_ROLLOUTS, release.namespace, release.name)
        return seen, live or {}

    both = await asyncio.gather(one(with_a_route_of_its_own), one(with_a_route_in_git))
    for seen, live in both:
        assert seen >= {Phase.HEALTHY, Phase.PROGRESSING, Phase.ROLLED_BACK}
        assert "annotations" not in live["metadata"], "nobody keeps a copy of the spec, or anything else, there"
