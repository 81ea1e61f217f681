"""What a rule is shown, and what it says: batches of simulated releases, and the protocol of an engine. Pure.

Every array begins with an axis of runs; the next one is ticks, which are disjoint scrape increments of equal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEVER = -1
"""Where a tick is asked for and there is none."""


@dataclass(frozen=True, slots=True)
class Margin:
    """candidate ≤ (1 + relative) · stable + absolute."""

    relative: float = 0.0
    absolute: float = 0.0

    @property
    def ratio(self) -> float:
        """ρ in the formulas: 1 + relative."""
        return 1.0 + self.relative


@dataclass(frozen=True, slots=True)
class Pods:
    """The same counts pod by pod: (runs, ticks, pods), and what the stable pods did before the release."""

    bad_candidate: Ints
    bad_stable: Ints
    n_candidate: Ints
    n_stable: Ints
    history_bad: Ints
    history_n: Ints


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events among requests, per arm: four arrays (runs, ticks). History: (runs,) sums of stable before the start,
    over `history_ticks`, which the pods' history has as its second axis.

    `fewer_is_worse`: the events are good ones (conversions), and a regression is fewer of them. `users`: each event
    is one of a person's few (a business metric), so effects worth finding are small.
    """

    bad_candidate: Ints
    bad_stable: Ints
    n_candidate: Ints
    n_stable: Ints
    history_bad: Ints
    history_n: Ints
    tolerance: Margin = Margin()
    exclude: Margin = Margin(relative=1.0)
    fewer_is_worse: bool = False
    users: bool = False
    history_ticks: int = 360
    pods: Pods | None = None


@dataclass(frozen=True, slots=True)
class Histograms:
    """Bucket increments (runs, ticks, buckets) per arm; upper edges in seconds, the last is infinite.

    History: (runs, buckets), stable before the start. `native`: exponential buckets (schema 3) instead of classic ones.
    """

    candidate: Ints
    stable: Ints
    edges: Floats
    history: Ints
    native: bool = False


@dataclass(frozen=True, slots=True)
class Gauges:
    """One reading per arm and tick (runs, ticks), higher is better; history (runs, ticks): stable pod minus stable pod.

    `smallest_drop`: the smallest loss that matters, in units of the gauge.
    """

    candidate: Floats
    stable: Floats
    history: Floats
    smallest_drop: float


@dataclass(frozen=True, slots=True)
class Sums:
    """A mean per user from its sums: sum, sum of squares and users, (runs, ticks) per arm; higher is better."""

    sum_candidate: Floats
    sum_stable: Floats
    squares_candidate: Floats
    squares_stable: Floats
    n_candidate: Ints
    n_stable: Ints
    smallest_drop: float


@dataclass(frozen=True, slots=True)
class OneSample:
    """Events among requests of one arm (runs, ticks), held against a fixed limit (shadow disagreement)."""

    bad: Ints
    n: Ints
    limit: float


@dataclass(frozen=True, slots=True)
class Paired:
    """Labelled pairs on which the arms differ (runs, ticks): only the candidate is wrong, only stable is wrong."""

    candidate_wrong: Ints
    stable_wrong: Ints


@dataclass(frozen=True, slots=True)
class Disparity:
    """Good outcomes among requests (runs, ticks, 4): candidate/group, candidate/rest, stable/group, stable/rest.

    The null: the candidate disadvantages the group by at most `tolerance` (a difference of rates) more than stable.
    """

    good: Ints
    n: Ints
    tolerance: float


Trial = Counts | Histograms | Gauges | Sums | OneSample | Paired | Disparity


@dataclass(frozen=True, slots=True)
class Plan:
    """What the release declares beforehand. `step_starts`: ticks at which the weight changes, 0 first."""

    ticks: int
    tick_seconds: float = 10.0
    false_rollback_rate: float = 0.01
    false_promotion_rate: float = 0.05
    step_starts: tuple[int, ...] = (0,)
    declared_horizon: bool = False


class Engine(Protocol):
    """Judges releases of one or more metrics with one false-rollback budget, looking after every tick.

    All trials have the same runs and ticks. Both methods raise NotImplementedError for what they have no test for.
    """

    def rolled_back(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        """Per run the tick (from 0) after which traffic is taken back, NEVER if it is not."""
        ...

    def may_advance(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        """Per run the tick after which what every metric excludes is ruled out, NEVER if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class Size:
    """How many runs: of releases that are fine, of releases that are not, and how many are held in memory at once."""

    fine: int
    bad: int
    chunk: int = 500
    seed: int = 0
    noisy: int = field(default=0)
    """Runs of fine releases where every pod is simulated by itself; 0 means as many as `fine`."""


def first(hits: npt.NDArray[np.bool_]) -> Ints:
    """Per run the first tick that is hit, NEVER if none; hits is (runs, ticks)."""
    found = hits.argmax(axis=1)
    return np.where(hits[np.arange(len(hits)), found], found, NEVER).astype(np.int64)
