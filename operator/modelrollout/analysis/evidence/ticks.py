"""The time that a rollout is judged over, in ticks: a grid that is fixed before the first look. Pure.

A tick is as long as the interval between two looks, half a minute at most. Ticks are disjoint, every sample belongs to
one place on the grid, and what was said up to a tick does not depend on when anybody looked: so passes between looks,
restarts and a checkpoint that is some minutes old all lead to the same evidence.
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
"""Samples this old still tell where a counter stood: it takes scrapes of up to two minutes."""
LONGEST_DELAY = timedelta(minutes=1)
"""So long a sample may be on its way and still count: what is older than that goes into the checkpoint."""
LONGEST_REREAD = timedelta(hours=1)
"""A look never reads further back than this, or some intervals: it bounds what Prometheus has to send after a long
outage, for a metric that came in mid-rollout, or one that nobody has heard of yet."""


@dataclass(frozen=True, slots=True)
class Course:
    """When judging began, how long a tick is, when later steps began, and what was planned. Times in unix seconds."""

    start: float
    tick: float
    steps: tuple[float, ...]
    later_steps: int
    planned: float

    def onsets(self, *, is_late_expected: bool) -> Onsets:
        return Onsets(self.start, self.later_steps, self.planned, is_late_expected)

    @property
    def step_start(self) -> float:
        """When the present step began."""
        return max((self.start, *self.steps))

    def time(self, ticks: int) -> float:
        return self.start + ticks * self.tick

    def ticks(self, moment: float) -> int:
        """How many ticks are over by then."""
        return max(math.floor((moment - self.start) / self.tick + 1e-9), 0)

    def edges(self, first: int, end: float) -> Floats:
        """The bounds of the ticks from number `first` up to `end`, of which the last may be cut short."""
        whole = max(self.ticks(end), first)
        edges = self.start + np.arange(first, whole + 1) * self.tick
        edges = np.append(edges, end) if end - edges[-1] > 1e-6 else edges
        return np.asarray(edges, dtype=np.float64)

    def beginnings(self, edges: Floats) -> list[int]:
        """The ticks (by their place) with which a later step begins: the first that is all its own.

        The number of ticks for a step that has none yet.
        """
        begun = [step for step in self.steps if step > edges[0] - 1e-9]
        return sorted({min(int(np.searchsorted(edges, step - 1e-9)), len(edges) - 1) for step in begun})


def tick_of(interval: timedelta) -> timedelta:
    """The longest part of an interval that is short enough for a tick."""
    return interval / math.ceil(interval / LONGEST_TICK)


def look_back(interval: timedelta, warm_up: timedelta) -> timedelta:
    """How far before the first tick samples are read, so that every counter's and every pod's beginning is known."""
    return max(SHORTEST_LOOK_BACK, 4 * interval) + warm_up
