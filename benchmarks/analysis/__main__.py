"""`python -m benchmarks.analysis`: prints the tables, and writes them to build/bench/analysis.md."""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys
import time
from pathlib import Path

from benchmarks.analysis.costs import costs
from benchmarks.analysis.measure import Bench
from benchmarks.analysis.ours import Ours
from benchmarks.analysis.report import progress
from benchmarks.analysis.tables import TABLES
from benchmarks.analysis.trials import Engine, Size

WRITTEN = Path("build/bench/analysis.md")
OUR_ENGINE = "benchmarks.analysis.ours:engine"
QUICK = Size(fine=400, bad=100, noisy=100, chunk=100)
"""Minutes on one core; false rollback rates of 1 % are only roughly seen."""
FULL = {
    "T1": Size(fine=20_000, bad=1_000),
    "T2": Size(fine=20_000, bad=1_000),
    "T3": Size(fine=4_000, bad=400, chunk=200),
    "T4": Size(fine=10_000, bad=1_000),
    "T5": Size(fine=2_000, bad=400, chunk=100),
    "T6": Size(fine=5_000, bad=400, noisy=2_000, chunk=200),
    "samples": Size(fine=1_000, bad=1_000),
    "pods": Size(fine=1_000, bad=1_000),
    "ab": Size(fine=4_000, bad=1_000),
}
"""As in the study (3.0), which has no hard worlds."""
COSTS = "costs"


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    options = _options(arguments)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    named = [name.strip() for name in options.only.split(",")] if options.only else [*TABLES, COSTS]
    unknown = [name for name in named if name not in TABLES and name != COSTS]
    if unknown:
        sys.stderr.write(f"There is no table {', '.join(unknown)}: choose from {', '.join([*TABLES, COSTS])}.\n")
        return 2
    engine = _engine(options.engine)
    command = " ".join(["python -m benchmarks.analysis", *_said(options), f"--seed {seed}"])
    sys.stdout.write(f"Seed {seed}; the same tables again: {command}\n\n")
    WRITTEN.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with WRITTEN.open("w", encoding="utf-8") as out, progress() as shown:
        out.write(f"# How often a verdict is wrong, and how long it takes\n\nMade by `{command}`.\n\n")
        for name in named:
            if name == COSTS:
                tables = costs(Ours(), shown, quick=not options.full)
            else:
                tables = TABLES[name](Bench(engine, size_of(name, options.full, options.runs, seed), shown))
            for table in tables:
                text = table.markdown() + "\n"
                out.write(text)
                out.flush()
                sys.stdout.write(text)
                sys.stdout.flush()
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s; written to {WRITTEN}\n")
    return 0


def size_of(table: str, full: bool, runs: int | None, seed: int) -> Size:
    """How large a table is: as asked, as in the study, or as quick as says something."""
    size = FULL[table] if full else QUICK
    if runs is None:
        return Size(size.fine, size.bad, size.chunk, seed, size.noisy)
    return Size(runs, runs, size.chunk, seed, runs)


def _said(options: argparse.Namespace) -> list[str]:
    """The options that have to be given again for the same tables."""
    said = ["--full"] if options.full else []
    said += [f"--only {options.only}"] if options.only else []
    said += [f"--runs {options.runs}"] if options.runs is not None else []
    return said + ([f"--engine {options.engine}"] if options.engine != OUR_ENGINE else [])


def _engine(where: str) -> Engine:
    module, _, name = where.partition(":")
    made: Engine = getattr(importlib.import_module(module), name)()
    return made


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analysis", description=__doc__)
    parser.add_argument("--full", action="store_true", help="as many runs as in the study")
    parser.add_argument("--only", metavar="T1,T2", help=f"some of {', '.join([*TABLES, COSTS])}")
    parser.add_argument("--runs", type=int, help="runs of each cell, instead of quick's or full's")
    parser.add_argument("--seed", type=int, help="to see the same again; fresh when left out")
    parser.add_argument(
        "--engine", default=OUR_ENGINE, metavar="MODULE:FUNCTION", help="another engine to hold against"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
