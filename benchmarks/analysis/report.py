"""Tables as Markdown, and progress while they are made."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TextIO

from scipy.stats import beta

from benchmarks.analysis.measure import Result


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the names of the columns, rows of cells that begin with the row's name, and remarks below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Columns padded to equal width, so that it reads well in a terminal, too."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]

        def line(cells: Sequence[str]) -> str:
            padded = [
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            return f"| {' | '.join(padded)} |"

        ruler = f"|{'|'.join('-' * (width + 1) + (':' if column else '-') for column, width in enumerate(widths))}|"
        body = [line(self.columns), ruler, *(line(row) for row in self.rows)]
        return "\n".join([f"## {self.title}", "", *body, "", *(f"{note}\n" for note in self.notes)])


NONE = "–"


def number(value: float) -> str:
    """Three digits at most where there is more than one before the point."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞"
    if abs(value) >= 100 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def percent(share: float, runs: int) -> str:
    """With as many digits as the number of runs can tell."""
    digits = 2 if runs >= 5000 else 1 if runs >= 500 else 0
    return f"{100 * share:.{digits}f}"


def with_bounds(runs: int, hits: int) -> str:
    """Percent of the runs that were hit, and between which shares the true one lies (Clopper & Pearson, 95 %)."""
    low = beta.ppf(0.025, hits, runs - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, runs - hits) if hits < runs else 1.0
    return f"{percent(hits / runs, runs)} ({percent(float(low), runs)}–{percent(float(high), runs)})"


def false_rate(result: Result | None) -> str:
    """Percent of fine releases taken back."""
    return NONE if result is None else percent(result.share, len(result.decided))


def median_time(result: Result | None) -> str:
    """Median seconds, with the percentage found where it is not nearly all."""
    if result is None:
        return NONE
    if result.share == 0:
        return "never"
    median = f">{result.ticks * result.tick:.0f}" if math.isinf(result.median) else f"{result.median:.0f}"
    return median if result.share >= 0.995 else f"{median} ({100 * result.share:.0f} %)"


def against_limit(result: Result | None, rate: float, alpha: float) -> str:
    """Mean time over the limit's, as a factor."""
    value = math.nan if result is None else result.to_limit(rate, alpha)
    return NONE if math.isnan(value) else f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


class Plain:
    """Progress as lines, for a log."""

    def __init__(self, out: TextIO = sys.stderr, apart: float = 5.0) -> None:
        self.out, self.apart = out, apart
        self.begun = self.said = time.monotonic()
        self.what, self.runs, self.done = "", 0, 0

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def begin(self, what: str, runs: int) -> None:
        self.what, self.runs, self.done = what, runs, 0

    def advance(self, runs: int) -> None:
        self.done += runs
        now = time.monotonic()
        if now - self.said >= self.apart:
            self.said = now
            self.out.write(f"{now - self.begun:6.0f} s  {self.what}: {self.done} of {self.runs} runs\n")
            self.out.flush()


class Live:
    """Progress as one line that is drawn again, for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.shown = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.task = self.shown.add_task("", total=None)

    def __enter__(self) -> Live:
        self.shown.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shown.stop()

    def begin(self, what: str, runs: int) -> None:
        self.shown.update(self.task, description=what, total=runs, completed=0)

    def advance(self, runs: int) -> None:
        self.shown.advance(self.task, runs)


def progress() -> Plain | Live:
    """A bar where someone watches and rich is installed (the `sandbox` extra brings it), lines otherwise."""
    if not sys.stderr.isatty():
        return Plain()
    try:
        return Live()
    except ImportError:
        return Plain(apart=1.0)
