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
    Owner,
    Ref,
    Scale,
    Write,
    is_applied,
    ref_of,
    revision_of,
)
from modelrollout.plan.decide import effective_weight
from modelrollout.plan.sight import Sight
from modelrollout.plan.steps import steps
from modelrollout.rollout.rollout import ROUTERS, Wish
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.router import MANAGER as TRAFFIC
from modelrollout.traffic.router import Backend, Split
from modelrollout.workloads import deployment

WORKLOAD = "modelrollout-workload"
"""Field manager of the workloads."""


def retreat(sight: Sight, status: ModelRolloutStatus) -> tuple[Write, ...]:
    """The write that takes traffic back to stable, if any is to be taken back; one for each route that has any.

    Made from the route as it was read, so neither a broken spec nor one that the API server would refuse is in its way.
    """
    if status.stable is None or effective_weight(sight, status) > 0:
        return ()
    split = Split(sight.backend(status.stable), rejected=_note(sight, status))
    return tuple(Apply(router.retreat(route, split), TRAFFIC) for router, route in sight.strays(status.stable))


def writes(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[Write, ...]:
    """Everything else, in the order in which it is safe: pods, Services, traffic, and only then what serves nobody."""
    there = {ref_of(manifest): manifest for manifest in (*sight.observed.workloads, *sight.observed.services)}
    there |= {ref_of(route): route for route in sight.observed.routes.values()}
    wanted = list(desired(sight, status, wish))
    applies = [write for write in wanted if not is_applied(write.manifest, there.get(write.ref))]
    return (*applies, *_scaling(sight, status, wish), *_deletions(sight, status, wish, {w.ref for w in wanted}))


def desired(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> Iterator[Apply]:
    owner, stable, candidate = sight.rollout.owner, status.stable, status.candidate
    arm = candidate or (stable if stable and stable.revision == wish.revision else None)
    if arm is not None and status.phase is not Phase.ROLLING_BACK:
        yield Apply(_workload(owner, arm, status, wish), WORKLOAD)
        port = wish.spec.traffic.port
        yield Apply(revision_service.render(owner, Backend(arm.workload, arm.revision, port)), TRAFFIC)
    if stable is not None and stable is not arm:
        yield Apply(revision_service.render(owner, sight.backend(stable)), TRAFFIC)  # with the port that it has kept
    if stable is not None:
        weight = effective_weight(sight, status)
        split = Split(
            sight.backend(stable),
            sight.backend(candidate) if candidate else None,
            weight,
            rejected=_note(sight, status),
            since=_since(sight, status, weight),
        )
        yield Apply(wish.router.render(owner, wish.spec.traffic, split), TRAFFIC)


def _workload(owner: Owner, arm: Arm, status: ModelRolloutStatus, wish: Wish) -> Manifest:
    pods = wish.pods
    if status.candidate is not None and status.stable is not None:
        weight = status.stage.weight if status.stage else steps(wish.spec)[0].weight
        pods = wish.router.candidate_pods(weight, pods)
    model = arm.model.model_dump_json(exclude_none=True)
    template = {**wish.template, "metadata": _annotated(wish.template.get("metadata") or {}, model)}
    return deployment.render(owner, arm.workload, arm.revision, template, pods)


def _annotated(metadata: Manifest, model: str) -> Manifest:
    return {**metadata, "annotations": {**(metadata.get("annotations") or {}), MODEL: model}}


def _note(sight: Sight, status: ModelRolloutStatus) -> str | None:
    """What the route says about a candidate that was taken back, for as long as the spec asks for it."""
    candidate = status.candidate
    if candidate is not None and (why := sight.noted(candidate.revision)):
        return rejections.note(candidate.revision, why)  # not in status yet, so this is the only place
    if status.phase not in (Phase.ROLLING_BACK, Phase.ROLLED_BACK) or not status.rejected:
        return None
    entry = status.rejected[0]
    return rejections.note(entry.revision, Finding(entry.reason, entry.message))


def _since(sight: Sight, status: ModelRolloutStatus, weight: int) -> datetime | None:
    """When the candidate's weight was put in force: what the route says already, or now."""
    if weight == 0 or status.stage is None:
        return None
    if sight.live_weight(status.stable) == weight:
        return sight.in_force_since() or status.stage.since
    return sight.now


def _scaling(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> Iterator[Scale]:
    """The stable workload keeps its own template while another revision is on trial; only its size follows the spec."""
    stable = status.stable
    if stable is None or stable.revision == wish.revision or wish.pods is None:
        return
    state = sight.workload(stable)
    if state is not None and state.replicas != wish.pods:
        yield Scale(Ref(deployment.RESOURCE, sight.rollout.owner.namespace, stable.workload), wish.pods)


def _deletions(sight: Sight, status: ModelRolloutStatus, wish: Wish, wanted: set[Ref]) -> Iterator[Delete]:
    """Objects of revisions that serve nobody, once their time is over and no route names them."""
    kept = {arm.workload for arm in (status.stable, status.candidate) if arm is not None}
    kept |= {old.workload for old in status.retired if sight.now < old.delete_after}
    for route in sight.observed.routes.values():
        # A route of the router that the spec no longer asks for. The new one has to be there first.
        is_replaced = ref_of(route).resource != wish.router.resource and sight.route(wish.router) is not None
        if is_replaced and status.phase is Phase.HEALTHY and sight.rollout.owner.owns(route):
            yield _deletion(route)
    for manifest in (*sight.observed.workloads, *sight.observed.services):
        name = manifest["metadata"]["name"]
        if name in kept or name == sight.rollout.owner.name or ref_of(manifest) in wanted:
            continue
        if sight.rollout.owner.owns(manifest) and not _is_routed_to(sight, manifest):
            yield _deletion(manifest)


def _is_routed_to(sight: Sight, manifest: Manifest) -> bool:
    backend = Backend(manifest["metadata"]["name"], revision_of(manifest), 0)
    return any(router.uses(sight.route(router), backend) for router in ROUTERS)


def _deletion(manifest: Manifest) -> Delete:
    return Delete(ref_of(manifest), manifest["metadata"]["uid"])
