"""Leading by a Lease, on API servers: one of several has it, and who does not have it writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from modelrollout.kube import Candidacy, Cluster, Leadership, NotLeading, Terms
from modelrollout.kube.election import holder
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, LEASES, Resource
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMS = Terms(timedelta(seconds=1))
AGES = 3600.0


class Clock:
    """A clock that shows what a test says. Nothing waits by it, so what runs beside the tests decides nothing."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def candidate(
    cluster: Cluster,
    namespace: str,
    identity: str,
    clock: Clock | None = None,
    *,
    lease: str = "modelrollout",
    serves: tuple[str, ...] = (),
) -> Leadership:
    """By its clock no time passes unless a test says so."""
    return Leadership(cluster, Candidacy(namespace, lease, identity, TERMS, serves), clock=clock or Clock(AGES))


async def leader(cluster: Cluster, namespace: str) -> str:
    return holder(await cluster.read(LEASES, namespace, "modelrollout"))


def config(namespace: str, **data: str) -> Manifest:
    metadata = {"name": "a", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@asynccontextmanager
async def campaigning(*those: Leadership) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each.campaign()) for each in those]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_of_several_leads_and_the_next_one_as_soon_as_it_resigns(cluster: Cluster, namespace: str) -> None:
    those = {name: candidate(cluster, namespace, name) for name in ("one", "two", "three")}
    async with asyncio.timeout(20), campaigning(*those.values()) as tasks:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = await leader(cluster, namespace)
        assert [name for name, each in those.items() if each.leads] == [first]
        await those[first].resign()
        assert not those[first].leads
        await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        second = await leader(cluster, namespace)
    assert second != first
    assert sum(task.done() and not task.cancelled() for task in tasks) == 2


async def test_a_leader_that_falls_silent_is_succeeded_and_finds_its_own_time_over(
    cluster: Cluster, namespace: str
) -> None:
    clock, other = Clock(AGES), Clock(0)  # they agree on nothing
    frozen, waiting = candidate(cluster, namespace, "frozen", clock), candidate(cluster, namespace, "waiting", other)
    async with asyncio.timeout(20):
        await frozen.campaign()
        assert (frozen.leads, frozen.left) == (True, TERMS.lasts)
        async with campaigning(waiting) as (campaign,):
            await known(waiting, "frozen")
            clock.now, other.now = clock.now + 2 * TERMS.lasts, other.now + 2 * TERMS.lasts
            await campaign
        assert (frozen.leads, frozen.left, waiting.leads) == (False, 0, True)
        fenced, renewals = cluster.fenced(frozen), cluster.requests["update", "leases"]
        with pytest.raises(NotLeading, match="does not hold"):
            await fenced.create(config(namespace))
        assert "could not be renewed" in await frozen.keep()
        assert cluster.requests["update", "leases"] == renewals
        await frozen.resign()
    assert await leader(cluster, namespace) == "waiting"
    assert await cluster.read(CONFIG_MAPS, namespace, "a") is None


async def test_a_leader_that_was_succeeded_learns_of_it_when_it_renews(cluster: Cluster, namespace: str) -> None:
    slow, other = candidate(cluster, namespace, "slow"), Clock(0)
    following = candidate(cluster, namespace, "next", other)
    async with asyncio.timeout(20):
        await slow.campaign()
        async with campaigning(following) as (campaign,):
            await known(following, "slow")
            other.now += TERMS.lasts
            await campaign
        assert slow.leads
        assert await slow.keep() == "next holds it"
    assert not slow.leads


async def known(one: Leadership, leader: str) -> None:
    """Until it has seen who leads."""
    while one.leader != leader:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def leading(one: Leadership) -> AsyncIterator[asyncio.Task[str]]:
    """It leads, and renews its Lease until the block ends."""
    await one.campaign()
    keeping = asyncio.create_task(one.keep())
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_leader_renews_for_as_long_as_it_likes_whatever_becomes_of_its_lease(
    cluster: Cluster, namespace: str
) -> None:
    steady, waiting = candidate(cluster, namespace, "steady"), candidate(cluster, namespace, "waiting")

    async def renewed(since: str) -> str:
        """The version of a Lease that it renewed after the one with that version."""
        while True:
            found = await cluster.read(LEASES, namespace, "modelrollout")
            if found is not None and holder(found) == "steady" and found["metadata"]["resourceVersion"] != since:
                return str(found["metadata"]["resourceVersion"])
            await asyncio.sleep(0.01)

    async with asyncio.timeout(20), leading(steady) as keeping, campaigning(waiting):
        noted = await cluster.patch(LEASES, namespace, "modelrollout", {"metadata": {"annotations": {"note": "mine"}}})
        again = await renewed(noted["metadata"]["resourceVersion"])
        await cluster.delete(LEASES, namespace, "modelrollout")
        await renewed(again)
        assert (steady.leads, waiting.leads, keeping.done()) == (True, False, False)


async def test_operators_with_namespaces_of_their_own_lead_beside_each_other(cluster: Cluster, namespace: str) -> None:
    one = candidate(cluster, namespace, "one", lease="first", serves=("a", "b"))
    two = candidate(cluster, namespace, "two", lease="second", serves=("c",))
    async with asyncio.timeout(20):
        await asyncio.gather(one.campaign(), two.campaign())
    assert (one.leads, two.leads) == (True, True)


class Busy:
    """A cluster in which a Lease changes right after it was read, once it is told to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self.changes = cluster, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def read(self, resource: Resource, namespace: str, name: str) -> Manifest | None:
        found = await self._cluster.read(resource, namespace, name)
        if self.changes:
            self.changes -= 1
            noted = {"metadata": {"annotations": {"changes": f"{self.changes}"}}}
            await self._cluster.patch(resource, namespace, name, noted)
        return found


async def test_it_is_given_up_though_it_changes_meanwhile_as_by_a_renewal(cluster: Cluster, namespace: str) -> None:
    busy = Busy(cluster)
    one = candidate(cast("Cluster", busy), namespace, "one")
    async with asyncio.timeout(20):
        await one.campaign()
        busy.changes = 3
        await one.resign()
    assert (busy.changes, await leader(cluster, namespace)) == (0, "")


async def test_an_operator_that_would_serve_what_another_does_refuses_to_lead_and_names_it(
    cluster: Cluster, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = candidate(cluster, namespace, "one", lease="first", serves=("a", "b"))
    two = candidate(cluster, namespace, "two", lease="second", serves=("b", "c"))
    async with asyncio.timeout(20), leading(one), campaigning(two) as (trying,):
        await asyncio.sleep(TERMS.lasts)
        assert (one.leads, two.leads) == (True, False)
        assert not holder(await cluster.read(LEASES, namespace, "second"))
        told = [line for line in caplog.messages if "does not lead" in line]
        assert len(told) == 1
        assert f"one serves namespace b by the Lease {namespace}/first" in told[0]
        await one.resign()
        await trying
    assert two.leads


async def test_one_that_stands_by_for_an_operator_of_other_namespaces_says_so_once(
    cluster: Cluster, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = (candidate(cluster, namespace, name, serves=(where,)) for name, where in (("one", "a"), ("two", "b")))
    async with asyncio.timeout(20), leading(one), campaigning(two):
        await asyncio.sleep(TERMS.lasts)
    told = [line for line in caplog.messages if "would serve" in line]
    assert len(told) == 1
    assert (
        f"The holder of the Lease {namespace}/modelrollout serves namespaces a, this process would serve b" in told[0]
    )


async def test_of_overlapping_operators_that_start_at_a_time_one_leads_at_most(
    cluster: Cluster, namespace: str
) -> None:
    those = [candidate(cluster, namespace, name, lease=name) for name in ("one", "two", "three")]
    async with asyncio.timeout(20), campaigning(*those) as tasks:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.3)
        assert [task for task in tasks if task.done()] == [*done]
        assert sum(each.leads for each in those) == 1


async def test_an_operator_that_fell_silent_keeps_nobody_from_serving_its_namespaces(
    cluster: Cluster, namespace: str
) -> None:
    clock = Clock(0)
    here = candidate(cluster, namespace, "here", clock, lease="second")
    async with asyncio.timeout(20):
        await candidate(cluster, namespace, "gone", lease="first").campaign()
        async with campaigning(here) as (campaign,):
            await asyncio.sleep(0.3)
            assert not campaign.done()
            clock.now += TERMS.lasts
            await campaign
    assert here.leads


class Fence:
    """A fence that says for how long a write may take."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds

    @contextmanager
    def writing(self) -> Iterator[float]:
        if self.seconds is None:
            raise NotLeading("closed")
        yield self.seconds


async def test_behind_a_closed_fence_everything_is_read_and_nothing_written(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(config(namespace, x="1"))
    fenced, before = cluster.fenced(Fence(None)), cluster.writes
    writes = (
        fenced.create(config(namespace)),
        fenced.apply(config(namespace), manager="test"),
        fenced.replace(made),
        fenced.replace_status(made),
        fenced.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "2"}}),
        fenced.delete(CONFIG_MAPS, namespace, "a"),
    )
    for write in writes:
        with pytest.raises(NotLeading):
            await write
    assert cluster.writes == before
    assert await fenced.read(CONFIG_MAPS, namespace, "a") == made
    await fenced.rehearse(config(namespace, x="3"), manager="test")  # stores nothing
    assert await cluster.read(CONFIG_MAPS, namespace, "a") == made


async def test_behind_an_open_fence_writes_are_as_they_are_without(cluster: Cluster, namespace: str) -> None:
    fenced = cluster.fenced(Fence(5))
    assert (await fenced.apply(config(namespace, x="1"), manager="test"))["data"] == {"x": "1"}
    await fenced.delete(CONFIG_MAPS, namespace, "a")
    assert await cluster.read(CONFIG_MAPS, namespace, "a") is None
