"""The facts that decisions rest on, derived once from what was read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelrollout.analysis.copies import Compared
from modelrollout.analysis.queries import ArmNames, pods_of
from modelrollout.analysis.traffic_share import TrafficShare
from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, MetricEvidence, MetricVerdict, ModelRolloutStatus
from modelrollout.objects.manifests import Manifest, Ref, annotation, ref_of, revision_of
from modelrollout.rollout.rollout import Rollout
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.features import lacking
from modelrollout.traffic.router import Backend, InForce, Router, Wanted
from modelrollout.traffic.router_table import ROUTERS
from modelrollout.trial.phases import SERVES_CANDIDATE, intended
from modelrollout.trial.world import World
from modelrollout.workloads import pods
from modelrollout.workloads.companions import is_autoscaler, kinds
from modelrollout.workloads.kind import Kind
from modelrollout.workloads.kind_table import KINDS, WORKLOADS
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
    traffic: TrafficShare | None = None  # what that look says of the candidate's share of the requests
    compared: Compared | None = None  # what it says of the copies that are compared
    is_asking: bool = False  # a look is due and not answered yet

    @property
    def trouble(self) -> Finding | None:
        """All that the API server refuses, or does not show although the spec asks for it."""
        wish = self.rollout.wish
        return self.world.trouble(kinds(wish.spec.workload) if wish is not None else frozenset())

    # Workloads

    def workload(self, arm: Arm | None) -> WorkloadState | None:
        """The arm's workload as its controller reported it; None when it does not exist.

        One of an earlier rollout does not count, however ready it is: it is about to be garbage-collected.
        """
        found = self._workload(arm.workload) if arm is not None else None
        if arm is None or found is None:
            return None
        kind, manifest = found
        state, wish = kind.state(manifest), self.rollout.wish
        if wish is not None and wish.size is not None and state.scaled_by is None:
            return state
        # An autoscaler asks for more pods in the middle of anything, most of all when the candidate has many users.
        # Starting pods are not a loss of readiness.
        known = self.pods(arm)
        return replace(state, starting=pods.starting(known) + max(0, state.replicas - len(known)))

    def kind(self, arm: Arm) -> Kind | None:
        """The kind of the workload that an arm has: a new spec may ask for another."""
        found = self._workload(arm.workload)
        return found[0] if found is not None else None

    def _workload(self, name: str) -> tuple[Kind, Manifest] | None:
        named = (one for one in self.world.workloads if one["metadata"]["name"] == name)
        mine = next(filter(self.rollout.owner.may_own, named), None)
        return (KINDS[mine["apiVersion"], mine["kind"]], mine) if mine is not None else None

    def refused(self, arm: Arm) -> Finding | None:
        """What the API server says against the arm's workload; None where there is one."""
        if self._workload(arm.workload) is not None:
            return None
        refs = (Ref(resource, self.rollout.owner.namespace, arm.workload) for resource in WORKLOADS)
        return next(filter(None, map(self.world.refusals.get, refs)), None)

    def pods(self, arm: Arm) -> tuple[Manifest, ...]:
        return tuple(pod for pod in self.world.pods if revision_of(pod) == arm.revision)

    def autoscaler(self, arm: Arm) -> Manifest | None:
        """The autoscaler that was made for an arm."""
        named = (one for one in self.world.companions if one["metadata"]["name"] == arm.workload)
        return next((one for one in named if is_autoscaler(ref_of(one)) and self.rollout.owner.owns(one)), None)

    def can_serve(self, arm: Arm | None) -> bool:
        return (state := self.workload(arm)) is not None and state.can_serve

    def has_ready_pods(self, workload: str) -> bool:
        """Whether anybody can be served there. Pods may outlive their workload, and go on serving."""
        of_pods = any(self._workload_of(pod) == workload and pods.is_ready(pod) for pod in self.world.pods)
        found = self._workload(workload)
        return of_pods or (found is not None and found[0].state(found[1]).ready > 0)

    def annotation(self, arm: Arm, name: str) -> str:
        """An annotation on the arm's workload; empty where there is none."""
        found = self._workload(arm.workload)
        return (annotation(found[1], name) or "") if found is not None else ""

    def others(self, status: ModelRolloutStatus) -> list[str]:
        """Workloads of neither arm; pods outlive their workload for a while."""
        arms = [arm for arm in (status.stable, status.candidate) if arm is not None]
        workloads = {workload["metadata"]["name"] for workload in self.world.workloads}
        left = {self._workload_of(pod) for pod in self.world.pods}
        return sorted((workloads | left) - {arm.workload for arm in arms})

    def _workload_of(self, pod: Manifest) -> str:
        return f"{self.rollout.owner.name}-{revision_of(pod)}"

    # Traffic

    def backend(self, arm: Arm) -> Backend:
        """The arm as a target. It keeps its port, whatever the spec says now."""
        found = (service for service in self.world.services if service["metadata"]["name"] == arm.workload)
        kept, wish = next(map(revision_service.container_port, found), None), self.rollout.wish
        return Backend(arm.workload, arm.revision, arm.port or kept or (wish.spec.traffic.port if wish else 0))

    @property
    def router(self) -> Router | None:
        """The router of the spec; while the spec is broken, that of the route that exists."""
        if self.rollout.wish:
            return self.rollout.wish.router
        return next((router for router in ROUTERS.values() if self.routing(router, None).exists), None)

    def routing(self, router: Router, stable: Arm | None) -> InForce:
        """Where a router's routes send users at present; without a stable arm, everything counts as elsewhere."""
        port = self.rollout.wish.spec.traffic.port if self.rollout.wish else 0
        # Of a world there is one rollout, so its owner is no part of the key.
        key = router.field, port, stable and (stable.workload, stable.revision, stable.port)
        known = self.world.routings
        if key not in known:  # a pass asks dozens of times, and reading a route takes longest
            backend = self.backend(stable) if stable is not None else Backend("", "", 0)
            known[key] = router.in_force(self.rollout.owner, self.world.objects, backend)
        return known[key]

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

    def served_beside(self, stable: Arm) -> Iterator[str]:
        """The workloads beside stable that users' requests, not mere copies, may be sent to."""
        exposures = (self.routing(router, stable).exposure for router in self.diverting_routers(stable))
        if any(exposure.weight or exposure.asked for exposure in exposures):
            names = {one["metadata"]["name"] for one in self.world.workloads} | set(
                map(self._workload_of, self.world.pods)
            )
            yield from sorted(name for name in names - {stable.workload} if self.is_routed_to(name))

    def is_mixing(self, exposure: Exposure) -> bool:
        """Whether the exposure needs a Service that selects all pods of the rollout, whatever their revision."""
        return self.router is not None and self.router.splits_by_pods and 0 < exposure.weight < 100

    # What routes say

    def rejection(self, status: ModelRolloutStatus) -> Finding | None:
        """Why the candidate was taken back, if one of our routes records that; of an earlier try it does not count."""
        if (candidate := status.candidate) is None or (candidate.retried is not None and status.stage is None):
            return None
        return self.noted_rejection(candidate.revision)

    def noted_rejection(self, revision: str) -> Finding | None:
        """What one of our routes records of a revision that was taken back."""
        notes = (self.routing(router, None).rejected for router in ROUTERS.values())
        return next((why for note in notes if (why := rejections.noted(note, revision)) is not None), None)

    def refusal(self) -> Finding | None:
        """Why a gateway refuses the route, in its own words; None when no refusal is known."""
        return _not_accepted(self._present_routing.refusal)

    def unaccepted(self) -> Finding | None:
        """Why users are not served by the route as it is written; None once they are, or while there is no route."""
        return self.refusal() or _not_accepted(self._present_routing.awaited)

    @property
    def _present_routing(self) -> InForce:
        return self.routing(self.router, None) if self.router else InForce()

    def is_in_force(self, exposure: Exposure, stable: Arm | None) -> bool:
        """Whether users are served by a route that has this exposure."""
        return self.live(stable) == exposure and self.unaccepted() is None

    def written_at(self) -> datetime | None:
        """When the route was given its present exposure, as it says itself."""
        since = _moment(self._present_routing.since)
        return since if since is not None and since <= self.now + CLOCKS_DIFFER else None

    def fault_of_routes(self, wanted: Iterable[Wanted]) -> Finding | None:
        """Why the route that the spec asks for does not do for what is wanted of it."""
        owner, wish, there = self.rollout.owner, self.rollout.wish, self.world.objects
        return wish.router.fault(owner, wish.spec.traffic, there, wanted) if wish else None

    def fault_of_gateways(self, wanted: Iterable[Wanted]) -> Finding | None:
        """What a Gateway of the route is known not to do, of all that is wanted."""
        owner, wish, there = self.rollout.owner, self.rollout.wish, self.world.objects
        return lacking(wish.router.gateways(owner, wish.spec.traffic, there), there, wanted) if wish else None

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


def _not_accepted(why: str | None) -> Finding | None:
    return Finding("RouteNotAccepted", why) if why else None


def is_on_trial(status: ModelRolloutStatus) -> bool:
    """Whether the candidate is to be exposed and so can be judged."""
    candidate = status.candidate
    return intended(status) in SERVES_CANDIDATE and candidate is not None and candidate.unready_since is None
