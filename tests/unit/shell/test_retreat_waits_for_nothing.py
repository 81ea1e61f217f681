"""From a watch's word that the candidate lost its pods to the route: no other call stands in between.

Every request but those two (read the rollout, write the route) hangs for ever, wherever in a pass that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import METRIC_TEMPLATES, Resource
from tests import builders
from tests.fakes.cluster import FakeCluster
from tests.fakes.mirrored import MirroredTown
from tests.fakes.town import run
from tests.fakes.watched import settle

PATH = {("get", "modelrollouts"), ("apply", "httproutes")}


class HangingCluster(FakeCluster):
    """Once it hangs, it answers nothing but what is on the path."""

    hangs = False
    answers = PATH

    async def _call(self, verb: str, resource: Resource, name: str, effect: Callable[[], Any]) -> Any:
        if self.hangs and (verb, resource.plural) not in self.answers:
            self.requests[verb, resource.plural] += 1
            await asyncio.Event().wait()
        return await super()._call(verb, resource, name, effect)


def at(weight: int = 25) -> MirroredTown:
    """Version 2 has had so much for a while, and the operator has seen it."""
    town = MirroredTown(HangingCluster())
    town.old = town.wish("1")
    town.go(Phase.HEALTHY)
    town.new = town.wish("2")
    town.go(Phase.PROGRESSING, weight)
    town.run(seconds=20)
    town.cluster.requests.clear()
    return town


def is_edited(town: MirroredTown) -> Callable[[], bool]:
    """There is a status to save."""
    town.wish("2", promotion={"bake": "3m", "keepOld": "5m"})
    return lambda: town.cluster.requests["status", "modelrollouts"] == 1


def is_superseded(town: MirroredTown) -> Callable[[], bool]:
    """There is a version to try."""
    town.wish("3")
    return lambda: town.cluster.requests["rehearse", "deployments"] == 1


def is_looked_at(town: MirroredTown) -> Callable[[], bool]:
    """Prometheus has to be asked."""
    town.now += timedelta(seconds=15)
    town.metrics.is_hanging, town.metrics.was_asked = True, asyncio.Event()
    return town.metrics.was_asked.is_set


def has_a_template(town: MirroredTown) -> Callable[[], bool]:
    """There is an object to read that no watch has told of."""
    metrics = {"interval": "15s", "metrics": [builders.ERRORS], "templates": [{"name": "shared"}]}
    town.wish("2", analysis=metrics)
    return lambda: town.cluster.requests["get", METRIC_TEMPLATES.plural] == 1


async def while_it_hangs(town: MirroredTown, is_stuck: Callable[[], bool]) -> None:
    """The candidate loses its pods while a pass is stuck. Passes follow each other as in the operator."""
    assert isinstance(town.cluster, HangingCluster)
    town.cluster.hangs = True
    passing = asyncio.create_task(town.passing())
    await until(is_stuck)
    assert town.share(town.new) == 25
    town.cluster.broken = {"2"}
    town.cluster.run_controllers(town.now)
    await settle()
    following = asyncio.create_task(passes_after(town, passing))
    await until(lambda: town.share(town.new) == 0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def passes_after(town: MirroredTown, passing: asyncio.Task[object]) -> None:
    await passing
    while True:
        await town.passing()


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):  # turns of the loop
        if holds():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to that")


@pytest.mark.parametrize("happens", [is_edited, is_superseded, is_looked_at, has_a_template])
def test_candidate_that_loses_its_pods_loses_its_traffic_while_all_else_hangs(
    happens: Callable[[MirroredTown], Callable[[], bool]],
) -> None:
    town = at()
    run(while_it_hangs(town, happens(town)))


def test_pass_that_writes_lets_the_retreat_go_first() -> None:
    town = at()
    template = town.manifest["spec"]["workload"]["template"]
    town.wish("2", workload={"template": {**template, "spec": {**template["spec"], "replicas": 6}}})
    hanging = town.cluster
    assert isinstance(hanging, HangingCluster)
    hanging.answers = PATH | {("status", "modelrollouts")}
    run(while_it_hangs(town, lambda: hanging.requests["apply", "deployments"] == 1))
