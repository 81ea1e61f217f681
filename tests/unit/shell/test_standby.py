"""A process that stands by knows the world as well as the one that leads, and touches nothing in it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from modelrollout.api.status import Phase
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS
from modelrollout.rollout.references import reads
from modelrollout.shell.mirrors import Mirrors
from modelrollout.shell.standby import Standby
from tests.fakes.cluster import FakeCluster
from tests.fakes.town import KEY, Town, run
from tests.fakes.watched import settle


async def follow(cluster: FakeCluster, namespaces: tuple[str, ...], then: Any) -> None:
    """`then` once everything was looked at, and once more when it has happened."""
    door = cast("Any", cluster)
    mirrors = Mirrors(door, lambda _: None, namespaces=namespaces)
    standing_by = asyncio.create_task(Standby(door, mirrors, namespaces).run())
    try:
        await settle()
        await then(mirrors)
    finally:
        standing_by.cancel()
        await asyncio.gather(standing_by, return_exceptions=True)
        await mirrors.stop()


def serving() -> Town:
    town = Town()
    town.wish("1")
    town.go(Phase.HEALTHY)
    return town


def test_all_that_a_pass_reads_is_at_hand_when_this_process_comes_to_lead() -> None:
    town = serving()
    cluster, log = town.cluster, list(town.cluster.log)

    async def look(mirrors: Mirrors) -> None:
        found = mirrors.at_hand(KEY, reads(town.manifest))
        assert found is not None
        assert {ref.name for ref in found if ref.resource == HTTP_ROUTES} == {"fraud"}
        cluster.requests.clear()
        assert await mirrors.read(KEY, reads(town.manifest)) == found
        assert not cluster.requests

    run(follow(cluster, (), look))
    run(follow(cluster, ("ml",), look))
    assert cluster.log == log


def test_a_rollout_that_came_meanwhile_is_known_and_one_that_went_is_forgotten() -> None:
    town = Town()

    async def look(mirrors: Mirrors) -> None:
        assert mirrors.ages() == {}
        town.wish("1")
        await settle()
        assert mirrors.at_hand(KEY, reads(town.manifest)) is not None
        forgotten: list[object] = []
        mirrors.forget = forgotten.append  # type: ignore[method-assign]
        town.cluster.remove(MODEL_ROLLOUTS, "fraud")
        await settle()
        assert forgotten == [KEY]

    run(follow(town.cluster, (), look))
