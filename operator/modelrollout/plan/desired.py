"""The objects that a status asks for, and the writes that lead there. Pure."""

from __future__ import annotations

from collections.abc import Iterator
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
    ref_of,
)
from modelrollout.objects.resources import SERVICES
from modelrollout.plan import adoption
from modelrollout.plan.decide import effective, trial_of
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.router import MANAGER as TRAFFIC
from modelrollout.traffic.router import Backend, Notes, Routing
from modelrollout.traffic.router_table import route_refs
from modelrollout.trial.facts import Facts
from modelrollout.workloads.kind import Names

WORKLOAD = "modelrollout-workload"
"""Field manager of the workloads."""


def retreat(facts: Facts, status: ModelRolloutStatus) -> tuple[Write, ...]:
    """The writes that take traffic back to stable, on each route that sends any elsewhere.

    Made from the routes as they were read, so that a spec that is broken or refused cannot stop them.
    """
    if status.stable is None or effective(facts, status) != NOBODY:
        return ()
    owner, objects, to = facts.rollout.owner, facts.world.objects, facts.backend(status.stable)
    notes = Notes(rejected=_note(facts, status))
    routers = facts.diverting_routers(status.stable)
    return tuple(write for router in routers for write in router.retreat(owner, objects, to, notes))


def writes(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[Write, ...]:
    """All other writes, in a safe order: pods, Services, traffic, and last the deletion of what serves nobody."""
    wanted = tuple(_wanted(facts, status, wish))
    objects = [write for write in wanted if not _is_in_force(write, facts.world.objects.get(write.ref))]
    return (
        *objects,
        *_routes(facts, status, wish),
        *_scaling(facts, status, wish),
        *adoption.writes(facts, status, wish),
        *_deletions(facts, status, wish, {write.ref for write in wanted}),
    )


def _is_in_force(write: Apply, found: Manifest | Finding | None) -> bool:
    if write.ref.resource == SERVICES and isinstance(found, dict):
        return revision_service.is_in_force(write.manifest, found)
    return is_applied(write.manifest, found)


def _wanted(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Iterator[Apply]:
    """The objects of both arms, and those that live for as long as a step does."""
    owner, stable, candidate = facts.rollout.owner, status.stable, status.candidate
    arm = candidate or (stable if stable and stable.revision == wish.revision else None)
    if arm is not None and status.phase is not Phase.ROLLING_BACK:
        yield Apply(_workload(facts, arm, status, wish), WORKLOAD)
        own = Backend(arm.workload, arm.revision, wish.spec.traffic.port)
        yield Apply(revision_service.render(owner, own), TRAFFIC)
    if stable is not None and stable is not arm:
        # Its Service keeps the port that it has.
        yield Apply(revision_service.render(owner, facts.backend(stable)), TRAFFIC)
    trial = trial_of(facts, status, wish)
    if trial is not None and status.stage is not None and status.phase is not Phase.ROLLING_BACK:
        yield from trial.step.objects(trial)


def _workload(facts: Facts, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> Manifest:
    size, trial = wish.size, trial_of(facts, status, wish)
    if trial is not None and status.stable is not None and not trial.step.is_full_size:
        size = wish.router.pods(trial.step.exposure, size)
    model = arm.model.model_dump_json(exclude_none=True)
    template = {**wish.template, "metadata": _annotated(wish.template.get("metadata") or {}, model)}
    return wish.kind.render(facts.rollout.owner, Names(arm.workload, arm.revision), template, size)


def _annotated(metadata: Manifest, model: str) -> Manifest:
    return {**metadata, "annotations": {**(metadata.get("annotations") or {}), MODEL: model}}


def _routes(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[Apply, ...]:
    if (stable := status.stable) is None:
        return ()
    exposure = effective(facts, status)
    routing = Routing(
        facts.backend(stable),
        facts.backend(status.candidate) if status.candidate else None,
        exposure,
        Notes(rejected=_note(facts, status), since=_since(facts, status, exposure)),
    )
    return wish.router.render(facts.rollout.owner, wish.spec.traffic, routing, facts.world.objects)


def _note(facts: Facts, status: ModelRolloutStatus) -> str | None:
    """The note on the route about a candidate that was taken back, for as long as the spec asks for it."""
    candidate = status.candidate
    if candidate is not None and (why := facts.rejection(candidate.revision)):
        return rejections.note(candidate.revision, why)  # not in status yet, so this is the only place
    if status.phase not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK) or not status.rejected:
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
    """The stable workload keeps its own template while another revision is on trial; only its size follows the spec."""
    stable = status.stable
    if stable is None or stable.revision == wish.revision or wish.size is None:
        return
    state, kind = facts.workload(stable), facts.kind(stable)
    if state is not None and kind is not None and state.replicas != wish.size:
        yield kind.resized(Ref(kind.resource, facts.rollout.owner.namespace, stable.workload), wish.size)


def _deletions(facts: Facts, status: ModelRolloutStatus, wish: Wish, wanted: set[Ref]) -> Iterator[Delete]:
    """Objects of revisions that serve nobody, once their time is over and no route names them.

    A gateway that has not accepted the route goes on by the one before, and may send users to any of them.
    """
    owner = facts.rollout.owner
    if facts.unaccepted() is not None:
        return
    # A route of a router that the spec no longer asks for. The new one has to be there first.
    if status.phase is Phase.HEALTHY and facts.routing(wish.router, None).exists:
        yield from map(_deletion, _replaced_routes(facts, wish))
    kept = {arm.workload for arm in (status.stable, status.candidate) if arm is not None}
    kept |= {old.workload for old in status.retired if facts.now < old.delete_after}
    for manifest in (*facts.world.workloads, *facts.world.services):
        name = manifest["metadata"]["name"]
        if name in kept or name == owner.name or ref_of(manifest) in wanted:
            continue
        if owner.owns(manifest) and not facts.is_routed_to(name):
            yield _deletion(manifest)


def _replaced_routes(facts: Facts, wish: Wish) -> Iterator[Manifest]:
    owner, present = facts.rollout.owner, set(wish.router.refs(facts.rollout.owner))
    for ref in route_refs(owner):
        found = facts.world.objects.get(ref)
        if ref not in present and isinstance(found, dict) and owner.owns(found):
            yield found


def _deletion(manifest: Manifest) -> Delete:
    return Delete(ref_of(manifest), manifest["metadata"]["uid"])
