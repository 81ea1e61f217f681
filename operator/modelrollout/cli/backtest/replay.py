"""One rollout, replayed: the operator's own decisions, one look after the other, over samples of the past. Pure.

All but the metrics is as good as can be: pods are ready, the route is in force, so only verdicts decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from modelrollout.analysis.judge import Case, Judgement, judge
from modelrollout.analysis.queries import ArmNames, Reach, queries
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
from modelrollout.objects.manifests import Manifest, Owner
from modelrollout.plan import checks, evidence
from modelrollout.plan.decide import decide
from modelrollout.plan.sight import Sight
from modelrollout.plan.statuses import changed
from modelrollout.plan.world import Observed
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.rollout import Rollout
from modelrollout.traffic.router import Backend, Split
from modelrollout.workloads import deployment

Ask = Callable[[Sequence[Query]], Mapping[Query, Answer]]
LONGEST_STRIDE = timedelta(minutes=10)
"""Between two looks at most: a look must not read further back than the operator's would."""
FASTER = 3
"""By so much longer the strides get while nothing happens."""
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
    """What a look said: at a step, which has `weight` percent."""

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
        self, policy: Policy, arms: Arms, start: datetime, usual: Sequence[UsualMetric], *, seed: str,
        is_held: bool = False, grain: timedelta | None = None,
    ) -> None:  # fmt: skip
        self._policy, self._arms, self._is_held = policy, arms, is_held
        self._interval = policy.analysis.interval.timedelta
        self._grain = grain
        self._owner = Owner(policy.namespace, policy.name, f"backtest/{seed}")
        candidate = CandidateArm(
            revision=policy.wish.revision, model=policy.wish.model, workload=f"{policy.name}-candidate", since=start
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
        self._observed: tuple[StageStatus | None, Observed] | None = None
        self._decide(start, None)

    @property
    def basis(self) -> Mapping[str, str]:
        """A digest of what each metric is judged by, which the history of stable is noted with."""
        return evidence.bases(self._sight(self.turns[0].at, Observed()), self._policy.analysis)

    @property
    def is_over(self) -> bool:
        return self.status.phase not in (Phase.PROGRESSING, Phase.PROMOTING, Phase.BAKING)

    @property
    def is_taken_back(self) -> bool:
        return bool(self.turns) and self.turns[-1].stage == ROLLED_BACK

    @property
    def read_from(self) -> float:
        """The oldest samples that a look to come may ask for, unix seconds."""
        at = self.last.at if self.last else self.turns[0].at
        case = self._case(at)
        if case is None:
            return at.timestamp()
        return min(case.before(metric).since for metric in case.analysis.metrics)

    def looks(self, until: datetime, ask: Ask) -> Iterator[Look]:
        """Every look that is due up to a moment, which then has been taken."""
        while not self.is_over and (at := self._next()) <= until:
            at, judgement = self._found(at, min(until, at + LONGEST_STRIDE), ask)
            stage = self._stage
            self.last = Look(at, stage.name, stage.weight, judgement.verdicts)
            self._decide(at, judgement)
            yield self.last

    @property
    def _stage(self) -> StageStatus:
        if self.status.stage is None:
            raise ValueError("a rollout that is not over is always at a step")
        return self.status.stage

    def _next(self) -> datetime:
        since = self._stage.since
        done = int((self.last.at - since) / self._interval + 1e-9) if self.last and self.last.at > since else 0
        return since + (done + 1) * self._interval

    def _found(self, at: datetime, latest: datetime, ask: Ask) -> tuple[datetime, Judgement]:
        """The next look that decides something, or one of those before it; with what it says.

        What is ruled out or shown stays so within a step, so the first look that decides is found by halving.
        """
        if self._grain is None:
            return at, self._judged(at, ask)

        def moment(number: int) -> datetime:
            return at + (number - 1) * self._interval

        found = self._stride(at, latest)
        judgement = self._judged(moment(found), ask)
        if not self._decides(moment(found), judgement):
            return moment(found), judgement
        has_failed = any(verdict.verdict is Verdict.FAIL for verdict in judgement.verdicts)
        # Looks up to number `known` decide nothing: before the hold is over only a failure does.
        known = 0 if has_failed else min(self._looks_before(at, self._turning_points()[0]), found - 1)
        while found - known > 1:
            middle = (known + found) // 2
            other = self._judged(moment(middle), ask)
            if self._decides(moment(middle), other):
                found, judgement = middle, other
            else:
                known = middle
        return moment(found), judgement

    def _stride(self, at: datetime, latest: datetime) -> int:
        """So many looks further is the next one: at the end of the hold, or a little further each time after it."""
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
        stage, wish = self._stage, self._policy.wish
        held = checks.hold(self.status, wish)
        deadline = max(held, wish.spec.analysis.step_deadline.timedelta)
        return stage.since + held, stage.entered + deadline

    def _decides(self, at: datetime, judgement: Judgement) -> bool:
        found = {verdict.verdict for verdict in judgement.verdicts}
        may_move = at >= self._turning_points()[0] and not (self._is_held and self._is_last())
        return Verdict.FAIL in found or (may_move and found == {Verdict.PASS})

    def _is_last(self) -> bool:
        decided = decide(replace(self._sight(self._turning_points()[0], self._observed_now()), verdicts=()))
        stage = decided.status.stage
        return stage is None or stage.weight >= 100

    def _case(self, at: datetime) -> Case | None:
        known = self.status.evidence
        return evidence.case(self._sight(at, Observed()), known, at) if known else None

    def _judged(self, at: datetime, ask: Ask) -> Judgement:
        case = self._case(at)
        if case is None:
            raise ValueError("a step has begun, so there is evidence to go on from")
        asked = self._queries(case)
        return judge(case, asked, ask(asked))

    def _queries(self, case: Case) -> tuple[Query, ...]:
        reaches = {}
        for metric in case.analysis.metrics:
            before, line = case.before(metric), case.course
            first = _moment(line.time(before.first + 1))
            tick = timedelta(seconds=line.tick)
            reaches[metric.name] = Reach(_moment(before.since), first, _moment(case.end), tick)
        arms = self._arms
        mine = queries(arms.of_candidate, arms.candidate, None, reaches)
        if self._stage.weight >= 100:  # as the operator: there is nothing to compare with by then
            return mine
        both = queries(arms.of_stable, arms.candidate, arms.stable, reaches)
        return (*mine, *(query for query in both if query.arm == arms.stable.arm))

    def _decide(self, at: datetime, judgement: Judgement | None) -> None:
        """What the operator would have decided at this look; at once with what follows from it by itself."""
        verdicts = judgement.verdicts if judgement else None
        checkpoint = judgement.checkpoint if judgement else None
        while True:
            before = self.status
            sight = replace(self._sight(at, self._observed_now()), verdicts=verdicts)
            after = decide(sight).status
            if self._is_held and after.stage is not None and after.stage.weight >= 100:
                after = before
            kept = evidence.checkpointed(before, after, checkpoint, self._interval)
            self.status = changed(after, evidence=kept)
            if (after.phase, after.stage) == (before.phase, before.stage):
                return
            self._strides = 1
            self._tell(at, before)
            if self.is_over:
                return
            verdicts = checkpoint = None  # they spoke of the step before

    def _tell(self, at: datetime, before: ModelRolloutStatus) -> None:
        status, weight = self.status, before.stage.weight if before.stage else 0
        match status.phase:
            case Phase.ROLLING_BACK:
                self.turns.append(Turn(at, ROLLED_BACK, weight, status.rejected[0].message))
            case Phase.HEALTHY:
                self.turns.append(Turn(at, PROMOTED, 100))
            case Phase.PROGRESSING | Phase.BAKING if status.stage is not None:
                self.turns.append(Turn(at, status.stage.name, status.stage.weight))

    def _sight(self, at: datetime, observed: Observed) -> Sight:
        return Sight(Rollout(self._owner, 1, self._policy.wish, None, self.status), observed, at)

    def _observed_now(self) -> Observed:
        """The world as it is when all goes well: what the step asks for is there."""
        if self._observed is None or self._observed[0] != self.status.stage:
            self._observed = self.status.stage, self._world()
        return self._observed[1]

    def _world(self) -> Observed:
        status, wish = self.status, self._policy.wish
        stable, candidate, weight = status.stable, status.candidate, status.stage.weight if status.stage else 0
        if stable is None or candidate is None:
            return Observed()
        pods = wish.router.candidate_pods(weight or 1, wish.pods) if wish.pods else None
        sizes = ((stable, wish.pods), (candidate, pods))
        sides = [Backend(arm.workload, arm.revision, wish.spec.traffic.port) for arm, _ in sizes]
        split = Split(sides[0], sides[1], weight, since=status.stage.since if status.stage else None)
        route = wish.router.render(self._owner, wish.spec.traffic, split)
        workloads = tuple(self._ready(arm, count) for arm, count in sizes)
        return Observed(workloads=workloads, routes={wish.router.resource: route})

    def _ready(self, arm: Arm, pods: int | None) -> Manifest:
        rendered = deployment.render(self._owner, arm.workload, arm.revision, self._policy.wish.template, pods)
        return {**rendered, "status": {"readyReplicas": 1 if pods is None else pods, "observedGeneration": 1}}


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
