"""Equal candidates in worlds whose samples are hard to read: few releases, the same in each run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis import hard_gauges
from benchmarks.analysis.hard_samples import CELLS, ERRORS, Cell, Pods, World, draw, false_rollbacks
from benchmarks.analysis.measure import bar
from benchmarks.analysis.report import with_bounds
from benchmarks.analysis.watched_releases import PLANNED, taken_back_at

RUNS, RUNS_WITH_MANY_LOOKS, RUNS_WITH_MANY_SERIES = 5, 4, 2
CONFIDENCE = 0.95
"""So few runs may take nobody back: at 1 % that would be chance in 5 % of sets of worlds, and these stay the same."""


@pytest.mark.parametrize("name", CELLS)
def test_hard_samples_take_equal_candidates_back_no_more_often_than_declared(name: str) -> None:
    is_looked_at_once = len(CELLS[name].looks) == 1
    runs = RUNS if is_looked_at_once else RUNS_WITH_MANY_SERIES if CELLS[name].world.tails else RUNS_WITH_MANY_LOOKS
    strict, _ = CELLS[name].tolerances()
    assert false_rollbacks(CELLS[name], strict, np.random.default_rng(1), runs)[1] <= bar(runs, 0.01, CONFIDENCE)


@pytest.mark.parametrize("name", hard_gauges.CELLS)
def test_nor_do_gauges_that_stand_still(name: str) -> None:
    strict, _ = hard_gauges.TOLERANCES
    rng = np.random.default_rng(1)
    assert hard_gauges.false_rollbacks(hard_gauges.CELLS[name], strict, rng, 20)[1] <= bar(20, 0.01)


def test_a_bad_candidate_is_found_as_soon_when_it_restarts_every_minute() -> None:
    looks = np.arange(60.0, PLANNED, 60.0).tolist()

    def found(restart_every: float) -> float:
        world, rng = World(50.0, 0.001, Pods(2, restart_every, times_worse=10.0)), np.random.default_rng(2)
        ends = [taken_back_at({**ERRORS, "tolerance": {}}, draw(rng, world).read, looks) for _ in range(12)]
        return float(np.mean([end or PLANNED for end in ends]))

    assert found(60.0) <= 1.3 * found(np.inf)


def test_rates_are_shown_with_their_bounds() -> None:
    assert [with_bounds(1000, hits) for hits in (0, 5, 1000)] == [
        "0.0 (0.0–0.4)",
        "0.5 (0.2–1.2)",
        "100.0 (99.6–100.0)",
    ]


def test_a_cell_tells_how_many_releases_it_saw() -> None:
    assert false_rollbacks(Cell(World(5.0)), {}, np.random.default_rng(1), 2) == (2, 0)
