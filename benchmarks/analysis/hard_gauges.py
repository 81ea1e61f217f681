"""Gauges that stand at few levels, with and without a history of stable's pods. Candidates are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from benchmarks.analysis.releases import START
from benchmarks.analysis.trials import Floats
from benchmarks.analysis.watched_releases import PLANNED, taken_back_at
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.parts import CANDIDATE, STABLE
from modelrollout.promql.query import Series
from modelrollout.sequential.gauges import BATCH, long_run_variance

TICK = 15.0
TICKS = int(PLANNED / TICK)
HISTORY_TICKS = int(6 * 3600 / TICK)
CANDIDATE_PODS, STABLE_PODS = 2, 8
QUEUE = {"name": "queue", "value": 'avg(queue_length{pod=~"{{ pods }}"})', "betterWhen": "lower"}


@dataclass(frozen=True, slots=True)
class Levels:
    """Each pod is at one of `count` levels from 1 on, and draws another one after `seconds` on average."""

    count: int = 3
    seconds: float = TICK
    has_history: bool = False


CELLS = {
    "gauge of 3 levels, another each tick; no history": Levels(),
    "gauge of 3 levels, each for 150 s; no history": Levels(seconds=150.0),
    "gauge of 3 levels, each for 25 min; no history": Levels(seconds=1500.0),
    "gauge of 3 levels, each for 150 s; 6 h of history": Levels(seconds=150.0, has_history=True),
    "gauge of 3 levels, each for 25 min; 6 h of history": Levels(seconds=1500.0, has_history=True),
}
TOLERANCES: tuple[Mapping[str, str], ...] = ({}, {"relative": "25%", "absolute": "0.1%"})
"""None at all, and the one of the README's example for errors."""


def readings(rng: Generator, world: Levels, pods: int, ticks: int) -> Floats:
    """The mean over some pods, tick by tick."""
    is_new = rng.random((pods, ticks)) < TICK / world.seconds
    is_new[:, 0] = True
    drawn = rng.integers(1, world.count + 1, (pods, ticks))
    newest = np.maximum.accumulate(np.where(is_new, np.arange(ticks), 0), axis=1)
    return np.asarray(np.take_along_axis(drawn, newest, axis=1).mean(axis=0), dtype=np.float64)


def false_rollbacks(world: Levels, tolerance: Mapping[str, Any], rng: Generator, runs: int) -> tuple[int, int]:
    """How many releases, and how many of them were taken back."""
    return runs, sum(_is_taken_back(rng, world, tolerance) for _ in range(runs))


def _is_taken_back(rng: Generator, world: Levels, tolerance: Mapping[str, Any]) -> bool:
    usual = None
    if world.has_history:
        one, others = (readings(rng, world, pods, HISTORY_TICKS) for pods in (1, STABLE_PODS - 1))
        usual = Prior(variance=long_run_variance(one - others, round(BATCH / TICK)))
    times = (START + TICK * np.arange(1, TICKS + 1)).tolist()
    arms = {
        arm: list(zip(times, readings(rng, world, pods, TICKS).tolist(), strict=True))
        for arm, pods in ((CANDIDATE, CANDIDATE_PODS), (STABLE, STABLE_PODS))
    }

    def read(arm: str, start: float, end: float) -> Sequence[Series]:
        return [Series({}, tuple(sample for sample in arms[arm] if start <= sample[0] <= end))]

    return taken_back_at({**QUEUE, "tolerance": tolerance}, read, (PLANNED,), usual) is not None
