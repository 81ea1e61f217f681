"""Every place that a small rollout can get to, by every kind of thing that can happen: all promises are kept there.

Beside the histories that hypothesis makes up, this walk leaves nothing to chance: from each place each event is tried,
a process dies after each write, and places that are alike are visited once.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, MetricVerdict, ModelRolloutStatus, Phase, Verdict
from modelrollout.comparer.answers import Reply
from modelrollout.objects.manifests import (
    REJECTED,
    Apply,
    Delete,
    Manifest,
    Patch,
    Ref,
    Write,
    annotation,
    revision_of,
)
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, PODS
from modelrollout.plan import desired, looks, smoking
from modelrollout.plan.decide import decide, mended
from modelrollout.plan.plan import Plan
from modelrollout.plan.planner import concluded
from modelrollout.rollout.rollout import Rollout, parse
from modelrollout.stages import way as stages
from modelrollout.traffic import rejections
from modelrollout.traffic.acceptance import accepted
from modelrollout.traffic.exposure import EVERYBODY, NOBODY, Exposure
from modelrollout.traffic.router_table import ROUTERS
from modelrollout.trial.facts import Facts
from modelrollout.trial.phases import intended, is_allowed
from modelrollout.trial.steps import exposure_at
from modelrollout.trial.world import World
from tests import builders
from tests.fakes.answers import GOOD, LOADING, UNREACHABLE
from tests.fakes.town import NOON

GATEWAY = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}]}}
SERVICE = {"port": 8080, "service": {}}
HOLD, DEADLINE = timedelta(minutes=1), timedelta(minutes=30)
PATIENCE = timedelta(minutes=1)  # with a stable version that has no ready pod
MAY_TAKE_OVER = (Phase.PENDING, Phase.PROGRESSING, Phase.PROMOTING)
MOST_PLACES = 1_000


@dataclass(frozen=True)
class Event:
    """What happens to a rollout between two passes."""

    after: timedelta = timedelta(seconds=1)
    spec: str = ""  # which spec is applied; the same when empty
    is_stable_ready: bool = True
    is_candidate_ready: bool = True
    crashes: bool = False
    verdict: Verdict | None = None
    hand: str = ""  # what somebody does to the route
    is_gateway_down: bool = False  # what was written is not accepted
    reply: Reply | None = None  # to whatever the operator asks the candidate


CONDITIONS = [
    Event(after, "", stable, candidate, False, verdict)
    for after in (timedelta(seconds=1), HOLD + timedelta(seconds=1))
    for stable in (True, False)
    for candidate in (True, False)
    for verdict in (None, Verdict.PASS, Verdict.FAIL)
]
EVENTS = [
    *CONDITIONS,
    Event(after=HOLD + timedelta(seconds=1), verdict=Verdict.NO_DATA),
    Event(after=HOLD + timedelta(seconds=1), verdict=Verdict.UNAVAILABLE),
    Event(after=DEADLINE + HOLD),
    Event(after=DEADLINE + HOLD, is_candidate_ready=False),
    Event(crashes=True),
    *(Event(HOLD + timedelta(seconds=1), verdict=verdict, is_gateway_down=True) for verdict in (None, Verdict.PASS)),
    *(Event(spec=spec) for spec in ("2", "1", "other steps", "broken")),
    *(Event(hand=hand) for hand in ("removes it", "mirrors to the candidate", "gives the candidate all")),
]


@dataclass(frozen=True)
class Situation:
    """Where a rollout is: its spec and status, and the objects around it."""

    spec: str
    status: ModelRolloutStatus
    objects: Objects
    now: Any
    refused: frozenset[str] = frozenset()  # revisions that failed for good, by the walk's own books
    out_since: datetime | None = None  # since when stable has no ready pod, by them as well
    vouched_for: frozenset[str] = frozenset()  # revisions that answered well, by them as well

    def place(self, traffic: dict[str, Any]) -> object:
        """What tells it from other situations; times are left out."""
        status, stage = self.status, self.status.stage
        arms = [arm and arm.revision for arm in (status.stable, status.candidate)]
        return (
            self.spec,
            status.phase,
            status.resumes,
            *arms,
            status.candidate is not None and status.candidate.unready_since is not None,
            self.out_since is not None and status.phase in MAY_TAKE_OVER,
            stage and (stage.name, stage.step, exposure_at(stage), stage.since is not None, stage.smoke is not None),
            tuple(sorted(entry.revision for entry in status.rejected)),
            self.refused,
            self.vouched_for,
            tuple(sorted(_kernel(one) for one in self.objects.values() if is_of_interest(one))),
        )


def is_of_interest(one: Any) -> bool:
    """Routes, and workloads; a revision's own Service comes and goes with its workload."""
    return one["kind"] in ("HTTPRoute", "Deployment") or one["metadata"]["name"] in ("fraud", "fraud-preview")


def _kernel(one: Any) -> str:
    """What of an object the planner looks at, but for times and counts of ready pods."""
    spec, name = one["spec"], one["metadata"]["name"]
    parts = [spec.get(part) for part in ("rules", "selector", "replicas")]
    # In a cookie the moment stands at which the candidate began.
    return re.sub("(?<=arm=)[0-9a-f]{10}", "", repr((one["kind"], name, parts, note_on(one) is not None)))


@dataclass(frozen=True)
class Pass:
    """One pass over a situation, and who sees the candidate: before it, once traffic was taken back, and after it."""

    here: Situation
    heard: tuple[Verdict | None, Reply | None]  # from Prometheus, and from the candidate
    facts: Facts
    plan: Plan
    before: Exposure
    retreated: Exposure
    now: Exposure


class Walk:
    """All situations that can be reached, and what is promised of each step between them."""

    def __init__(self, traffic: dict[str, Any], *stages_: dict[str, Any]) -> None:
        self.traffic, self.stages = traffic, stages_
        self.rollouts: dict[str, Rollout] = {}
        # From the present place:
        self.sights: list[tuple[Situation, Facts, ModelRolloutStatus]] = []
        self.passes: list[Pass] = []
        self.checked = 0

    def spec(self, name: str) -> dict[str, Any]:
        version = name if name.isdecimal() else "2"
        others = [builders.canary(10, 60, hold="1m")]
        stages_ = others if name == "other steps" else self.stages or [builders.canary(25, 50, hold="1m")]
        analysis = {"interval": "15s", "stepDeadline": "30m", "metrics": [builders.ERRORS]}
        changes = {"traffic": self.traffic, "stages": stages_, "analysis": analysis}
        return builders.spec(version, **changes) if name != "broken" else builders.spec("2", **changes, oops=1)

    def rollout(self, situation: Situation) -> Rollout:
        if situation.spec not in self.rollouts:
            manifest = {**builders.rollout(), "spec": self.spec(situation.spec), "status": {}}
            self.rollouts[situation.spec] = parse(manifest, {})
        return replace(self.rollouts[situation.spec], status=situation.status)

    def begin(self) -> Situation:
        """Version 1 serves everybody, and version 2 was just applied."""
        here = Situation("1", ModelRolloutStatus(), {}, NOON)
        for _ in range(6):
            *_, here = self.after(here, Event())
        assert here.status.phase is Phase.HEALTHY
        return replace(here, spec="2")

    def everywhere(self, events: Sequence[Event] = EVENTS) -> int:
        seen, ahead = set[object](), deque([self.begin()])
        while ahead:
            here = ahead.popleft()
            if (place := here.place(self.traffic)) in seen:
                continue
            seen.add(place)
            assert len(seen) < MOST_PLACES, "the walk does not end"
            self.sights.clear()
            self.passes.clear()
            for event in events:
                ahead.extend(self.after(here, event))
        return len(seen)

    def after(self, here: Situation, event: Event) -> Iterator[Situation]:
        """Where an event and a pass lead: wholly, and where the process dies after one of its writes."""
        known_before = here.out_since
        here = self.happened(here, event)
        made = self.passed(here, event)
        plan, here = made.plan, self.vouched(here, made.facts)
        self.check(here, event, made)
        refused = here.refused | self.newly_refused(here, plan)
        objects, stages_of_it = dict(here.objects), list[Situation]()
        for write in plan.retreat:
            objects = applied(objects, write)
            # A pod that was ready for a moment, and seen by a pass that died before it saved, was seen by nobody.
            out_since = known_before or here.out_since
            stages_of_it.append(replace(here, objects=objects, refused=refused, out_since=out_since))
        saved = replace(here, status=plan.status, objects=objects, refused=refused)
        stages_of_it.append(saved)
        for write in plan.writes:
            objects = applied(objects, write)
            stages_of_it.append(replace(saved, objects=objects))
        yield from stages_of_it

    def passed(self, here: Situation, event: Event) -> Pass:
        """The pass over a situation. Planning is pure: events that leave the same to see share one."""
        facts, known = self.seen(here)
        asked = smoking.due(facts, known) if event.reply is not None else None
        verdict = event.verdict if event.verdict is not None and looks.is_due(facts, known) else None
        heard = (verdict, event.reply if asked is not None else None)
        made = next((one for one in self.passes if one.heard == heard and one.here == here), None)
        if made is None:
            if asked is not None and event.reply is not None:
                replies = {request.name: event.reply for request in asked.requests}
                facts = replace(facts, world=facts.world.replied(asked, replies))
                known = smoking.informed(facts, known)
            if verdict is not None and looks.is_due(facts, known):
                said = MetricVerdict(metric="errors", verdict=verdict, message="as it was told", samples=100)
                facts = replace(facts, verdicts=(said,))
            decision = decide(facts, known)
            plan = concluded(facts, known, decision, desired.retreat(facts, decision.status))
            made = Pass(here, heard, facts, plan, *self.exposures(here, facts.world, plan))
            self.passes.append(made)
        return made

    def seen(self, here: Situation) -> tuple[Facts, ModelRolloutStatus]:
        """What a pass knows before it hears anything, which several events leave alike."""
        found = next((sight for there, *sight in self.sights if there == here), None)
        if found is None:
            facts = Facts(self.rollout(here), World("fraud", here.objects), here.now)
            found = [facts, mended(facts)]
            self.sights.append((here, *found))
        return found[0], found[1]

    def exposures(self, here: Situation, world: World, plan: Plan) -> tuple[Exposure, Exposure, Exposure]:
        """Before a pass, once it took traffic back, and after it."""
        before, after = self.live(world, here.status), here.status
        objects = dict(here.objects)
        for write in plan.retreat:
            objects = applied(objects, write)
        retreated = self.live(World("fraud", objects), here.status) if plan.retreat else before
        for write in plan.writes:
            if not plan.retreat:
                objects = applied(objects, write)
        is_still_there = not plan.writes and plan.status.stable in (None, after.stable)
        leads_to = plan.status if plan.status.stable else after
        now = retreated if is_still_there else self.live(World("fraud", objects), leads_to)
        return before, retreated, now

    def happened(self, here: Situation, event: Event) -> Situation:
        objects = {ref: one for ref, one in here.objects.items() if ref.resource != PODS}
        for ref, one in list(objects.items()):
            if isinstance(one, dict) and ref.resource.kind == "Deployment":
                is_candidate = here.status.candidate is None or here.status.candidate.revision == revision_of(one)
                is_ready = event.is_candidate_ready if is_candidate else event.is_stable_ready
                objects[ref] = with_ready_pods(one, is_ready)
                if event.crashes and is_candidate:
                    pod = crashing_pod(one)
                    objects[Ref(PODS, "ml", pod["metadata"]["name"])] = pod
        objects, refused = by_hand(objects, event.hand, here.status), here.refused
        if not event.is_gateway_down:
            objects = {ref: accepted(one) if ref.resource == HTTP_ROUTES else one for ref, one in objects.items()}
        if event.hand == "removes it":  # and with it a verdict that was not saved elsewhere yet
            refused &= {entry.revision for entry in here.status.rejected}
        now = here.now + event.after
        out_since = (here.out_since or now) if is_out(objects, here.status.stable) else None
        return Situation(event.spec or here.spec, here.status, objects, now, refused, out_since, here.vouched_for)

    def vouched(self, here: Situation, facts: Facts) -> Situation:
        """Who answered well in this pass, in the walk's own books."""
        asked = facts.world.smoke
        is_good = asked is not None and all(reply == GOOD for reply in facts.world.replies.values())
        return replace(here, vouched_for=here.vouched_for | {asked.revision}) if asked and is_good else here

    def newly_refused(self, here: Situation, plan: Plan) -> frozenset[str]:
        """Whom this pass condemned: on its route before its status, or in its status."""
        known = {entry.revision for entry in here.status.rejected}
        return frozenset(entry.revision for entry in plan.status.rejected if entry.revision not in known)

    # What is promised

    def check(self, here: Situation, event: Event, made: Pass) -> None:
        plan, after = made.plan, here.status
        before, retreated, now = made.before, made.retreated, made.now
        self.checked += 1
        told = (here.spec, after.phase, after.stage, event, plan.status.phase, plan.status.message)
        candidate = plan.status.candidate
        self.moves_only_to_the_ready(here, made.facts, plan, before, now, told)
        self.meets_nobody_before_it_is_vouched_for(here, plan, before, now, told)
        if after.candidate and after.candidate.revision in here.refused and candidate == after.candidate:
            assert now <= before, ("2: rises after a fail", told)
        if after.candidate and after.candidate.revision in here.refused | self.newly_refused(here, plan):
            is_held = retreated == before and serves_alone(here.objects, after)
            assert retreated == NOBODY or is_held, ("3: is not taken back first", told)
        if serves_alone(here.objects, after) and plan.status.stable == after.stable:
            served = replace(before, mirror=0)  # a copy serves nobody
            assert served <= now, ("1: users are taken to a stable version without a ready pod", told)
        if (
            event.verdict in (None, Verdict.NO_DATA, Verdict.UNAVAILABLE)
            and not event.crashes
            and is_the_same(here, event, plan)
        ):
            self.decides_nothing_without_evidence(here, event, plan, told)
        assert is_allowed(intended(after), intended(plan.status)), ("the table of phases", told)
        self.keeps_the_old_version(here, plan, told)
        if event.is_gateway_down and made.facts.unaccepted() is not None:
            self.goes_no_further(here, plan, told)
        for write in (*plan.retreat, *plan.writes):
            assert is_ours(write), ("11: touches what is not its own", told)

    def live(self, world: World, status: ModelRolloutStatus) -> Exposure:
        if status.stable is None:
            return NOBODY
        facts = Facts(replace(next(iter(self.rollouts.values())), status=status), world, NOON)
        exposures = [facts.routing(router, status.stable).exposure for router in ROUTERS.values()]
        whole = NOBODY
        for exposure in exposures:
            whole |= exposure
        return whole

    def moves_only_to_the_ready(
        self, here: Situation, facts: Facts, plan: Plan, before: Exposure, now: Exposure, told: object
    ) -> None:
        status = plan.status
        if status.candidate is None or status.stable is None or now <= before:
            return
        assert facts.can_serve(status.candidate), ("1: the candidate is not ready and is given traffic", told)
        is_gone = here.out_since is not None and here.now >= here.out_since + PATIENCE
        if is_gone and status.phase is Phase.PROMOTING:
            count = size_of(here.objects, status.candidate)
            assert (now, count) == (EVERYBODY, facts.rollout.wish and facts.rollout.wish.size), ("1: a part", told)
            return
        assert facts.can_serve(status.stable) or status.phase is Phase.BAKING, ("1: stable is not ready", told)

    def meets_nobody_before_it_is_vouched_for(
        self, here: Situation, plan: Plan, before: Exposure, now: Exposure, told: object
    ) -> None:
        """Smoke requests come before the first exposure; only where stable is gone for good nobody waits for them."""
        wish, candidate = self.rollout(here).wish, plan.status.candidate
        if wish is None or candidate is None or now <= before or candidate.took_over is not None:
            return
        asks = any(step.smoke is not None for step in stages.way(wish))
        assert not asks or candidate.revision in here.vouched_for, ("smoke: is met before it answered", told)

    def decides_nothing_without_evidence(self, here: Situation, event: Event, plan: Plan, told: object) -> None:
        if event.after > HOLD + timedelta(seconds=1):
            return  # a deadline decides, as the user chose
        old, new = here.status.stage, plan.status.stage
        if (
            old is None
            or not self.is_judged(old, here)
            or here.status.phase not in (Phase.PROGRESSING, Phase.BAKING)
            or here.spec in ("broken",)
        ):
            return
        noted = any(rejections.noted(note_on(one), "") for one in here.objects.values())
        if not noted and here.status.candidate and here.status.candidate.revision not in here.refused:
            stays = new is not None and (new.name, new.step, new.entered) == (old.name, old.step, old.entered)
            assert (stays and plan.status.phase == here.status.phase) or self.was_edited(old, here), (
                "4: decides without evidence",
                told,
            )

    def goes_no_further(self, here: Situation, plan: Plan, told: object) -> None:
        """What is written and not accepted is not in force: nothing follows from it, and nothing that served goes."""
        assert not any(isinstance(write, Delete) for write in plan.writes), ("5: deletes what may serve", told)
        before, after = here.status, plan.status
        assert before.stable is None or after.stable == before.stable, ("5: promoted", told)
        if (old := before.stage) is not None and (new := after.stage) is not None and not self.was_edited(old, here):
            assert (new.name, new.step) == (old.name, old.step), ("6: a step ends that was not in force", told)
            assert new.since is None, ("6: its time counts", told)

    def is_judged(self, stage: Any, here: Situation) -> bool:
        wish, place = self.rollout(here).wish, (stage.name, stage.step)
        row = stages.way(wish) if wish else ()
        return any(step.is_judged for step in row if (step.place.stage, step.place.number) == place)

    def was_edited(self, stage: Any, here: Situation) -> bool:
        wish = self.rollout(here).wish
        ours = {(step.place.stage, step.place.number, step.exposure) for step in stages.way(wish)} if wish else set()
        return (stage.name, stage.step, exposure_at(stage)) not in ours

    def keeps_the_old_version(self, here: Situation, plan: Plan, told: object) -> None:
        stable = plan.status.stable
        gone = [write.ref.name for write in plan.writes if isinstance(write, Delete)]
        assert stable is None or stable.workload not in gone, ("5: the old version goes", told)


def is_out(objects: Objects, arm: Arm | None) -> bool:
    """Whether an arm has no ready pod."""
    return arm is not None and ready_pods(objects, arm) == 0


def ready_pods(objects: Objects, arm: Arm) -> int:
    found = next((one for ref, one in objects.items() if (ref.resource, ref.name) == (DEPLOYMENTS, arm.workload)), None)
    return int(found["status"]["readyReplicas"]) if isinstance(found, dict) and "status" in found else 0


def size_of(objects: Objects, arm: Arm) -> int:
    (found,) = (one for ref, one in objects.items() if (ref.resource, ref.name) == (DEPLOYMENTS, arm.workload))
    assert isinstance(found, dict)
    assert ready_pods(objects, arm) == found["spec"]["replicas"]
    return int(found["spec"]["replicas"])


def serves_alone(objects: Objects, status: ModelRolloutStatus) -> bool:
    """Whether the candidate has ready pods and stable has none."""
    return is_out(objects, status.stable) and status.candidate is not None and not is_out(objects, status.candidate)


def is_the_same(here: Situation, event: Event, plan: Plan) -> bool:
    """Whether the release is the same one, and its pods are there."""
    ready = event.is_candidate_ready and event.is_stable_ready
    old, new = here.status.candidate, plan.status.candidate
    return ready and not event.spec and not event.hand and old is not None and new == old


def is_ours(write: Write) -> bool:
    return write.ref.namespace == "ml" and write.ref.name.startswith("fraud")


def note_on(one: Manifest | Finding) -> str | None:
    return annotation(one, REJECTED) if isinstance(one, dict) else None


def with_ready_pods(workload: Manifest, is_ready: bool) -> Manifest:
    replicas = workload["spec"].get("replicas", 1)
    count = replicas if is_ready else 0
    return {**workload, "status": {"observedGeneration": 1, "readyReplicas": count, "availableReplicas": count}}


def crashing_pod(workload: Manifest) -> Manifest:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    container = {
        "name": "server",
        "restartCount": 5,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1}},
    }
    metadata = {"namespace": "ml", "name": f"{workload['metadata']['name']}-0", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"containerStatuses": [container]}}


def by_hand(objects: dict[Ref, Any], hand: str, status: ModelRolloutStatus) -> dict[Ref, Any]:
    """What somebody does to the HTTPRoute."""
    route = next((ref for ref in objects if ref.resource.kind == "HTTPRoute"), None)
    if not hand or route is None or status.candidate is None:
        return objects
    if hand == "removes it":
        return {ref: one for ref, one in objects.items() if ref != route}
    found, ref = objects[route], {"name": status.candidate.workload, "port": 80}
    (*rest, rule) = found["spec"]["rules"]
    if hand == "mirrors to the candidate":
        rule = {**rule, "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": ref}}]}
    else:
        rule = {**rule, "backendRefs": [{**ref, "weight": 100}]}
    return {**objects, route: {**found, "spec": {**found["spec"], "rules": [*rest, rule]}}}


def applied(objects: Objects, write: Write) -> dict[Ref, Any]:
    """The objects after a write, as an API server would have them."""
    match write:
        case Apply():
            old = objects.get(write.ref)
            uid = old["metadata"]["uid"] if isinstance(old, dict) else f"uid-{write.ref}"
            generation = old["metadata"]["generation"] if isinstance(old, dict) else 1
            is_changed = isinstance(old, dict) and old["spec"] != write.manifest["spec"]
            # Of workloads it goes on at 1, as their statuses say.
            generation += is_changed and write.ref.resource == HTTP_ROUTES
            metadata = {**write.manifest["metadata"], "uid": uid, "generation": generation}
            status = {"status": old["status"]} if isinstance(old, dict) and "status" in old else {}
            return {**objects, write.ref: {**write.manifest, "metadata": metadata, **status}}
        case Patch():
            found = objects[write.ref]
            assert isinstance(found, dict)
            return {**objects, write.ref: {**found, "spec": {**found["spec"], **write.patch["spec"]}}}
        case Delete():
            return {ref: one for ref, one in objects.items() if ref != write.ref}


@pytest.mark.parametrize("traffic", [GATEWAY, SERVICE], ids=["gatewayAPI", "service"])
def test_every_place_of_a_small_canary_keeps_all_promises(traffic: dict[str, Any]) -> None:
    walk = Walk(traffic)
    places = walk.everywhere()
    assert places > 100
    assert walk.checked > places * len(EVENTS) / 2


HEADER = {"header": {"name": "x-preview", "value": "1"}}
SWITCH = {"previewHold": "1m", "hold": "1m"}
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


@pytest.mark.parametrize(
    ("traffic", "row"),
    [
        (GATEWAY, [builders.shadow(methods=ALL_METHODS, hold="1m"), builders.blue_green(preview=HEADER, **SWITCH)]),
        (SERVICE, [builders.blue_green(preview={}, **SWITCH)]),
        (GATEWAY, [builders.ab_test(minDuration="1m", maxDuration="20m")]),
        (GATEWAY, [builders.ab_test(sticky={"cookie": {"name": "arm"}}, minDuration="1m", maxDuration="20m")]),
    ],
    ids=["gatewayAPI", "service", "abTest", "abTest by a cookie"],
)
def test_every_place_of_other_stages_keeps_all_promises(traffic: dict[str, Any], row: list[dict[str, Any]]) -> None:
    """Whatever kinds of stages come: their exposures are kept to, and taken back, like weights."""
    walk = Walk(traffic, *row)
    # Of what happens within a hold nothing differs from the canary's, and edits are walked in test_edited_ways.
    unlike = [event for event in EVENTS if event.after >= HOLD or event not in CONDITIONS]
    assert walk.everywhere([event for event in unlike if event.spec != "other steps"]) > 50


def test_nobody_meets_a_candidate_that_has_not_answered_smoke_requests_as_expected() -> None:
    walk = Walk(GATEWAY, builders.blue_green(smoke=[builders.smoke()], smokeDeadline="1m", **SWITCH))
    later = HOLD + timedelta(seconds=1)
    replies = [Event(later, reply=reply) for reply in (GOOD, LOADING, UNREACHABLE)]
    others = [
        *(Event(), Event(later, verdict=Verdict.PASS), Event(later, is_candidate_ready=False), Event(crashes=True)),
        *(Event(spec="1"), Event(spec="2"), Event(spec="broken"), Event(hand="gives the candidate all")),
    ]
    assert walk.everywhere([*replies, *others]) > 50
