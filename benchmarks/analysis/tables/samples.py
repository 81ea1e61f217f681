"""Hard samples: false rollbacks where scrapes are late, containers restart, or gauges stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from numpy.random import Generator

from benchmarks.analysis import hard_gauges, hard_samples
from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table, with_bounds

Count = Callable[[Generator, int], tuple[int, int]]
"""How many releases, and how many of them were taken back."""


def samples(bench: Bench) -> list[Table]:
    """From raw samples to verdicts, as the operator does it, whatever the engine of the other tables is."""
    runs = bench.size.noisy or bench.size.fine
    rows = tuple((name, *(_shown(bench, name, count, runs) for count in counts)) for name, counts in _cells())
    title = f"Hard samples: false rollbacks over 5, 25 and 50 % for 20 min each, %, {runs} releases (95 % bounds)"
    return [Table(title, ("2+8 pods", "strict", "README"), rows)]


def _cells() -> Iterator[tuple[str, list[Count]]]:
    """Each row's name, and how its cells are counted."""
    for name, cell in hard_samples.CELLS.items():
        yield name, [partial(hard_samples.false_rollbacks, cell, tolerance) for tolerance in cell.tolerances()]
    for name, levels in hard_gauges.CELLS.items():
        yield name, [partial(hard_gauges.false_rollbacks, levels, tolerance) for tolerance in hard_gauges.TOLERANCES]


def _shown(bench: Bench, name: str, count: Count, runs: int) -> str:
    bench.progress.begin(name, runs)
    found = count(bench.generator(name), runs)
    bench.progress.advance(runs)
    return with_bounds(*found)
