"""The facts that decisions rest on, derived once from what was read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelrollout.analysis.queries import ArmNames, pods_of
from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, MetricEvidence, MetricVerdict, ModelRolloutStatus, Phase
from modelrollout.objects.manifests import Manifest, revision_of
from modelrollout.rollout.rollout import Rollout
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.exposure import EVERYBODY, NOBODY, Exposure
from modelrollout.traffic.router import Backend, InForce, Router
from modelrollout.traffic.router_table import ROUTERS
from modelrollout.trial.phases import SERVES_CANDIDATE, intended
from modelrollout.trial.world import World
from modelrollout.workloads import pods
from modelrollout.workloads.kind import Kind
from modelrollout.workloads.kind_table import KINDS
from modelrollout.workloads.state import WorkloadState

CLOCKS_DIFFER = timedelta(minutes=1)
"""By this much at most: no operator wrote a later time."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A rollout, the world around it, and now."""

    rollout: Rollout
    world: World
    now: datetime
    verdicts: tuple[MetricVerdict, ...] | None = None  # of the latest look; None: nobody looked
    checkpoint: tuple[MetricEvidence, ...] | None = None  # where the tests of that look stand
    is_asking: bool = False  # a look is due and not answered yet

    # Workloads

    def workload(self, arm: Arm | None) -> WorkloadState | None:
        """The arm's workload as its controller reported it; None when it does not exist.

        One of an earlier rollout does not count, however ready it is: it is about to be garbage-collected.
        """
        found = self._workload(arm) if arm is not None else None
        if arm is None or found is None:
            return None
        kind, manifest = found
        state, wish = kind.state(manifest), self.rollout.wish
        if wish is not None and wish.size is not None:
            return state
        # An autoscaler asks for more pods in the middle of anything, most of all when the candidate has many users.
        # Starting pods are not a loss of readiness.
        known = self.pods(arm)
        return replace(state, starting=pods.starting(known) + max(0, state.replicas - len(known)))

    def kind(self, arm: Arm) -> Kind | None:
        """The kind of the workload that an arm has: a new spec may ask for another."""
        found = self._workload(arm)
        return found[0] if found is not None else None

    def _workload(self, arm: Arm) -> tuple[Kind, Manifest] | None:
        named = (one for one in self.world.workloads if one["metadata"]["name"] == arm.workload)
        mine = next(filter(self.rollout.owner.may_own, named), None)
        return (KINDS[mine["apiVersion"], mine["kind"]], mine) if mine is not None else None

    def made_at(self, arm: Arm) -> datetime | None:
        """When the arm's workload was made; None where there is none, or it does not say."""
        found = self._workload(arm)
        return _moment(found[1]["metadata"].get("creationTimestamp")) if found is not None else None

    def pods(self, arm: Arm) -> tuple[Manifest, ...]:
        return tuple(pod for pod in self.world.pods if revision_of(pod) == arm.revision)

    def can_serve(self, arm: Arm | None) -> bool:
        return (state := self.workload(arm)) is not None and state.can_serve

    def is_ready_for(self, exposure: Exposure, arm: Arm) -> bool:
        """Whether all pods that an exposure asks for are ready."""
        state, wish = self.workload(arm), self.rollout.wish
        if state is None or wish is None or not state.is_fully_ready:
            return False
        return (needed := wish.router.pods(exposure, wish.size)) is None or state.replicas == needed

    def others(self, status: ModelRolloutStatus) -> list[str]:
        """Workloads of neither arm; pods outlive their workload for a while."""
        arms = [arm for arm in (status.stable, status.candidate) if arm is not None]
        workloads = {workload["metadata"]["name"] for workload in self.world.workloads}
        pods = {f"{self.rollout.owner.name}-{revision_of(pod)}" for pod in self.world.pods}
        return sorted((workloads | pods) - {arm.workload for arm in arms})

    # Traffic

    def backend(self, arm: Arm) -> Backend:
        """The arm as a target. Its port is what its own Service has kept, else what the spec says now."""
        found = (service for service in self.world.services if service["metadata"]["name"] == arm.workload)
        kept, wish = next(map(revision_service.container_port, found), None), self.rollout.wish
        return Backend(arm.workload, arm.revision, kept or (wish.spec.traffic.port if wish else 0))

    @property
    def router(self) -> Router | None:
        """The router of the spec; while the spec is broken, that of the route that exists."""
        if self.rollout.wish:
            return self.rollout.wish.router
        return next((router for router in ROUTERS.values() if self.routing(router, None).exists), None)

    def routing(self, router: Router, stable: Arm | None) -> InForce:
        """Where a router's routes send users at present; without a stable arm, everything counts as elsewhere."""
        backend = self.backend(stable) if stable is not None else Backend("", "", 0)
        return router.in_force(self.rollout.owner, self.world.objects, backend)

    def live(self, stable: Arm | None) -> Exposure:
        """The exposure at present: who is served, or copied, to another version than stable."""
        if stable is None or self.router is None:
            return NOBODY
        return self.routing(self.router, stable).exposure

    def diverting_routers(self, stable: Arm | None) -> list[Router]:
        """The routers whose routes send anybody elsewhere, including one that the spec no longer names."""
        if stable is None:
            return []
        return [router for router in ROUTERS.values() if self.routing(router, stable).exposure != NOBODY]

    def is_routed_to(self, workload: str) -> bool:
        """Whether any route sends or copies requests to a workload."""
        return any(self.routing(router, None).reaches(workload) for router in ROUTERS.values())

    def hindrance(self, status: ModelRolloutStatus, exposure: Exposure) -> Finding | None:
        """Why the candidate may not be exposed this far right now; None when it may."""
        if status.phase in (Phase.PROGRESSING, Phase.PROMOTING) and not self.can_serve(status.stable):
            return Finding("StableNotReady", "the stable version is not ready, so the candidate gets no more traffic.")
        if (others := self.others(status)) and self.is_mixing(exposure):
            return Finding("OldPodsLeaving", f"the pods of {', '.join(others)} must be gone before traffic is split.")
        if status.candidate is None or self.is_ready_for(exposure, status.candidate):
            return None
        state = self.workload(status.candidate)
        count = f"{state.ready} of {state.replicas}" if state else "none"
        why = f"the candidate gets more traffic once all pods that it takes are ready; {count} are."
        return Finding("WeightNotInForce", why)

    def is_mixing(self, exposure: Exposure) -> bool:
        """Whether the exposure needs a Service that selects all pods of the rollout, whatever their revision."""
        return self.router is not None and self.router.splits_by_pods and NOBODY < exposure < EVERYBODY

    # What routes say

    def rejection(self, revision: str) -> Finding | None:
        """Why a revision was taken back, if one of our routes records that."""
        notes = (self.routing(router, None).rejected for router in ROUTERS.values())
        return next((why for note in notes if (why := rejections.noted(note, revision)) is not None), None)

    def refusal(self) -> str | None:
        """Why the gateway refuses the route, in its own words; None when no refusal is known."""
        return self.routing(self.router, None).refusal if self.router else None

    def in_force_since(self) -> datetime | None:
        """Since when the route has had its present exposure, as it says itself."""
        since = _moment(self.routing(self.router, None).since) if self.router else None
        return since if since is not None and since <= self.now + CLOCKS_DIFFER else None

    def names_taken(self) -> Iterator[Manifest]:
        """Objects of somebody else that have the names our routes need."""
        wish, owner = self.rollout.wish, self.rollout.owner
        for ref in wish.router.refs(owner) if wish else ():
            found = self.world.objects.get(ref)
            if isinstance(found, dict) and not owner.may_own(found):
                yield found

    # Names

    def arm_names(self, arm: Arm, side: str) -> ArmNames:
        """The names by which queries select an arm."""
        owner, kind = self.rollout.owner, self.kind(arm) or (self.rollout.wish and self.rollout.wish.kind)
        return ArmNames(
            arm="candidate" if side == "candidate" else "stable",
            namespace=owner.namespace,
            rollout=owner.name,
            revision=arm.revision,
            workload=arm.workload,
            service=arm.workload,
            pods=kind.pods_named(arm.workload) if kind else pods_of(arm.workload),
        )


def _moment(text: str | None) -> datetime | None:
    """None where it cannot be read: anybody may edit an annotation."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def is_on_trial(status: ModelRolloutStatus) -> bool:
    """Whether the candidate is to be exposed and so can be judged."""
    candidate = status.candidate
    return intended(status) in SERVES_CANDIDATE and candidate is not None and candidate.unready_since is None
