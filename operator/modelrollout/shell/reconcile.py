"""One pass: observe, plan, take traffic back, ask, plan, save the decision, act, tell.

The process may die after every await; the next pass finishes what this one began.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.delivery.deliverer import Deliverer
from modelrollout.kube import Cluster, Conflict, Failed, Refused
from modelrollout.kube.errors import NotFound
from modelrollout.objects.manifests import Manifest, Ref, Write, ref_of
from modelrollout.objects.reads import UNREADABLE, Objects, Reads
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.plan.plan import Event, Plan
from modelrollout.plan.planner import RECHECK_SOON, plan, unseen, upkeep
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.references import beyond, essential, reads
from modelrollout.rollout.rollout import Rollout, parse
from modelrollout.shell.announce import Announcer
from modelrollout.shell.apply import Applier
from modelrollout.shell.asking import Asking, Poked
from modelrollout.shell.deletion import MOST_RETREATS, Deletion
from modelrollout.shell.finalizer import is_guarded
from modelrollout.shell.observe import observed
from modelrollout.shell.outside import Asker, Smoker, utc_now
from modelrollout.shell.reader import Reader
from modelrollout.shell.refusals import Refusal, Refusals, Rehearsed, Trouble, Written
from modelrollout.shell.rehearsal import contents, rehearse
from modelrollout.shell.smoking import ByHTTP
from modelrollout.shell.succession import Succession
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.trial.question import Question
from modelrollout.trial.world import World

logger = logging.getLogger(__name__)

AFTER_A_CONFLICT = timedelta(milliseconds=100)
"""Pause after a conflict: somebody else changed an object, so the next pass reads it again."""
ROUTE_AHEAD_OF_PODS = timedelta(seconds=2)
"""When a rollout is deleted: from removing the route to removing the pods. Gateways take a moment to follow."""


@dataclass(frozen=True, slots=True)
class PlannedPass:
    """A plan, with the facts that it was made from."""

    rollout: Rollout
    world: World
    now: datetime
    made: Plan
    rehearsed: Rehearsed


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
        comparer_image: str | None = None,
        addresses: AllowedAddresses | None = None,
        vets_authors: bool = False,
        smoker: Smoker | None = None,
        succession: Succession | None = None,
        deliverer: Deliverer | None = None,
    ) -> None:
        """`succession`: where another process may have led before this one. `addresses`, `vets_authors`: see `parse`.

        Without a deliverer, errands stay.
        """
        self._cluster, self._reader, self._asker = cluster, reader, asker
        self._parse = partial(parse, comparer_image=comparer_image, addresses=addresses, vets_authors=vets_authors)
        self._smoker = smoker or ByHTTP()
        self._succession, self._deliverer = succession, deliverer
        self._announcer, self._telemetry = announcer, telemetry
        self._resync, self._clock, self._sleep = resync, clock, sleep
        self._applier = Applier(cluster, reader)
        self._refusals, self._objections = Refusals(), Refusals()  # to writes, and to rehearsals
        self._beyond: dict[RolloutKey, tuple[Ref, ...]] = {}  # what the objects of the last pass led to
        self._unseen: set[RolloutKey] = set()  # rollouts whose surroundings the API server did not show
        self._deletion = Deletion(reader, self._applier, self._refusals, self._unseen)

    async def reconcile(self, key: RolloutKey, poked: Poked) -> timedelta | None:
        """One pass. Returns the time until the next pass is due; None: the next event will cause one.

        `poked` returns when the rollout's surroundings changed. Raises KubeError; the caller tries again later.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        if manifest is None or not is_guarded(manifest):
            return None
        try:
            due = await self._pass(key, manifest, poked)
        except Conflict as conflict:
            logger.debug("%s/%s changed meanwhile: %s", *key, conflict)
            return AFTER_A_CONFLICT
        except (Refused, Failed) as refusal:
            await self._say_that_nothing_is_seen(key, manifest, refusal)
            raise
        self._unseen.discard(key)
        return due

    async def _say_that_nothing_is_seen(self, key: RolloutKey, manifest: Manifest, refusal: Refusal) -> None:
        """Tells that the API server does not show what surrounds a rollout; a failure, only when it comes again."""
        if isinstance(refusal, Refused) or key in self._unseen:
            rollout, now = parse(manifest, {}), self._clock()
            why = Finding(UNREADABLE, f"Nothing is decided while this cannot be read: {refusal}.")
            made = unseen(rollout, why, now)
            await self._save(manifest, made.status)
            self._announcer.tell(rollout.owner, made.events, now)
        self._unseen.add(key)

    async def _pass(self, key: RolloutKey, manifest: Manifest, poked: Poked) -> timedelta | None:
        needed = reads(manifest)
        async with Asking(poked) as asking:
            decided, back = await self._take_traffic_back(
                manifest, needed, await self._plan_with_answers(manifest, needed, asking)
            )
            if self._succession is not None and await self._succession.took_over(key, manifest):
                return AFTER_A_CONFLICT
            has_changed, done = await self._save_and_act_unless_traffic_goes(manifest, needed, decided, back, asking)
        has_tried_all = not decided.made.retreat and ref_of(manifest) not in done.refused
        untried = done.waiting if has_tried_all else self._refusals.of(key) | done.waiting
        self._take_note(decided, {**done.refused, **done.unanswered}, untried)
        if done.away is not None:
            raise done.away
        return timedelta() if has_changed else self._time_to_next_pass(key, done, decided.made)

    async def _plan_with_answers(self, manifest: Manifest, needed: Reads, asking: Asking) -> PlannedPass:
        """The plan of this pass. A plan that takes traffic back waits for no answer.

        Raises Conflict when the rollout was edited while we waited: the edit may ask to go back.
        """
        key, now, question = _key(manifest), self._clock(), None
        rehearsed = self._objections.last_rehearsed(key, now)
        while True:
            with self._telemetry.part("read"):
                objects = await self._read(manifest, needed, asking)
            with self._telemetry.part("plan"):
                decided = self._plan(manifest, objects, now, rehearsed)
            self._telemetry.works_for(decided.rollout)
            if decided.made.retreat:
                return decided
            if trial := decided.made.rehearsal:
                if (said := await asking.answer(contents(trial), partial(rehearse, self._cluster, trial))) is not None:
                    rehearsed = said
                    self._objections.rehearsed(key, said, now)
                    continue
            elif smoke := decided.made.smoke:
                if (replies := await asking.answer(smoke.key, partial(self._smoker.ask, smoke))) is not None:
                    return self._plan_again(decided, decided.world.replied(smoke, replies), self._clock())
            else:
                question = question or decided.made.questions
                if decided.made.questions is None or question is None:
                    return decided
                ask = partial(self._ask_prometheus, decided.rollout, question)
                if (answers := await asking.answer("Prometheus", ask)) is not None:
                    # A step that begins, begins when Prometheus has answered; unless the next look is due by then.
                    then = self._clock()
                    self._telemetry.looked(key, question.at, then)
                    now = then if question.until is None or then < question.until else decided.now
                    return self._plan_again(decided, decided.world.heard(question, answers), now)
            if await self._version(key) != manifest["metadata"]["resourceVersion"]:
                raise Conflict("it was edited while we asked")

    async def _ask_prometheus(self, rollout: Rollout, question: Question) -> Mapping[Query, Answer]:
        with self._telemetry.part("ask"):
            answers = await self._ask(rollout, question)
            self._telemetry.heard(answers.values())
            return answers

    async def _read(self, manifest: Manifest, needed: Reads, asking: Asking) -> Objects:
        """All objects of a pass, with those that they lead to; of these nothing is known where they may not be read."""
        key = _key(manifest)
        known = self._beyond.get(key, ())
        while True:
            objects = await self._read_these(manifest, replace(needed, named=(*needed.named, *known)), asking)
            if (led_to := beyond(manifest, objects)) == known:
                return objects
            self._beyond[key] = known = led_to

    async def _read_these(self, manifest: Manifest, needed: Reads, asking: Asking) -> Objects:
        """While any of them has to be asked for, traffic that has to go back does not wait."""
        key = _key(manifest)
        while (objects := self._reader.at_hand(key, needed)) is None:
            if (some := self._reader.at_hand(key, essential(manifest))) is not None:
                retreat = self._plan(manifest, some, self._clock(), Rehearsed()).made.retreat
                await self._applier.carry_out_all(retreat, needed, some)
            read = partial(self._reader.read, key, needed)
            if (asked := await asking.answer("objects", read, expires=True)) is not None:
                return asked
        return objects

    def _plan(self, manifest: Manifest, objects: Objects, now: datetime, rehearsed: Rehearsed) -> PlannedPass:
        key, rollout = _key(manifest), self._parse(manifest, objects)
        refused = {ref: why for ref, why in self._refusals.told(key).items() if ref.resource != MODEL_ROLLOUTS}
        world = observed(objects, rollout.owner, refused)
        if self._deliverer is not None:
            world = world.delivered(self._deliverer.known(key))
        made = plan(rollout, world, now)
        if made.rehearsal and contents(made.rehearsal) == rehearsed.contents:
            world = world.tried(self._objections.worded(key, rehearsed.refused))
            made = plan(rollout, world, now)
        return PlannedPass(rollout, world, now, made, rehearsed)

    def _plan_again(self, decided: PlannedPass, world: World, now: datetime) -> PlannedPass:
        """The plan with answers in its world."""
        with self._telemetry.part("plan"):
            return replace(decided, world=world, now=now, made=plan(decided.rollout, world, now))

    async def _take_traffic_back(
        self, manifest: Manifest, needed: Reads, decided: PlannedPass
    ) -> tuple[PlannedPass, Written]:
        """Takes traffic back. If somebody wrote to a route meanwhile, plans and tries again within this pass.

        Raises Conflict when the route keeps changing.
        """
        for _ in range(MOST_RETREATS):
            done = await self._carry_out("take back", decided.made.retreat, needed, decided)
            if done.conflict is None:
                return decided, done
            logger.debug("Traffic is taken back once more: %s", done.conflict)
            routes = Reads(named=tuple(write.ref for write in decided.made.retreat))  # nothing else is waited for
            others = {ref: one for ref, one in decided.world.objects.items() if ref not in routes.named}
            found = await self._reader.reread(_key(manifest), routes)
            decided = self._plan_from_other_objects(manifest, {**others, **found}, decided)
        raise Conflict("a route changed whenever traffic was to be taken back")

    async def _carry_out(self, part: str, writes: tuple[Write, ...], needed: Reads, decided: PlannedPass) -> Written:
        with self._telemetry.part(part) if writes else nullcontext():
            return await self._applier.carry_out_all(writes, needed, decided.world.objects)

    def _plan_from_other_objects(self, manifest: Manifest, objects: Objects, decided: PlannedPass) -> PlannedPass:
        """The same pass with other objects."""
        again = self._plan(manifest, objects, decided.now, decided.rehearsed)
        if (look := decided.world.look) is None:
            return again
        world = again.world.heard(look, decided.world.answers)
        return replace(again, world=world, made=plan(again.rollout, world, decided.now))

    async def _save_and_act_unless_traffic_goes(
        self, manifest: Manifest, needed: Reads, decided: PlannedPass, back: Written, asking: Asking
    ) -> tuple[bool, Written]:
        """Saves the decision and acts on it; and whether the surroundings changed meanwhile.

        Raises Conflict as soon as they ask for traffic to be taken back: that waits for no other write.
        """
        has_changed, following = False, {**manifest, "status": _wire(decided.made.status)}
        act = partial(self._save_and_act, manifest, needed, decided, back)
        while (done := await asking.answer("acting", act)) is None:
            has_changed = True
            objects = await self._read(following, needed, asking)
            again = self._plan(following, objects, self._clock(), decided.rehearsed)
            if again.made.retreat and not decided.made.retreat:
                raise Conflict("traffic is to be taken back before anything else is written")
        return has_changed, done

    async def _save_and_act(self, manifest: Manifest, needed: Reads, decided: PlannedPass, back: Written) -> Written:
        key, refused, writes = _key(manifest), dict(back.refused), decided.made.writes
        try:
            await self._save(manifest, decided.made.status)
        except NotFound as gone:
            raise Conflict(f"{gone}") from gone
        except (Refused, Failed) as refusal:  # a decision that is not saved is not acted on; the last one goes on
            refused[ref_of(manifest)] = refusal
            writes = () if decided.made.retreat else upkeep(decided.rollout, decided.world, decided.now)
        else:
            self._telemetry.saw(decided.rollout, decided.made)  # only now: what was not saved is decided once more
            self._announcer.tell(decided.rollout.owner, decided.made.events, decided.now)
            self._deliver(decided)
        done = await self._carry_out("write", writes, needed, decided)
        if done.conflict is not None:  # the next pass deals with objects that changed after the status was saved
            logger.debug("%s/%s changed meanwhile: %s", *key, done.conflict)
            await self._reader.reread(key, needed)
        return Written(
            has_moved=back.has_moved or done.has_moved or done.conflict is not None,
            refused={**refused, **done.refused},
            waiting=back.waiting | done.waiting,
            unanswered={**done.unanswered, **back.unanswered},
        )

    def _deliver(self, decided: PlannedPass) -> None:
        """Has the errands of the saved status delivered, whenever that may be."""
        if self._deliverer is not None:
            rollout = decided.rollout
            self._deliverer.deliver(rollout.owner, decided.made.status.errands, rollout.notifications)

    def _take_note(self, decided: PlannedPass, refused: dict[Ref, Trouble], untried: Collection[Ref]) -> None:
        """Remembers what was refused. A status that cannot be saved cannot say so itself."""
        owner = decided.rollout.owner
        key, own = (owner.namespace, owner.name), Ref(MODEL_ROLLOUTS, owner.namespace, owner.name)
        before = self._refusals.told(key).get(own)
        self._refusals.met(key, refused, untried)
        if not decided.world.objections:  # nothing waits for an answer any more
            self._objections.forget(key)
        if (now := self._refusals.told(key).get(own)) is not None and now != before:
            words = f"Nothing new is decided until the status can be saved: {now.message}"
            self._announcer.tell(owner, (Event("Warning", "StatusRefused", words),), decided.now)

    async def _version(self, key: RolloutKey) -> str | None:
        present = await self._cluster.read(MODEL_ROLLOUTS, *key)
        return present["metadata"]["resourceVersion"] if present else None

    async def _ask(self, rollout: Rollout, question: Question) -> Mapping[Query, Answer]:
        server = rollout.wish.spec.analysis.prometheus if rollout.wish else None
        return await self._asker.ask(rollout.owner.namespace, server, question.queries)

    async def _save(self, manifest: Manifest, status: ModelRolloutStatus) -> None:
        """Compare-and-swap of the whole status; nothing is written when nothing changed."""
        if (wire := _wire(status)) != manifest.get("status"):
            with self._telemetry.part("save"):
                await self._cluster.replace_status({**manifest, "status": wire})

    def _time_to_next_pass(self, key: RolloutKey, done: Written, made: Plan) -> timedelta | None:
        """The time until the next pass; short when this one changed something, or met a new refusal."""
        due = self._refusals.pause(key) or (RECHECK_SOON if done.has_moved else None)
        again = self._objections.pause(key)
        return min((each for each in (due, again, made.recheck, self._resync) if each is not None), default=None)

    async def finalise(self, key: RolloutKey) -> None:
        """Deletion: users are turned away at the route, then Kubernetes' garbage collector takes the rest.

        `kubectl delete --cascade=orphan` leaves everything serving. Raises KubeError where it is worth another attempt;
        what is refused for good does not hold up a deletion.
        """
        manifest = await self._cluster.read(MODEL_ROLLOUTS, *key)
        self._applier.forget(*key)
        self._reader.forget(key)
        self._telemetry.forget(key)
        self._beyond.pop(key, None)
        if self._deliverer is not None:
            self._deliverer.forget(key)
        if self._succession is not None:
            self._succession.forget(key)
        if manifest is None or "orphan" in (manifest["metadata"].get("finalizers") or []):
            return
        is_led_back = await self._deletion.take_leave(key, manifest)
        self._refusals.forget(key)
        self._objections.forget(key)
        self._unseen.discard(key)
        if is_led_back:
            await self._sleep(ROUTE_AHEAD_OF_PODS.total_seconds())


def _key(manifest: Manifest) -> RolloutKey:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _wire(status: ModelRolloutStatus) -> Manifest:
    wire: Manifest = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return wire
