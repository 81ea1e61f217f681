"""`python -m demo.dashboard http://127.0.0.1:9090`: the dashboard as a page, from what a Prometheus answers to it.

It shows what Grafana would ask for and be told; Grafana draws it otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import aiohttp

from charts.panels import NOTES, ROWS, Note, Panel, chosen
from modelrollout.reports.markup import element, html
from modelrollout.reports.plot import Mark, Span, Unit, line, plot, scale, with_unit
from modelrollout.reports.shapes import box

STYLE = Path(__file__).with_suffix(".css")
POINTS = 400
UNITS: Mapping[str, Unit] = {"percentunit": "share", "s": "seconds"}
BRIDGED = 1 / 20  # of the time: a scrape that was missed breaks no line
COLORS, REPEATED = 8, 8  # colors, and columns of a panel that is repeated
LANE, GAP = 100.0, 0.15  # of a time line with one lane: its height, and the part between two lanes


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of an answer, under the name that the panel gives it."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A panel with what it was told."""

    title: str
    panel: Panel
    curves: tuple[Curve, ...]


class Source:
    """A Prometheus, asked as Grafana asks it."""

    def __init__(self, client: aiohttp.ClientSession, url: str, span: Span) -> None:
        self._client, self._url, self._span = client, url, span
        self._step = max(1.0, (span.end - span.start) / POINTS)

    async def ask(self, expr: str, *, at_once: bool = False, **values: str) -> list[dict[str, Any]]:
        """The series of an answer, over the time or at its end. Raises ValueError for what Prometheus refuses."""
        whole = f"{self._span.end - self._span.start:.0f}s"
        query = chosen(expr, window=f"{max(15, 4 * self._step):.0f}s", span=whole, **values)
        times = {"start": self._span.start, "end": self._span.end, "step": self._step}
        path, asked = ("query", {"time": self._span.end}) if at_once else ("query_range", times)
        async with self._client.get(f"{self._url}/api/v1/{path}", params={"query": query, **asked}) as reply:
            told = await reply.json()
        if told["status"] != "success":
            raise ValueError(f"{query}: {told.get('error')}")
        return [{"values": [one["value"]], **one} if at_once else one for one in told["data"]["result"]]

    async def seen(self, panel: Panel) -> list[Seen]:
        """The panel; where it is repeated, once for each value."""
        if panel.repeat is None:
            return [Seen(panel.title, panel, await self._curves(panel))]
        values = await self._values(panel.repeat)
        return [
            Seen(panel.title.replace(f"${panel.repeat}", value), panel, await self._curves(panel, panel.repeat, value))
            for value in values
        ]

    async def _values(self, label: str) -> list[str]:
        series = await self.ask(f"group by ({label}) (modelrollout_verdict)")
        return sorted(one["metric"][label] for one in series)

    async def _curves(self, panel: Panel, name: str = "", value: str = "") -> tuple[Curve, ...]:
        found = list[Curve]()
        for series in panel.series:
            values = {name: value} if name else {}
            for one in await self.ask(series.expr, at_once=panel.is_at_once, **values):
                points = ((float(at), float(text)) for at, text in one["values"])
                found.append(Curve(_named(series.legend, one["metric"]), tuple(points)))
        return tuple(found)

    async def marks(self, note: Note) -> list[Mark]:
        """A line for each moment that its series had as a value."""
        found = dict[float, str]()
        for one in await self.ask(note.expr):
            for _, moment in one["values"]:
                found[float(moment) / 1000] = _named(note.title, one["metric"])
        return [Mark(at, text, note.color) for at, text in found.items() if self._span.start <= at <= self._span.end]


def _named(legend: str, labels: Mapping[str, str]) -> str:
    if not legend:
        return ", ".join(f"{name} {value or '–'}" for name, value in sorted(labels.items()) if name != "namespace")
    for name, value in labels.items():
        legend = legend.replace(f"{{{{{name}}}}}", value)
    return legend


async def page(url: str, start: float, end: float) -> str:
    """The dashboard over a time, as HTML."""
    span = Span(start, end)
    async with aiohttp.ClientSession(trust_env=False) as client:
        source = Source(client, url, span)
        seen = {row.title: [one for panel in row.panels for one in await source.seen(panel)] for row in ROWS}
        marks = [mark for note in NOTES for mark in await source.marks(note)]
    return drawn(seen, span, marks)


def drawn(seen: Mapping[str, Iterable[Seen]], span: Span, marks: Sequence[Mark]) -> str:
    """Panels by the title of their row, as HTML."""
    body = [
        element(
            "section", {}, element("h2", {}, title), element("div", {"class": "panels"}, _figures(those, span, marks))
        )
        for title, those in seen.items()
    ]
    head = element("head", {}, element("meta", {"charset": "utf-8"}), element("style", {}, STYLE.read_text()))
    keys = [element("li", {"class": note.color}, note.name) for note in NOTES]
    legend = element("ul", {"class": "legend"}, element("li", {}, "Lines across:"), keys)
    return html(element("html", {}, head, element("body", {}, element("h1", {}, "ModelRollout"), legend, body)))


def _figures(seen: Iterable[Seen], span: Span, marks: Sequence[Mark]) -> Iterator[Element]:
    for one in seen:
        caption = element("figcaption", {}, element("b", {}, one.title), " ", element("span", {}, one.panel.text))
        width = REPEATED if one.panel.repeat else one.panel.width
        yield element("figure", {"style": f"grid-column: span {width}"}, caption, _drawn(one, span, marks))


def _drawn(seen: Seen, span: Span, marks: Sequence[Mark]) -> Element:
    if not seen.curves:
        return element("p", {"class": "nothing"}, "Nothing.")
    match seen.panel.kind:
        case "timeseries":
            return element("div", {}, _lines(seen, span, marks), _legend(seen.curves))
        case "state-timeline":
            return _lanes(seen, span, marks)
        case "stat" | "table":
            return element("ul", {"class": "numbers"}, [element("li", {}, *_number(seen, one)) for one in seen.curves])


def _lines(seen: Seen, span: Span, marks: Sequence[Mark]) -> Element:
    values = [value for curve in seen.curves for _, value in curve.points if math.isfinite(value)]
    axis = scale(values, ceiling=1.0 if seen.panel.unit == "percentunit" else None)
    drawn = [
        line(_stepped(curve.points, span), axis, span, _color(number, curve))
        for number, curve in enumerate(seen.curves)
    ]
    return plot(drawn, axis, _unit(seen.panel), span, marks)


def _stepped(points: Sequence[tuple[float, float]], span: Span) -> Iterator[tuple[float, float]]:
    """A value holds until the next one; where there was none for long, there is a gap."""
    for stretch in _stretches(points, BRIDGED * (span.end - span.start)):
        yield stretch[0]
        for (_, before), (at, value) in itertools.pairwise(stretch):
            yield from ((at, before), (at, value))
        yield stretch[-1][0], math.nan


def _stretches(points: Sequence[tuple[float, float]], longest: float) -> Iterator[list[tuple[float, float]]]:
    """The points without breaks between them that are longer than that."""
    breaks = [n + 1 for n, (one, other) in enumerate(itertools.pairwise(points)) if other[0] - one[0] > longest]
    for first, last in itertools.pairwise([0, *breaks, len(points)]):
        yield list(points[first:last])


def _lanes(seen: Seen, span: Span, marks: Sequence[Mark]) -> Element:
    """A bar for as long as a series is there; the one that came first is above the others."""
    step, curves = (span.end - span.start) / POINTS, sorted(seen.curves, key=lambda curve: curve.points[0][0])
    high = LANE / len(curves)
    bars = [
        box(f"bar {_color(number, curve)}", left, high * (number + GAP), right - left, high * (1 - 2 * GAP))
        for number, curve in enumerate(curves)
        for stretch in _stretches(curve.points, max(4 * step, 5.0))
        for left, right in [(span.x(stretch[0][0]), span.x(stretch[-1][0] + step))]
    ]
    names = [
        element("span", {"class": "lane", "style": f"top:{high * (number + 0.5):.1f}%"}, curve.name)
        for number, curve in enumerate(curves)
    ]
    drawn = plot(bars, scale([0.0]), "number", span, marks, "lanes")
    drawn.extend(names)
    drawn.set("style", f"height:{max(4.5, 1.3 * len(curves)):.1f}rem")
    return drawn


def _number(seen: Seen, curve: Curve) -> Iterator[Element | str]:
    """The last value."""
    last = curve.points[-1][1]
    if seen.panel.kind == "stat":
        yield element("b", {}, with_unit(last, _unit(seen.panel)) if math.isfinite(last) else "–")
    yield curve.name


def _legend(curves: Sequence[Curve]) -> Element:
    keys = [element("li", {"class": _color(number, curve)}, curve.name) for number, curve in enumerate(curves)]
    return element("ul", {"class": "legend"}, keys)


def _color(number: int, curve: Curve) -> str:
    """The same for an arm in every panel."""
    arm = curve.name.rpartition(" ")[2]
    return arm if arm in ("candidate", "stable") else f"c{number % COLORS}"


def _unit(panel: Panel) -> Unit:
    return UNITS.get(panel.unit, "number")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.dashboard", description=__doc__)
    parser.add_argument("prometheus", help="address of a Prometheus that scrapes the operator")
    parser.add_argument("--minutes", type=float, default=15, help="how far back to look")
    parser.add_argument("--out", type=Path, default=Path("build/dashboard.html"))
    flags = parser.parse_args(arguments)
    end = time.time()
    try:
        made = asyncio.run(page(flags.prometheus, end - 60 * flags.minutes, end))
    except (aiohttp.ClientError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(made)
    sys.stdout.write(f"{flags.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
