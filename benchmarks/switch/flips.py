"""Switches a release over and back, and finds in what users got when each of them was in force for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from localcluster.load import LoadGenerator, Outcome
from localcluster.processes.background import running
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Cluster
from modelrollout.objects.resources import HTTP_ROUTES, MODEL_ROLLOUTS, Resource

STAGES = [{"name": "switch", "blueGreen": {"hold": "1h"}}]
"""One switch that is held until somebody takes it back."""
SETTLING = 2.0
"""Seconds in which one version alone answers: whoever is still served by the other would be seen in them."""
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Flip:
    """One flip, in seconds: to the first answer after which nobody was answered by the other version again.

    `from_begin`: since the decision was saved (over), or since the spec was edited (back). `from_route`: since the
    route was written. `lost`: requests without an answer of a model, from before the flip to well after it.
    """

    way: Literal["over", "back"]
    from_begin: float
    from_route: float
    requests: int
    lost: int


@dataclass
class Seen:
    """When something changed, as a watch told of it, in unix seconds."""

    cluster: Cluster
    namespace: str
    name: str
    moments: dict[tuple[str, int], float] = field(
        default_factory=dict
    )  # by kind and weight of the candidate: since when
    weights: dict[str, int] = field(default_factory=dict)
    stable: str = ""  # the Service of the version that serves when this begins
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, resource: Resource) -> None:
        async with aclosing(self.cluster.watch(resource, self.namespace)) as events:
            async for event in events:
                if event.object["metadata"]["name"] == self.name:
                    self._note(resource, event.object)

    def _note(self, resource: Resource, found: Mapping[str, Any]) -> None:
        if resource == MODEL_ROLLOUTS:
            status = ModelRolloutStatus.model_validate(found.get("status") or {})
            weight = status.stage.weight if status.stage and status.candidate else 0
        else:
            refs = found["spec"]["rules"][-1]["backendRefs"]
            self.stable = self.stable or refs[0]["name"]
            weight = sum(ref.get("weight", 1) for ref in refs if ref["name"] != self.stable)
        if self.weights.get(resource.kind) != weight:
            self.weights[resource.kind] = weight
            self.moments[resource.kind, weight] = time.time()
            self.changed.set()

    async def until(self, weight: int) -> None:
        """Returns once both say so. Raises TimeoutError with the last message of the status."""
        try:
            async with asyncio.timeout(PATIENCE):
                while {self.weights.get(one.kind) for one in (MODEL_ROLLOUTS, HTTP_ROUTES)} != {weight}:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            found = await self.cluster.read(MODEL_ROLLOUTS, self.namespace, self.name) or {}
            message = (found.get("status") or {}).get("message")
            raise TimeoutError(f"the candidate never had {weight} %: {message} {self.weights}") from None

    def since(self, resource: Resource, weight: int) -> float:
        return self.moments[resource.kind, weight]


@asynccontextmanager
async def watching(cluster: Cluster, namespace: str, name: str) -> AsyncIterator[Seen]:
    seen = Seen(cluster, namespace, name)
    async with running(*(seen.follow(one) for one in (MODEL_ROLLOUTS, HTTP_ROUTES))):
        yield seen


async def flips(seen: Seen, users: LoadGenerator, old: str, new: str, count: int) -> AsyncIterator[Flip]:
    """`count` flips over and back in turns, while users ask. The rollout has the one stage above, and `old` serves."""
    await seen.until(0)
    for _ in range(count):
        before = len(users.outcomes)
        await _wish(seen, new)
        await seen.until(100)
        outcomes = await _settled(users, before, new)
        decided, written = (seen.since(one, 100) for one in (MODEL_ROLLOUTS, HTTP_ROUTES))
        yield flip("over", new, outcomes, decided, written)
        before, edited = len(users.outcomes), time.time()
        await _wish(seen, old)
        await seen.until(0)
        outcomes = await _settled(users, before, old)
        yield flip("back", old, outcomes, edited, seen.since(HTTP_ROUTES, 0))


async def _settled(users: LoadGenerator, before: int, version: str) -> tuple[Outcome, ...]:
    """What users got, once a version has answered alone for a while. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while True:
            outcomes = users.outcomes[before:]
            others = [outcome.at for outcome in outcomes if outcome.version != version]
            if outcomes and outcomes[-1].at - max(others, default=outcomes[0].at) > SETTLING:
                return outcomes
            await asyncio.sleep(0.1)


async def _wish(seen: Seen, version: str) -> None:
    await seen.cluster.patch(MODEL_ROLLOUTS, seen.namespace, seen.name, {"spec": {"model": {"version": version}}})


def flip(way: Literal["over", "back"], to: str, outcomes: Sequence[Outcome], begin: float, written: float) -> Flip:
    """A flip to a version, from what users got around it."""
    in_force = for_good(to, outcomes)
    lost = sum(outcome.failure is not None for outcome in outcomes)
    return Flip(way, in_force - begin, in_force - written, len(outcomes), lost)


def for_good(version: str, outcomes: Iterable[Outcome]) -> float:
    """When the first request was answered by a version after which no request was sent that another one answered.

    Raises ValueError when there is no such request.
    """
    answered = sorted((outcome for outcome in outcomes if outcome.version is not None), key=lambda one: one.at)
    others = [outcome.at for outcome in answered if outcome.version != version]
    last = max(others, default=0.0)
    after = [outcome.at + outcome.latency for outcome in answered if outcome.at > last]
    if not after:
        raise ValueError(f"{version} never answered alone")
    return min(after)
