"""A chart over time: round numbers, lines across, moments marked; SVG with its labels in HTML. Pure.

The drawing is stretched to the width there is, the labels are not: so they can be read on a phone as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element

from modelrollout.reports.markup import element
from modelrollout.reports.shapes import curve, fraction_between, rule

WIDTH, HEIGHT = 1000.0, 100.0  # of the drawing, in units that stretch
LINES = 4  # across, at most
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
FAR = 3.0  # times the largest value: a limit beyond it is not drawn
Unit = Literal["share", "seconds", "number"]
Points = Sequence[tuple[float, float]]  # moment, value


@dataclass(frozen=True, slots=True)
class Span:
    """The time that all charts show, in unix seconds."""

    start: float
    end: float

    def share(self, moment: float) -> float:
        """Where a moment lies between start (0) and end (1)."""
        return fraction_between(moment, self.start, max(self.end, self.start + 1e-6))

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
        return HEIGHT * (1 - fraction_between(value, self.low, self.high))


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
        element("span", {"class": "tick", "style": f"top:{axis.y(tick):.2f}%"}, with_unit(tick, unit))
        for tick in axis.ticks
    ]
    return element("div", {"class": f"plot {kind}".strip()}, drawing, ticks)


def curves_plot(
    curves: Sequence[tuple[str, Points]], limits: Iterable[float], unit: Unit, span: Span, marks: Sequence[Mark]
) -> Element:
    """The values of a metric over time, each curve by its kind, and the limits that are near them."""
    values = finite(curves)
    near = [limit for limit in limits if is_near(limit, values)]
    is_high = unit == "share" and min(values, default=0.0) > 0.3  # else one flat line at the top
    axis = scale([*values, *near], ceiling=1.0 if unit == "share" else None, from_zero=not is_high)
    shapes = [rule("limit", 0.0, axis.y(limit), WIDTH, axis.y(limit)) for limit in near]
    shapes += [line(points, axis, span, kind) for kind, points in curves]
    return plot(shapes, axis, unit, span, marks)


def finite(curves: Iterable[tuple[str, Points]]) -> list[float]:
    """The values of all curves that are numbers."""
    return [value for _, points in curves for _, value in points if math.isfinite(value)]


def is_near(limit: float, values: Sequence[float]) -> bool:
    """Whether a limit can be drawn without making a flat line of the values."""
    return limit <= FAR * max(values, default=0.0)


def with_unit(value: float, unit: Unit) -> str:
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
    """A curve through (moment, value); a NaN breaks it."""
    placed = ((span.x(moment), axis.y(value) if math.isfinite(value) else math.nan) for moment, value in points)
    return curve(f"line {kind}", placed)


def _marked(mark: Mark, x: float) -> Element:
    drawn = rule(f"mark {mark.kind}", x, 0.0, x, HEIGHT)
    drawn.append(element("title", {}, mark.text))
    return drawn
