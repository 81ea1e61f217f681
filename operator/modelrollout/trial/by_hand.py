"""What follows from what people decided: less is waited for, and clocks stand. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.people import Waiver, by
from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.rollout.author import ACTION
from modelrollout.trial.trial import Trial

PAUSED, AWAITING_APPROVAL = "Paused", "AwaitingApproval"
LEFT_TO_PEOPLE = (PAUSED, AWAITING_APPROVAL)
"""Reasons of a step that goes on when somebody says so, and only then."""


def clock(status: ModelRolloutStatus, now: datetime) -> datetime:
    """The time by which the deadlines of a step go: it stands in pauses."""
    if status.stage is None:
        return now
    return now - timedelta(seconds=status.stage.paused_for) - _running(status, now)


def paused_for(status: ModelRolloutStatus, now: datetime) -> int:
    """The seconds of the step in pauses, the present one included."""
    before = status.stage.paused_for if status.stage is not None else 0
    return before + round(_running(status, now).total_seconds())


def _running(status: ModelRolloutStatus, now: datetime) -> timedelta:
    """How long the present pause lasts, at this step."""
    if status.paused is None or status.stage is None:
        return timedelta()
    return max(timedelta(), now - max(status.paused.at, status.stage.entered))


def waiver(trial: Trial) -> Waiver | None:
    """The decision by which this step waits for nothing but what is in force and ready; None without one."""
    stage, phase = trial.status.stage, trial.status.phase
    if phase in (Phase.PENDING, Phase.PROGRESSING) and trial.candidate.waived is not None:
        return trial.candidate.waived
    return stage.waived if stage is not None and stage.waived is not None and stage.waived.verb != "approve" else None


def is_paused(trial: Trial) -> Finding | None:
    if (pause := trial.status.paused) is None:
        return None
    where = f"{trial.status.stage.name} {trial.status.stage.weight} %: p" if trial.status.stage else "P"
    resume = f"It goes on once somebody asks for resume (annotation {ACTION})."
    return Finding(PAUSED, f"{where}aused{by(pause.by)} since {pause.at:%Y-%m-%d %H:%M:%S} UTC. {resume}")


def approval_is_missing(trial: Trial) -> Finding | None:
    """Asked last: a person is called once everything else says yes."""
    stage = trial.status.stage
    if not trial.step.needs_approval or stage is None or stage.waived is not None:
        return None
    how = f"It goes on once somebody approves it (annotation {ACTION}: approve/<token>)."
    return Finding(AWAITING_APPROVAL, f"{stage.name} {stage.weight} %: all that is measured allows to go on. {how}")
