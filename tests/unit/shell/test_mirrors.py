"""What passes read from memory: all that the API server shows, and a poke for whoever a change is about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from modelrollout.api.findings import Finding
from modelrollout.kube import Failed, KubeError, Refused, Unreachable
from modelrollout.objects.manifests import Manifest, Owner, Ref, ref_of
from modelrollout.objects.reads import NOT_ANSWERED, NOT_INSTALLED, UNREADABLE, Reads, whole
from modelrollout.objects.resources import (
    CLUSTER_METRIC_TEMPLATES,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    PODS,
    SERVICES,
    Resource,
)
from modelrollout.shell.mirrors import RESYNC, Mirrors
from modelrollout.shell.reader import Direct
from modelrollout.shell.wakeups import RolloutKey
from tests.fakes.cluster import FakeCluster, Hook, merged
from tests.fakes.watched import Stream, settle

KEY, OTHER = ("ml", "fraud"), ("ml", "churn")
TEMPLATE = Ref(CLUSTER_METRIC_TEMPLATES, "", "latency")
READS = Reads(
    labelled=(DEPLOYMENTS, SERVICES, PODS),
    named=(Ref(HTTP_ROUTES, "ml", "fraud"), Ref(SERVICES, "ml", "fraud"), TEMPLATE),
)
OF_CHURN = Reads(labelled=(DEPLOYMENTS,), named=(Ref(HTTP_ROUTES, "ml", "churn"),))


def made(resource: Resource, name: str, rollout: str = "fraud", **spec: Any) -> Manifest:
    return Owner("ml", rollout, f"uid-{rollout}").object(resource, name, spec=spec)


def plain(resource: Resource, name: str, namespace: str = "ml") -> Manifest:
    """Somebody else's object, without any label."""
    metadata = {"name": name} | ({"namespace": namespace} if resource.namespaced else {})
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": {}}


class World:
    """A cluster, mirrors of it, and a clock in the test's hands."""

    def __init__(self) -> None:
        self.cluster: Any = FakeCluster()
        self.poked: list[RolloutKey] = []
        self.now = 0.0
        self.sleeps: list[tuple[float, asyncio.Event]] = []
        self.mirrors = self.mirrors_of()

    def mirrors_of(self, *namespaces: str) -> Mirrors:
        return Mirrors(
            self.cluster,
            self.poked.append,
            namespaces=namespaces,
            resync=timedelta(minutes=5),
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.sleeps.append((seconds, woken))
        await woken.wait()

    async def wake(self) -> list[float]:
        """Let all who sleep go on; says how long they meant to."""
        sleeping, self.sleeps = self.sleeps, []
        for _, woken in sleeping:
            woken.set()
        await settle()
        return [seconds for seconds, _ in sleeping]

    def stream(self, resource: Resource) -> Stream:
        (found,) = (stream for watched, stream in self.cluster.streams if watched == resource)
        return found

    async def synced(self, *keys: tuple[RolloutKey, Reads]) -> None:
        """Read once, so that the mirrors begin; from here on nothing is asked."""
        for key, reads in keys or ((KEY, READS),):
            await self.mirrors.read(key, reads)
        await settle()
        self.poked.clear()
        self.cluster.requests.clear()

    async def is_true(self) -> bool:
        before = self.cluster.requests.copy()
        known = await self.mirrors.read(KEY, READS)
        assert self.cluster.requests == before, "it was not read from memory"
        shown = await Direct(self.cluster).read(KEY, READS)
        self.cluster.requests = before
        return known == shown


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.cluster.put(made(DEPLOYMENTS, "fraud-1"))
    world.cluster.put(made(SERVICES, "fraud-1"))
    world.cluster.put(plain(SERVICES, "fraud"))
    world.cluster.put(made(HTTP_ROUTES, "fraud"))
    world.cluster.put(made(DEPLOYMENTS, "churn-1", "churn"))
    world.cluster.put(plain(CLUSTER_METRIC_TEMPLATES, "latency"))
    yield world
    await world.mirrors.stop()
    await settle()
    assert world.cluster.streams == []


def refusing(refusal: Refused, *plurals: str) -> Hook:
    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if plural in plurals:
            raise refusal

    return refuse


# Reading


async def test_memory_shows_what_the_api_server_shows_and_asks_it_nothing(world: World) -> None:
    await world.synced()
    assert await world.is_true()
    world.cluster.put(made(DEPLOYMENTS, "fraud-2"))
    world.cluster.put(merged(world.cluster.get(SERVICES, "fraud"), {"spec": {"port": 1}}))
    world.cluster.remove(HTTP_ROUTES, "fraud")
    await settle()
    assert await world.is_true()
    assert world.cluster.requests == {}


async def test_until_the_mirrors_are_filled_the_api_server_is_asked(world: World) -> None:
    found = await world.mirrors.read(KEY, READS)
    assert found == await Direct(world.cluster).read(KEY, READS)
    assert len(found) == 5


async def test_a_kind_is_listed_and_watched_once_however_many_rollouts_read_it(world: World) -> None:
    await world.mirrors.read(KEY, READS)
    await settle()
    before = world.cluster.requests.copy()
    for number in range(20):
        await world.mirrors.read(("ml", f"r{number}"), READS)
    await settle()
    assert world.cluster.requests == before
    assert {name: count for name, count in before.items() if name[0] == "watch"} == {
        ("watch", plural): 1 for plural in ("deployments", "services", "pods", "httproutes", "clustermetrictemplates")
    }


async def test_only_labelled_objects_are_held_until_one_is_read_by_its_name(world: World) -> None:
    labelled = Reads(labelled=(SERVICES,))
    await world.synced((KEY, labelled))
    front = Ref(SERVICES, "ml", "fraud")
    assert front not in await world.mirrors.read(KEY, labelled)
    found = await world.mirrors.read(KEY, Reads(labelled=(SERVICES,), named=(front,)))
    assert front in found  # asked for
    await settle()
    world.cluster.requests.clear()
    assert await world.mirrors.read(KEY, Reads(labelled=(SERVICES,), named=(front,))) == found
    assert world.cluster.requests == {}
    assert len(world.cluster.streams) == 1


async def test_namespaces_that_are_not_served_are_not_watched(world: World) -> None:
    world.mirrors = world.mirrors_of("ml")
    world.cluster.put({**plain(PODS, "fraud-9", "secret")})
    await world.synced()
    assert await world.is_true()
    assert {plural: version for plural, version in world.mirrors.ages().items() if version is None} == {}


# Whom a change wakes


async def test_a_change_wakes_the_rollout_whose_label_the_object_carries_and_nobody_else(world: World) -> None:
    await world.synced((KEY, READS), (OTHER, OF_CHURN))
    world.cluster.put(made(DEPLOYMENTS, "fraud-2"))
    await settle()
    assert world.poked == [KEY]


async def test_a_change_of_an_object_without_label_wakes_all_who_read_it_by_its_name(world: World) -> None:
    template = Reads(named=(TEMPLATE,))
    await world.synced((KEY, READS), (OTHER, template), (("ml", "third"), OF_CHURN))
    world.cluster.put(merged(world.cluster.get(CLUSTER_METRIC_TEMPLATES, "latency", ""), {"spec": {"metrics": []}}))
    await settle()
    assert sorted(world.poked) == [OTHER, KEY]
    world.poked.clear()
    world.mirrors.forget(OTHER)
    world.cluster.remove(CLUSTER_METRIC_TEMPLATES, "latency", "")
    await settle()
    assert world.poked == [KEY]


async def test_a_change_of_what_decides_nothing_wakes_nobody_and_is_read(world: World) -> None:
    reads = Reads(beside=(HORIZONTAL_POD_AUTOSCALERS,))
    await world.synced((KEY, reads))
    scaler = world.cluster.put(made(HORIZONTAL_POD_AUTOSCALERS, "fraud-1"))
    await settle()
    assert world.poked == []
    assert await world.mirrors.read(KEY, reads) == {ref_of(scaler): scaler}
    assert world.cluster.requests == {}


async def test_what_decides_nothing_and_may_not_be_read_counts_as_none(world: World) -> None:
    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == HORIZONTAL_POD_AUTOSCALERS.plural:
            raise Refused(403, "forbidden", name)

    world.cluster.hook = refuse
    reads = Reads(READS.labelled, beside=(HORIZONTAL_POD_AUTOSCALERS,))
    at_first = await world.mirrors.read(KEY, reads)
    await settle()
    assert await world.mirrors.read(KEY, reads) == at_first == await Direct(world.cluster).read(KEY, reads)


@pytest.mark.parametrize("trouble", [Failed(500, "no kind", "x"), Unreachable("timed out")], ids=["failed", "away"])
async def test_what_decides_nothing_and_cannot_be_read_is_not_waited_for(world: World, trouble: KubeError) -> None:
    def fail(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == HORIZONTAL_POD_AUTOSCALERS.plural:
            raise trouble

    world.cluster.hook = fail
    reads = Reads(READS.labelled, READS.named, (HORIZONTAL_POD_AUTOSCALERS,))
    await world.synced((KEY, reads))
    found = world.mirrors.at_hand(KEY, reads)
    assert found == await Direct(world.cluster).read(KEY, reads)
    told = f"HorizontalPodAutoscalers cannot be listed: {trouble}. Those of spec.workload are neither made nor changed."
    assert found[whole(HORIZONTAL_POD_AUTOSCALERS, "ml")] == Finding(NOT_ANSWERED, told)
    world.cluster.hook = lambda *_: None
    scaler = world.cluster.put(made(HORIZONTAL_POD_AUTOSCALERS, "fraud-1"))
    await world.wake()
    assert (world.mirrors.at_hand(KEY, reads) or {})[ref_of(scaler)] == scaler


async def test_what_is_in_memory_of_a_kind_outlives_a_reading_that_was_not_answered(world: World) -> None:
    scaler = world.cluster.put(made(HORIZONTAL_POD_AUTOSCALERS, "fraud-1"))
    reads = Reads(beside=(HORIZONTAL_POD_AUTOSCALERS,))
    await world.synced((KEY, reads))
    world.cluster.hook = refusing(Refused(403, "forbidden", "x"), HORIZONTAL_POD_AUTOSCALERS.plural)
    await world.mirrors.reread(KEY, reads)
    assert world.mirrors.at_hand(KEY, reads) == {ref_of(scaler): scaler}


async def test_a_name_that_is_read_no_longer_wakes_nobody(world: World) -> None:
    await world.synced()
    await world.mirrors.read(KEY, Reads(READS.labelled, READS.named[:-1]))
    world.cluster.remove(CLUSTER_METRIC_TEMPLATES, "latency", "")
    await settle()
    assert world.poked == []


async def test_our_own_writes_wake_nobody_and_are_read_at_once(world: World) -> None:
    await world.synced()
    world.stream(DEPLOYMENTS).hold()
    world.mirrors.wrote(world.cluster.put(made(DEPLOYMENTS, "fraud-1", replicas=3)))
    gone = world.cluster.put(made(DEPLOYMENTS, "fraud-2"))
    world.mirrors.wrote(gone)
    world.cluster.remove(DEPLOYMENTS, "fraud-2")
    world.mirrors.deleted(Ref(DEPLOYMENTS, "ml", "fraud-2"), gone["metadata"]["uid"])
    assert await world.is_true()
    world.stream(DEPLOYMENTS).release()
    await settle()
    assert await world.is_true()
    assert world.poked == []


# What goes wrong


async def test_lost_events_are_made_up_for_by_the_next_look(world: World) -> None:
    await world.synced()
    world.stream(HTTP_ROUTES).hold()
    world.cluster.put(made(HTTP_ROUTES, "fraud", rules=[]))
    world.stream(HTTP_ROUTES).lose()
    await settle()
    assert not await world.is_true()
    await world.mirrors.look()
    world.cluster.requests.clear()
    assert await world.is_true()
    assert world.poked == [KEY]


async def test_a_fresh_look_at_one_rollout_mends_what_is_known_of_it(world: World) -> None:
    world.cluster.put(made(DEPLOYMENTS, "fraud-2"))
    await world.synced()
    for resource in (HTTP_ROUTES, DEPLOYMENTS):
        world.stream(resource).hold()
    world.cluster.put(made(HTTP_ROUTES, "fraud", rules=[]))
    world.cluster.remove(DEPLOYMENTS, "fraud-1")
    world.cluster.remove(DEPLOYMENTS, "fraud-2")
    world.cluster.put(made(DEPLOYMENTS, "fraud-2", replicas=9))
    assert not await world.is_true()
    found = await world.mirrors.reread(KEY, READS)
    assert found == await Direct(world.cluster).read(KEY, READS)
    world.cluster.requests.clear()
    assert await world.is_true()


@pytest.mark.parametrize("trouble", [Unreachable("connection reset"), ValueError("a mistake of our own")])
async def test_a_watch_that_breaks_is_begun_anew(world: World, trouble: Exception) -> None:
    await world.synced()
    world.stream(HTTP_ROUTES).fail(trouble)
    await settle()
    world.cluster.put(made(HTTP_ROUTES, "fraud", rules=[]))
    await world.wake()
    assert await world.mirrors.read(KEY, READS) == await Direct(world.cluster).read(KEY, READS)
    await settle()
    world.cluster.requests.clear()
    assert await world.is_true()


async def test_what_nobody_looked_at_for_long_is_asked_for(world: World) -> None:
    await world.synced()
    world.now = 599
    assert await world.is_true()
    assert set(world.mirrors.ages().values()) == {599}
    world.now = 601
    await world.mirrors.read(KEY, READS)
    assert world.cluster.requests["list", "pods"] == 1


async def test_an_api_server_that_is_away_is_asked_ever_less_often(world: World) -> None:
    def away(*_: str) -> None:
        raise Unreachable("connection refused")

    world.cluster.hook = away
    reads = Reads(labelled=(PODS,))
    with pytest.raises(Unreachable):
        await world.mirrors.read(KEY, reads)
    await settle()
    assert [(await world.wake())[0] for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]
    world.cluster.hook = lambda *_: None
    await world.wake()
    world.cluster.requests.clear()
    assert await world.mirrors.read(KEY, reads) == {}
    assert world.cluster.requests == {}


@pytest.mark.parametrize(("status", "reason"), [(404, NOT_INSTALLED), (403, UNREADABLE)])
async def test_a_kind_that_is_refused_is_an_answer_until_it_is_there(world: World, status: int, reason: str) -> None:
    world.cluster.hook = refusing(Refused(status, "no such thing", "/apis"), "httproutes")
    await world.synced()
    found = (await world.mirrors.read(KEY, READS))[READS.named[0]]
    assert found == Finding(reason, f"HTTPRoute 'fraud' cannot be read: {Refused(status, 'no such thing', '/apis')}.")
    assert await world.is_true()
    assert world.poked == []
    world.cluster.hook = lambda *_: None
    assert await world.wake() == [RESYNC.total_seconds()]
    world.cluster.requests.clear()
    assert await world.is_true()
    assert KEY in world.poked


async def test_a_refused_kind_of_which_we_could_write_an_object_is_read_from_then_on(world: World) -> None:
    world.cluster.hook = refusing(Refused(404, "is the CRD installed?", "/apis"), "httproutes")
    await world.synced()
    world.cluster.hook = lambda *_: None
    world.mirrors.wrote(world.cluster.put(made(HTTP_ROUTES, "fraud", rules=[])))
    await settle()
    world.cluster.requests.clear()
    assert await world.is_true()


async def test_a_labelled_kind_that_the_cluster_does_not_have_has_no_objects(world: World) -> None:
    world.cluster.hook = refusing(Refused(404, "is the CRD installed?", "/apis"), "deployments")
    await world.synced()
    assert await world.is_true()
    assert not any(ref.resource == DEPLOYMENTS for ref in await world.mirrors.read(KEY, READS))


async def test_a_labelled_kind_that_may_not_be_listed_stops_the_pass(world: World) -> None:
    world.cluster.hook = refusing(Refused(403, "pods is forbidden", "/api"), "pods")
    for _ in range(2):
        with pytest.raises(Refused, match="forbidden"):
            await world.mirrors.read(KEY, READS)
        await settle()
