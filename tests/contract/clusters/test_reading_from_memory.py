"""Mirrors and the passes that read them, against API servers as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from modelrollout.api.crd import definitions
from modelrollout.kube import AlreadyExists, Cluster, Mirror, Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS
from modelrollout.promql.query import Answer, Query, Unanswered
from modelrollout.shell.announce import Announcer
from modelrollout.shell.mirrors import Mirrors
from modelrollout.shell.reconcile import Reconciler
from modelrollout.shell.telemetry import Telemetry
from tests import builders
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

LABEL = "modelrollout.dev/rollout"
ROLLOUTS = 50


def settings(namespace: str, name: str, rollout: str | None = "fraud", **data: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {LABEL: rollout} if rollout else {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def until(is_so: Callable[[], bool]) -> None:
    """Nothing tells of what a watch brings but what it brings."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def following(mirror: Mirror) -> AsyncIterator[None]:
    await mirror.fill()
    following = asyncio.create_task(mirror.follow(lambda _: None))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_mirror_keeps_up_with_creations_changes_and_deletions(cluster: Cluster, namespace: str) -> None:
    mirror = Mirror(cluster, CONFIG_MAPS, namespace, label=LABEL)
    await cluster.create(settings(namespace, "a"))
    async with following(mirror):
        await cluster.create(settings(namespace, "b", "churn"))
        changed = await cluster.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})
        await cluster.delete(CONFIG_MAPS, namespace, "b")
        last = await cluster.create(settings(namespace, "c"))
        await until(lambda: mirror.get(namespace, "c") is not None)
        assert mirror.labelled(namespace, "fraud") == [changed, last]
        assert mirror.get(namespace, "b") is None


async def test_mirror_takes_our_own_writes_ahead_of_their_events(cluster: Cluster, namespace: str) -> None:
    mirror = Mirror(cluster, CONFIG_MAPS, namespace, label=LABEL, only_labelled=True)
    async with following(mirror):
        for number in range(20):
            written = await cluster.apply(settings(namespace, "a", x=f"{number}"), manager="one")
            mirror.put(written)
            assert mirror.get(namespace, "a") == written
        await cluster.patch(CONFIG_MAPS, namespace, "a", {"metadata": {"labels": {LABEL: None}}})
        await until(lambda: not mirror.items)
        again = await cluster.apply(settings(namespace, "a", x="again"), manager="one")
        await until(lambda: mirror.get(namespace, "a") == again)


async def test_mirror_of_a_kind_without_its_definition_is_refused(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(Refused, match="is the CRD installed"):
        await Mirror(cluster, HTTP_ROUTES, namespace).fill()


class Silence:
    """A Prometheus that is away."""

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        return {query: Unanswered("connection refused", rejected=False) for query in queries}


class Operator:
    """Rollouts of one namespace, and passes over them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.mirrors = Mirrors(cluster, lambda _: None, namespaces=(namespace,))
        self.reconciler = Reconciler(cluster, self.mirrors, Silence(), Announcer(cluster), Telemetry())
        self.names = [f"fraud-{number}" for number in range(ROLLOUTS)]

    async def apply_all(self) -> None:
        for name in self.names:
            manifest = builders.rollout(traffic={"port": 8080, "service": {}})
            metadata = {key: value for key, value in manifest["metadata"].items() if key != "uid"}
            await self.cluster.create({**manifest, "metadata": {**metadata, "name": name, "namespace": self.namespace}})

    async def pass_over_all(self) -> None:
        for name in self.names:
            await self.reconciler.reconcile((self.namespace, name), asyncio.Event().wait)

    async def make_ready(self) -> None:
        for deployment in (await self.cluster.list(DEPLOYMENTS, self.namespace)).items:
            wanted, generation = deployment["spec"]["replicas"], deployment["metadata"]["generation"]
            status = {"observedGeneration": generation, "replicas": wanted, "updatedReplicas": wanted}
            status |= {"readyReplicas": wanted, "availableReplicas": wanted}
            await self.cluster.replace_status({**deployment, "status": status})

    async def phases(self) -> set[str | None]:
        found = (await self.cluster.list(MODEL_ROLLOUTS, self.namespace)).items
        return {(rollout.get("status") or {}).get("phase") for rollout in found}


@pytest_asyncio.fixture(loop_scope="module")
async def operator(cluster: Cluster, namespace: str) -> AsyncIterator[Operator]:
    for definition in definitions():
        try:
            await cluster.create(definition)
        except AlreadyExists:
            continue
    operator = Operator(cluster, namespace)
    async with asyncio.timeout(30):
        while True:  # a definition is served a moment after it is made
            try:
                await operator.apply_all()
                break
            except Refused:
                await asyncio.sleep(0.1)
    yield operator
    await operator.mirrors.stop()


async def test_fifty_healthy_rollouts_cost_one_get_a_pass_and_no_list_and_no_write(
    cluster: Cluster, operator: Operator
) -> None:
    for _ in range(30):
        await operator.pass_over_all()
        await operator.make_ready()
        if await operator.phases() == {"Healthy"}:
            break
    assert await operator.phases() == {"Healthy"}
    await operator.pass_over_all()
    before = cluster.requests.copy()
    await operator.pass_over_all()
    assert cluster.requests - before == {("get", "modelrollouts"): ROLLOUTS}
