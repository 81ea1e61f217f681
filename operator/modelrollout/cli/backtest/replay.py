"""One rollout, replayed: the operator's own plans, one look after the other, over samples of the past. Pure.

Everything but the metrics is perfect: pods are ready and routes in force, so only verdicts decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelrollout.analysis.queries import ArmNames, queries
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import (
    Arm,
    CandidateArm,
    EvidenceStatus,
    MetricVerdict,
    ModelRolloutStatus,
    Phase,
    StageStatus,
    UsualMetric,
    Verdict,
    VersionInfo,
)
from modelrollout.cli.backtest.policy import Policy
from modelrollout.objects.manifests import Manifest, Owner, outcome
from modelrollout.plan.history import adapted
from modelrollout.plan.looks import bases
from modelrollout.plan.plan import Plan
from modelrollout.plan.planner import plan
from modelrollout.plan.statuses import changed
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.rollout import Rollout
from modelrollout.stages.way import way
from modelrollout.traffic.acceptance import accepted
from modelrollout.traffic.exposure import EVERYBODY, NOBODY
from modelrollout.traffic.router import Backend, Notes, Routing
from modelrollout.traffic.router_table import presumed
from modelrollout.trial.phases import SERVES_CANDIDATE
from modelrollout.trial.question import Question as Question
from modelrollout.trial.steps import current, exposure_at
from modelrollout.trial.world import World
from modelrollout.workloads.kind import Names

Ask = Callable[[Sequence[Query]], Mapping[Query, Answer]]
LONGEST_STRIDE = timedelta(minutes=10)
"""The longest time between two looks: a look must not read further back than the operator's would."""
FASTER = 3
"""The factor by which strides grow while nothing happens."""
PROMOTED, ROLLED_BACK = "promoted", "taken back"


@dataclass(frozen=True, slots=True)
class Arms:
    """Both arms' names, and the analysis with what narrows its queries to each."""

    candidate: ArmNames
    stable: ArmNames
    of_candidate: Analysis
    of_stable: Analysis


@dataclass(frozen=True, slots=True)
class Look:
    """The verdicts of a look at a step, which has `weight` percent."""

    at: datetime
    stage: str
    weight: int
    verdicts: tuple[MetricVerdict, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that began, or the end: `stage` is then `promoted` or `taken back`."""

    at: datetime
    stage: str
    weight: int
    why: str = ""


class Replay:
    """A rollout that begins at `start`. `is_held`: it stays at the last step at which candidate and stable are
    compared. `grain`: how far apart looks are that decide nothing; those that do are found to the interval."""

    def __init__(
        self,
        policy: Policy,
        arms: Arms,
        start: datetime,
        usual: Sequence[UsualMetric],
        *,
        seed: str,
        is_held: bool = False,
        grain: timedelta | None = None,
    ) -> None:
        self._policy, self._arms, self._is_held = policy, arms, is_held
        wish = adapted(policy.wish, usual)
        self._way = way(wish)
        self._interval = policy.analysis.interval.timedelta
        self._grain = grain
        owner = Owner(policy.namespace, policy.name, f"backtest/{seed}")
        self._owner, self._presumed = presumed(owner, policy.wish.spec.traffic)
        candidate = CandidateArm(
            revision=wish.revision,
            model=wish.model,
            workload=f"{policy.name}-candidate",
            since=start,
            first_weights=wish.first_weights,
        )
        version = VersionInfo(name=policy.wish.model.name, version="of the past")
        self.status = ModelRolloutStatus(
            phase=Phase.PENDING,
            stable=Arm(revision="stable", model=version, workload=f"{policy.name}-stable"),
            candidate=candidate,
            evidence=EvidenceStatus(at=start, usual=tuple(usual)),
        )
        self.turns: list[Turn] = []
        self.last: Look | None = None
        self._strides = 1
        self._world: tuple[StageStatus | None, World] | None = None
        self._go_on(start)

    @property
    def basis(self) -> Mapping[str, str]:
        """A digest of what each metric is judged by, which the history of stable is noted with."""
        return bases(self.status, self._policy.analysis)

    @property
    def is_over(self) -> bool:
        return self.status.phase not in SERVES_CANDIDATE

    @property
    def is_taken_back(self) -> bool:
        return bool(self.turns) and self.turns[-1].stage == ROLLED_BACK

    @property
    def read_from(self) -> float:
        """The oldest samples that a later look may ask for, unix seconds."""
        at = self.last.at if self.last else self.turns[0].at
        question = None if self.is_over else self._planned(max(at, self._stage.counted_from + self._interval)).questions
        since = [reach.since.timestamp() for reach in question.reaches.values()] if question else []
        return min(since, default=at.timestamp())

    def looks(self, until: datetime, ask: Ask) -> Iterator[Look]:
        """Takes every look that is due up to a moment."""
        while not self.is_over and (at := self._next()) <= until:
            at, made = self._next_look(at, min(until, at + LONGEST_STRIDE), ask)
            stage = self._stage
            self.last = Look(at, stage.name, stage.weight, made.verdicts or ())
            self._take(at, made)
            yield self.last

    @property
    def _stage(self) -> StageStatus:
        if self.status.stage is None:
            raise ValueError("a rollout that is not over is always at a step")
        return self.status.stage

    def _next(self) -> datetime:
        since = self._stage.counted_from
        done = int((self.last.at - since) / self._interval + 1e-9) if self.last and self.last.at > since else 0
        return since + (done + 1) * self._interval

    def _next_look(self, at: datetime, latest: datetime, ask: Ask) -> tuple[datetime, Plan]:
        """The next look that decides something, or an earlier one; with the plan that follows from it.

        A conclusion stays within a step, so bisection finds the first look that decides.
        """
        if self._grain is None:
            return at, self._asked(at, ask)

        def moment(number: int) -> datetime:
            return at + (number - 1) * self._interval

        found = self._stride(at, latest)
        made = self._asked(moment(found), ask)
        if not self._has_moved(made):
            return moment(found), made
        has_failed = any(verdict.verdict is Verdict.FAIL for verdict in made.verdicts or ())
        # Looks up to number `known` decide nothing: before the hold is over only a failure does.
        known = 0 if has_failed else min(self._looks_before(at, self._turning_points()[0]), found - 1)
        while found - known > 1:
            middle = (known + found) // 2
            other = self._asked(moment(middle), ask)
            if self._has_moved(other):
                found, made = middle, other
            else:
                known = middle
        return moment(found), made

    def _stride(self, at: datetime, latest: datetime) -> int:
        """How many looks to skip: to the end of the hold, then a little more each time."""
        most = max(int((latest - at) / self._interval + 1e-9) + 1, 1)
        grain = max(int((self._grain or self._interval) / self._interval), 1)
        held, deadline = (self._looks_before(at, end) for end in self._turning_points())
        if at < self._turning_points()[0]:
            return max(min(grain, held + 1, most), 1)
        self._strides = min(self._strides * FASTER, grain)
        to_deadline = deadline + 1 if at <= self._turning_points()[1] else most
        return max(min(self._strides, to_deadline, most), 1)

    def _looks_before(self, at: datetime, end: datetime) -> int:
        """How many looks there are from `at` on until just before a moment."""
        return max(-(-(end - at) // self._interval), 0)

    def _turning_points(self) -> tuple[datetime, datetime]:
        """From when a step may end: its hold is over; its deadline is."""
        stage, step = self._stage, current(self._way, self.status)
        deadline = step.patience.deadline if step.patience else self._policy.analysis.step_deadline.timedelta
        return stage.counted_from + step.hold, stage.entered + max(step.hold, deadline)

    def _planned(self, at: datetime, heard: tuple[Question, Mapping[Query, Answer]] | None = None) -> Plan:
        """The operator's plan at a moment, in a world in which all that was written is in force."""
        world = self._present_world()
        rollout = Rollout(self._owner, 1, self._policy.wish, None, self.status)
        return plan(rollout, world.heard(*heard) if heard else world, at)

    def _asked(self, at: datetime, ask: Ask) -> Plan:
        """The plan with the answers of the past to its question, asked in the names of the past."""
        planned = self._planned(at)
        if (question := planned.questions) is None or question.at is None:
            return planned  # nothing is compared at this step
        asked = self._in_words_of_the_past(question)
        ours = replace(question, history=(), asked=asked, intended=None)  # nobody split the requests of the past
        return self._planned(at, (ours, ask(ours.asked)))

    def _in_words_of_the_past(self, question: Question) -> tuple[Query, ...]:
        arms = self._arms
        mine = queries(arms.of_candidate, arms.candidate, None, question.reaches)
        if not question.compares:
            return mine
        both = queries(arms.of_stable, arms.candidate, arms.stable, question.reaches)
        return (*mine, *(query for query in both if query.arm == arms.stable.arm))

    def _has_moved(self, made: Plan) -> bool:
        """Whether the plan leads to another step; when held at the last comparison, only a rollback does."""
        before, after = self.status, made.status
        return _place(after) != _place(before) and not self._is_too_far(after)

    def _is_too_far(self, status: ModelRolloutStatus) -> bool:
        stage = status.stage
        return self._is_held and stage is not None and exposure_at(stage) == EVERYBODY

    def _take(self, at: datetime, made: Plan) -> None:
        """Takes over the status of a plan, and of the plans that follow without a look."""
        before, after = self.status, made.status
        if self._is_too_far(after):
            after = changed(after, phase=before.phase, stage=before.stage)
        self.status = after
        if _place(after) != _place(before):
            self._strides = 1
            self._tell(at, before)
            self._go_on(at)

    def _go_on(self, at: datetime) -> None:
        if self.turns and self.is_over:
            return
        made = self._planned(at)
        if self._has_moved(made):
            self._take(at, made)
        else:  # the step has begun: its exposure is seen in force
            self.status = made.status

    def _tell(self, at: datetime, before: ModelRolloutStatus) -> None:
        status, weight = self.status, before.stage.weight if before.stage else 0
        match status.phase:
            case Phase.ROLLING_BACK:
                self.turns.append(Turn(at, ROLLED_BACK, weight, status.rejected[0].message))
            case Phase.HEALTHY:
                self.turns.append(Turn(at, PROMOTED, 100))
            case Phase.PROGRESSING | Phase.BAKING if status.stage is not None:
                self.turns.append(Turn(at, status.stage.name, status.stage.weight))

    def _present_world(self) -> World:
        if self._world is None or self._world[0] != self.status.stage:
            self._world = self.status.stage, self._perfect_world()
        return self._world[1]

    def _perfect_world(self) -> World:
        """A world in which everything that the step asks for exists."""
        status, wish = self.status, self._policy.wish
        stable, candidate = status.stable, status.candidate
        if stable is None or candidate is None:
            return World(self._owner.name)
        exposure = exposure_at(status.stage) if status.stage else NOBODY
        step = current(self._way, status)
        size = wish.router.pods(step.pods_for or step.exposure, wish.size)
        sides = [Backend(arm.workload, arm.revision, wish.spec.traffic.port) for arm in (stable, candidate)]
        notes = Notes(since=status.stage.counted_from if status.stage else None)
        routing = Routing(sides[0], sides[1], exposure, notes)
        there = self._presumed
        writes = wish.router.render(self._owner, wish.spec.traffic, routing, there)
        routes = [accepted(outcome(write, there.get(write.ref))) for write in writes]
        return World.of(self._owner.name, [*routes, self._ready(stable, wish.size), self._ready(candidate, size)])

    def _ready(self, arm: Arm, size: int | None) -> Manifest:
        wish = self._policy.wish
        rendered = wish.kind.render(self._owner, Names(arm.workload, arm.revision), wish.template, size)
        count = 1 if size is None else size
        counts = {"readyReplicas": count, "availableReplicas": count}
        return {**rendered, "status": {**counts, "observedGeneration": 1}}


def _place(status: ModelRolloutStatus) -> tuple[object, ...]:
    """Where a rollout stands, whenever it got there."""
    stage = status.stage
    return status.phase, stage and (stage.index, stage.name, stage.step, exposure_at(stage))
