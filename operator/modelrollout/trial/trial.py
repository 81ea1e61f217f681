"""A step of a release, a candidate on trial at it, and the form of the questions asked of it. Pure.

Everything that differs between kinds of stages is in the value of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from modelrollout.analysis.evidence.look import Goal
from modelrollout.api.compare import Compare
from modelrollout.api.findings import Finding
from modelrollout.api.status import CandidateArm, ModelRolloutStatus, Phase, StageStatus
from modelrollout.objects.manifests import Apply
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import Exposure
from modelrollout.traffic.router import ALL_REQUESTS, Backend, Copied
from modelrollout.trial.facts import Facts
from modelrollout.trial.smoke import Smoke


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step stands: what status.stage records of it."""

    index: int  # of the stage
    stage: str
    number: int  # within its stage


@dataclass(frozen=True, slots=True)
class Patience:
    """How long evidence is waited for at a step, and what follows then. The fields say so in a spec."""

    deadline: timedelta
    on_inconclusive: Literal["hold", "promote", "rollback"]
    deadline_field: str
    field: str


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a release; the next one begins when nothing of this one is waited for.

    `waits` are asked in order before the next step begins; `fails` take the candidate back, in
    addition to the checks that do so everywhere. `objects` live as long as the step does, and `copies_to` may be one of
    them: whoever gets the copies of requests instead of the candidate itself.
    """

    place: Place
    phase: Phase
    exposure: Exposure
    hold: timedelta
    begins: Finding  # told when it does
    waits: tuple[Check, ...]
    fails: tuple[Check, ...] = ()
    is_judged: bool = True  # its time counts as time in which metrics are compared
    pods_for: Exposure | None = None  # the exposure that the candidate has its pods for; None: the step's own
    judged: frozenset[str] | None = None  # the metrics that decide; None: all
    part: int | None = None  # percent of requests that are to reach the candidate; None: as the weight or mirror says
    goal: Goal | None = None  # what is to be shown of one metric, instead of what it excludes
    patience: Patience | None = None  # None: as the spec's analysis says
    draw: Callable[[Trial], Draw | None] = lambda _: None  # of users whom a cookie keeps
    copied: Copied = ALL_REQUESTS
    compare: Compare | None = None  # how the answers to copies are compared
    copies_to: Callable[[Trial], Backend | None] = lambda _: None
    objects: Callable[[Trial], Iterator[Apply]] = lambda _: iter(())
    smoke: Smoke | None = None  # what the operator itself asks of the candidate
    needs_approval: bool = False  # of a person, before it ends

    @property
    def reach(self) -> Exposure:
        """The exposure by its size: those who were drawn weigh as much as any other users."""
        return self.exposure if self.part is None else Exposure(weight=self.part)


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate, the step it is at, and all that is known. `status` is the one in the making."""

    facts: Facts
    status: ModelRolloutStatus
    wish: Wish
    candidate: CandidateArm
    step: Step  # before the first, that which it waits for

    @property
    def stage(self) -> StageStatus:
        if self.status.stage is None:
            raise ValueError("a candidate that is on trial is always at a step")
        return self.status.stage


Check = Callable[[Trial], Finding | None]
"""Looks at one thing, and says what stands in the way."""


def first(checks: Sequence[Check], trial: Trial) -> Finding | None:
    """The finding of the first check that has one."""
    return next((found for check in checks if (found := check(trial)) is not None), None)
