"""Hard pods and users: false rollbacks where those of the two arms are not alike."""

from __future__ import annotations

from benchmarks.analysis.hard_pods import hard_pods
from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table


def pods(bench: Bench) -> list[Table]:
    """From raw samples to verdicts, as the operator does it, whatever the engine of the other tables is."""
    size = bench.size
    return [hard_pods(size.noisy or size.fine, size.seed, bench.progress)]
