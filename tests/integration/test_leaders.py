"""Two operator processes beside each other, under traffic: whatever becomes of the leader, a release goes on.

One release is made while leaders are killed, frozen, cut off, told to stop, and have a wrong clock. Each of
them has just begun to tell somebody of another rollout, and its successor has to tell it.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio

from localcluster.cluster import LocalCluster, local_cluster
from localcluster.gateway import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from modelrollout.api.crd import definitions
from modelrollout.objects.resources import HTTP_ROUTES
from tests.integration.audience import Audience, News, audience
from tests.integration.patience import eventually
from tests.integration.releases import Place, Release
from tests.integration.replicas import WRONG_CLOCK, Replica, replicas, watched

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

LEASE, HOLD = 6.0, 5.0
"""Seconds."""
NEWS, BEGINNING = "news", "v0"
"""The rollout of which there is news in each trouble, and its first version."""
WEIGHTS = [10, 20, 30, 40, 50, 60, 70, 80, 100]


@dataclass
class Pair:
    """The two processes, and what was seen of them."""

    local: LocalCluster
    replicas: tuple[Replica, Replica]
    audience: Audience
    rises: list[tuple[float, int]] = field(default_factory=list)  # when the route gave the candidate which weight
    answers: Counter[str] = field(default_factory=Counter)  # to users, by the version or by what went wrong

    async def leader(self) -> Replica:
        """The one that leads, by its own word."""

        async def look() -> Replica | None:
            said = [(await each.leads(), each) for each in self.replicas]
            return next((each for leads, each in said if leads), None)

        return await eventually(look, "one of the two leads", within=60)

    def other(self, one: Replica) -> Replica:
        return next(each for each in self.replicas if each is not one)

    async def stands_by(self, one: Replica) -> None:
        async def stands_by() -> bool:
            return await one.leads() is False

        await eventually(stands_by, f"{one.name} stands by", within=60)

    async def succeeded(self, lost: Replica) -> float:
        """Seconds until the other one leads."""
        began, other = time.monotonic(), self.other(lost)
        await eventually(other.leads, f"{other.name} leads after {lost.name}", within=3 * LEASE)
        return time.monotonic() - began

    async def never_two(self) -> None:
        said = await asyncio.gather(*(each.leads() for each in self.replicas))
        assert said != [True, True], "both say that they lead"

    async def follow_route(self, release: Release, stable: str) -> None:
        """Notes whenever the candidate's weight changes."""
        async with aclosing(self.local.cluster.watch(HTTP_ROUTES, release.namespace)) as events:
            async for event in events:
                refs = event.object["spec"]["rules"][0]["backendRefs"]
                weight = sum(ref["weight"] for ref in refs if ref["name"] != stable)
                if weight != (self.rises[-1][1] if self.rises else 0):
                    self.rises.append((time.monotonic(), weight))

    async def ask(self, host: str) -> None:
        """What users do: a request each twentieth of a second."""
        async with aiohttp.ClientSession(headers={"Host": host}) as session:
            while True:
                self.answers[await self._answer(session)] += 1
                await asyncio.sleep(0.05)

    def _is_served(self, host: str) -> Callable[[], Awaitable[bool]]:
        async def is_served() -> bool:
            async with aiohttp.ClientSession(headers={"Host": host}) as session:
                return await self._answer(session) == "v1"

        return is_served

    async def _answer(self, session: aiohttp.ClientSession) -> str:
        try:
            async with session.get(self.local.gateway.url) as reply:
                told = await reply.json(content_type=None) if reply.status == 200 else None
                return str(told["env"]["VERSION"]) if told else f"status {reply.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return repr(error)

    @asynccontextmanager
    async def watched(self, release: Release, stable: str) -> AsyncIterator[None]:
        """Users ask, and it is seen who leads and what the route says, until the block ends."""
        async with asyncio.TaskGroup() as beside, watched(self.never_two, every=0.25):
            await eventually(self._is_served(release.host), "the gateway has the route")
            tasks = [beside.create_task(each) for each in (self.follow_route(release, stable), self.ask(release.host))]
            yield
            for task in tasks:
                task.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    directory = tmp_path_factory.mktemp("leaders")
    plain = Path(__file__).parent / "images" / "plain"
    try:
        async with (
            local_cluster(directory, images={"test/plain": plain}, definitions=definitions()) as local,
            audience(directory / "targets.yaml", silent_at_first=NEWS) as told,
        ):
            flags = ("--lease-duration", f"{LEASE:g}s", "--prometheus-url", local.metrics.url)
            telling = ("--notifications", str(told.targets))
            async with replicas(local.kubernetes.kubeconfig, directory, *flags, *telling) as both:
                yield Pair(local, both, told)
    except (PrometheusMissingError, EnvoyMissingError) as missing:
        pytest.skip(str(missing))


def workload(notes: Path) -> dict[str, Any]:
    """One pod of a server that says which version it is."""
    values = {"PORT": "8080", "VERSION": "{{ model.version }}"}
    container = {
        "name": "server",
        "image": "test/plain:{{ model.version }}",
        "command": ["python", "server.py", "--notes", str(notes)],
        "env": [
            {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            *({"name": name, "value": value} for name, value in values.items()),
        ],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    return {"template": {"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}}


def never_comes_up() -> dict[str, Any]:
    """A workload that costs nothing: there is no such image."""
    container = {"name": "server", "image": "test/none:{{ model.version }}"}
    return {"template": {"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}}


async def is_killed(pair: Pair, leader: Replica) -> None:
    leader.signal(signal.SIGKILL)
    assert await pair.succeeded(leader) < LEASE + 3


async def is_frozen_for_two_leases_and_wakes(pair: Pair, leader: Replica) -> None:
    ends, began = len(leader.codes), time.monotonic()
    leader.signal(signal.SIGSTOP)
    await pair.succeeded(leader)
    await asyncio.sleep(max(0.0, began + 2 * LEASE - time.monotonic()))
    leader.signal(signal.SIGCONT)
    assert await leader.ended(ends + 1) == 1
    assert "it could not be renewed" in leader.log.read_text()


async def is_cut_off_and_heard_again(pair: Pair, leader: Replica) -> None:
    ends, leader.program = len(leader.codes), (*WRONG_CLOCK, "60")
    leader.line.cut()
    await pair.succeeded(leader)
    leader.line.mend()  # what it sent arrives now
    assert await leader.ended(ends + 1) == 1


async def is_told_to_stop(pair: Pair, leader: Replica) -> None:
    """The next one's clock is wrong by a minute."""
    ends = len(leader.codes)
    leader.signal(signal.SIGTERM)
    assert await pair.succeeded(leader) < LEASE / 2
    assert "ahead of the API server's, whose time is used" in pair.other(leader).log.read_text()
    assert await leader.ended(ends + 1) == 0


async def stops_while_it_stands_by(pair: Pair, one: Replica) -> None:
    await pair.stands_by(one)
    ends = len(one.codes)
    one.signal(signal.SIGTERM)
    assert await one.ended(ends + 1) == 0


TROUBLES = {
    "killed": is_killed,
    "frozen": is_frozen_for_two_leases_and_wakes,
    "cut-off": is_cut_off_and_heard_again,
    "told": is_told_to_stop,
}
"""By the version of the rollout that there is news of then."""


def assert_that_each_decision_was_told_as_one(audience: Audience) -> None:
    """All attempts at one had the same id and the same words, and nothing else was told."""
    of_release = [News(topic, "digits", version) for version in ("v1", "v2") for topic in ("Started", "Promoted")]
    decided = {*of_release, *(News("Started", NEWS, version) for version in (BEGINNING, *TROUBLES))}
    assert audience.heard.keys() == decided
    told = {news: set(attempts) for news, attempts in audience.heard.items()}
    assert {news: len(different) for news, different in told.items()} == dict.fromkeys(decided, 1)
    assert len({id_ for different in told.values() for id_, _ in different}) == len(decided)
    assert audience.strangers == 0


async def test_whatever_becomes_of_the_leader_the_release_goes_on_as_planned_and_no_request_fails(
    pair: Pair, tmp_path: Path
) -> None:
    release = Release(cast("Place", pair))  # of which it needs the cluster alone
    news = Release(cast("Place", pair), release.namespace, NEWS)
    stage = {"name": "canary", "canary": {"weights": WEIGHTS, "hold": f"{HOLD:g}s"}}
    analysis = {"readinessOnly": True, "interval": "1s"}
    await release.create(workload=workload(tmp_path), stages=[stage], analysis=analysis)
    status = await release.serves("v1")
    await news.begin(workload=never_comes_up(), model={"name": NEWS, "version": BEGINNING}, analysis=analysis)
    assert status.stable is not None
    async with pair.watched(release, status.stable.workload):
        await release.version("v2")
        await release.at(WEIGHTS[0])
        for version, trouble in TROUBLES.items():
            leader = await pair.leader()
            await pair.stands_by(pair.other(leader))
            await news.version(version)
            await pair.audience.hears(begun := News("Started", NEWS, version))
            await trouble(pair, leader)
            await pair.audience.hears(begun, times=2)
        await release.serves("v2", seconds=120)
        await stops_while_it_stands_by(pair, pair.other(await pair.leader()))
    assert pair.answers.keys() == {"v1", "v2"}, pair.answers
    assert [weight for _, weight in pair.rises] == WEIGHTS
    times = [moment for moment, _ in pair.rises]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > HOLD - 1.5, pair.rises
    for one in (release, news):
        await one.until(lambda status: not status.errands)
    assert_that_each_decision_was_told_as_one(pair.audience)
