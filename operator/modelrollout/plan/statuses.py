"""New statuses from old ones. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from modelrollout.api.findings import Finding
from modelrollout.api.status import (
    Arm,
    CandidateArm,
    ModelRolloutStatus,
    Outcome,
    Phase,
    Rejection,
    Retired,
    StageStatus,
    VersionInfo,
)
from modelrollout.rollout.rollout import Rollout, Wish

MOST_OUTCOMES = 10
MOST_REJECTIONS = 20
DRAIN = timedelta(seconds=30)
"""How long pods outlive their traffic: gateways take a moment to hear of it, and slow answers are on their way."""


def changed(status: ModelRolloutStatus, **fields: Any) -> ModelRolloutStatus:
    """A validated copy with other fields; `model_copy` would not validate."""
    return ModelRolloutStatus(**{**dict(status), **fields})


def with_candidate(status: ModelRolloutStatus, **fields: Any) -> ModelRolloutStatus:
    """A validated copy whose candidate has other fields."""
    if status.candidate is None:
        return status
    return changed(status, candidate=CandidateArm(**{**dict(status.candidate), **fields}))


def with_stage(status: ModelRolloutStatus, **fields: Any) -> ModelRolloutStatus:
    """A validated copy whose step has other fields."""
    if status.stage is None:
        return status
    return changed(status, stage=StageStatus(**{**dict(status.stage), **fields}))


def with_new_candidate(status: ModelRolloutStatus, rollout: Rollout, wish: Wish, now: datetime) -> ModelRolloutStatus:
    """Makes the wished revision the candidate; it has yet to become ready.

    One that is kept (status.retired) stays so: whatever becomes of this release, its pods were promised until then.
    """
    candidate = CandidateArm(
        revision=wish.revision,
        model=wish.model,
        workload=rollout.workload(wish.revision),
        port=wish.spec.traffic.port,
        since=now,
        unready_since=now,
    )
    return changed(
        status,
        phase=Phase.PENDING,
        candidate=candidate,
        stage=None,
        verdicts=(),
        evidence=None,
    )


def without_candidate(
    status: ModelRolloutStatus,
    outcome: Literal["Superseded", "Cancelled", "RolledBack"],
    why: Finding,
    now: datetime,
) -> ModelRolloutStatus:
    """Retires the candidate and records its end in the history."""
    if status.candidate is None:
        return status
    return changed(
        retired(status, status.candidate, now + DRAIN),
        candidate=None,
        stage=None,
        evidence=None,
        history=remembered(status, status.candidate, outcome, why, now),
    )


def promoted(status: ModelRolloutStatus, keep_old: timedelta, why: Finding, now: datetime) -> ModelRolloutStatus:
    """Makes the candidate stable; the old stable is kept for a while."""
    if (new := status.candidate) is None:
        return status
    if status.stable is not None:
        status = retired(status, status.stable, now + max(keep_old, DRAIN))
        outcome: Literal["Promoted", "Installed"] = "Promoted"
    else:
        outcome = "Installed"
    return changed(
        _not_retired(status, new.revision),
        phase=Phase.HEALTHY,
        stable=Arm(revision=new.revision, model=new.model, workload=new.workload, port=new.port),
        stable_out_since=None,
        candidate=None,
        stage=None,
        evidence=None,
        history=remembered(status, new, outcome, why, now),
    )


def rejected(status: ModelRolloutStatus, why: Finding, now: datetime) -> ModelRolloutStatus:
    """Marks the candidate as rejected: it is rolled back, and not tried again unless asked for."""
    if (bad := status.candidate) is None:
        return status
    stage = status.stage and type(status.stage)(**{**dict(status.stage), "weight": 0, "mirror": 0, "asked": ()})
    refused = with_rejection(status, bad.revision, bad.model, why, now)
    return changed(refused, phase=Phase.ROLLING_BACK, stage=stage, paused=None)


def with_rejection(
    status: ModelRolloutStatus, revision: str, model: VersionInfo, why: Finding, now: datetime
) -> ModelRolloutStatus:
    """Adds a revision to those that are not tried unless somebody asks."""
    entry = Rejection(revision=revision, model=model, reason=why.reason, message=why.message, at=now)
    others = (old for old in status.rejected if old.revision != revision)
    return changed(status, rejected=(entry, *others)[:MOST_REJECTIONS])


def undone(status: ModelRolloutStatus, back_to: Arm, why: Finding, now: datetime) -> ModelRolloutStatus:
    """Makes an older version stable again. The one that was is as one that was taken back: it is not tried again."""
    if (old := status.stable) is None:
        return status
    refused = with_rejection(_not_retired(status, back_to.revision), old.revision, old.model, why, now)
    return changed(
        retired(refused, old, now + DRAIN),
        phase=Phase.ROLLED_BACK,
        stable=back_to,
        stable_out_since=None,
        history=remembered(status, old, "RolledBack", why, now),
    )


def retired(status: ModelRolloutStatus, arm: Arm, delete_after: datetime) -> ModelRolloutStatus:
    """Adds an arm to those whose objects are deleted; a later deletion that was promised before is kept."""
    stays = [old.delete_after for old in status.retired if old.revision == arm.revision]
    entry = Retired(revision=arm.revision, workload=arm.workload, delete_after=max([delete_after, *stays]))
    others = _not_retired(status, arm.revision)
    return changed(others, retired=(*others.retired, entry))


def _not_retired(status: ModelRolloutStatus, revision: str) -> ModelRolloutStatus:
    """Without the deletion of that revision."""
    return changed(status, retired=tuple(old for old in status.retired if old.revision != revision))


def remembered(
    status: ModelRolloutStatus,
    arm: Arm,
    outcome: Literal["Installed", "Promoted", "RolledBack", "Superseded", "Cancelled"],
    why: Finding,
    now: datetime,
) -> tuple[Outcome, ...]:
    """The history with one more finished release, newest first."""
    entry = Outcome(
        revision=arm.revision, model=arm.model, outcome=outcome, reason=why.reason, message=why.message, at=now
    )
    return (entry, *status.history)[:MOST_OUTCOMES]


def rejection_of(status: ModelRolloutStatus, revision: str) -> Rejection | None:
    return next((entry for entry in status.rejected if entry.revision == revision), None)


def is_to_take_over(status: ModelRolloutStatus, wish: Wish) -> bool:
    """Whether the wished revision is to begin beside others that may go on without it, one of which serves."""
    arms = [arm.revision for arm in (status.stable, status.candidate) if arm is not None]
    is_known = wish.revision in arms or rejection_of(status, wish.revision) is not None
    return status.stable is not None and not is_known


def is_passed_over(status: ModelRolloutStatus, wish: Wish) -> bool:
    """Whether the wished revision was aborted while it waited beside the candidate, which goes on."""
    candidate, entry = status.candidate, rejection_of(status, wish.revision)
    if candidate is None or candidate.revision == wish.revision:
        return False
    return entry is not None and entry.at > candidate.since
