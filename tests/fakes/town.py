"""A rollout with everything around it in one process: fake cluster, scripted metrics, a clock that is moved by hand.

town = Town(); town.wish("1"); town.run(minutes=2); town.wish("2"); town.run(minutes=10); town.phase
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrollout.analysis.queries import Answer, Answered, Query, Series, Unanswered
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Manifest
from modelrollout.plan.rollout import read_wish
from modelrollout.plan.rollout import Wish
from modelrollout.reconcile import Reconciler
from modelrollout.resources import EVENTS, HTTP_ROUTES, MODEL_ROLLOUTS
from modelrollout.telemetry import Telemetry
from tests import builders
from tests.fakes.cluster import FakeCluster

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
KEY = ("ml", "fraud")
SCRAPE = timedelta(seconds=5)


@dataclass
class Metrics:
    """Prometheus as it would answer: `rps` requests per second for each arm, of which `bad[version]` fail."""

    town: Town
    rps: float = 100
    bad: dict[str, float] = field(default_factory=dict)
    is_down: bool = False
    is_silent: bool = False
    asked: list[Query] = field(default_factory=list)

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        self.asked += queries
        if self.is_down:
            return {query: Unanswered("connection refused", rejected=False) for query in queries}
        if self.is_silent:
            return {query: Answered(()) for query in queries}
        return {query: Answered((self._series(query),)) for query in queries}

    def _series(self, query: Query) -> Series:
        status = self.town.status
        arm = status.candidate if query.arm == "candidate" else status.stable
        assert arm is not None
        share = self.bad.get(arm.model.version, 0.0) if query.part == "bad" else 1.0
        moments = [query.start + SCRAPE * n for n in range(1, int((query.end - query.start) / SCRAPE) + 1)]
        return Series(
            {"pod": f"{arm.workload}-x7k2p"},
            tuple((t.timestamp(), round(self.rps * share * (t - NOON).total_seconds())) for t in moments),
        )


class Town:
    """Everything a rollout needs, and hands to move it with."""

    def __init__(self, cluster: FakeCluster | None = None) -> None:
        self.cluster = cluster or FakeCluster()
        self.now = NOON
        self.metrics = Metrics(self)
        self.restart()

    def restart(self) -> None:
        """A new operator process: all that it remembered is gone."""

        async def no_sleep(_: float) -> None:
            return None

        self.reconciler = Reconciler(
            self.cluster,  # type: ignore[arg-type]  # the verbs the operator uses
            self.metrics,
            Telemetry(),
            clock=lambda: self.now,
            sleep=no_sleep,
        )

    # Hands

    def wish(self, version: str = "1", **changes: Any) -> str:
        """Apply a spec; returns its revision (empty when it makes no sense)."""
        wanted = builders.rollout(version, **changes)
        present = self.cluster.get(MODEL_ROLLOUTS, "fraud")
        if present is not None:
            wanted = {**present, "spec": wanted["spec"]}
        self.cluster.put(wanted)
        wish = read_wish(wanted["spec"])
        return wish.revision if isinstance(wish, Wish) else ""

    def pass_(self) -> timedelta | None:
        """One pass of the operator, at the present time."""

        async def never() -> None:
            await asyncio.Event().wait()

        return asyncio.run(self.reconciler.reconcile(KEY, never))

    def run(self, *, until: Callable[[Town], bool] | None = None, **for_: float) -> None:
        """Passes whenever the operator asks for one, and after each change of the world, for so long."""
        end = self.now + timedelta(**for_)
        while self.now < end:
            self.cluster.run_controllers(self.now)
            due = self.pass_()
            if until is not None and until(self):
                return
            step = min(due or timedelta(seconds=5), timedelta(seconds=5))
            self.now = min(end, self.now + max(step, timedelta(seconds=1)))
        assert until is None, f"it never came to that: {self.status.phase} {self.status.message}"

    # Eyes

    @property
    def manifest(self) -> Manifest:
        found = self.cluster.get(MODEL_ROLLOUTS, "fraud")
        assert found is not None
        return found

    @property
    def status(self) -> ModelRolloutStatus:
        return ModelRolloutStatus.model_validate(self.manifest.get("status") or {})

    @property
    def weights(self) -> dict[str, int]:
        """Weights in the route, by Service."""
        route = self.cluster.get(HTTP_ROUTES, "fraud")
        return {} if route is None else {r["name"]: r["weight"] for r in route["spec"]["rules"][0]["backendRefs"]}

    @property
    def events(self) -> list[str]:
        return [event["reason"] for event in self.cluster.all(EVENTS)]

    def condition(self, type_: str) -> str | None:
        return next((c.status for c in self.status.conditions if c.type == type_), None)
