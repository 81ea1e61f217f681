"""The objects that a status asks for, and the writes that lead there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, ModelRolloutStatus, Phase
from modelrollout.objects.manifests import (
    MODEL,
    Apply,
    Delete,
    Manifest,
    Patch,
    Ref,
    Write,
    is_applied,
    outcome,
    ref_of,
)
from modelrollout.objects.resources import SERVICES
from modelrollout.plan import adoption, statuses
from modelrollout.plan.decide import effective, trial_of
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import way
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import EVERYBODY, NOBODY, Exposure
from modelrollout.traffic.router import MANAGER as TRAFFIC
from modelrollout.traffic.router import Backend, Move, Notes, Routing
from modelrollout.traffic.router_table import given_up
from modelrollout.trial import capacity, outage
from modelrollout.trial.facts import Facts, is_on_trial
from modelrollout.trial.hindrance import carried
from modelrollout.trial.phases import intended
from modelrollout.trial.trial import Trial
from modelrollout.workloads.companions import companions, is_autoscaler
from modelrollout.workloads.kind import Names

WORKLOAD = "modelrollout-workload"
"""Field manager of the workloads."""


def retreat(facts: Facts, status: ModelRolloutStatus) -> tuple[Write, ...]:
    """The writes that take traffic back to stable, on each route that sends any elsewhere.

    Made from the routes as they were read, so that a spec that is broken or refused cannot stop them.
    """
    if status.stable is None or effective(facts, status) != NOBODY or outage.holds_traffic(facts, status):
        return ()
    if _goes_on_without_users(facts, status) or _is_undone(facts, status):
        return ()
    owner, objects, to = facts.rollout.owner, facts.world.objects, facts.backend(status.stable)
    notes = Notes(rejected=_note(facts, status))
    routers = facts.diverting_routers(status.stable)
    return tuple(write for router in routers for write in router.retreat(owner, objects, to, notes))


def _goes_on_without_users(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether a step begins in this pass for which the candidate lacks pods, after one with more users.

    That is a decision like any other: it is saved first, or whoever dies in between would give these users back.
    """
    before, candidate = facts.rollout.status, status.candidate
    if before.stage is None or status.stage is None or candidate is None or before.candidate is None:
        return False
    is_the_same = before.candidate.revision == candidate.revision and facts.rejection(status) is None
    return is_the_same and is_on_trial(status) and before.stage.entered != status.stage.entered


def _is_undone(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether another version is stable from this pass on. That is saved first, or whoever dies in between would send
    users to and fro."""
    before, after = facts.rollout.status.stable, status.stable
    return before is not None and after is not None and before.revision != after.revision


def writes(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[Write, ...]:
    """All other writes: pods, Services, traffic, and last the deletion of what serves nobody.

    Each says in `needs` what it would be unsafe without. A refusal of anything else is no reason to wait.
    """
    wanted = [one for one in _wanted(facts, status, wish) if one.ref.resource not in facts.world.unlisted]
    missing = [write for write in wanted if not _is_in_force(write, facts.world.objects.get(write.ref))]
    routes = _routes(facts, status, wish)
    routed = frozenset(route.ref for route in routes)
    deletions = tuple(_deletions(facts, status, wish, {write.ref for write in wanted}))
    given_up = tuple(_companions_given_up(facts, status, wanted, going={one.ref for one in deletions}))
    replaced = tuple(one for one in given_up if _is_replaced(one, wanted))
    return (
        *replaced,
        *_after(replaced, missing),
        *routes,
        *_scaling(facts, status, wish),
        # Whatever is taken away may still be needed by a route that could not be written.
        *(replace(write, needs=routed) for write in adoption.writes(facts, status, wish)),
        *(replace(write, needs=routed) for write in deletions),
        *(one for one in given_up if one not in replaced),
    )


def beginning(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[Apply, ...]:
    """The objects that the wished revision would begin with."""
    begun = statuses.with_new_candidate(status, facts.rollout, wish, facts.now)
    if (arm := begun.candidate) is None:
        return ()
    return (*_of_arm(facts, arm, begun, wish), *_beside(facts, arm, begun, wish))


def _is_in_force(write: Apply, found: Manifest | Finding | None) -> bool:
    if write.ref.resource == SERVICES and isinstance(found, dict):
        return revision_service.is_in_force(write.manifest, found)
    return is_applied(write.manifest, found)


def _wanted(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Iterator[Apply]:
    """The objects of both arms, and those that live for as long as a step does."""
    owner, stable, candidate = facts.rollout.owner, status.stable, status.candidate
    arm = candidate or (stable if stable and stable.revision == wish.revision else None)
    if arm is not None and status.phase is not Phase.ROLLING_BACK:
        yield from _of_arm(facts, arm, status, wish)
    if stable is not None and stable is not arm:
        # Its Service keeps the port that it has.
        yield Apply(revision_service.render(owner, facts.backend(stable)), TRAFFIC)
    for one in (stable, None if status.phase is Phase.ROLLING_BACK else candidate):
        if one is not None:
            yield from _beside(facts, one, status, wish)
    trial = trial_of(facts, status, wish)
    if trial is not None and status.stage is not None and status.phase is not Phase.ROLLING_BACK:
        yield from trial.step.objects(trial)


def _of_arm(facts: Facts, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> Iterator[Apply]:
    """The objects of an arm of its own. The spec tells those of the wished revision; others keep what they have."""
    owner, backend = facts.rollout.owner, facts.backend(arm)
    if arm.revision == wish.revision:
        yield Apply(_workload(facts, arm, status, wish), WORKLOAD)
        backend = Backend(arm.workload, arm.revision, wish.spec.traffic.port)
    yield Apply(revision_service.render(owner, backend), TRAFFIC)


def _beside(facts: Facts, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> Iterator[Apply]:
    """The autoscaler and the disruption budget of an arm. They follow the spec in place, as sizes do, on both arms."""
    owner, trial = facts.rollout.owner, trial_of(facts, status, wish)
    least = capacity.least(facts, status, arm, carried(facts, status, trial.step) if trial is not None else NOBODY)
    kind, names = facts.kind(arm) or wish.kind, Names(arm.workload, arm.revision)
    first = frozenset({Ref(kind.resource, owner.namespace, arm.workload)})
    for one in companions(owner, names, kind.resource, wish.spec.workload, least):
        yield Apply(one, WORKLOAD, needs=first)


def _size(facts: Facts, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> int | None:
    """The pods that an arm shall have; None leaves the number to an autoscaler, be it one of somebody else's.

    A number that was applied stays until an autoscaler sets another: whoever leaves it out leaves one pod.
    """
    if arm is status.stable and capacity.scaled_by_others(facts, status) is not None:
        return None
    trial = trial_of(facts, status, wish) if arm is status.candidate else None
    if wish.size is None:
        state = facts.workload(arm)
        return state.replicas if state is not None and state.is_size_applied else None
    if trial is None or status.stable is None:
        return wish.size
    return capacity.needed(facts, status, carried(facts, status, trial.step))


def _workload(facts: Facts, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> Manifest:
    size = _size(facts, arm, status, wish)
    model = arm.model.model_dump_json(exclude_none=True)
    template = {**wish.template, "metadata": _annotated(wish.template.get("metadata") or {}, model)}
    return wish.kind.render(facts.rollout.owner, Names(arm.workload, arm.revision), template, size)


def _annotated(metadata: Manifest, model: str) -> Manifest:
    return {**metadata, "annotations": {**(metadata.get("annotations") or {}), MODEL: model}}


def _routes(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[Move, ...]:
    if (stable := status.stable) is None:
        return ()
    exposure = effective(facts, status)
    if not facts.live(stable) <= exposure and outage.holds_traffic(facts, status):
        return ()  # the route stays as it is: nobody else could serve those whom it would lead back
    notes = Notes(rejected=_note(facts, status), since=_since(facts, status, exposure))
    routing = routing_at(facts, status, wish, stable, exposure, notes)
    routes = wish.router.render(facts.rollout.owner, wish.spec.traffic, routing, facts.world.objects)
    return tuple(replace(route, needs=_named_by(route, facts, wish)) for route in routes)


def routing_at(
    facts: Facts, status: ModelRolloutStatus, wish: Wish, stable: Arm, exposure: Exposure, notes: Notes
) -> Routing:
    """All that a router needs to write at the step of a status."""
    if (trial := trial_of(facts, status, wish)) is None:
        return Routing(facts.backend(stable), None, exposure, notes)
    step, candidate = trial.step, facts.backend(trial.candidate)
    to, draw = step.copies_to(trial), _draw(trial, exposure)
    return Routing(facts.backend(stable), candidate, exposure, notes, step.copied, to, draw)


def _draw(trial: Trial, exposure: Exposure) -> Draw | None:
    """How users are kept: as at the step, or at one before while it cannot begin."""
    kept = exposure.asked - exposure.asking
    steps = (trial.step, *way(trial.wish)) if kept else ()
    return next((draw for step in steps if kept <= step.exposure.asked and (draw := step.draw(trial))), None)


def _named_by(route: Move, facts: Facts, wish: Wish) -> frozenset[Ref]:
    """The Services that a route would name: users must not be sent to one that could not be written."""
    owner = facts.rollout.owner
    written = outcome(route, facts.world.objects.get(route.ref))
    led_to = wish.router.in_force(owner, {route.ref: written}, Backend("", "", 0)).services
    return frozenset(Ref(SERVICES, owner.namespace, name) for name in led_to or ())


def _note(facts: Facts, status: ModelRolloutStatus) -> str | None:
    """The note on the route about a candidate that was taken back, for as long as the spec asks for it."""
    candidate = status.candidate
    if candidate is not None and (why := facts.rejection(status)):
        return rejections.note(candidate.revision, why)  # not in status yet, so this is the only place
    if intended(status) not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK) or not status.rejected:
        return None
    entry = status.rejected[0]
    return rejections.note(entry.revision, Finding(entry.reason, entry.message))


def _since(facts: Facts, status: ModelRolloutStatus, exposure: Exposure) -> datetime | None:
    """When the candidate's exposure was written: what the route says already, or now."""
    if exposure == NOBODY or status.stage is None:
        return None
    if facts.live(status.stable) == exposure:
        return facts.written_at() or status.stage.since or facts.now
    return facts.now


def _scaling(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Iterator[Patch]:
    """A workload keeps its own template while another revision is wished for; only its size follows the spec.

    Where the spec has none, the size is an autoscaler's: pods are added where they are lacking, and none are taken.
    """
    stable, trial = status.stable, trial_of(facts, status, wish)
    if stable is None or stable.revision == wish.revision:
        return
    is_back = status.phase is Phase.ROLLING_BACK
    if wish.size is None and trial is not None:  # stable's autoscaler may have taken pods away meanwhile
        exposure = EVERYBODY if is_back else carried(facts, status, trial.step)
        size, arm = capacity.needed(facts, status, exposure), stable if is_back else trial.candidate
        yield from _added(facts, status, arm, size)
    for one in (stable, None if is_back else status.candidate):
        if one is None or one.revision == wish.revision:
            continue
        wanted, state = _size(facts, one, status, wish), facts.workload(one)
        if wanted is not None and state is not None and state.replicas != wanted:
            yield from _resized(facts, one, wanted)


def _added(facts: Facts, status: ModelRolloutStatus, arm: Arm, size: int) -> Iterator[Patch]:
    """Pods for a workload without a size of its own; noted on it, so that whoever takes them away again is let be."""
    if not capacity.lacks_pods(facts, status, arm, size):
        return
    noted = {"metadata": {"annotations": {capacity.GIVEN: capacity.note(status, size)}}}
    yield from (Patch(write.ref, {**write.patch, **noted}) for write in _resized(facts, arm, size))


def _resized(facts: Facts, arm: Arm, size: int) -> Iterator[Patch]:
    if (kind := facts.kind(arm)) is not None:
        yield kind.resized(Ref(kind.resource, facts.rollout.owner.namespace, arm.workload), size)


def _companions_given_up(
    facts: Facts, status: ModelRolloutStatus, wanted: Iterable[Write], *, going: set[Ref]
) -> Iterator[Delete]:
    """Autoscalers and budgets that nobody asks for: those of an arm at once, since its spec lost them, and those of
    others with their workload. `going`: whatever is deleted in this pass.

    The number of pods has to be written first. Whose it is can be told for as long as its autoscaler is there.
    """
    owner, asked = facts.rollout.owner, {write.ref for write in wanted}
    arms = {arm.workload for arm in (status.stable, status.candidate) if arm is not None}
    if status.phase is Phase.ROLLING_BACK and status.candidate is not None:
        arms -= {status.candidate.workload}
    workloads = {one["metadata"]["name"]: ref_of(one) for one in facts.world.workloads}
    staying = {name for name, ref in workloads.items() if ref not in going} - arms
    for manifest in facts.world.companions:
        name = manifest["metadata"]["name"]
        if owner.owns(manifest) and ref_of(manifest) not in asked and name not in staying:
            yield replace(_deletion(manifest), needs=frozenset({workloads[name]} if name in workloads else ()))


def _is_replaced(given_up: Delete, wanted: Iterable[Write]) -> bool:
    """Whether an autoscaler gives way to one of another kind: KEDA refuses a workload that is scaled already."""
    others = (write.ref for write in wanted if is_autoscaler(write.ref))
    return is_autoscaler(given_up.ref) and given_up.ref.name in {ref.name for ref in others}


def _after(replaced: Iterable[Delete], objects: Iterable[Apply]) -> Iterator[Apply]:
    """The objects, autoscalers among them not before those that they replace are gone."""
    first = frozenset(one.ref for one in replaced)
    yield from (replace(one, needs=one.needs | first) if is_autoscaler(one.ref) else one for one in objects)


def _deletions(facts: Facts, status: ModelRolloutStatus, wish: Wish, wanted: set[Ref]) -> Iterator[Write]:
    """Objects of revisions that serve nobody, once their time is over and no route names them.

    A gateway that has not accepted the route goes on by the one before, and may send users to any of them.
    """
    owner = facts.rollout.owner
    if facts.unaccepted() is not None:
        return
    # Routes that the spec no longer asks for. The new one has to be there first. After a rollback those of another
    # router stay: the spec asks for a revision that nobody gets, and is likely to be taken back as a whole.
    if status.phase in (Phase.HEALTHY, Phase.ROLLED_BACK) and facts.routing(wish.router, None).exists:
        left = given_up(owner, facts.world.objects, kept=wish.router.refs(owner, wish.spec.traffic))
        yield from (one for one in left if status.phase is Phase.HEALTHY or one.ref in wish.router.refs(owner))
    kept = {arm.workload for arm in (status.stable, status.candidate) if arm is not None}
    kept |= {old.workload for old in status.retired if facts.now < old.delete_after}
    for manifest in (*facts.world.workloads, *facts.world.services):
        name = manifest["metadata"]["name"]
        if name in kept or name == owner.name or ref_of(manifest) in wanted or _is_preview(facts, status, manifest):
            continue
        if owner.owns(manifest) and not facts.is_routed_to(name):
            yield _deletion(manifest)


def _is_preview(facts: Facts, status: ModelRolloutStatus, manifest: Manifest) -> bool:
    """Whether an object of the route's is there for those who ask for the candidate, now or once it is ready."""
    if facts.router is None or ref_of(manifest) not in facts.router.refs(facts.rollout.owner):
        return False
    return bool(facts.live(status.stable).asked or (status.stage and status.stage.asked))


def _deletion(manifest: Manifest) -> Delete:
    return Delete(ref_of(manifest), manifest["metadata"]["uid"])
