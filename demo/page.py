"""report.html: the demo on one page that needs nothing else, for phones and wide windows, by day and night. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from demo import curves
from demo.chart import bars_chart, panel_chart, shown_limits, steps_chart
from demo.chronicle import Chronicle, by_version
from demo.curves import Panel
from demo.report import DEFINITIONS, decided_at
from demo.story import IN_WORDS, TOURS
from modelrollout.api.status import Phase
from modelrollout.reports.markup import Node, element, html
from modelrollout.reports.plot import Mark, Span, with_unit
from modelrollout.trial.steps import exposure_at

STYLE = Path(__file__).parent / "page.css"
ABOUT = {release.name: release.about for tour in TOURS.values() for release in tour.releases}
COLUMNS = ("", "outcome", "max weight", "harmed", "helped", "failed by the switch", "to detect", "to restore")
KINDS = {"Promoted": "promoted", "RolledBack": "taken-back", "Installed": "installed"}


def page(chronicle: Chronicle, document: Mapping[str, Any], panels: Sequence[Panel]) -> str:
    """The document of `report.report` and the curves from Prometheus, as HTML."""
    span = Span(chronicle.releases[0].at if chronicle.releases else chronicle.facts.started, chronicle.facts.ended)
    marks = tuple(_marks(chronicle, document))
    body = element(
        "main",
        {},
        _opening(document),
        _section("What became of each release", _table(document), _details(document)),
        _section("How it went", _legend(chronicle), _charts(chronicle, span, marks, panels)),
        _section("What the operator said", _events(chronicle, span)),
        _closing(document),
    )
    return html(element("html", {"lang": "en"}, _head(document["title"]), element("body", {}, body)))


def _head(title: str) -> Element:
    return element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", {}, title),
        element("style", {}, STYLE.read_text()),
    )


def _opening(document: Mapping[str, Any]) -> Element:
    users = document["requests"]
    words = [
        f"{users['total']:,} requests at {users['perSecondSent'] or 0:g} a second. ",
        f"{users['harmed']:,} users were harmed: they got an error, or a wrong answer that the version before would "
        "not have given. ",
        f"{users['failedBySwitch'] or 'No'} request{'' if users['failedBySwitch'] == 1 else 's'} failed because "
        "traffic moved.",
    ]
    story = (
        element("p", {"class": "good"}, "It went as it should.")
        if document["asTold"]
        else element("p", {"class": "bad"}, "It did not go as it should: ", " ".join(document["complaints"]))
    )
    return element(
        "header",
        {},
        element(
            "p",
            {"class": "kicker"},
            f"ModelRollout demo · {datetime.fromisoformat(document['startedAt']):%d %B %Y, %H:%M} UTC",
        ),
        element("h1", {}, document["title"]),
        element("p", {"class": "lead"}, words),
        story,
    )


def _table(document: Mapping[str, Any]) -> Element:
    head = element("tr", {}, [element("th", {"scope": "col"}, title) for title in COLUMNS])
    rows = [_row(*pair) for pair in zip(document["releases"], document["details"], strict=True)]
    return element("table", {}, element("thead", {}, head), element("tbody", {}, rows))


def _row(row: Mapping[str, Any], detail: Mapping[str, Any]) -> Element:
    cells: list[tuple[str, Node]] = [
        (
            COLUMNS[1],
            element("b", {"class": KINDS.get(row["outcome"], "")}, IN_WORDS.get(row["outcome"], "unfinished")),
        ),
        (COLUMNS[2], f"{row['maxWeight']} %"),
        (COLUMNS[3], f"{row['usersHarmed']:,}"),
        (COLUMNS[4], f"{detail['usersHelpedByIt']:,}"),
        (COLUMNS[5], f"{row['requestsFailedBySwitch']:,}"),
        (COLUMNS[6], _seconds(row["secondsToDetect"])),
        (COLUMNS[7], _seconds(row["secondsToRestore"])),
    ]
    name = element(
        "th",
        {"scope": "row"},
        element("span", {"class": f"swatch {row['name']}"}),
        row["name"],
        element("small", {}, ABOUT.get(row["name"], "")),
    )
    return element("tr", {}, name, [element("td", {"data-title": title}, cell) for title, cell in cells])


def _details(document: Mapping[str, Any]) -> Element:
    keys = ("maxWeight", "usersHarmed", "usersHelpedByIt", "requestsFailedBySwitch", "secondsToDetect")
    meaning = [
        node
        for title, key in zip(COLUMNS[2:], (*keys, "secondsToRestore"), strict=True)
        for node in (element("dt", {}, title.capitalize()), element("dd", {}, DEFINITIONS[key]))
    ]
    why = [
        node
        for detail in document["details"]
        for node in (element("dt", {}, detail["name"]), element("dd", {}, _ending(detail)))
    ]
    return element(
        "div",
        {},
        element("details", {"open": "open"}, element("summary", {}, "Why each release ended"), element("dl", {}, why)),
        element("details", {}, element("summary", {}, "What the columns mean"), element("dl", {}, meaning)),
    )


def _ending(detail: Mapping[str, Any]) -> str:
    return " ".join([detail["reason"] or "It did not end.", *detail["verdicts"], *_reach(detail)])


def _reach(detail: Mapping[str, Any]) -> Iterator[str]:
    if detail["requests"]:
        yield f"It answered {detail['requestsAnsweredByIt']:,} of the {detail['requests']:,} requests of its time."
    if met := detail.get("peopleWhoMetIt"):
        back = detail["peopleWhoWentBack"] or "none"
        yield f"Of {met:,} people who met it in the experiment, {back} met another version before the end."


def _legend(chronicle: Chronicle) -> Element:
    entries = [
        element("li", {}, element("span", {"class": f"swatch {begun.name}"}), begun.name)
        for begun in chronicle.releases
    ]
    keys = [
        element("li", {}, element("span", {"class": f"key {kind}"}), text)
        for kind, text in (("step", "next step"), ("promoted", "promoted"), ("taken-back", "taken back"))
    ]
    return element("ul", {"class": "legend"}, entries, keys)


def _charts(chronicle: Chronicle, span: Span, marks: Sequence[Mark], panels: Sequence[Panel]) -> Iterator[Element]:
    yield _figure(
        "Traffic", "share of each version, as the route says", _weights(chronicle, span, marks), chronicle, span
    )
    yield _figure("Users harmed", "in each second, by the version that answered", _harm(chronicle, span, marks))
    for panel in panels:
        note = f"each version, over the last {curves.LOOK_BACK.seconds} s, from Prometheus"
        shown = shown_limits(panel)
        for name, limit in panel.limits:
            note += f"; {name} {with_unit(limit, panel.unit)} {'dashed' if (name, limit) in shown else 'is far above'}"
        yield _figure(panel.title.capitalize(), note, panel_chart(panel, span, marks))
    yield _clock(span)


def _figure(
    title: str, note: str, chart: Element, chronicle: Chronicle | None = None, span: Span | None = None
) -> Element:
    caption = element("figcaption", {}, element("b", {}, title), " ", element("span", {}, note))
    ribbon = [_ribbon(chronicle, span)] if chronicle and span else []
    return element("figure", {}, caption, ribbon, chart)


def _ribbon(chronicle: Chronicle, span: Span) -> Element:
    """Which release each part of the time belongs to."""
    pieces = []
    for begun in chronicle.releases:
        left, right = span.share(begun.at), span.share(chronicle.until(begun))
        style = f"left:{100 * left:.2f}%;width:{100 * (right - left):.2f}%"
        pieces.append(element("span", {"class": begun.name, "style": style}, begun.name))
    return element("div", {"class": "ribbon"}, pieces)


def _clock(span: Span) -> Element:
    """The seconds below all charts."""
    length = span.end - span.start
    every = next((step for step in (5, 10, 15, 30, 60, 120, 300) if length / step <= 6), 600)
    ticks = []
    for second in range(0, int(length) + 1, every):
        left = 100 * span.share(span.start + second)
        ticks.append(element("span", {"style": f"left:{left:.2f}%"}, f"{second} s"))
    return element("div", {"class": "clock"}, ticks)


def _weights(chronicle: Chronicle, span: Span, marks: Sequence[Mark]) -> Element:
    names = chronicle.workloads
    splits = [(split.at, by_version(split.shares, names)) for split in chronicle.splits]
    layers = [
        (begun.name, [(at, float(shares.get(begun.name, 0))) for at, shares in splits]) for begun in chronicle.releases
    ]
    return steps_chart(layers, span, marks)


def _harm(chronicle: Chronicle, span: Span, marks: Sequence[Mark]) -> Element:
    counts = Counter((int(user.at), user.version or "nobody") for user in chronicle.outcomes if user.harmed)
    return bars_chart([(float(at), version, count) for (at, version), count in sorted(counts.items())], span, marks)


def _marks(chronicle: Chronicle, document: Mapping[str, Any]) -> Iterator[Mark]:
    for before, after in pairwise(chronicle.turns):
        was, now = before.status, after.status
        if now.phase in (Phase.PROGRESSING, Phase.PROMOTING) and now.stage and now.stage != was.stage:
            exposed = exposure_at(now.stage)
            if was.stage is None or exposure_at(was.stage) != exposed:
                yield Mark(after.at, f"{exposed.weight} %" if exposed.weight else now.stage.name, "step")
        if now.phase is Phase.HEALTHY and was.phase is Phase.BAKING:
            yield Mark(after.at, "promoted", "promoted")
    for begun, row in zip(chronicle.releases, document["releases"], strict=True):
        if row["outcome"] == "RolledBack" and (at := decided_at(chronicle, begun)) is not None:
            yield Mark(at, f"{begun.name} taken back", "taken-back")


def _events(chronicle: Chronicle, span: Span) -> Element:
    moments: list[tuple[float, str, str, str]] = [
        (told.at, told.type.lower(), told.reason, told.message) for told in chronicle.told
    ]
    moments += [(begun.at, "command", "", f"$ {begun.command}") for begun in chronicle.releases]
    rows = [
        element(
            "li",
            {"class": kind},
            element("time", {}, f"{max(0, int(at) - int(span.start))} s"),
            element("span", {}, [element("b", {}, reason), " "] if reason else [], message),
        )
        for at, kind, reason, message in sorted(moments, key=_by_time)
    ]
    return element("ol", {"class": "events"}, rows)


def _by_time(moment: tuple[float, str, str, str]) -> tuple[int, bool]:
    # Events know whole seconds only: within one the command comes first, then the order in which they were told.
    return int(moment[0]), moment[1] != "command"


def _closing(document: Mapping[str, Any]) -> Element:
    kinds = {
        "real": "a real kube-apiserver",
        "context": "an existing cluster",
        "built-in": "the local cluster's API server",
    }
    server = document["apiServer"]
    return element(
        "footer",
        {},
        "Real parts: Envoy as gateway, Prometheus scraping every second, model servers as processes, the operator, and "
        f"{kinds.get(server['kind'], server['kind'])} (Kubernetes {server['version']}). "
        f"{document['seconds']:g} s in all, {document['secondsToPrepare']:g} s of them to start. "
        "The same numbers for machines: report.json.",
    )


def _section(title: str, *children: Node | Iterator[Node]) -> Element:
    return element("section", {}, element("h2", {}, title), *children)


def _seconds(value: float | None) -> str:
    return f"{value:.1f} s" if value is not None else "–"
