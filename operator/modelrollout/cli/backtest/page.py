"""The findings on one page that needs nothing else, by day and night, for phones and wide windows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from modelrollout.analysis import wording
from modelrollout.analysis.kinds.kind_table import kind_of
from modelrollout.analysis.parts import CANDIDATE, STABLE
from modelrollout.api.metric import Metric
from modelrollout.api.status import Verdict
from modelrollout.cli.backtest.alarms import CONFIDENCE, WEEK, Alarms
from modelrollout.cli.backtest.comparison import CandidateReplay, MetricHistory, Point
from modelrollout.cli.backtest.moments import in_utc, length
from modelrollout.cli.backtest.replay import PROMOTED, ROLLED_BACK
from modelrollout.cli.backtest.table import advice, ending, known
from modelrollout.reports.markup import Node, element, html
from modelrollout.reports.plot import HEIGHT, WIDTH, Mark, Scale, Span, Unit, curves_plot, line, plot
from modelrollout.reports.shapes import area, box, rule

STYLE = Path(__file__).parent / "page.css"
UNITS: dict[wording.Unit, Unit] = {"share": "share", "seconds": "seconds", "plain": "number"}
TICKS = 6


def comparison_page(comparison: CandidateReplay) -> str:
    """A candidate against stable."""
    span = Span(comparison.start.timestamp(), comparison.end.timestamp())
    marks = list(_marks(comparison))
    title = f"{comparison.policy.namespace}/{comparison.policy.name}"
    turn = comparison.end_turn
    kind = {ROLLED_BACK: "bad", PROMOTED: "good"}.get(turn.stage, "") if turn else ""
    return _page(
        f"Backtest of {title}",
        element(
            "header",
            {},
            element("p", {"class": "kicker"}, f"Backtest · {in_utc(comparison.start)} to {in_utc(comparison.end)} UTC"),
            element("h1", {}, title),
            element("p", {"class": f"lead {kind}".strip()}, ending(comparison)),
            *([element("p", {}, turn.why)] if turn is not None and turn.why else []),
        ),
        _section("What was said, and when", _verdicts(comparison)),
        _section(
            "How it went",
            _legend(comparison),
            _steps(comparison, span, marks),
            *_metrics(comparison, span, marks),
            _clock(span),
        ),
        _section("What was known before", _usual(comparison)),
        _closing(f"{comparison.looks:,} looks"),
    )


def alarms_page(found: Alarms) -> str:
    """Stable against stable."""
    per_week, low, high = found.per_week
    title = f"{found.policy.namespace}/{found.policy.name}"
    lead = (
        f"{len(found.alarms)} false alarm{'' if len(found.alarms) == 1 else 's'} in {found.rollouts:,} rollouts of "
        f"equal versions: {per_week:.3g} per week of uninterrupted rollouts "
        f"({100 * CONFIDENCE:g} %: {low:.2g} to {high:.2g}). The policy allows "
        f"{found.policy.analysis.false_rollback_rate} of rollouts; it was {len(found.alarms) / found.rollouts:.2%}."
    )
    return _page(
        f"Backtest of {title}",
        element(
            "header",
            {},
            element(
                "p",
                {"class": "kicker"},
                f"Backtest, stable against stable · {in_utc(found.start)} to {in_utc(found.end)} UTC",
            ),
            element("h1", {}, title),
            element("p", {"class": "lead"}, lead),
            *(element("p", {}, text) for text in advice(found)),
        ),
        _section("When", _calendar(found)),
        _section("What became of the rollouts", _outcomes(found)),
        _section("Metrics", _alarm_metrics(found)),
        *([_section("False alarms", _alarm_list(found))] if found.alarms else []),
        _closing(f"{found.exposure / WEEK:.3g} weeks of rollouts by {len(found.pods)} pods"),
    )


def _page(title: str, *content: Node) -> str:
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", {}, title),
        element("style", {}, STYLE.read_text()),
    )
    body = element("body", {}, element("main", {}, *content))
    return html(element("html", {"lang": "en"}, head, body))


def _section(title: str, *children: Node | Iterator[Node]) -> Element:
    return element("section", {}, element("h2", {}, title), *children)


def _closing(how_much: str) -> Element:
    return element("footer", {}, f"{how_much}, judged by the rules that the operator itself goes by.")


def _marks(comparison: CandidateReplay) -> Iterator[Mark]:
    if comparison.onset is not None:
        yield Mark(comparison.onset.timestamp(), "onset", "onset")
    for turn in comparison.turns:
        kind = {ROLLED_BACK: "taken-back", PROMOTED: "promoted"}.get(turn.stage, "step")
        text = turn.stage if kind != "step" else f"{turn.stage} {turn.weight} %"
        yield Mark(turn.at.timestamp(), f"{text}, {in_utc(turn.at)} UTC", kind)


def _verdicts(comparison: CandidateReplay) -> Element:
    head = ("", "first Pass", "first Fail", "at the end", "evidence", "ruled out", "candidate", "stable")
    rows = []
    for history in comparison.histories:
        last = history.last
        shown = (last.evidence, last.ruled_out, last.candidate, last.stable) if last else (None,) * 4
        moments = [_after(comparison, at) for at in (history.first_pass, history.first_fail)]
        cells = [*moments, last.verdict.value if last else "–", *(one or "–" for one in shown)]
        message = element("small", {}, last.message if last else "It was not looked at.")
        name = element("th", {"scope": "row"}, history.metric, message)
        tones = ["", "", f"v-{last.verdict.value.lower()}" if last else "", *[""] * 4]
        told = [
            element("td", {"data-title": title, "class": tone}, cell)
            for title, tone, cell in zip(head[1:], tones, cells, strict=True)
        ]
        rows.append(element("tr", {}, name, told))
    return _table(head, rows)


def _after(comparison: CandidateReplay, at: datetime | None) -> str:
    return f"+{length(at - comparison.start)}" if at else "–"


def _table(head: Sequence[str], rows: Sequence[Element]) -> Element:
    titles = element("tr", {}, [element("th", {"scope": "col"}, title) for title in head])
    return element(
        "div", {"class": "wide"}, element("table", {}, element("thead", {}, titles), element("tbody", {}, rows))
    )


def _legend(comparison: CandidateReplay) -> Element:
    entries = [("swatch candidate", "candidate"), ("swatch stable", "stable"), ("key step", "next step")]
    if comparison.onset is not None:
        entries.append(("key onset", "onset"))
    if comparison.end_turn is not None:
        kind = "taken-back" if comparison.end_turn.stage == ROLLED_BACK else "promoted"
        entries.append((f"key {kind}", comparison.end_turn.stage))
    entries += [
        (f"box {kind}", text)
        for kind, text in (("pass", "Pass"), ("inconclusive", "Inconclusive"), ("fail", "Fail"), ("nodata", "no data"))
    ]
    items = [element("li", {}, element("span", {"class": kind}), text) for kind, text in entries]
    return element("ul", {"class": "legend"}, items)


def _steps(comparison: CandidateReplay, span: Span, marks: Sequence[Mark]) -> Element:
    """The weight that the policy would have given, over time."""
    axis = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    turns = comparison.turns
    levels = [(turn.at.timestamp(), 0.0 if turn.stage == ROLLED_BACK else turn.weight / 100) for turn in turns]
    points: list[tuple[float, float]] = []
    for (at, level), (until, _) in pairwise([*levels, (span.end, 0.0)]):
        points += [(at, level), (until, level)]
    outline = [(span.start, 0.0), *points, (span.end, 0.0)]
    shape = area("fill candidate", [(span.x(at), axis.y(level)) for at, level in outline])
    return _figure(
        "Weight", "that the policy would have given the candidate", plot([shape], axis, "share", span, marks)
    )


def _metrics(comparison: CandidateReplay, span: Span, marks: Sequence[Mark]) -> Iterator[Element]:
    metrics = {metric.name: metric for metric in comparison.policy.analysis.metrics}
    for history in comparison.histories:
        metric = metrics[history.metric]
        yield _figure(
            history.metric,
            _note(metric),
            _strip(history, span),
            _values(comparison, metric, span, marks),
            element("p", {"class": "caption"}, "evidence of a regression, as a share of what taking it back needs"),
            _evidence(history, span, marks),
        )


def _note(metric: Metric) -> str:
    parts = []
    if metric.histogram is not None:
        parts.append(f"p{100 * metric.quantile_share:g}")
    if metric.tolerance is not None:
        allowed = [text for text in (metric.tolerance.relative, metric.tolerance.absolute) if text not in ("0", "0%")]
        parts.append(f"tolerated: {' plus '.join(allowed) or 'nothing'} worse than stable")
    parts += [f"{name} {limit}" for name, limit in (("max", metric.max), ("min", metric.min)) if limit is not None]
    return ", ".join(parts)


def _values(comparison: CandidateReplay, metric: Metric, span: Span, marks: Sequence[Mark]) -> Element:
    curves = [(arm, comparison.curves.get((metric.name, arm), [])) for arm in (STABLE, CANDIDATE)]
    unit = UNITS[kind_of(metric).unit(metric)]
    limits = [one.value for one in (metric.max, metric.min) if one is not None]
    return curves_plot(curves, limits, unit, span, marks)


def _evidence(history: MetricHistory, span: Span, marks: Sequence[Mark]) -> Element:
    axis = Scale(0.0, 1.1, (0.0, 0.5, 1.0))
    points = [(point.at, point.evidence) for point in history.points]
    needed = rule("needed", 0.0, axis.y(1.0), WIDTH, axis.y(1.0))
    return plot([needed, line(points, axis, span, "evidence")], axis, "share", span, marks, "low")


def _strip(history: MetricHistory, span: Span) -> Element:
    """The verdicts over time, as one coloured band."""
    pieces: list[Element] = []
    for verdict, begin, end in _runs(history.points, span.end):
        piece = box(f"v {verdict.value.lower()}", span.x(begin), 0.0, max(span.x(end) - span.x(begin), 1.0), HEIGHT)
        told = f"{verdict.value} from {in_utc(datetime.fromtimestamp(begin, UTC))} UTC"
        piece.append(element("title", {}, told))
        pieces.append(piece)
    frame = {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "preserveAspectRatio": "none", "aria-hidden": "true"}
    return element("div", {"class": "strip"}, element("svg", frame, pieces))


def _runs(points: Sequence[Point], end: float) -> Iterator[tuple[Verdict, float, float]]:
    begin = None
    for number, point in enumerate(points):
        following = points[number + 1] if number + 1 < len(points) else None
        begin = point.at if begin is None else begin
        if following is None or following.verdict is not point.verdict:
            width = point.at - points[number - 1].at if number else 1.0
            yield point.verdict, begin, following.at if following else min(point.at + width, end)
            begin = None


def _figure(title: str, note: str, *content: Element) -> Element:
    caption = element("figcaption", {}, element("b", {}, title), " ", element("span", {}, note))
    return element("figure", {}, caption, *content)


def _clock(span: Span) -> Element:
    """The times below all charts."""
    seconds = span.end - span.start
    is_long = seconds > timedelta(days=1).total_seconds()
    ticks = []
    for number in range(TICKS + 1):
        at = datetime.fromtimestamp(span.start + seconds * number / TICKS, UTC)
        text = f"{at:%d %b %H:%M}" if is_long else f"{at:%H:%M:%S}" if seconds < 900 else f"{at:%H:%M}"
        ticks.append(element("span", {"style": f"left:{100 * number / TICKS:.2f}%"}, text))
    return element("div", {"class": "clock"}, ticks)


def _usual(comparison: CandidateReplay) -> Element:
    found = [
        node
        for one in comparison.usual
        for node in (
            element("dt", {}, one.metric),
            element("dd", {}, "; ".join(known(one))),
        )
    ]
    return element("dl", {}, found)


def _calendar(found: Alarms) -> Element:
    """The whole range as a line, with every false alarm on it."""
    span = Span(found.start.timestamp(), found.end.timestamp())
    marks = [
        Mark(one.at.timestamp(), f"{one.pod}: {', '.join(one.metrics)}, {in_utc(one.at)} UTC", "taken-back")
        for one in found.alarms
    ]
    axis = Scale(0.0, 1.0, (0.0,))
    return element("div", {}, plot([], axis, "number", span, marks, "low bare"), _clock(span))


def _outcomes(found: Alarms) -> Element:
    kinds = [
        ("fail", len(found.alarms), "taken back for nothing"),
        ("pass", found.promoted, "through in the planned time"),
        ("inconclusive", sum(found.left.values()), "waiting for evidence"),
    ]
    bars = [
        element("span", {"class": f"v {kind}", "style": f"flex:{number}", "title": f"{number:,} {text}"})
        for kind, number, text in kinds
        if number
    ]
    legend = [
        element("li", {}, element("span", {"class": f"box {kind}"}), f"{number:,} {text}")
        for kind, number, text in kinds
    ]
    return element("div", {}, element("div", {"class": "shares"}, bars), element("ul", {"class": "legend"}, legend))


def _alarm_metrics(found: Alarms) -> Element:
    rows = []
    for metric in found.policy.analysis.metrics:
        modes = found.modes.get(metric.name)
        total = sum(modes.values()) if modes else 0
        told = ", ".join(f"{mode} {count / total:.0%}" for mode, count in modes.most_common()) if modes else "–"
        waited = sum(count for left, count in found.left.items() if metric.name in left.metrics)
        alarms = sum(metric.name in alarm.metrics for alarm in found.alarms)
        name = element("th", {"scope": "row"}, metric.name, element("small", {}, found.sees.get(metric.name, "")))
        cells = (
            ("alarms", f"{alarms}"),
            ("waited for", f"{waited:,}"),
            ("no data", f"{found.without_data[metric.name]:,}"),
            ("noise", told),
        )
        rows.append(element("tr", {}, name, [element("td", {"data-title": title}, cell) for title, cell in cells]))
    return _table(("", "alarms", "waited for", "no data", "noise"), rows)


def _alarm_list(found: Alarms) -> Element:
    rows = [
        element(
            "li",
            {},
            element("time", {}, f"{in_utc(one.at)}"),
            element("span", {}, element("b", {}, one.pod), f" at {one.weight} %: {one.message}"),
        )
        for one in found.alarms
    ]
    return element("ol", {"class": "events"}, rows)
