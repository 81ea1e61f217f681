"""One look at one metric, of whatever kind: the state it starts from, and the evidence it finds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Ledger
from modelrollout.analysis.evidence.ticks import Course
from modelrollout.analysis.evidence.tracks import Track
from modelrollout.api.metric import Metric, Tolerance
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.levels import HOUR
from modelrollout.sequential.noise import INFLATION, SHARE_IN_NOISE, Mode

Floats = npt.NDArray[np.float64]
Parts = Mapping[str, tuple[Series, ...]]
"""The series of one arm, by part of the metric."""


CHANCE_OF_PODS = 0.005
"""Half of a false-rollback rate of 1 %."""
_NOISY = frozenset({Mode.RANKED, Mode.DISPERSED, Mode.STRICT})


@dataclass(frozen=True, slots=True)
class Intended:
    """The proportion in which requests are to reach the arms, and since when it is in force (unix seconds).

    `weight`: percent of users' requests that the candidate answers. `mirror`: percent of which it gets a copy.
    """

    weight: int
    mirror: float
    since: float

    @property
    def odds(self) -> float:
        """The candidate's requests, as a multiple of stable's."""
        return (self.weight + self.mirror) / (100 - self.weight)


ENOUGH = 10.0
"""Requests of the candidate that were to come before anything is said of its share."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests of both arms since the exposure is in force. `shown`: by side, ln of the evidence at this moment."""

    intended: Intended
    candidate: float
    stable: float
    shown: Mapping[str, float]

    @property
    def is_enough(self) -> bool:
        odds = self.intended.odds
        return (self.candidate + self.stable) * odds / (1 + odds) >= ENOUGH


GOAL_MARK = "goal.step"
NO_BETTER = "that it is no better than stable"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be shown of a metric. `margin`: the loss that is acceptable; None: the candidate has to be better."""

    metric: str
    margin: Tolerance | None = None

    @property
    def mark(self) -> Floats:
        """Its margin as numbers, for a checkpoint; another goal begins anew."""
        return np.array([self.margin.relative.value, self.margin.absolute.value] if self.margin else [-1.0, -1.0])

    def __str__(self) -> str:
        if self.margin is None:
            return f"that {self.metric} is better"
        parts = (self.margin.relative, self.margin.absolute)
        return f"that {self.metric} is worse by less than {' and '.join(str(one) for one in parts if one.value)}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why an arm cannot be judged. `mistake`: the user's metric is to blame, so waiting does not help.

    `arrivals`: requests reach the other arm, and so it may be known that too few reach this one.
    """

    verdict: Literal[Verdict.NO_DATA, Verdict.UNAVAILABLE]
    why: str
    mistake: bool = False
    arrivals: Arrivals | None = None


@dataclass(frozen=True, slots=True)
class Prior:
    """The statistics of a metric in stable's history, fixed before the first tick; None: unknown.

    `share`: of bad events. `rate`: stable's requests per second. `dispersion`: as a multiple of that of independent
    requests. `variance`: long-run, of the difference of two arms' readings.
    """

    mode: Mode = Mode.ASSUMED
    dispersion: float = 1.0
    share: float | None = None
    rate: float | None = None
    variance: float | None = None
    buckets: Mapping[float, float] | None = None  # by upper edge: requests up to it in the history
    threshold: float | None = None  # ln, calibrated to the plan, where the user asked for it
    load: float | None = None  # requests per second of a pod, at which dispersion was measured
    reach: float = 0.0  # ln: how far equal pods may lie apart for good (`levels`)
    reaches: Mapping[float, float] | None = None  # the same of a histogram's tails, by the edge that they begin at
    pods: int | None = None  # of stable
    seen: float = 0.0  # seconds of history
    chance: float = CHANCE_OF_PODS  # with which equal pods may lie farther apart than is allowed for

    @property
    def inflation(self) -> float:
        """Factor by which observed events are discounted for noise."""
        return INFLATION * self.dispersion if self.mode in _NOISY else 1.0

    @property
    def share_kept(self) -> float:
        """Fraction of its share of the error rate that a test of counted events may use."""
        is_unknown = self.mode is Mode.ASSUMED and self.seen < HOUR
        is_noisy = self.mode in _NOISY or self.reach > 0 or bool(self.reaches)
        return SHARE_IN_NOISE if is_unknown or is_noisy else 1.0

    @property
    def share_of_limits(self) -> float:
        """The same for limits on the candidate alone, for which it makes no difference how far pods lie apart."""
        return SHARE_IN_NOISE if self.inflation > 1 else 1.0


@dataclass(frozen=True, slots=True)
class LookStart:
    """Everything known before the new answers: the metric, the time line, and the state up to tick `first`."""

    metric: Metric
    course: Course
    prior: Prior
    first: int
    ledger: Ledger
    end: float  # of the look, unix seconds
    look_back: float
    warm_up: float
    threshold: float | None  # ln, by calibration; None: 1/α
    seed: str
    intended: Intended | None = None  # of the exposure in force, where the gateway is to split requests
    goal: Goal | None = None  # where this metric has one

    def restarts(self, edges: Floats) -> Floats:
        """The stake added in each tick between `edges`. Tests that begin late add the stakes due before at once."""
        onsets = self.course.onsets(is_late_expected=self.prior.inflation <= 1 and self.prior.threshold is None)
        restarts = onsets.restarts(edges, self.course.steps)
        if restarts.size and not self.ledger:
            restarts[0] += onsets.due(float(edges[0]), self.course.steps)
        return restarts

    def ledger_for_goal(self, test: str) -> Ledger:
        """The ledger; without what `test` ruled out for another goal, since somebody edited it."""
        kept = self.ledger.get(GOAL_MARK)
        is_same = self.goal is None or (kept is not None and np.array_equal(kept, self.goal.mark))
        return self.ledger if is_same else {name: one for name, one in self.ledger.items() if name != test}

    @property
    def goal_mark(self) -> Ledger:
        """What a checkpoint keeps of the goal."""
        return {GOAL_MARK: self.goal.mark} if self.goal is not None else {}

    @property
    def since(self) -> float:
        """The time from which samples were asked for."""
        return self.course.time(self.first) - self.look_back


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both arms' values, the number of their samples, and the bounds they were tested against."""

    unit: Literal["requests", "readings", "users", "answers"]
    what: str  # before the value, such as "p99 "
    candidate: str
    stable: str | None
    samples: float  # of the candidate, at this step
    stable_samples: float | None
    tracks: tuple[Track, ...]
    ticks: int  # new ones, including a last one that is cut short
    keep: Callable[[int], Ledger]  # the state after this many whole ticks
    seconds: float = 0.0  # in which the samples were taken
    interval: str | None = None  # the confidence interval of candidate against stable, in words
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # regressions that would not be detected
    gap: Missing | None = None  # why an arm that should be compared is not
    arrivals: Arrivals | None = None

    @property
    def good(self) -> float:
        """ln of the smallest good wealth: every unacceptable value has to be ruled out."""
        return min((track.good for track in self.tracks), default=math.inf)
