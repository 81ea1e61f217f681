"""What the operator found and decided: ``status`` of a ModelRollout. Pure.

It carries intent: phase, candidate, step and since when. What can be measured (ready pods, the live weight) is read
again in every pass and never trusted from here.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from operator import not_
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modelrollout.api.base import Record
from modelrollout.api.people import LastAction, Pause, Waiver
from modelrollout.api.scalars import FinePercent, Time
from modelrollout.api.smoke_status import SmokeStatus

_Revision = Annotated[str, Field(description="The revision: a digest of the model and of what its pods run.")]
_Workload = Annotated[str, Field(description="Name of its workload, and of its Service.")]
_Metric = Annotated[str, Field(description="Its name.")]
_Reason = Annotated[str, Field(description="Why, in a word for programs.")]
_Message = Annotated[str, Field(description="Why, in a sentence.")]
_At = Annotated[Time, Field(description="When it happened.")]


class Phase(StrEnum):
    """Where a rollout stands. What may follow what is in ``plan/phases.py``."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    PROMOTING = "Promoting"
    BAKING = "Baking"
    HEALTHY = "Healthy"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    INVALID = "Invalid"


class Verdict(StrEnum):
    """What the evidence on one metric says. Only FAIL takes traffic back; only PASS lets a step end."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a secret
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"
    UNAVAILABLE = "Unavailable"


class VersionInfo(Record):
    """The released model, as people name it."""

    name: Annotated[str, Field(description="The model's name.")]
    version: Annotated[str, Field(description="Its version.")]
    uri: Annotated[str | None, Field(description="Where its files are.")] = None


class Arm(Record):
    """One side of the comparison: a revision and the workload that serves it (its Service has the same name)."""

    revision: _Revision
    model: VersionInfo
    workload: _Workload
    port: Annotated[
        int | None,
        Field(
            description="The port its containers listen on. Versions before this field have it in the arm's Service."
        ),
    ] = None


class CandidateArm(Arm):
    """The arm on trial."""

    since: Annotated[Time, Field(description="When it became the candidate.")]
    unready_since: Annotated[
        Time | None, Field(description="Since when it has been waiting to be ready; absent while it is.")
    ] = None
    waited: Annotated[
        int,
        Field(
            ge=0,
            exclude_if=not_,
            description="Seconds of this step that it was not ready for before; progressDeadline bounds them in all.",
        ),
    ] = 0
    blocked_since: Annotated[
        Time | None,
        Field(
            description="Since when its pods cannot come for no fault of its own, or it is paused without them; "
            "progressDeadline stands."
        ),
    ] = None
    stable_pods: Annotated[
        int | None, Field(ge=0, description="The most pods that the stable version had when a step began.")
    ] = None
    first_weights: Annotated[
        dict[str, int],
        Field(
            exclude_if=not_,
            max_length=16,
            description="By stage, the weight that a canary begins with where the usual traffic asks for more than "
            "the spec's first one (firstWeightAtMost).",
        ),
    ] = Field(default_factory=dict)
    drawn: Annotated[
        tuple[int, ...],
        Field(
            exclude_if=not_,
            max_length=8,
            description="Percentages at which a cookie of the route's has kept users (abTest with sticky.cookie).",
        ),
    ] = ()
    retried: Annotated[Time | None, Field(description="When somebody asked to try it once more.")] = None
    waived: Annotated[
        Waiver | None, Field(description="Set by promote-full: no further step of the stages is waited for.")
    ] = None
    took_over: Annotated[
        Time | None, Field(description="When it took over from a stable version without a ready pod.")
    ] = None


class StageStatus(Record):
    """The step that the rollout is at."""

    index: Annotated[int, Field(ge=0, description="Its number in spec.stages, from 0.")]
    name: Annotated[str, Field(description="The stage's name.")]
    step: Annotated[int, Field(ge=0, description="The number of the step within the stage, from 0.")]
    weight: Annotated[int, Field(ge=0, le=100, description="Percent that the candidate shall have while it is ready.")]
    mirror: Annotated[
        FinePercent, Field(exclude_if=not_, description="Percent of requests of which the candidate gets a copy.")
    ] = 0
    asked: Annotated[
        tuple[str, ...],
        Field(exclude_if=not_, description="Requests that the candidate answers because they ask for it."),
    ] = ()
    entered: Annotated[Time, Field(description="When this step was reached.")]
    since: Annotated[
        Time | None,
        Field(description="Since when its weight has been in force without a break; absent while it is not."),
    ] = None
    smoke: Annotated[SmokeStatus | None, Field(description="What the candidate answered to smoke requests.")] = None
    waived: Annotated[
        Waiver | None, Field(description="Set by approve, promote and skip: what this step waits for no more.")
    ] = None
    asked_since: Annotated[
        Time | None,
        Field(description="When a person was first asked to approve this step, since all else allowed to go on."),
    ] = None
    paused_for: Annotated[
        int,
        Field(ge=0, exclude_if=not_, description="Seconds of this step in pauses; its deadlines are as much later."),
    ] = 0

    @property
    def counted_from(self) -> datetime:
        """When the first look is counted from: a weight that is not accepted yet may be in force all the same."""
        return self.since or self.entered


QUERY_REJECTED = "QueryRejected"
"""The reason of a verdict for which the user's own metric is to blame: waiting does not mend it."""
ASKS_WRONGLY = " asks wrongly: "
"""Stands in such a verdict's message, after the metric's name."""


class MetricVerdict(Record):
    """What one metric said, with its evidence."""

    metric: _Metric
    verdict: Verdict
    reason: Annotated[
        str | None, Field(description="QueryRejected where the metric asks wrongly, so that waiting does not help.")
    ] = None
    candidate: Annotated[str | None, Field(description="The candidate's value.")] = None
    stable: Annotated[str | None, Field(description="Stable's value.")] = None
    bound: Annotated[str | None, Field(description="The limit that the candidate was held against.")] = None
    difference: Annotated[
        str | None, Field(description="Candidate compared with stable, between what and what; holds at any time.")
    ] = None
    evidence: Annotated[
        str | None, Field(description="Evidence of a regression, as a share of what a rollback takes.")
    ] = None
    ruled_out: Annotated[
        str | None, Field(description="Evidence against what must be ruled out, as a share of what moving on takes.")
    ] = None
    samples: Annotated[int | None, Field(ge=0, description="Samples of the candidate.")] = None
    stable_samples: Annotated[int | None, Field(ge=0, description="Samples of stable.")] = None
    message: Annotated[str, Field(description="The verdict in a sentence.")]
    query: Annotated[str | None, Field(description="The candidate's query, as it was sent.")] = None
    window_start: Annotated[Time | None, Field(description="From when on samples were read.")] = None
    window_end: Annotated[Time | None, Field(description="Until when.")] = None

    @model_validator(mode="before")
    @classmethod
    def _with_reason(cls, written: Any) -> Any:
        """Versions before this field told by the message alone that a metric asks wrongly."""
        if not isinstance(written, dict) or "reason" in written:
            return written
        is_told = str(written.get("message")).startswith(f"{written.get('metric')}{ASKS_WRONGLY}")
        return {**written, "reason": QUERY_REJECTED} if is_told else written


class MetricEvidence(Record):
    """Where the tests of one metric stand."""

    metric: _Metric
    basis: Annotated[str, Field(description="Digest of what it is judged by; another one begins anew.")]
    ticks: Annotated[int, Field(ge=0, description="How many ticks are in the state; later samples are read again.")]
    state: Annotated[str, Field(description="The wealth of its tests, packed.")]


class UsualMetric(Record):
    """What stable's history says of one metric."""

    metric: _Metric
    mode: Annotated[str, Field(description="How events are counted: Plain, Ranked, Dispersed, Strict or Assumed.")]
    basis: Annotated[str, Field(description="Digest of what it is judged by.")]
    state: Annotated[str, Field(description="Rates, noise and shape, packed.")] = ""
    sees: Annotated[str | None, Field(description="What the plan can and cannot see in it.")] = None
    is_blind: Annotated[bool, Field(description="Whether the plan is too short to see even a doubling.")] = False
    note: Annotated[str | None, Field(description="What has to be known of it.")] = None


class EvidenceStatus(Record):
    """What the comparison of candidate and stable rests on: a checkpoint from which samples are read on."""

    at: Annotated[Time | None, Field(description="When the history of stable was read.")] = None
    usual: Annotated[tuple[UsualMetric, ...], Field(description="What stable's history says.")] = ()
    start: Annotated[Time | None, Field(description="When the first step began.")] = None
    tick: Annotated[str | None, Field(description="Length of a tick.")] = None
    later_steps: Annotated[int, Field(ge=0, description="How many steps were planned after the first.")] = 0
    planned: Annotated[int, Field(ge=0, description="Seconds that the stages were planned to take.")] = 0
    steps: Annotated[tuple[Time, ...], Field(description="When later steps began.")] = ()
    metrics: Annotated[
        tuple[MetricEvidence, ...],
        Field(
            description="Where the tests of each metric stand.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric"]},
        ),
    ] = ()


class Retired(Record):
    """A revision that serves nobody and whose objects go away."""

    revision: _Revision
    workload: _Workload
    delete_after: Annotated[Time, Field(description="When they may go.")]


class Outcome(Record):
    """How one release ended."""

    revision: _Revision
    model: VersionInfo
    outcome: Literal["Installed", "Promoted", "RolledBack", "Superseded", "Cancelled"]
    reason: _Reason
    message: _Message
    at: _At


class Rejection(Record):
    """A revision that was taken back and is not tried again."""

    revision: _Revision
    model: VersionInfo
    reason: _Reason
    message: _Message
    at: _At


class Errand(Record):
    """Something to be delivered once after a decision, while the rollout goes on."""

    id: Annotated[str, Field(description="The same in every attempt: receivers tell repetitions by it.")]
    kind: Annotated[str, Field(description="What is delivered; notification is the only kind so far.")]
    to: Annotated[tuple[str, ...], Field(description="The targets that have yet to get it, by name.")]
    at: Annotated[Time, Field(description="When it was decided.")]
    facts: Annotated[dict[str, str], Field(max_length=32, description="What it says.")] = Field(default_factory=dict)


class Condition(Record):
    """A Kubernetes condition (``metav1.Condition``)."""

    type: Annotated[str, Field(description="What it is about, such as Ready.")]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Whether it is so.")]
    observed_generation: Annotated[
        int | None, Field(ge=0, description="The generation of the spec that it speaks of.")
    ] = None
    last_transition_time: Annotated[Time, Field(description="Since when its status is this.")]
    reason: _Reason
    message: _Message


class ModelRolloutStatus(Record):
    """Where the rollout stands, and why."""

    observed_generation: Annotated[
        int | None, Field(ge=0, description="The generation of the spec that the rest speaks of.")
    ] = None
    phase: Annotated[Phase | None, Field(description="Where the rollout stands.")] = None
    resumes: Annotated[Phase | None, Field(description="The phase that goes on once an invalid spec is mended.")] = None
    message: Annotated[str | None, Field(description="What is going on, in a sentence.")] = None
    stable: Arm | None = None
    stable_out_since: Annotated[
        Time | None, Field(description="Since when the stable version has had no ready pod at all.")
    ] = None
    candidate: CandidateArm | None = None
    stage: StageStatus | None = None
    paused: Annotated[
        Pause | None, Field(description="Present while the release is paused; failing metrics still take it back.")
    ] = None
    verdicts: Annotated[
        tuple[MetricVerdict, ...],
        Field(
            description="What each metric said last.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["metric"]},
        ),
    ] = ()
    evidence: Annotated[
        EvidenceStatus | None, Field(description="Where the tests stand, so that a restart loses nothing.")
    ] = None
    retired: Annotated[
        tuple[Retired, ...],
        Field(
            description="Revisions whose objects are kept for a while, or are going away.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["revision"]},
        ),
    ] = ()
    lent: Annotated[
        tuple[str, ...],
        Field(
            exclude_if=not_,
            description="Routes of yours (spec.traffic.routeRef) that this rollout has changed, or is about to.",
        ),
    ] = ()
    history: Annotated[
        tuple[Outcome, ...], Field(description="The last ten releases, newest first.", max_length=10)
    ] = ()
    rejected: Annotated[
        tuple[Rejection, ...], Field(description="Revisions that were taken back, newest first.", max_length=20)
    ] = ()
    last_action: Annotated[
        LastAction | None, Field(description="What a person asked for last; repeating it does nothing.")
    ] = None
    earlier_actions: Annotated[
        tuple[LastAction, ...],
        Field(
            exclude_if=not_,
            max_length=9,
            description="What was asked for before, seen last first; repeating it does nothing either.",
        ),
    ] = ()
    errands: Annotated[
        tuple[Errand, ...],
        Field(
            exclude_if=not_,
            max_length=10,
            description="What has yet to be delivered, such as notifications; oldest first.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        ),
    ] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            description="Ready, Progressing and the others, as `kubectl wait` reads them.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()

    def condition(self, type_: str) -> Condition | None:
        """The condition of a type, if it is there."""
        return next((one for one in self.conditions if one.type == type_), None)
