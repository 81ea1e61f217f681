"""The frame of a chart: round numbers, lines across, moments marked; SVG with its labels in HTML. Pure.

The drawing is stretched to the width there is, the labels are not: so they can be read on a phone as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element

from modelrollout.reports.markup import element

WIDTH, HEIGHT = 1000.0, 100.0  # of the drawing, in units that stretch
LINES = 4  # across, at most
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
Unit = Literal["share", "seconds", "number"]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that all charts show, in unix seconds."""

    start: float
    end: float

    def share(self, moment: float) -> float:
        """Where a moment lies between start (0) and end (1)."""
        return min(1.0, max(0.0, (moment - self.start) / max(self.end - self.start, 1e-9)))

    def x(self, moment: float) -> float:
        return WIDTH * self.share(moment)


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision: a line across every chart, and `text` for whoever points at it. `kind` is a class in page.css."""

    at: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The values from the bottom of a chart to its top, and where its lines are."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        return HEIGHT * (1 - min(1.0, max(0.0, (value - self.low) / (self.high - self.low))))


def scale(values: Sequence[float], *, ceiling: float | None = None, from_zero: bool = True) -> Scale:
    """Round numbers around the values; `ceiling` is what they cannot exceed, such as 100 %."""
    low, high = (0.0 if from_zero else min(values, default=0.0)), max(values, default=1.0)
    high = high if high > low else low + (abs(low) or 1.0)
    step = _round_step((high - low) / LINES)
    bottom, top = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    top = min(top, ceiling) if ceiling is not None else top
    count = round((top - bottom) / step)
    return Scale(bottom, top, tuple(bottom + step * number for number in range(count + 1)))


def plot(
    shapes: Sequence[Element],
    axis: Scale,
    unit: Unit,
    span: Span,
    marks: Sequence[Mark],
    kind: str = "",
) -> Element:
    grid = [rule("grid", 0.0, axis.y(tick), WIDTH, axis.y(tick)) for tick in axis.ticks]
    decisions = [_marked(mark, span.x(mark.at)) for mark in marks]
    drawing = element(
        "svg",
        {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "preserveAspectRatio": "none", "aria-hidden": "true"},
        [*grid, *shapes, *decisions],
    )
    ticks = [
        element("span", {"class": "tick", "style": f"top:{axis.y(tick):.2f}%"}, written(tick, unit))
        for tick in axis.ticks
    ]
    return element("div", {"class": f"plot {kind}".strip()}, drawing, ticks)


def written(value: float, unit: Unit) -> str:
    """A value as people write it."""
    match unit:
        case "share":
            return f"{_short(100 * value)} %"
        case "seconds":
            return f"{_short(1000 * value)} ms" if value < 1 else f"{_short(value)} s"
        case _:
            return _short(value)


def _short(value: float) -> str:
    return f"{round(value, 3):g}"


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - 1e-9))


def line(points: Iterable[tuple[float, float]], axis: Scale, span: Span, kind: str) -> Element:
    """A curve through (moment, value); it is broken where a value is no number."""
    path, is_drawing = [], False
    for moment, value in points:
        if not math.isfinite(value):
            is_drawing = False
            continue
        path.append(f"{'L' if is_drawing else 'M'}{span.x(moment):.2f} {axis.y(value):.2f}")
        is_drawing = True
    return element("path", {"class": f"line {kind}", "d": "".join(path)})


def _marked(mark: Mark, x: float) -> Element:
    drawn = rule(f"mark {mark.kind}", x, 0.0, x, HEIGHT)
    drawn.append(element("title", {}, mark.text))
    return drawn


def rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", {"class": kind, "x1": f"{x1:.2f}", "y1": f"{y1:.2f}", "x2": f"{x2:.2f}", "y2": f"{y2:.2f}"})
