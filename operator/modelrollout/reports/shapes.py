"""The pen of every chart: lines, curves and boxes as SVG, at places that are known already. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from modelrollout.reports.markup import element


def fraction_between(value: float, low: float, high: float) -> float:
    """Where a value lies between low (0) and high (1); beyond them it is cut."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", {"class": kind, **_places(x1=x1, y1=y1, x2=x2, y2=y2)})


def box(kind: str, x: float, y: float, width: float, height: float) -> Element:
    return element("rect", {"class": kind, **_places(x=x, y=y, width=width, height=height)})


def curve(kind: str, points: Iterable[tuple[float, float]]) -> Element:
    """A line through the points; a NaN breaks it."""
    path, is_drawing = [], False
    for x, y in points:
        if is_point := not math.isnan(y):
            path.append(f"{'L' if is_drawing else 'M'}{x:.2f} {y:.2f}")
        is_drawing = is_point
    return element("path", {"class": kind, "d": "".join(path)})


def area(kind: str, points: Iterable[tuple[float, float]]) -> Element:
    return element("polygon", {"class": kind, "points": " ".join(f"{x:.2f},{y:.2f}" for x, y in points)})


def _places(**places: float) -> dict[str, str]:
    return {name: f"{at:.2f}" for name, at in places.items()}
