"""One function per table of the study, by its short name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.analysis.measure import Bench
from benchmarks.analysis.report import Table
from benchmarks.analysis.tables.counts import t1, t2
from benchmarks.analysis.tables.goals import ab
from benchmarks.analysis.tables.latency import t5
from benchmarks.analysis.tables.noise import t3
from benchmarks.analysis.tables.others import t6
from benchmarks.analysis.tables.pods import pods
from benchmarks.analysis.tables.samples import samples
from benchmarks.analysis.tables.steps import t4

TABLES: dict[str, Callable[[Bench], list[Table]]] = {
    "T1": t1,
    "T2": t2,
    "T3": t3,
    "T4": t4,
    "T5": t5,
    "T6": t6,
    "samples": samples,
    "pods": pods,
    "ab": ab,
}
