"""What the answers on one metric amount to, whatever kind of metric it is: the material of a verdict. Pure."""

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
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Series
from modelrollout.sequential.noise import HALVED, INFLATION, Mode

Floats = npt.NDArray[np.float64]
Parts = Mapping[str, tuple[Series, ...]]
"""What Prometheus knows of one arm, for each part of a metric."""


_NOISY = frozenset({Mode.RANKED, Mode.DISPERSED, Mode.STRICT})


@dataclass(frozen=True, slots=True)
class Missing:
    """Why an arm cannot be judged. `mistake`: the user's metric is to blame, and waiting does not mend it."""

    verdict: Literal[Verdict.NO_DATA, Verdict.UNAVAILABLE]
    why: str
    mistake: bool = False


@dataclass(frozen=True, slots=True)
class Prior:
    """What stable's history says of a metric, found before the first tick and not changed after it.

    `share`: of bad events; `rate`: requests per second of stable; `dispersion`: over that of independent requests;
    `variance`: long-run, of one difference of two arms' readings. None: not known.
    """

    mode: Mode = Mode.ASSUMED
    dispersion: float = 1.0
    share: float | None = None
    rate: float | None = None
    variance: float | None = None
    buckets: Mapping[float, float] | None = None  # by upper edge: requests within it, of the history
    threshold: float | None = None  # ln, calibrated to the plan, where the user asked for it

    @property
    def inflation(self) -> float:
        """By how much fewer events count than were counted."""
        return INFLATION * self.dispersion if self.mode in _NOISY else 1.0

    @property
    def share_kept(self) -> float:
        """What a test of counted events keeps of its share of the error rate."""
        return HALVED if self.mode in _NOISY else 1.0


@dataclass(frozen=True, slots=True)
class LookStart:
    """All that is known before the new answers: the metric, the time line, and the state up to tick `first`."""

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

    def restarts(self, edges: Floats) -> Floats:
        """What is put on with each tick between `edges`. Tests that begin late put on at once what was due before."""
        onsets = self.course.onsets(is_late_expected=self.prior.inflation <= 1 and self.prior.threshold is None)
        restarts = onsets.restarts(edges, self.course.steps)
        if restarts.size and not self.ledger:
            restarts[0] += onsets.due(float(edges[0]), self.course.steps)
        return restarts

    @property
    def since(self) -> float:
        """From where the samples were asked for."""
        return self.course.time(self.first) - self.look_back


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both arms' values, how many samples they rest on, and the bounds they were held against."""

    unit: Literal["requests", "readings", "users", "answers"]
    what: str  # before the value, such as "p99 "
    candidate: str
    stable: str | None
    samples: float  # of the candidate, at this step
    stable_samples: float | None
    tracks: tuple[Track, ...]
    ticks: int  # new ones, a last one that is cut short counted in
    keep: Callable[[int], Ledger]  # the state after so many of them, whole ones only
    seconds: float = 0.0  # that `samples` took to come
    interval: str | None = None  # how candidate and stable compare, between what and what
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()  # what may hide behind a verdict that is no Fail
    gap: Missing | None = None  # why stable, though it should be compared, is not

    @property
    def good(self) -> float:
        """ln of the least of the mirrored wealths: all have to be ruled out."""
        return min((track.good for track in self.tracks), default=math.inf)
