"""Equal candidates in worlds whose samples are hard to read: few releases, the same in each run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis.hard_samples import CELLS, ERRORS, Cell, Pods, World, draw, false_rollbacks
from benchmarks.analysis.measure import bar
from benchmarks.analysis.report import with_bounds
from benchmarks.analysis.watched_releases import PLANNED, Release

RUNS = {True: 20, False: 30}
"""By whether a release is looked at many times."""


@pytest.mark.parametrize("name", CELLS)
def test_hard_samples_take_equal_candidates_back_no_more_often_than_declared(name: str) -> None:
    runs = RUNS[len(CELLS[name].looks) > 1]
    strict, _ = CELLS[name].tolerances()
    assert false_rollbacks(np.random.default_rng(1), CELLS[name], strict, runs)[1] <= bar(runs, 0.01)


def test_a_bad_candidate_is_found_as_soon_when_it_restarts_every_minute() -> None:
    looks = np.arange(60.0, PLANNED, 60.0).tolist()

    def found(restart_every: float) -> float:
        world, rng = World(50.0, 0.001, Pods(2, restart_every, times_worse=10.0)), np.random.default_rng(2)
        ends = [Release({**ERRORS, "tolerance": {}}).taken_back_at(draw(rng, world).read, looks) for _ in range(12)]
        return float(np.mean([end or PLANNED for end in ends]))

    assert found(60.0) <= 1.3 * found(np.inf)


def test_rates_are_shown_with_their_bounds() -> None:
    assert [with_bounds(1000, hits) for hits in (0, 5, 1000)] == [
        "0.0 (0.0–0.4)",
        "0.5 (0.2–1.2)",
        "100.0 (99.6–100.0)",
    ]


def test_a_cell_tells_how_many_releases_it_saw() -> None:
    assert false_rollbacks(np.random.default_rng(1), Cell(World(5.0)), {}, 2) == (2, 0)
