"""Draws one chart: lines and steps over the time of the demo. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from demo.curves import Panel
from modelrollout.reports.markup import element
from modelrollout.reports.plot import LINES, WIDTH, Mark, Scale, Span, line, plot, rule, scale

FAR = 3.0  # times the largest value: a limit beyond it is not drawn


def panel_chart(panel: Panel, span: Span, marks: Sequence[Mark]) -> Element:
    """The curves of one metric."""
    values = [value for curve in panel.curves for _, value in curve.points if math.isfinite(value)]
    limits = [limit for _, limit in shown_limits(panel)]
    ceiling = 1.0 if panel.unit == "share" else None
    # Shares that are all near 100 % would be one flat line if the chart began at 0.
    from_zero = not (panel.unit == "share" and min(values, default=0.0) > 0.3)
    axis = scale([*values, *limits], ceiling=ceiling, from_zero=from_zero)
    shapes: list[Element] = [_limit_line(axis, limit) for limit in limits]
    shapes += [line(curve.points, axis, span, curve.version) for curve in panel.curves]
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


def _limit_line(axis: Scale, limit: float) -> Element:
    return rule("limit", 0.0, axis.y(limit), WIDTH, axis.y(limit))
