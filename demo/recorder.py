"""Writes down what happens to one rollout, as any API client can see it: status, route, Events. Changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

from demo.chronicle import NOBODY, EventSeen, ReleaseStart, Split, StatusChange
from localcluster.processes.background import running
from modelrollout.api.ab_test import Buckets
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import EVENTS, HTTP_ROUTES, MODEL_ROLLOUTS, Resource


class Recorder:
    """`turns`, `splits` and `told` grow while `recording`; `until` waits for a status.

    `buckets`: the header by which all users are drawn, where a stage draws them.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        clock: Callable[[], float] = time.time,
        buckets: Buckets | None = None,
    ) -> None:
        self._cluster, self._namespace, self._name, self._clock = cluster, namespace, name, clock
        self._buckets = buckets
        self._changed = asyncio.Condition()
        self.releases: list[ReleaseStart] = []
        self.turns: list[StatusChange] = []
        self.splits: list[Split] = []
        self.told: list[EventSeen] = []

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        async with running(
            self._follow(MODEL_ROLLOUTS, self._status_came),
            self._follow(HTTP_ROUTES, self._route_came),
            self._follow(EVENTS, self._event_came),
        ):
            yield

    @property
    def status(self) -> ModelRolloutStatus:
        return self.turns[-1].status if self.turns else NOBODY

    def begin(self, version: str, command: str) -> None:
        """Note that a version is asked for now."""
        self.releases.append(ReleaseStart(self._clock(), version, command))

    async def until(self, is_so: Callable[[ModelRolloutStatus], bool]) -> ModelRolloutStatus:
        """The first status of now or later of which this is so."""
        async with self._changed:
            await self._changed.wait_for(lambda: is_so(self.status))
            return self.status

    async def _follow(self, resource: Resource, came: Callable[[Manifest], None]) -> None:
        async with aclosing(self._cluster.watch(resource, self._namespace)) as events:
            async for event in events:
                if event.type == "DELETED":
                    continue
                came(event.object)
                async with self._changed:
                    self._changed.notify_all()

    def _status_came(self, manifest: Manifest) -> None:
        if manifest["metadata"]["name"] != self._name:
            return
        status = ModelRolloutStatus.model_validate(manifest.get("status") or {})
        if status != self.status:
            self.turns.append(StatusChange(self._clock(), status))

    def _route_came(self, manifest: Manifest) -> None:
        if manifest["metadata"]["name"] != self._name:
            return
        shares = shares_of_users(manifest["spec"].get("rules") or [{}], self._buckets)
        if not self.splits or self.splits[-1].shares != shares:
            self.splits.append(Split(self._clock(), shares))

    def _event_came(self, event: Manifest) -> None:
        about = event.get("involvedObject") or {}
        if about.get("kind") != MODEL_ROLLOUTS.kind or about.get("name") != self._name:
            return
        moment = datetime.fromisoformat(event["lastTimestamp"]).timestamp()
        self.told.append(EventSeen(moment, event["type"], event["reason"], event["message"]))


def shares_of_users(rules: Sequence[Manifest], buckets: Buckets | None) -> dict[str, int]:
    """Percent of users by backend. Rules that a few ask for, such as a preview's, come before that of everybody."""
    *before, everybody = rules
    drawn = _drawn(before, buckets) if buckets else {}
    others = percent({ref["name"]: int(ref.get("weight", 1)) for ref in everybody.get("backendRefs") or ()})
    left = 1 - sum(drawn.values()) / 100
    return {name: round(others.get(name, 0) * left + drawn.get(name, 0)) for name in {**others, **drawn}}


def _drawn(rules: Sequence[Manifest], buckets: Buckets) -> dict[str, float]:
    """Percent of users who come to each backend by their bucket, in whichever path and method it may be."""
    found = dict[str, set[str]]()
    for rule in rules:
        asked = [header for match in rule.get("matches") or () for header in match.get("headers") or ()]
        values = {header["value"] for header in asked if header["name"].lower() == buckets.name.lower()}
        for ref in rule["backendRefs"]:
            found.setdefault(ref["name"], set()).update(values)
    return {name: 100 * len(values) / buckets.count for name, values in found.items()}


def percent(weights: dict[str, int]) -> dict[str, int]:
    """Relative weights as percent; nothing when nobody gets anything."""
    total = sum(weights.values())
    return {name: round(100 * weight / total) for name, weight in weights.items()} if total else {}
