"""The result of a pass: the next status, writes, Events and questions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from modelrollout.api.status import MetricVerdict, ModelRolloutStatus
from modelrollout.objects.manifests import Apply, Write
from modelrollout.trial.question import Question
from modelrollout.trial.smoke import SmokeRound


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling; Kubernetes shows it with `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass shall do, in this order: retreat, save status, write the rest, tell.

    `rehearsal`, `smoke` and `questions`: what it would like to know first, one of these at a time: whether the API
    server takes these objects, what the candidate answers, and what Prometheus says. A plan that asks leaves everything
    as it is; with the answers in the world, another is made. Taking traffic back does not wait for answers.
    """

    status: ModelRolloutStatus
    retreat: tuple[Write, ...] = ()
    writes: tuple[Write, ...] = ()
    events: tuple[Event, ...] = ()
    rehearsal: tuple[Apply, ...] = ()
    smoke: SmokeRound | None = None
    questions: Question | None = None
    verdicts: tuple[MetricVerdict, ...] | None = None  # of the look that was answered
    recheck: timedelta | None = None
