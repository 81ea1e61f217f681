"""Hard samples: false rollbacks of equal candidates where scrapes are late, containers restart and series are born."""

from __future__ import annotations

from benchmarks.analysis.hard_samples import CELLS, Cell, false_rollbacks
from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table, with_bounds


def hard_samples(bench: Bench) -> list[Table]:
    """From raw samples to verdicts, as the operator does it, whatever the engine of the other tables is."""
    runs = bench.size.noisy or bench.size.fine
    rows = tuple((name, *_cells(bench, name, cell, runs)) for name, cell in CELLS.items())
    title = f"Hard samples: false rollbacks over 5, 25 and 50 % for 20 min each, %, {runs} releases (95 % bounds)"
    return [Table(title, ("2+8 pods", "strict", "README"), rows)]


def _cells(bench: Bench, name: str, cell: Cell, runs: int) -> list[str]:
    shown = []
    for number, tolerance in enumerate(cell.tolerances()):
        bench.progress.begin(name, runs)
        shown.append(with_bounds(*false_rollbacks(bench.generator(name, number), cell, tolerance, runs)))
        bench.progress.advance(runs)
    return shown
