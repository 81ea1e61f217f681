"""A rollout with everything around it in one process: fake cluster, scripted metrics, a clock that is moved by hand.

town = Town(); town.wish("1"); town.run(minutes=2); town.wish("2"); town.run(minutes=10); town.phase
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import marshal
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import generate_latest

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.delivery.deliverer import Deliverer
from modelrollout.kube import KubeError
from modelrollout.objects.manifests import REVISION_LABEL, Manifest, ref_of
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import (
    CLUSTER_METRIC_TEMPLATES,
    DEPLOYMENTS,
    EVENTS,
    HTTP_ROUTES,
    KNOWN,
    METRIC_TEMPLATES,
    MODEL_ROLLOUTS,
    PODS,
    SERVICES,
    VIRTUAL_SERVICES,
)
from modelrollout.plan.errands import NOTIFICATION
from modelrollout.rollout.expansion import TemplateKey
from modelrollout.rollout.references import reads
from modelrollout.rollout.rollout import Rollout, Wish, parse, read_wish
from modelrollout.shell.announce import Announcer
from modelrollout.shell.observe import observed
from modelrollout.shell.reader import Direct, Reader
from modelrollout.shell.reconcile import Reconciler
from modelrollout.shell.succession import Succession
from modelrollout.shell.telemetry import Telemetry
from modelrollout.trial.world import World
from tests import builders
from tests.fakes.answers import Answers
from tests.fakes.cluster import FakeCluster, Killed, copied
from tests.fakes.metrics import NOON, OWNER, Metrics
from tests.fakes.post import Post

KEY = ("ml", "fraud")
COMPARER_IMAGE = "registry.example/modelrollout:operator"
BLINK = timedelta(milliseconds=200)
"""From a change of the world to the pass that it wakes."""


@functools.cache
def _runner() -> asyncio.Runner:
    """One event loop for all towns: making one costs as much as a pass."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The coroutine's result; a process that was killed is Killed, in however many tasks it was."""
    try:
        return _runner().run(coroutine)
    except BaseExceptionGroup as group:
        if group.subgroup(Killed) is not None:
            raise Killed from None
        raise


class Town:
    """Everything a rollout needs, and hands to move it with."""

    hears_of_workloads = True
    """Whether the operator can know which workloads are ready."""
    has_successors = False
    """Whether an earlier process may still be about when one starts."""

    def __init__(self, cluster: FakeCluster | None = None, comparer_image: str | None = COMPARER_IMAGE) -> None:
        self.cluster, self.comparer_image = cluster or FakeCluster(), comparer_image
        self.addresses: AllowedAddresses | None = None  # of a Prometheus that specs may name
        self.now = NOON
        self.metrics, self.answers, self.post = Metrics(self), Answers(self), Post(self)
        self.restarts = 0
        self.slept: list[float] = []  # how long the operator waited in its own course
        self.old = self.new = ""  # revisions, where a test speaks of them
        self.troubles: list[KubeError] = []  # with which passes failed
        self.before_pass: list[Callable[[], None]] = []
        self.deliverer: Deliverer | None = None
        self._has_arrived = False  # something was delivered, or turned out not to be
        self._due: datetime | None = NOON
        self._failures = 0
        self._seen = -1
        self.restart()

    def restart(self) -> None:
        """A new operator process: all that it remembered is gone."""

        async def no_sleep(seconds: float) -> None:
            self.slept.append(seconds)

        self.telemetry = self.make_telemetry()
        cluster: Any = self.cluster  # the verbs the operator uses
        self.announcer = Announcer(cluster)
        self.reader = self.make_reader(cluster)
        if self.deliverer is not None:
            run(self.deliverer.stop())
        self.deliverer = Deliverer({NOTIFICATION: self.post}, lambda _: self._note_arrival(), sleep=self.post.pause)
        self.reconciler = Reconciler(
            cluster,
            self.reader,
            self.metrics,
            self.announcer,
            self.telemetry,
            resync=timedelta(minutes=5),
            clock=lambda: self.now,
            sleep=no_sleep,
            comparer_image=self.comparer_image,
            addresses=self.addresses,
            smoker=self.answers,
            succession=Succession(cluster, self.reader) if self.has_successors else None,
            deliverer=self.deliverer,
        )
        self._due, self._failures = self.now, 0

    def die(self, *, until: datetime) -> None:
        """The process was killed, and another one is there by then."""
        self.metrics.note_share()
        self.restarts += 1
        self.now = until
        self.restart()

    def make_telemetry(self) -> Telemetry:
        return Telemetry()

    def make_reader(self, cluster: Any) -> Reader:
        """Where passes read what surrounds a rollout."""
        return Direct(cluster)

    def _note_arrival(self) -> None:
        self._has_arrived = True

    # Hands

    def wish(self, version: str = "1", **changes: Any) -> str:
        """Apply a spec; returns its revision (empty when it makes no sense)."""
        wanted = builders.rollout(version, **changes)
        present = self.cluster.get(MODEL_ROLLOUTS, "fraud")
        if present is not None:
            wanted = {**present, "spec": wanted["spec"]}
        self.cluster.put(wanted)
        wish = self.read_wish(wanted["spec"])
        return wish.revision if isinstance(wish, Wish) else ""

    def read_wish(self, spec: Manifest) -> Wish | Finding:
        """What a spec means in this town, with the templates and workloads that it may refer to."""
        return read_wish(spec, self.templates, self.objects, namespace="ml")

    def delete(self, *finalizers: str) -> None:
        """Ask for the rollout's deletion, as `kubectl delete` does."""
        metadata = copied(self.manifest["metadata"])
        metadata["deletionTimestamp"] = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        metadata["finalizers"] += finalizers
        self.cluster.put({**self.manifest, "metadata": metadata})

    def clone(self) -> Town:
        """The same world at the same time, with an operator that has just been started."""
        old = self.cluster
        town = Town(FakeCluster(copied(old.objects), applied=copied(old.applied), version=old.version, slow=old.slow))
        town.cluster.scaled = dict(old.scaled)
        town.cluster.broken, town.cluster.limping = set(old.broken), dict(old.limping)
        town.cluster.crashing, town.cluster.changes = dict(old.crashing), old.changes
        town.cluster.homeless, town.cluster.refused = dict(old.homeless), dict(old.refused)
        town.cluster.missing_gateways = set(old.missing_gateways)
        town.cluster.is_gateway_down = old.is_gateway_down
        metrics, shares = self.metrics, list(self.metrics.times_stable)
        bad, other = dict(metrics.bad), dict(metrics.other)
        town.metrics = replace(metrics, town=town, bad=bad, other=other, asked=[], times_stable=shares)
        town.answers = replace(self.answers, town=town, says=dict(self.answers.says), asked=[])
        town.post = self.post.clone(town)
        town.now, town.old, town.new = self.now, self.old, self.new
        town.deliverer = None  # it had nothing yet, and this may be in the middle of a pass
        town.restart()
        town._seen = self._seen
        return town

    async def looked_around(self) -> None:
        """Wakes the pass that is waiting for answers, and gives it turns of the loop, enough to look around."""
        self.poke()
        for _ in range(50):
            await asyncio.sleep(0)

    def poke(self) -> None:
        """Wake the pass that is waiting for answers."""
        self._poked.set()

    def pass_(self) -> timedelta | None:
        """One pass of the operator, at the present time."""
        for look in self.before_pass:
            look()
        return run(self.passing())  # type: ignore[no-any-return]

    async def passing(self) -> timedelta | None:
        """One pass, beside which other things may happen."""
        self._poked = asyncio.Event()

        async def poked() -> None:
            await self._poked.wait()
            self._poked.clear()

        try:
            due = await self.reconciler.reconcile(KEY, poked)
        except KubeError:
            await self.announcer.deliver()
            raise
        await self.announcer.deliver()
        await self._deliveries()
        return due

    async def _deliveries(self) -> None:
        """Gives them turns of the loop. They go on beside later passes, too."""
        for _ in range(20 if not self.is_gone and self.status.errands else 0):
            await asyncio.sleep(0)
        if self.post.is_killed:
            self.post.is_killed = False
            raise Killed

    def finalise(self) -> None:
        """What happens once the rollout is being deleted; Kubernetes' garbage collector does the rest."""
        for look in self.before_pass:
            look()
        run(self.reconciler.finalise(KEY))
        self._collect()

    def _collect(self) -> None:
        orphaning = "orphan" in self.manifest["metadata"]["finalizers"]
        uid = self.manifest["metadata"]["uid"]
        self.cluster.remove(MODEL_ROLLOUTS, "fraud")
        for manifest in list(self.cluster.objects.values()):
            owners = manifest["metadata"].get("ownerReferences") or []
            if any(owner["uid"] == uid for owner in owners):
                resource = KNOWN[manifest["apiVersion"], manifest["kind"]]
                if orphaning:
                    manifest["metadata"]["ownerReferences"] = [owner for owner in owners if owner["uid"] != uid]
                else:
                    self.cluster.remove(resource, manifest["metadata"]["name"])

    def run_controllers(self, *, seconds: int) -> None:
        """Time without an operator."""
        for _ in range(seconds):
            self.cluster.run_controllers(self.now)
            self.now += timedelta(seconds=1)

    def step(self, most: timedelta = timedelta(seconds=5)) -> bool:
        """Time goes on until the operator has a reason for a pass, which it then makes; False when none came up.

        Reasons are as in handlers.py: its own time has come, or something changed, be it by its own hand.
        """
        end = self.now + most
        while True:
            self.cluster.run_controllers(self.now)
            is_due = (self._due is not None and self._due <= self.now) or self._seen != self.cluster.changes
            if is_due and not self.is_gone:
                self._passed()
                return True
            if self.now >= end:
                return False
            self.now = min(end, self._due or end, self.now + timedelta(seconds=5))

    def _passed(self) -> None:
        self._seen = self.cluster.changes
        try:
            due = self.finalise() if "deletionTimestamp" in self.manifest["metadata"] else self.pass_()
            self._due, self._failures = self.now + due if due is not None else None, 0
            if self._has_arrived:
                self._due, self._has_arrived = self.now, False
        except Killed:
            self.die(until=self.now + timedelta(seconds=1))
        except KubeError as trouble:
            self.troubles.append(trouble)
            self._due = self.now + timedelta(seconds=min(60, 2**self._failures))
            self._failures += 1
        self.metrics.note_share()
        self.now += BLINK

    def run(self, *, until: Callable[[Town], bool] | None = None, **for_: float) -> None:
        """Passes whenever there is a reason for one, for so long."""
        end = self.now + timedelta(**for_)
        while self.now < end:
            self.step(min(end - self.now, timedelta(seconds=5)))
            if until is not None and until(self):
                return
        assert until is None, f"it never came to that: {self.status.phase} {self.status.message}"

    def go(self, phase: Phase, weight: int | None = None, minutes: float = 30) -> None:
        """On until that phase; with a weight, until that step and its weight is in force."""

        def is_there(town: Town) -> bool:
            status = town.status
            if status.phase is not phase or weight is None:
                return status.phase is phase
            arm, stage = status.candidate, status.stage
            return arm is not None and stage is not None and stage.weight == weight == town.share(arm.revision)

        self.run(until=is_there, minutes=minutes)

    # Eyes

    @property
    def manifest(self) -> Manifest:
        found = self.cluster.get(MODEL_ROLLOUTS, "fraud")
        assert found is not None
        return found

    @property
    def templates(self) -> dict[TemplateKey, Manifest]:
        """The metric templates that there are."""
        found = [*self.cluster.all(METRIC_TEMPLATES), *self.cluster.all(CLUSTER_METRIC_TEMPLATES)]
        return {TemplateKey(template["kind"], template["metadata"]["name"]): template for template in found}

    @property
    def objects(self) -> Objects:
        """All that there is, by name."""
        return {ref_of(manifest): manifest for manifest in self.cluster.objects.values()}

    def world(self) -> World:
        """What a pass would read."""
        objects = run(Direct(self.cluster).read(KEY, reads(self.manifest)))  # type: ignore[arg-type]
        return observed(objects, OWNER, {}).tried({})

    def rollout(self) -> Rollout:
        """What a pass would make of the resource."""
        return parse(self.manifest, self.objects, self.comparer_image)

    @property
    def status(self) -> ModelRolloutStatus:
        return _status(marshal.dumps(self.manifest.get("status") or {}))

    @property
    def is_gone(self) -> bool:
        """Whether the rollout was deleted."""
        return self.cluster.get(MODEL_ROLLOUTS, "fraud") is None

    @property
    def phase(self) -> Phase | None:
        return self.status.phase

    @property
    def weights(self) -> dict[str, int]:
        """Weights in the rule for everybody, by Service."""
        route = self.cluster.get(HTTP_ROUTES, "fraud")
        rules = (route["spec"].get("rules") or ()) if route else ()  # of somebody else's there may be none
        return {one["name"]: one["weight"] for one in rules[-1]["backendRefs"]} if rules else {}

    def part_of(self, service: str) -> float:
        """Of the requests of everybody who comes to the rollout by a route, whosever that is: those of a Service."""
        arms = {arm.workload for arm in (self.status.stable, self.status.candidate) if arm}
        ours = [weights for weights in self._weights_in_rules() if arms & weights.keys()]
        return float(ours[-1].get(service, 0) / sum(ours[-1].values())) if ours else 0.0

    def _weights_in_rules(self) -> Iterator[dict[str, int]]:
        for route in self.cluster.all(HTTP_ROUTES):
            for rule in route["spec"].get("rules") or ():
                yield {ref["name"]: ref.get("weight", 1) for ref in rule.get("backendRefs", ())}
        for service in self.cluster.all(VIRTUAL_SERVICES):
            for rule in service["spec"].get("http") or ():
                yield {to["destination"]["host"].split(".")[0]: to.get("weight", 1) for to in rule.get("route", ())}

    @property
    def values_asking(self) -> int:
        """How many values of headers ask for the candidate."""
        route = self.cluster.get(HTTP_ROUTES, "fraud")
        rules = (route["spec"].get("rules") or ()) if route else ()
        return sum(bool(match.get("headers")) for rule in rules for match in rule.get("matches", ()))

    @property
    def tried_by(self) -> dict[str, set[str]]:
        """Who sees a revision although it answers no users: "copies", and "asked", by revision."""
        route, found = self.cluster.get(HTTP_ROUTES, "fraud"), dict[str, set[str]]()
        for rule in route["spec"]["rules"] if route else ():
            for one in rule.get("filters") or ():
                if one["type"] == "RequestMirror":
                    found.setdefault(one["requestMirror"]["backendRef"]["name"], set()).add("copies")
        for rule in route["spec"]["rules"][:-1] if route else ():
            for ref in rule["backendRefs"] if len(rule["backendRefs"]) == 1 else ():
                found.setdefault(ref["name"], set()).add("asked")
        if (preview := self.cluster.get(SERVICES, "fraud-preview")) is not None:
            found.setdefault(f"fraud-{preview['spec']['selector'][REVISION_LABEL]}", set()).add("asked")
        stable = self.status.stable
        found.pop(stable.workload if stable else "", None)
        return {name.removeprefix("fraud-"): by for name, by in found.items()}

    @property
    def events(self) -> list[str]:
        return [event["reason"] for event in self.cluster.all(EVENTS)]

    def condition(self, type_: str) -> str | None:
        return next((c.status for c in self.status.conditions if c.type == type_), None)

    def exposition(self) -> bytes:
        """The operator's own /metrics."""
        return generate_latest(self.telemetry.registry)

    def shares(self) -> dict[str, dict[str, float]]:
        """Who gets users' requests: for each route that exists, by its plural, percent by revision."""
        found = {HTTP_ROUTES.plural: self._by_route(), SERVICES.plural: self._by_service()}
        return {plural: shares for plural, shares in found.items() if shares}

    def share(self, revision: str) -> float:
        """Percent of users' requests that a revision gets, where there is one route."""
        (shares,) = self.shares().values() or ({},)
        return shares.get(revision, 0)

    def _by_route(self) -> dict[str, float]:
        shares: dict[str, float] = {}
        for name, weight in self.weights.items():
            service = self.cluster.get(SERVICES, name)
            selector = service["spec"]["selector"] if service else {}
            revision = selector.get(REVISION_LABEL, name.removeprefix("fraud-"))
            shares[revision] = shares.get(revision, 0) + weight
        return {revision: share for revision, share in shares.items() if share}

    def _by_service(self) -> dict[str, float]:
        front = self.cluster.get(SERVICES, "fraud")
        if front is None:
            return {}
        selector = front["spec"].get("selector") or {}
        if REVISION_LABEL in selector:
            return {selector[REVISION_LABEL]: 100}
        ready = [pod for pod in self.cluster.all(PODS) if _is_selected(pod, selector) and _is_ready(pod)]
        revisions = [pod["metadata"]["labels"].get(REVISION_LABEL, "?") for pod in ready]
        return {revision: 100 * revisions.count(revision) / len(revisions) for revision in set(revisions)}

    def pods(self, revision: str) -> int:
        """Ready pods of a revision, as its Deployment says."""
        deployment = self.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
        return int((deployment or {}).get("status", {}).get("readyReplicas", 0))


def releasing(**changes: Any) -> Town:
    """Version 1 (`town.old`) serves everybody, and version 2 (`town.new`) has just been applied."""
    town = Town()
    town.old = town.wish("1", **changes)
    town.go(Phase.HEALTHY, minutes=2)
    town.new = town.wish("2", **changes)
    return town


@functools.lru_cache(maxsize=256)
def _status(contents: bytes) -> ModelRolloutStatus:
    """Statuses are looked at far more often than they change."""
    return ModelRolloutStatus.model_validate(marshal.loads(contents))  # noqa: S302 - our own bytes


def _is_selected(pod: Manifest, selector: Mapping[str, str]) -> bool:
    return selector.items() <= (pod["metadata"].get("labels") or {}).items()


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
