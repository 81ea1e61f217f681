"""One pass: observe, plan, take traffic back, ask Prometheus, plan, save the decision, act, tell.

The process may die after every await; the next pass finishes what this one began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Cluster, Conflict, Refused
from modelrollout.objects.manifests import Manifest, Owner, Write
from modelrollout.objects.reads import Objects, Reads, conditional
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.plan.plan import Plan
from modelrollout.plan.planner import RECHECK_SOON, finalise, plan
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.references import reads
from modelrollout.rollout.rollout import Rollout, parse
from modelrollout.shell.announce import Announcer
from modelrollout.shell.apply import Applier
from modelrollout.shell.observe import observed
from modelrollout.shell.outside import Asker, utc_now
from modelrollout.shell.reader import Reader
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.trial.question import Question
from modelrollout.trial.world import World

logger = logging.getLogger(__name__)

FINALIZER = "modelrollout.dev/finalizer"
AFTER_A_CONFLICT = timedelta(milliseconds=100)
"""Pause after a conflict: somebody else changed an object, so the next pass reads it again."""
MOST_RETREATS = 5
"""How often one pass tries to take traffic back from a route that somebody else keeps writing to."""
ROUTE_AHEAD_OF_PODS = timedelta(seconds=2)
"""When a rollout is deleted: from removing the route to removing the pods. Gateways take a moment to follow."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of the writes of a plan."""

    has_moved: bool
    refusal: Finding | None = None


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """A plan, with the facts that it was made from."""

    rollout: Rollout
    world: World
    now: datetime
    made: Plan


class Reconciler:
    """Makes passes over rollouts. Everything it remembers between passes can be lost without harm."""

    def __init__(
        self,
        cluster: Cluster,
        reader: Reader,
        asker: Asker,
        announcer: Announcer,
        telemetry: Telemetry,
        *,
        resync: timedelta | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster, self._reader, self._asker = cluster, reader, asker
        self._announcer, self._telemetry = announcer, telemetry
        self._resync, self._clock, self._sleep = resync, clock, sleep
        self._applier = Applier(cluster, reader)
        self._trouble: dict[RolloutKey, Finding] = {}

    async def reconcile(self, key: RolloutKey, poked: Callable[[], Awaitable[object]]) -> timedelta | None:
        """One pass. Returns the time until the next pass is due; None: the next event will cause one.

        `poked` returns when the rollout's surroundings changed. Raises KubeError; the caller tries again later.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        if manifest is None or not is_guarded(manifest):
            return None
        try:
            return await self._pass(key, manifest, poked)
        except Conflict as conflict:
            logger.debug("%s/%s changed meanwhile: %s", *key, conflict)
            return AFTER_A_CONFLICT

    async def _pass(
        self, key: RolloutKey, manifest: Manifest, poked: Callable[[], Awaitable[object]]
    ) -> timedelta | None:
        needed = reads(manifest)
        decided, done = await self._take_traffic_back(
            manifest, needed, await self._plan_with_answers(manifest, needed, poked)
        )
        await self._save(manifest, decided.made.status)
        self._telemetry.saw(decided.rollout, decided.made)  # only now: a decision that was not saved is made once more
        self._announcer.tell(decided.rollout.owner, decided.made.events, decided.now)
        if done.refusal is None and decided.made.writes:
            done = await self._carry_out_the_rest(key, needed, decided)
        return self._time_to_next_pass(key, done, decided.made)

    async def _plan_with_answers(
        self, manifest: Manifest, needed: Reads, poked: Callable[[], Awaitable[object]]
    ) -> PlannedPass:
        """The plan of this pass. A plan that takes traffic back does not wait for Prometheus.

        Raises Conflict when the rollout was edited while we waited: the edit may ask to go back.
        """
        asking: asyncio.Task[Mapping[Query, Answer]] | None = None
        key, now, question = _key(manifest), self._clock(), None
        try:
            while True:
                decided = self._plan(manifest, await self._reader.read(key, needed), now)
                question = question or decided.made.questions
                if decided.made.retreat or decided.made.questions is None or question is None:
                    return decided
                asking = asking or asyncio.create_task(self._ask(decided.rollout, question))
                if await _is_done_before(asking, poked):
                    return self._plan_again(decided, question, asking.result())
                if await self._version(key) != manifest["metadata"]["resourceVersion"]:
                    raise Conflict("it was edited while Prometheus was asked")
        finally:
            if asking is not None:
                asking.cancel()

    def _plan(self, manifest: Manifest, objects: Objects, now: datetime) -> PlannedPass:
        rollout = parse(manifest, objects)
        world = observed(objects, rollout.owner, self._trouble.get(_key(manifest)))
        return PlannedPass(rollout, world, now, plan(rollout, world, now))

    def _plan_again(self, decided: PlannedPass, question: Question, answers: Mapping[Query, Answer]) -> PlannedPass:
        """The plan with the answers of Prometheus."""
        # A step that begins, begins when Prometheus has answered; unless the next look is due by then.
        then = self._clock()
        now = then if question.until is None or then < question.until else decided.now
        world = decided.world.heard(question, answers)
        return PlannedPass(decided.rollout, world, now, plan(decided.rollout, world, now))

    async def _take_traffic_back(
        self, manifest: Manifest, needed: Reads, decided: PlannedPass
    ) -> tuple[PlannedPass, Written]:
        """Takes traffic back. If somebody wrote to a route meanwhile, plans and tries again within this pass.

        Raises Conflict when the route keeps changing.
        """
        for _ in range(MOST_RETREATS):
            try:
                return decided, await self._carry_out(decided.made.retreat, needed, decided.world.objects)
            except Conflict as conflict:
                logger.debug("Traffic is taken back once more: %s", conflict)
                decided = self._plan_from_other_objects(
                    manifest, await self._reader.reread(_key(manifest), needed), decided
                )
        raise Conflict("a route changed whenever traffic was to be taken back")

    def _plan_from_other_objects(self, manifest: Manifest, objects: Objects, decided: PlannedPass) -> PlannedPass:
        """The same pass with other objects."""
        again = self._plan(manifest, objects, decided.now)
        if (look := decided.world.look) is None:
            return again
        world = again.world.heard(look, decided.world.answers)
        return PlannedPass(again.rollout, world, decided.now, plan(again.rollout, world, decided.now))

    async def _carry_out_the_rest(self, key: RolloutKey, needed: Reads, decided: PlannedPass) -> Written:
        """Carries out the other writes. The next pass deals with objects that changed after the status was saved."""
        try:
            return await self._carry_out(decided.made.writes, needed, decided.world.objects)
        except Conflict as conflict:
            logger.debug("%s/%s changed meanwhile: %s", *key, conflict)
            await self._reader.reread(key, needed)
            return Written(has_moved=True)

    async def _version(self, key: RolloutKey) -> str | None:
        present = await self._cluster.read(MODEL_ROLLOUTS, *key)
        return present["metadata"]["resourceVersion"] if present else None

    async def _ask(self, rollout: Rollout, question: Question) -> Mapping[Query, Answer]:
        server = rollout.wish.spec.analysis.prometheus if rollout.wish else None
        return await self._asker.ask(server.url if server else None, question.queries)

    async def _save(self, manifest: Manifest, status: ModelRolloutStatus) -> None:
        """Compare-and-swap of the whole status; nothing is written when nothing changed."""
        wire = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        if wire != manifest.get("status"):
            await self._cluster.replace_status({**manifest, "status": wire})

    async def _carry_out(self, writes: tuple[Write, ...], needed: Reads, objects: Objects) -> Written:
        """Carries out writes up to the first refusal. Later ones wait: the order of writes is there for safety.

        Raises Conflict at the first write whose object is no longer as it was read.
        """
        has_moved = False
        for write in writes:
            try:
                has_moved |= await self._applier.carry_out(conditional(write, needed, objects))
            except Refused as refusal:
                return Written(has_moved, Finding("Refused", f"The API server refused a write: {refusal}."))
        return Written(has_moved)

    def _time_to_next_pass(self, key: RolloutKey, done: Written, made: Plan) -> timedelta | None:
        """The time until the next pass; short when this one changed something, or has a new trouble to tell."""
        known = self._trouble.pop(key, None)
        if done.refusal is not None:
            self._trouble[key] = done.refusal
        is_calm = known == done.refusal and (done.refusal is not None or not done.has_moved)
        due = made.recheck if is_calm else RECHECK_SOON
        return min((each for each in (due, self._resync) if each is not None), default=None)

    async def finalise(self, key: RolloutKey) -> None:
        """Deletion: users are turned away at the route, then Kubernetes' garbage collector takes the rest.

        `kubectl delete --cascade=orphan` leaves everything serving.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        self._trouble.pop(key, None)
        self._applier.forget(*key)
        self._reader.forget(key)
        self._telemetry.forget(key)
        if manifest is None or "orphan" in (manifest["metadata"].get("finalizers") or []):
            return
        metadata = manifest["metadata"]
        owner = Owner(metadata["namespace"], metadata["name"], metadata["uid"])
        leaving = finalise(owner, observed(await self._reader.reread(key, reads(manifest)), owner, None))
        await self._carry_out(leaving, Reads(), {})  # unconditional: the route goes, whoever changed it
        if leaving:
            await self._sleep(ROUTE_AHEAD_OF_PODS.total_seconds())


def _key(manifest: Manifest) -> RolloutKey:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def is_guarded(manifest: Mapping[str, Any]) -> bool:
    """Whether we may act for a rollout: it has our finalizer, so that we take part in its deletion, and is not
    being deleted."""
    metadata = manifest["metadata"]
    return FINALIZER in (metadata.get("finalizers") or []) and "deletionTimestamp" not in metadata


async def _is_done_before(asking: asyncio.Task[Mapping[Query, Answer]], poked: Callable[[], Awaitable[object]]) -> bool:
    """Whether the answers came before the next poke."""
    poke = asyncio.ensure_future(poked())
    try:
        await asyncio.wait({asking, poke}, return_when=asyncio.FIRST_COMPLETED)
        return asking.done() and not poke.done()  # a poke that came at the same moment must not be lost
    finally:
        poke.cancel()
