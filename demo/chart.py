"""Draws one chart: lines and steps over the time of the demo. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from demo.curves import Panel
from modelrollout.reports.plot import LINES, Mark, Points, Scale, Span, curves_plot, finite, is_near, plot, scale
from modelrollout.reports.shapes import area, box


def panel_chart(panel: Panel, span: Span, marks: Sequence[Mark]) -> Element:
    """The curves of one metric."""
    return curves_plot(_curves(panel), [limit for _, limit in panel.limits], panel.unit, span, marks)


def shown_limits(panel: Panel) -> list[tuple[str, float]]:
    """The limits that the chart shows, by name."""
    values = finite(_curves(panel))
    return [(name, limit) for name, limit in panel.limits if is_near(limit, values)]


def _curves(panel: Panel) -> list[tuple[str, Points]]:
    return [(curve.version, curve.points) for curve in panel.curves]


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
        box(
            f"fill {version}",
            span.x(second),
            axis.y(top),
            width=max(span.x(second + 1) - span.x(second) - 0.8, 0.8),
            height=axis.y(bottom) - axis.y(top),
        )
        for second, version, bottom, top in placed
    ]
    return plot(shapes, axis, "number", span, marks)


def _at(changes: Sequence[tuple[float, float]], moment: float) -> float:
    known = [share for since, share in changes if since <= moment]
    return known[-1] if known else 0.0


def _area(version: str, base: dict[float, float], top: dict[float, float], axis: Scale, span: Span) -> Element:
    upper, lower = list(_staircase(top, axis, span)), list(_staircase(base, axis, span))
    return area(f"fill {version}", [*upper, *reversed(lower)])


def _staircase(levels: dict[float, float], axis: Scale, span: Span) -> Iterator[tuple[float, float]]:
    moments = list(levels)
    for moment, following in zip(moments, [*moments, span.end][1:], strict=True):
        yield span.x(moment), axis.y(levels[moment])
        yield span.x(following), axis.y(levels[moment])
