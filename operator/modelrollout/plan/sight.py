"""The facts that decisions rest on, derived once from what was read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelrollout.analysis.queries import ArmNames
from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, MetricEvidence, MetricVerdict, ModelRolloutStatus, Phase, StageStatus
from modelrollout.objects.manifests import Manifest, annotation, revision_of
from modelrollout.plan.phases import SERVES_CANDIDATE, intended
from modelrollout.plan.world import Observed
from modelrollout.rollout.rollout import ROUTERS, Rollout
from modelrollout.traffic import rejections, revision_service
from modelrollout.traffic.router import SINCE, Backend, Router
from modelrollout.workloads import deployment, pods
from modelrollout.workloads.state import WorkloadState

CLOCKS_DIFFER = timedelta(minutes=1)
"""By so much at most: later than that is no time that an operator wrote."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A rollout, the world around it, and now."""

    rollout: Rollout
    observed: Observed
    now: datetime
    verdicts: tuple[MetricVerdict, ...] | None = None  # of the latest look; None: nobody looked
    checkpoint: tuple[MetricEvidence, ...] | None = None  # where the tests of that look stand
    is_asking: bool = False  # a look is due, and what it finds is not known yet

    def workload(self, arm: Arm | None) -> WorkloadState | None:
        """The arm's workload as its controller reported it; None when it does not exist.

        One of that name that belongs to an earlier rollout is about to be collected with it, however ready it is.
        """
        if arm is None:
            return None
        named = (workload for workload in self.observed.workloads if workload["metadata"]["name"] == arm.workload)
        state = next(map(deployment.state, filter(self.rollout.owner.may_own, named)), None)
        wish = self.rollout.wish
        if state is None or (wish is not None and wish.pods is not None):
            return state
        # An autoscaler asks for more pods in the middle of anything, most of all when the candidate has many users.
        # Those that start are nothing that was lost.
        known = self.pods(arm)
        return replace(state, starting=pods.starting(known) + max(0, state.replicas - len(known)))

    def pods(self, arm: Arm) -> tuple[Manifest, ...]:
        return tuple(pod for pod in self.observed.pods if revision_of(pod) == arm.revision)

    def backend(self, arm: Arm) -> Backend:
        """The arm as a target. Its port is what its own Service has kept, else what the spec says now."""
        found = (service for service in self.observed.services if service["metadata"]["name"] == arm.workload)
        kept, wish = next(map(revision_service.container_port, found), None), self.rollout.wish
        return Backend(arm.workload, arm.revision, kept or (wish.spec.traffic.port if wish else 0))

    @property
    def router(self) -> Router | None:
        """The router of the spec; while the spec is broken, that of the route that exists."""
        if self.rollout.wish:
            return self.rollout.wish.router
        return next((router for router in ROUTERS if self.route(router) is not None), None)

    def route(self, router: Router) -> Manifest | None:
        """The route, if there is one and it is ours."""
        found = self.observed.routes.get(router.resource)
        return found if found is not None and self.rollout.owner.may_own(found) else None

    def is_ready_for(self, weight: int, arm: Arm) -> bool:
        """Whether all pods that a weight asks for are ready."""
        state, wish = self.workload(arm), self.rollout.wish
        if state is None or wish is None or not state.is_fully_ready:
            return False
        return (pods := wish.router.candidate_pods(weight, wish.pods)) is None or state.replicas == pods

    def hindrance(self, status: ModelRolloutStatus, weight: int) -> Finding | None:
        """Why the candidate may not be given more traffic, up to this weight, right now; None when it may."""
        if status.phase in (Phase.PROGRESSING, Phase.PROMOTING) and not self.can_serve(status.stable):
            return Finding("StableNotReady", "the stable version is not ready, so the candidate gets no more traffic.")
        if (others := self.others(status)) and self.is_mixing(weight):
            return Finding("OldPodsLeaving", f"the pods of {', '.join(others)} must be gone before traffic is split.")
        if status.candidate is None or self.is_ready_for(weight, status.candidate):
            return None
        state = self.workload(status.candidate)
        count = f"{state.ready} of {state.replicas}" if state else "none"
        why = f"the candidate gets more traffic once all pods that it takes are ready; {count} are."
        return Finding("WeightNotInForce", why)

    def is_mixing(self, weight: int) -> bool:
        """Whether a weight is reached with a Service that selects all pods of the rollout, whatever their revision."""
        return self.router is not None and self.router.splits_by_pods and 0 < weight < 100

    def others(self, status: ModelRolloutStatus) -> list[str]:
        """Workloads of neither arm; pods outlive their workload for a while."""
        arms = [arm for arm in (status.stable, status.candidate) if arm is not None]
        workloads = {workload["metadata"]["name"] for workload in self.observed.workloads}
        pods = {f"{self.rollout.owner.name}-{revision_of(pod)}" for pod in self.observed.pods}
        return sorted((workloads | pods) - {arm.workload for arm in arms})

    def can_serve(self, arm: Arm | None) -> bool:
        return (state := self.workload(arm)) is not None and state.can_serve

    def noted(self, revision: str) -> Finding | None:
        """Why a revision was taken back, if one of our routes says that it was."""
        found = (rejections.noted(self.route(router), revision) for router in ROUTERS)
        return next((why for why in found if why is not None), None)

    def refusal(self) -> str | None:
        """Why the gateway does not take the route, in its own words; None where nothing is known against it."""
        route = self.route(self.router) if self.router else None
        return self.router.refusal(route) if self.router and route else None

    def in_force_since(self) -> datetime | None:
        """Since when the route has had its present weight, as it says itself."""
        text = annotation(self.route(self.router), SINCE) if self.router else None
        try:
            since = datetime.fromisoformat(text or "")
        except ValueError:  # an annotation is anybody's to edit
            return None
        return since if since.tzinfo and since <= self.now + CLOCKS_DIFFER else None

    def strays(self, stable: Arm | None) -> list[tuple[Router, Manifest]]:
        """The routes of ours, also that of a router which the spec no longer names, that send anybody elsewhere."""
        if stable is None:
            return []
        routes = [(router, self.route(router)) for router in ROUTERS]
        backend = self.backend(stable)
        return [(router, route) for router, route in routes if route and router.weight_off_stable(route, backend) > 0]

    def live_weight(self, stable: Arm | None) -> int:
        """Percent that is not sent to stable at present."""
        if stable is None or self.router is None:
            return 0
        return self.router.weight_off_stable(self.route(self.router), self.backend(stable))


def look(stage: StageStatus, interval: timedelta, now: datetime) -> datetime | None:
    """The latest look that is due at a step; None before the first.

    Looks lie on a grid that starts when the weight came into force: further passes in between ask the same question
    again, and hear the same answer.
    """
    number = int((now - stage.since) / interval)
    return stage.since + number * interval if number >= 1 else None


def arm_names(rollout: Rollout, arm: Arm, side: str) -> ArmNames:
    return ArmNames(
        arm="candidate" if side == "candidate" else "stable",
        namespace=rollout.owner.namespace,
        rollout=rollout.owner.name,
        revision=arm.revision,
        workload=arm.workload,
        service=arm.workload,
    )


def is_on_trial(status: ModelRolloutStatus) -> bool:
    """Whether the candidate is to have traffic and so can be judged."""
    candidate = status.candidate
    return intended(status) in SERVES_CANDIDATE and candidate is not None and candidate.unready_since is None
