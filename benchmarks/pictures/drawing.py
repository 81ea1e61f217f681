"""Charts as SVG files that stand by themselves: in a page, on GitHub, by day and by night. Pure.

Unlike the demo's charts these carry their own labels, as nothing can be laid over an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, indent, tostring

from modelrollout.reports.markup import element
from modelrollout.reports.shapes import box, curve, fraction_between, rule

WIDTH = 680.0
LEFT, RIGHT = 64.0, 20.0
"""Room for the labels of the y axis, and beside the end of the x axis."""
NEAR, FAR = 14.0, 32.0
"""From a chart's title down to the chart; far: a line of notes fits between."""

STYLE = """
svg { --paper: #fbfaf7; --ink: #1d2327; --soft: #626b72; --line: #dfdcd4; --zone: 0.16;
  --good: #1f7a55; --warn: #b8621b; --bad: #b3261e; --stable: #4f6b85; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #15181b; --ink: #e8e6e1; --soft: #98a1a8; --line: #30363b; --zone: 0.24;
    --good: #5ccf9f; --warn: #f0a055; --bad: #f2877e; --stable: #8fb0cf; }
}
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
.small { font-size: 12.5px; fill: var(--soft); }
.title { font-weight: 600; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.paper { fill: var(--paper); }
.grid { stroke: var(--line); stroke-width: 1; }
.good { --own: var(--good); } .warn { --own: var(--warn); } .bad { --own: var(--bad); }
.stable { --own: var(--stable); } .soft { --own: var(--soft); }
path { fill: none; stroke: var(--own); stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
path.dashed, line.dashed { stroke-dasharray: 6 5; }
line.own { stroke: var(--own); stroke-width: 1.5; }
line.thin { stroke: var(--soft); stroke-width: 1; opacity: 0.5; }
text.own { fill: var(--own); font-weight: 600; }
circle { fill: var(--own); }
.zone { fill: var(--own); opacity: var(--zone); }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
"""
"""The colours of the demo's page."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From where to where, and what is written at which values."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between low (0) and high (1)."""
        low, high, at = (self._on(one) for one in (self.low, self.high, max(value, self.low)))
        return fraction_between(at, low, high)

    def _on(self, value: float) -> float:
        return math.log(value) if self.is_log else value


def axis(low: float, high: float, ticks: Iterable[float], unit: str = "", *, is_log: bool = False) -> Axis:
    """An axis whose numbers are written with a unit."""
    return Axis(low, high, tuple((tick, f"{tick:g}{unit}") for tick in ticks), is_log)


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart's place in a picture, and its axes."""

    top: float
    height: float
    x: Axis
    y: Axis
    gap: float = NEAR

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, width = LEFT, WIDTH - LEFT - RIGHT
        return left + width * self.x.share(x), self.top + self.height * (1 - self.y.share(y))

    def frame(self, title: str, below: str | None = None) -> list[Element]:
        """The title, lines across with their numbers; below: what the x axis is, and its numbers, too."""
        drawn = [label(LEFT, self.top - self.gap, title, "title")]
        for value, text in self.y.ticks:
            _, y = self.at(self.x.low, value)
            drawn += [rule("grid", LEFT, y, WIDTH - RIGHT, y), label(LEFT - 8, y + 4.5, text, "small end")]
        if below is not None:
            bottom = self.top + self.height
            drawn += [
                label(self.at(value, self.y.low)[0], bottom + 18, text, "small middle") for value, text in self.x.ticks
            ]
            drawn.append(label(WIDTH - RIGHT, bottom + 36, below, "small end"))
        return drawn

    def line(self, points: Points, kind: str) -> Element:
        """A line through these values; NaN breaks it. What lies beyond the axis is cut."""
        return curve(kind, ((math.nan, math.nan) if math.isnan(y) else self.at(x, y) for x, y in points))

    def across(self, y: float, kind: str) -> Element:
        """A line at a value of the y axis."""
        (left, up), (right, _) = self.at(self.x.low, y), self.at(self.x.high, y)
        return rule(f"own {kind}", left, up, right, up)

    def upright(self, x: float, kind: str) -> Element:
        """A line at a value of the x axis."""
        along, _ = self.at(x, self.y.low)
        return rule(f"own {kind}", along, self.top, along, self.top + self.height)

    def above(self, x: float, text: str) -> Element:
        """A note between title and chart."""
        along, _ = self.at(x, self.y.low)
        return label(along, self.top - 8, text, "small")

    def legend(self, *entries: tuple[str, str]) -> list[Element]:
        """What the lines are, (text, kind), on the right of the title, the last one outermost."""
        drawn, x = [], WIDTH - RIGHT
        for text, kind in reversed(entries):
            drawn.append(label(x, self.top - self.gap, text, f"own end {kind}"))
            x -= 8.2 * len(text) + 14
        return drawn

    def zone(self, left: float, right: float, kind: str) -> Element:
        """All between two values of the x axis."""
        (x, _), (end, _) = self.at(left, self.y.low), self.at(right, self.y.low)
        return box(f"zone {kind}", x, self.top, end - x, self.height)

    def note(self, x: float, y: float, text: str, kind: str, *, dx: float = 0.0, dy: float = 0.0) -> Element:
        """A text at values of both axes."""
        along, up = self.at(x, y)
        return label(along + dx, up + dy, text, f"own halo {kind}")

    def dot(self, x: float, y: float, kind: str, size: float = 4.5) -> Element:
        along, up = self.at(x, y)
        return element("circle", {"class": kind, "cx": f"{along:.1f}", "cy": f"{up:.1f}", "r": f"{size:g}"})


def label(x: float, y: float, text: str, kind: str) -> Element:
    return element("text", {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}"}, text)


def picture(title: str, height: float, shapes: Iterable[Element]) -> str:
    """The whole file. `title` is read out to whoever cannot see it."""
    root = element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH:g} {height:g}", "role": "img"},
        element("title", {}, title),
        element("style", {}, STYLE),
        element("rect", {"class": "paper", "width": f"{WIDTH:g}", "height": f"{height:g}", "rx": "10"}),
        list(shapes),
    )
    indent(root)
    return tostring(root, encoding="unicode") + "\n"
