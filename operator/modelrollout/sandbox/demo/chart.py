"""Draws one chart: lines and steps over the time of the demo, as SVG with labels in HTML. Pure.

The drawing is stretched to the width there is, the labels are not: so they can be read on a phone as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from modelrollout.sandbox.demo.curves import Curve, Panel, Unit
from modelrollout.sandbox.demo.markup import element

WIDTH, HEIGHT = 1000.0, 100.0  # of the drawing, in units that stretch
LINES = 4  # across, at most
FAR = 3.0  # times the largest value: a limit beyond it is not drawn
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


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


def panel_chart(panel: Panel, span: Span, marks: Sequence[Mark]) -> Element:
    """The curves of one metric."""
    values = [value for curve in panel.curves for _, value in curve.points if math.isfinite(value)]
    limits = [limit for _, limit in shown_limits(panel)]
    ceiling = 1.0 if panel.unit == "share" else None
    # Shares that are all near 100 % would be one flat line if the chart began at 0.
    from_zero = not (panel.unit == "share" and min(values, default=0.0) > 0.3)
    axis = scale([*values, *limits], ceiling=ceiling, from_zero=from_zero)
    shapes: list[Element] = [_limit_line(axis, limit) for limit in limits]
    shapes += [_line(curve, axis, span) for curve in panel.curves]
    return plot(shapes, axis, panel.unit, span, marks)


def shown_limits(panel: Panel) -> list[tuple[str, float]]:
    """The limits that are near enough to the values to be drawn without making a flat line of them."""
    values = [value for curve in panel.curves for _, value in curve.points if math.isfinite(value)]
    reach = FAR * max(values, default=0.0)
    return [(name, limit) for name, limit in panel.limits if limit <= reach]


def steps_chart(
    layers: Sequence[tuple[str, Sequence[tuple[float, float]]]], span: Span, marks: Sequence[Mark]
) -> Element:
    """Shares of 100 stacked upon each other; each layer is (version, [(since, share), …])."""
    axis = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    moments = sorted({moment for _, changes in layers for moment, _ in changes})
    base = dict.fromkeys(moments, 0.0)
    shapes = []
    for version, changes in layers:
        top = {moment: base[moment] + _at(changes, moment) / 100 for moment in moments}
        shapes.append(_area(version, base, top, axis, span))
        base = top
    return plot(shapes, axis, "share", span, marks, "areas")


def bars_chart(bars: Sequence[tuple[float, str, int]], span: Span, marks: Sequence[Mark]) -> Element:
    """A bar for each (second, version, count), stacked upon each other."""
    heights: dict[float, int] = {}
    placed = []
    for second, version, count in bars:
        bottom = heights.get(second, 0)
        heights[second] = bottom + count
        placed.append((second, version, bottom, bottom + count))
    axis = scale([*map(float, heights.values()), float(LINES)])
    shapes = [
        element(
            "rect",
            {
                "class": f"fill {version}",
                "x": f"{span.x(second):.2f}",
                "width": f"{max(span.x(second + 1) - span.x(second) - 0.8, 0.8):.2f}",
                "y": f"{axis.y(top):.2f}",
                "height": f"{axis.y(bottom) - axis.y(top):.2f}",
            },
        )
        for second, version, bottom, top in placed
    ]
    return plot(shapes, axis, "number", span, marks)


def plot(
    shapes: Sequence[Element],
    axis: Scale,
    unit: Unit,
    span: Span,
    marks: Sequence[Mark],
    kind: str = "",
) -> Element:
    grid = [_rule("grid", 0.0, axis.y(tick), WIDTH, axis.y(tick)) for tick in axis.ticks]
    decisions = [_mark(mark, span.x(mark.at)) for mark in marks]
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


def _at(changes: Sequence[tuple[float, float]], moment: float) -> float:
    known = [share for since, share in changes if since <= moment]
    return known[-1] if known else 0.0


def _area(version: str, base: dict[float, float], top: dict[float, float], axis: Scale, span: Span) -> Element:
    upper, lower = list(_staircase(top, axis, span)), list(_staircase(base, axis, span))
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in [*upper, *reversed(lower)])
    return element("polygon", {"class": f"fill {version}", "points": points})


def _staircase(levels: dict[float, float], axis: Scale, span: Span) -> Iterator[tuple[float, float]]:
    moments = list(levels)
    for moment, following in zip(moments, [*moments, span.end][1:], strict=True):
        yield span.x(moment), axis.y(levels[moment])
        yield span.x(following), axis.y(levels[moment])


def _line(curve: Curve, axis: Scale, span: Span) -> Element:
    path, is_drawing = [], False
    for moment, value in curve.points:
        if not math.isfinite(value):
            is_drawing = False
            continue
        path.append(f"{'L' if is_drawing else 'M'}{span.x(moment):.2f} {axis.y(value):.2f}")
        is_drawing = True
    return element("path", {"class": f"line {curve.version}", "d": "".join(path)})


def _mark(mark: Mark, x: float) -> Element:
    line = _rule(f"mark {mark.kind}", x, 0.0, x, HEIGHT)
    line.append(element("title", {}, mark.text))
    return line


def _limit_line(axis: Scale, limit: float) -> Element:
    return _rule("limit", 0.0, axis.y(limit), WIDTH, axis.y(limit))


def _rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", {"class": kind, "x1": f"{x1:.2f}", "y1": f"{y1:.2f}", "x2": f"{x2:.2f}", "y2": f"{y2:.2f}"})
