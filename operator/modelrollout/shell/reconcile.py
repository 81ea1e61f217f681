"""One pass: observe, plan, take traffic back, ask Prometheus, plan, save the decision, act, tell.

The process may die after every await; the next pass finishes what this one began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Cluster, Conflict, Manifest, Refused
from modelrollout.objects.manifests import Owner, Write
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.plan.planner import SOON, finalise, needs, plan
from modelrollout.plan.world import Plan
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.expansion import referred
from modelrollout.rollout.rollout import Rollout, parse
from modelrollout.shell.announce import announce
from modelrollout.shell.apply import Applier
from modelrollout.shell.observe import observe, read_templates
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import Key

logger = logging.getLogger(__name__)

FINALIZER = "modelrollout.dev/finalizer"
AGAIN = timedelta(milliseconds=100)
"""After a conflict: somebody else moved the world, so it is looked at anew."""
LEAVE = timedelta(seconds=2)
"""Between removing the route and letting the pods go, when a rollout is deleted: gateways take a moment to hear it."""


class Asker(Protocol):
    """Where the answers come from."""

    async def ask(self, url: str | None, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        """One answer for each query. Never raises for the world's trouble."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of the writes of a plan."""

    has_moved: bool
    refusal: Finding | None = None


class Reconciler:
    """Makes passes over rollouts. All it remembers between them can be lost without harm."""

    def __init__(
        self,
        cluster: Cluster,
        asker: Asker,
        telemetry: Telemetry,
        *,
        resync: timedelta | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster, self._asker, self._telemetry = cluster, asker, telemetry
        self._resync, self._clock, self._sleep = resync, clock, sleep
        self._applier = Applier(cluster)
        self._trouble: dict[Key, Finding] = {}

    async def reconcile(self, key: Key, poked: Callable[[], Awaitable[object]]) -> timedelta | None:
        """One pass. Returns the time until the next one is due; None: only when something happens.

        `poked` returns when the rollout's surroundings changed. Raises KubeError; the caller tries again later.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        if manifest is None or not is_guarded(manifest):
            return None
        rollout = parse(manifest, await read_templates(self._cluster, key[0], referred(manifest.get("spec"))))
        try:
            return await self._pass(key, manifest, rollout, poked)
        except Conflict as conflict:
            logger.debug("%s/%s changed meanwhile: %s", *key, conflict)
            return AGAIN

    async def _pass(
        self, key: Key, manifest: Manifest, rollout: Rollout, poked: Callable[[], Awaitable[object]]
    ) -> timedelta | None:
        now, made = await self._decided(key, manifest, rollout, poked)
        done = await self._carry_out(made.retreat)
        await self._save(manifest, made.status)
        self._telemetry.saw(rollout, made)  # not before: what could not be saved is decided once more
        if done.refusal is None:
            done = await self._carry_out(made.writes) if made.writes else done
        await announce(self._cluster, rollout.owner, made.events, now)
        return self._rechecked(key, done, made)

    async def _decided(
        self, key: Key, manifest: Manifest, rollout: Rollout, poked: Callable[[], Awaitable[object]]
    ) -> tuple[datetime, Plan]:
        """The plan of this pass. Taking traffic back for want of readiness does not wait for Prometheus.

        Raises Conflict when the rollout itself was edited while we waited: that may be a wish to go back.
        """
        asking: asyncio.Task[Mapping[Query, Answer]] | None = None
        now = self._clock()
        try:
            while True:
                observed = await observe(self._cluster, rollout.owner, self._trouble.get(key))
                made = plan(rollout, observed, now)
                queries = needs(rollout, observed, now)
                if made.retreat or not queries:
                    return now, made
                asking = asking or asyncio.create_task(self._ask(rollout, queries))
                if await _is_done_before(asking, poked):
                    observed, then = observed.with_answers(asking.result()), self._clock()
                    # What begins now, begins when Prometheus has answered; unless that took until another look is due.
                    now = then if needs(rollout, observed, then) == queries else now
                    return now, plan(rollout, observed, now)
                if await self._version(key) != manifest["metadata"]["resourceVersion"]:
                    raise Conflict("it was edited while Prometheus was asked")
        finally:
            if asking is not None:
                asking.cancel()

    async def _version(self, key: Key) -> str | None:
        present = await self._cluster.read(MODEL_ROLLOUTS, *key)
        return present["metadata"]["resourceVersion"] if present else None

    async def _ask(self, rollout: Rollout, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        server = rollout.wish.spec.analysis.prometheus if rollout.wish else None
        return await self._asker.ask(server.url if server else None, queries)

    async def _save(self, manifest: Manifest, status: ModelRolloutStatus) -> None:
        """Compare-and-swap of the whole status; nothing is written when nothing changed."""
        wire = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        if wire != manifest.get("status"):
            await self._cluster.replace_status({**manifest, "status": wire})

    async def _carry_out(self, writes: tuple[Write, ...]) -> Done:
        """Up to the first refusal. What follows a refused write waits: the order of writes is there for safety."""
        has_moved = False
        for write in writes:
            try:
                has_moved |= await self._applier.carry_out(write)
            except Refused as refusal:
                return Done(has_moved, Finding("Refused", f"The API server refused a write: {refusal}."))
        return Done(has_moved)

    def _rechecked(self, key: Key, done: Done, made: Plan) -> timedelta | None:
        """The time until the next pass; soon when this one moved something, or has something new to tell."""
        known = self._trouble.pop(key, None)
        if done.refusal is not None:
            self._trouble[key] = done.refusal
        is_calm = known == done.refusal and (done.refusal is not None or not done.has_moved)
        due = made.recheck if is_calm else SOON
        return min((each for each in (due, self._resync) if each is not None), default=None)

    async def finalise(self, key: Key) -> None:
        """Deletion: users are turned away at the route, then Kubernetes' garbage collector takes the rest.

        `kubectl delete --cascade=orphan` leaves everything serving.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        self._trouble.pop(key, None)
        self._applier.forget(*key)
        self._telemetry.forget(key)
        if manifest is None or "orphan" in (manifest["metadata"].get("finalizers") or []):
            return
        metadata = manifest["metadata"]
        owner = Owner(metadata["namespace"], metadata["name"], metadata["uid"])
        leaving = finalise(owner, await observe(self._cluster, owner, None))
        await self._carry_out(leaving)
        if leaving:
            await self._sleep(LEAVE.total_seconds())


def is_guarded(manifest: Mapping[str, Any]) -> bool:
    """Whether a rollout may be acted upon: it has our finalizer, so its deletion will not pass us by, and is not
    being deleted."""
    metadata = manifest["metadata"]
    return FINALIZER in (metadata.get("finalizers") or []) and "deletionTimestamp" not in metadata


async def _is_done_before(asking: asyncio.Task[Mapping[Query, Answer]], poked: Callable[[], Awaitable[object]]) -> bool:
    """Whether the answers came before the next poke."""
    poke = asyncio.ensure_future(poked())
    try:
        await asyncio.wait({asking, poke}, return_when=asyncio.FIRST_COMPLETED)
        return asking.done() and not poke.done()  # a poke that came just then is not to be lost
    finally:
        poke.cancel()
