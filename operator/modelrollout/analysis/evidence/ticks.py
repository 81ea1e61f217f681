"""The time line of a rollout's judgement, in ticks: a grid that is fixed before the first look. Pure.

A tick is as long as the interval between two looks, or an even part of it, but at most half a minute. Ticks are
disjoint, and every sample has one place on the grid. So the evidence up to a tick does not depend on when anybody
looked: passes between looks, restarts and an old checkpoint all lead to the same evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from modelrollout.sequential.wealth import Onsets

Floats = npt.NDArray[np.float64]

LONGEST_TICK = timedelta(seconds=30)
"""Within a tick the arms' shares of the traffic are taken as constant; a step may change them."""
SHORTEST_LOOK_BACK = timedelta(minutes=2)
"""Samples this old still show where a counter stood: scrapes may be up to two minutes apart."""
LONGEST_DELAY = timedelta(minutes=1)
"""The longest delay with which a sample may arrive and still count: older ticks go into the checkpoint."""
LONGEST_REREAD = timedelta(hours=1)
"""A look never reads further back than this, or than the look-back. It bounds the answers after a long outage, and the
answers for a metric that was added in mid-rollout or has no samples yet."""


@dataclass(frozen=True, slots=True)
class Course:
    """The start of judging, the length of a tick, the starts of later steps, and the plan. Times in unix seconds.

    `hold`: how long the current step is to last at least, in seconds.
    """

    start: float
    tick: float
    steps: tuple[float, ...]
    later_steps: int
    planned: float
    hold: float = 0.0

    def onsets(self, *, is_late_expected: bool) -> Onsets:
        return Onsets(self.start, self.later_steps, self.planned, is_late_expected)

    @property
    def step_start(self) -> float:
        """The start of the current step."""
        return max((self.start, *self.steps))

    def time(self, ticks: int) -> float:
        return self.start + ticks * self.tick

    def ticks(self, moment: float) -> int:
        """The number of whole ticks before a moment."""
        return max(math.floor((moment - self.start) / self.tick + 1e-9), 0)

    def edges(self, first: int, end: float) -> Floats:
        """The bounds of the ticks from number `first` up to `end`, of which the last may be cut short."""
        whole = max(self.ticks(end), first)
        edges = self.start + np.arange(first, whole + 1) * self.tick
        edges = np.append(edges, end) if end - edges[-1] > 1e-6 else edges
        return np.asarray(edges, dtype=np.float64)

    def beginnings(self, edges: Floats) -> list[int]:
        """The places of the ticks with which later steps begin: the first tick that lies wholly in its step.

        For a step without a tick so far, the number of ticks.
        """
        begun = [step for step in self.steps if step > edges[0] - 1e-9]
        return sorted({min(int(np.searchsorted(edges, step - 1e-9)), len(edges) - 1) for step in begun})


def tick_of(interval: timedelta) -> timedelta:
    """The longest even part of an interval that is short enough for a tick."""
    return interval / math.ceil(interval / LONGEST_TICK)


def look_back(interval: timedelta, warm_up: timedelta) -> timedelta:
    """How far before the first tick samples are read: far enough to see where each counter stood."""
    return max(SHORTEST_LOOK_BACK, 4 * interval) + warm_up
