"""Watches every write that the operator makes in a Town, and says which promise one breaks.

It keeps books of its own: what it judges by is the cluster's objects and its own clock, never the operator's word.
The numbers are those of the design's invariants.
"""

from __future__ import annotations

import functools
import json
import marshal
import re
from datetime import datetime, timedelta
from typing import Any

from modelrollout.api.crd import custom_resource_definition
from modelrollout.api.status import Arm, ModelRolloutStatus, Phase
from modelrollout.objects.manifests import REJECTED, REVISION_LABEL, Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, KNOWN, PODS, SERVICES
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import way
from modelrollout.traffic.lent_route import noted_as
from modelrollout.trial.phases import intended, is_allowed
from modelrollout.trial.trial import Step
from tests.fakes.cluster import copied
from tests.fakes.schema import faults
from tests.fakes.town import NOON, OWNER, Town

ROUTES = (HTTP_ROUTES, SERVICES)
PATIENCE = timedelta(minutes=1)  # with a stable version that has no ready pod
ON_TRIAL = (Phase.PROGRESSING, Phase.PROMOTING, Phase.BAKING)


class Broken(AssertionError):  # noqa: N818 - a promise is broken, not an error made
    """A promise was broken."""


@functools.cache
def _schema() -> Any:
    """The status as the CRD has it."""
    (version,) = custom_resource_definition()["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["status"]


@functools.lru_cache(maxsize=256)
def _faults(contents: bytes) -> tuple[str, ...]:
    """Of a status that is written; the same one is in many of the towns that begin alike."""
    return tuple(faults(marshal.loads(contents), _schema()))  # noqa: S302 - our own bytes


class Witness:
    """Raises Broken in the middle of the write that breaks something."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.history: list[dict[str, float]] = []  # shares by revision, one entry for each change of the route
        self.statuses: list[ModelRolloutStatus] = []
        self.refused: set[str] = set()  # revisions that were taken back for good
        self._shares: dict[str, dict[str, float]] = {}  # by plural of the route
        self._since: dict[tuple[str, str], datetime] = {}  # by route and revision, since when it has had its share
        self._tried = town.tried_by  # who sees a revision although it answers no users, and since when
        self._tried_since = NOON
        self._before = town.status
        self._stable_before = town.status.stable
        self._hurried: datetime | None = None  # when the step began whose predecessor somebody ended by hand
        self._log_begins, self._asked_before = 0, 0
        self._foreign: dict[tuple[str, str, str], Manifest] = {}
        self._followed: set[str] = set()  # workloads that the gateway sends users to
        self._edited: set[str] = set()  # routes whose weights are not the operator's
        self._out_since: datetime | None = None  # since when stable has had no ready pod at all
        town.cluster.witnesses.append(self.saw)
        town.before_pass.append(self.begins)

    def clone(self, town: Town) -> Witness:
        """One that goes on from here, in a town that is a clone of this one's."""
        other = Witness(town)
        other.history, other.statuses, other.refused = list(self.history), list(self.statuses), set(self.refused)
        other._shares, other._since, other._foreign = dict(self._shares), dict(self._since), dict(self._foreign)
        other._out_since, other._followed = self._out_since, set(self._followed)
        other._tried, other._tried_since = dict(self._tried), self._tried_since
        other._hurried = self._hurried
        return other

    # What happens

    def saw(self, verb: str, plural: str, name: str) -> None:
        if verb == "status":
            self._status(self.town.status)
        elif verb == "delete":
            self._deletion(plural, name)
        if name == "fraud" and plural in {route.plural for route in ROUTES}:
            self._route(plural)
        self._note_who_tries()

    def look(self) -> None:
        """Take note of what others than the operator did to the routes."""
        shares = self.town.shares()
        for route in ROUTES:
            if self._note(route.plural, shares.get(route.plural, {})):
                self._edited.add(route.plural)

    def protect(self, manifest: Manifest) -> None:
        """An object of somebody else, which nobody may touch."""
        self.town.cluster.put(manifest)
        resource = KNOWN[manifest["apiVersion"], manifest["kind"]]
        key = (resource.plural, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        self.town.cluster.run_controllers(self.town.now)
        self._foreign[key] = copied(self.town.cluster.objects[key])

    def begins(self) -> None:
        """A pass begins."""
        self._follow()
        self._log_begins, self._asked_before = len(self.town.cluster.log), len(self.town.metrics.asked)
        self._stable_before = self.town.status.stable
        stable, now = self.town.status.stable, self.town.now.replace(microsecond=0)
        self._out_since = (self._out_since or now) if stable is not None and self._is_out(stable) else None

    def passed(self, before: dict[str, bool]) -> None:
        """A whole pass was made; `before` says which revisions' workloads could serve when it began."""
        candidate = self.town.status.candidate
        if candidate is not None and not before.get(candidate.revision, False) and not self._serves_alone(candidate):
            for plural, shares in self.town.shares().items():
                if shares.get(candidate.revision, 0) > 0:
                    raise Broken(f"1: the candidate is not ready, and {plural} gives it {shares}")
        for revision, by in self.town.tried_by.items():
            if revision in self.refused:
                raise Broken(f"2: {revision} was taken back, and there are still {by}")
            if candidate is not None and not before.get(revision, False) and not self._serves_alone(candidate):
                raise Broken(f"1: {revision} is not ready, and there are {by}")
        for key, manifest in self._foreign.items():
            found = self.town.cluster.objects.get(key)
            if found is None or any(found[part] != manifest[part] for part in ("metadata", "spec")):
                raise Broken(f"11: {key} belongs to somebody else and was changed")

    # Judging

    def _route(self, plural: str) -> None:
        before, now = self._shares.get(plural, {}), self.town.shares().get(plural, {})
        _weights_are_sound(self.town.cluster.get(HTTP_ROUTES, "fraud"))
        status = self.town.status
        note = self._rejected_note(plural)
        is_back = status.stable is not None and now == {status.stable.revision: 100} != before
        if is_back and before and not _is_at_a_step_without_users(status) and not self._is_undone(status):
            self._retreat(plural, is_for_metrics=note is not None)
        stable = status.stable.revision if status.stable else None
        for revision, share in now.items():
            if share > before.get(revision, 0) and revision != stable:
                self._rise(plural, revision, before.get(revision, 0), share, status)
        if plural == SERVICES.plural:
            self._mixing(status)
        if note is not None:
            self.refused.add(note)
        self._note(plural, now)
        self._edited.discard(plural)

    def _retreat(self, plural: str, *, is_for_metrics: bool) -> None:
        earlier = self.town.cluster.log[self._log_begins : -1]
        if any(name != "fraud" or verb == "status" for verb, _, name in earlier):
            raise Broken(f"3: before traffic was taken back by {plural}, there was {earlier}")
        if len(self.town.metrics.asked) > self._asked_before and not is_for_metrics:
            raise Broken(f"3: before traffic was taken back by {plural}, Prometheus was asked")

    def _is_undone(self, status: ModelRolloutStatus) -> bool:
        """Whether somebody chose another stable version in this pass: that is saved before anybody moves."""
        before, after = self._stable_before, status.stable
        return before is not None and after is not None and before.revision != after.revision

    def _rise(self, plural: str, revision: str, old: float, new: float, status: ModelRolloutStatus) -> None:
        what = f"{plural}: {revision} from {old} to {new} in {status.phase}"
        arm = self.town.cluster.get(DEPLOYMENTS, status.stable.workload) if status.stable else None
        is_weak = intended(status) in (Phase.PROGRESSING, Phase.PROMOTING) and (arm is None or not _can_serve(arm))
        if is_weak and self.town.hears_of_workloads and not self._has_taken_over(status, new):
            raise Broken(f"1: the stable is not ready and the candidate is given more, {what}")
        if revision in self.refused:
            raise Broken(f"2: after a Fail the weight rises, {what}")
        if (wish := self._wish()) is not None and plural != _route_of(wish):
            return  # a route that the spec no longer names, and whose users follow at the end
        deployment = self.town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
        if self.town.hears_of_workloads and (deployment is None or not _is_available(deployment)):
            raise Broken(f"1: a workload that is not available is given traffic, {what}")
        if status.candidate is None or status.candidate.revision != revision:
            raise Broken(f"6: a revision that is not the candidate is given traffic, {what}")
        if intended(status) not in ON_TRIAL:
            raise Broken(f"6: traffic moves to the candidate in a phase where it may not, {what}")
        since = self._since.get((plural, revision), NOON)
        lasted = self.town.now - (since if old else max(since, self._tried_since))
        is_hurried = status.stage is not None and status.stage.entered == self._hurried
        held = self._hold(old) if plural not in self._edited and not is_hurried else None
        if held is not None and lasted < held and not self._has_taken_over(status, new):
            raise Broken(f"6: a step of {held} was cut short after {lasted}, {what}")

    def _has_taken_over(self, status: ModelRolloutStatus, share: float) -> bool:
        """Whether the candidate is given everybody, from a stable version that had no ready pod for a minute."""
        return self._is_gone() and intended(status) is Phase.PROMOTING and share == 100

    def _is_gone(self) -> bool:
        return self._out_since is not None and self.town.now >= self._out_since + PATIENCE

    def _serves_alone(self, candidate: Arm) -> bool:
        """Whether nobody could serve those whom the candidate lost."""
        stable = self.town.status.stable
        return stable is not None and self._has_no_ready_pod(stable) and not self._has_no_ready_pod(candidate)

    def _is_out(self, arm: Arm) -> bool:
        """Whether an arm that is to have pods has no ready one."""
        deployment = self.town.cluster.get(DEPLOYMENTS, arm.workload)
        return self._has_no_ready_pod(arm) and (deployment is None or deployment["spec"]["replicas"] > 0)

    def _has_no_ready_pod(self, arm: Arm) -> bool:
        pods = [p for p in self.town.cluster.all(PODS) if p["metadata"]["labels"].get(REVISION_LABEL) == arm.revision]
        said = [one for pod in pods for one in (pod.get("status") or {}).get("conditions") or ()]
        return not any((one["type"], one["status"]) == ("Ready", "True") for one in said)

    def _hold(self, share: float) -> timedelta | None:
        """How long the spec wants a weight to be held; None when it knows no such step, or there is none at present."""
        wish = self._wish()
        if wish is None or wish.router.splits_by_pods or (share == 0 and not self._tried):
            return None
        return min((step.hold for step in _of_stages(wish) if step.exposure.weight == share), default=None)

    def _mixing(self, status: ModelRolloutStatus) -> None:
        front = self.town.cluster.get(SERVICES, "fraud")
        if front is None or REVISION_LABEL in (front["spec"].get("selector") or {}):
            return
        arms = {arm.revision for arm in (status.stable, status.candidate) if arm is not None}
        found = {pod["metadata"]["labels"].get(REVISION_LABEL, "?") for pod in self.town.cluster.all(PODS)}
        if found - arms:
            raise Broken(f"1: the front Service mixes in the pods of {found - arms}")

    def _status(self, after: ModelRolloutStatus) -> None:
        before, self._before = self._before, after
        self.statuses.append(after)
        if not is_allowed(intended(before), intended(after)):
            raise Broken(f"phases: {intended(before)} -> {intended(after)} is not in TRANSITIONS")
        written = self.town.manifest["status"]
        if errors := _faults(marshal.dumps(written)):
            raise Broken(f"CRD: the API server would refuse or prune {[*errors]}")
        candidate = after.candidate
        if candidate is not None and _asked_now(before, after) == "Retried":
            self.refused.discard(candidate.revision)
        if _is_by_hand(before, after) and after.stage is not None:
            self._hurried = after.stage.entered
        if candidate is not None and candidate.revision in self.refused and intended(after) is not Phase.ROLLING_BACK:
            raise Broken(f"8: {candidate.revision} was rejected and is tried again, in {after.phase}")
        self.refused |= {entry.revision for entry in after.rejected}
        self._evidence(before, after)
        self._bake(before, after)

    def _evidence(self, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
        """Steps are left only on good answers, and candidates only with cause."""
        wish = self._wish()
        if wish is None or before.candidate is None or wish.spec.analysis.readiness_only:
            return
        has_data, failing = self._heard()
        is_bad = before.candidate.model.version in failing
        is_late = before.stage is not None and self._is_beyond_deadline(before, wish)
        on_deadline = wish.spec.analysis.on_inconclusive
        advances = _advances(before, after, wish)
        if (advances == "promoting" and self._is_gone()) or (advances and _is_by_hand(before, after)):
            return
        if advances and not has_data:
            raise Broken(f"4: {advances} without data ({after.message})")
        if advances and is_bad and not (on_deadline == "promote" and is_late):
            raise Broken(f"4: {advances} on bad metrics ({after.message})")
        if intended(after) is Phase.ROLLING_BACK and intended(before) is not Phase.ROLLING_BACK:
            reason = after.rejected[0].reason
            if reason == "MetricFailed" and not (has_data and is_bad):
                if self._rejected_note_of(before.candidate.revision):
                    return  # decided in an earlier pass, which was not saved
                raise Broken(f"4: rolled back for metrics that are good or missing: {after.rejected[0].message}")
            if reason == "StepDeadlineExceeded" and not (on_deadline == "rollback" and is_late):
                raise Broken("4: rolled back at a deadline that the user did not set, or that is not over")

    def _heard(self) -> tuple[bool, frozenset[str]]:
        """What the metrics say: in this pass, if they were asked in it."""
        metrics = self.town.metrics
        if len(metrics.asked) > self._asked_before:
            return metrics.told
        return metrics.has_data, frozenset(version for version, share in metrics.bad.items() if share)

    def _is_beyond_deadline(self, status: ModelRolloutStatus, wish: Wish) -> bool:
        assert status.stage is not None
        return self.town.now >= status.stage.entered + wish.spec.analysis.step_deadline.timedelta

    def _bake(self, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
        if before.candidate is None or after.stable is None or before.stable is None or (wish := self._wish()) is None:
            return
        if after.stable.revision != before.candidate.revision:
            return
        since = self._since.get((_route_of(wish), after.stable.revision), NOON)
        if not _is_by_hand(before, after) and self.town.now - since < wish.spec.promotion.bake.timedelta:
            raise Broken(f"5: promoted after {self.town.now - since} of baking")

    def _deletion(self, plural: str, name: str) -> None:
        status = self.town.status
        for arm in (status.stable, status.candidate):
            if arm is not None and name == arm.workload:
                raise Broken(f"5: {plural} {name} was deleted, which is an arm in {status.phase}")
        revision = name.removeprefix("fraud-")
        if name in self._followed and (wish := self._wish()) and _route_of(wish) == HTTP_ROUTES.plural:
            raise Broken(f"5: {plural} {name} was deleted, which the gateway still sends users to")
        if any(shares.get(revision, 0) > 0 for shares in self.town.shares().values()):
            raise Broken(f"5: {plural} {name} was deleted, which serves users: {self.town.shares()}")

    def _follow(self) -> None:
        """Note whom the gateway sends users to: by the route as it last accepted it, whatever was written since."""
        if (route := self.town.cluster.get(HTTP_ROUTES, "fraud")) is None:
            self._followed = set()
            return
        parents = (route.get("status") or {}).get("parents") or ()
        said = [condition["observedGeneration"] for parent in parents for condition in parent["conditions"]]
        if route["metadata"]["generation"] in said:
            self._followed = {name for name, weight in self.town.weights.items() if weight}

    # Books

    def _note(self, plural: str, shares: dict[str, float]) -> bool:
        """Whether it is news."""
        before = self._shares.get(plural, {})
        if before == shares:
            return False
        for revision in {*before, *shares}:
            if before.get(revision, 0) != shares.get(revision, 0):
                self._since[plural, revision] = self.town.now.replace(microsecond=0)
        self._shares[plural] = shares
        self.history.append(shares)
        return True

    def _note_who_tries(self) -> None:
        if (tried := self.town.tried_by) != self._tried:
            self._tried, self._tried_since = tried, self.town.now.replace(microsecond=0)

    def _wish(self) -> Wish | None:
        wish = self.town.read_wish(self.town.manifest["spec"])
        return wish if isinstance(wish, Wish) else None

    def _rejected_note(self, plural: str) -> str | None:
        route = next((r for k, r in self.town.cluster.objects.items() if k == (plural, "ml", "fraud")), None)
        notes = (route or {}).get("metadata", {}).get("annotations") or {}
        text = notes.get(REJECTED, notes.get(noted_as("fraud", REJECTED)))  # of our own route, or of one that is lent
        return None if text is None or not text.startswith("{") else json.loads(text)["revision"]

    def _rejected_note_of(self, revision: str) -> bool:
        return any(self._rejected_note(route.plural) == revision for route in ROUTES)


def workloads_that_can_serve(town: Town) -> dict[str, bool]:
    """By revision, whether so many of its pods are ready that it may keep traffic."""
    counts_pods = town.cluster.get(SERVICES, "fraud") is not None  # there a pod less is a smaller share
    return {
        deployment["metadata"]["labels"].get(REVISION_LABEL, ""): _can_serve(deployment, counts_pods)
        for deployment in town.cluster.all(DEPLOYMENTS)
    }


def _can_serve(deployment: Manifest, counts_pods: bool = False) -> bool:
    wanted, ready = deployment["spec"]["replicas"], deployment.get("status", {}).get("readyReplicas", 0)
    return bool(ready > 0 and (counts_pods or ready >= wanted - int(wanted * 0.25)))


def _weights_are_sound(route: Manifest | None) -> None:
    for rule in (route or {}).get("spec", {}).get("rules", ()):
        weights = [backend["weight"] for backend in rule["backendRefs"]]
        if not all(isinstance(weight, int) and 0 <= weight <= 100 for weight in weights) or sum(weights) != _all(rule):
            raise Broken(f"1: weights are {weights}")


def _all(rule: Manifest) -> int:
    """The weights of a rule in all: of everybody 100, and of users whose numbers lie between two, as many as these."""
    bounds = re.search(r"\.(\d+)-(\d+)\(", str(rule.get("matches")))
    is_split = len(rule["backendRefs"]) > 1
    return int(bounds[2]) - int(bounds[1]) if bounds and is_split else 100


def _route_of(wish: Wish) -> str:
    """The plural of the object by which users move."""
    ref, *_ = wish.router.refs(OWNER, wish.spec.traffic)
    return ref.resource.plural


def _is_at_a_step_without_users(status: ModelRolloutStatus) -> bool:
    """Whether users are led back since the next step has none: copies, or a preview."""
    return intended(status) is Phase.PROGRESSING and status.stage is not None and status.stage.weight == 0


def _of_stages(wish: Wish) -> list[Step]:
    return [step for step in way(wish) if step.phase is Phase.PROGRESSING]


def _is_available(deployment: Manifest) -> bool:
    status = deployment.get("status") or {}
    is_observed = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return is_observed and 0 < deployment["spec"]["replicas"] <= status.get("availableReplicas", 0)


def _asked_now(before: ModelRolloutStatus, after: ModelRolloutStatus) -> str | None:
    """What became of an action in this pass."""
    return (
        after.last_action.reason if after.last_action is not None and after.last_action != before.last_action else None
    )


def _is_by_hand(before: ModelRolloutStatus, after: ModelRolloutStatus) -> bool:
    """Whether the step of `before` was to end because somebody said so."""
    held = [one.waived for one in (before.stage, before.candidate) if one is not None and one.waived is not None]
    known = any(waiver.verb != "approve" for waiver in held)
    return known or _asked_now(before, after) in ("StepPromoted", "StageSkipped", "PromotedInFull")


def _advances(before: ModelRolloutStatus, after: ModelRolloutStatus, wish: Wish) -> str | None:
    """What a release gained that only evidence may give: the next weight, all traffic, the end of the bake."""
    old, new = before.candidate, after.candidate
    if old is None or before.stage is None:
        return None
    if new is None and after.stable is not None and after.stable.revision == old.revision:
        return "promoted"
    if new is None or new.revision != old.revision or after.stage is None:
        return None
    if (intended(before), intended(after)) == (Phase.PROGRESSING, Phase.PROMOTING):
        return "promoting"
    was_edited = before.stage.weight not in {step.exposure.weight for step in _of_stages(wish)}
    return "next step" if after.stage.weight > before.stage.weight and not was_edited else None
