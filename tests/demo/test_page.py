"""The page: whole, self-contained, and true to the chronicle."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from demo import curves
from demo.chart import panel_chart, shown_limits, steps_chart
from demo.chronicle import Chronicle
from demo.curves import Curve, Panel
from demo.page import page
from demo.report import report
from modelrollout.api.metric import CounterRatio, Metric
from modelrollout.promql.query import Answered, Query, Series, Unanswered
from modelrollout.reports.markup import element, html
from modelrollout.reports.plot import Scale, Span, scale, with_unit
from tests.demo.demo_chronicles import FACTS, at, experiment, taken_back

ERRORS = Metric(
    name="errors",
    ratio=CounterRatio(bad='errors_total{pod=~"{{ pods }}"}', total='requests_total{pod=~"{{ pods }}"}'),
    max="5%",
)
LATENCY = Metric(name="latency", histogram='duration_seconds_bucket{pod=~"{{ pods }}"}', quantile="0.95", max="250ms")
QUEUE = Metric(name="queue", value="avg(queue_length{pod=~'{{ pods }}'}[{{ window }}])", max="10", better_when="lower")
VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})


class Reader(HTMLParser):
    """Checks that tags match, and keeps texts and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def read(chronicle: Chronicle, panels: tuple[Panel, ...] = ()) -> tuple[str, Reader]:
    text = page(chronicle, report(chronicle), panels)
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return text, reader


def panel(*values: float, limit: float | None = None, unit: str = "share") -> Panel:
    points = tuple((at(second), value) for second, value in enumerate(values))
    return Panel("errors", unit, (Curve("v3", points),), (("max", limit),) if limit is not None else ())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text, reader = read(taken_back(), (panel(0.1, 0.2),))
    assert not {"script", "link", "img", "iframe", "object", "use", "image"} & set(reader.tags)
    assert not [value for name, value in reader.attributes if name in ("src", "href", "srcset", "xlink:href")]
    assert not re.search(r"url\(|@import|https?://", text)


def test_the_page_tells_the_outcome_the_times_and_the_events() -> None:
    _, reader = read(taken_back())
    for told in ("taken back", "2.0 s", "2.2 s", "7 s", "All traffic goes back to the stable version"):
        assert told in reader.text


def test_what_others_wrote_is_text_and_never_markup() -> None:
    text, reader = read(taken_back())
    assert "errors: 20 % <of> requests & more" in reader.text
    assert "<of>" not in text


def test_decisions_are_marked_on_every_chart() -> None:
    text, _ = read(taken_back(), (panel(0.1, 0.2), panel(0.3)))
    assert text.count("v3 taken back") == 4  # traffic, harm and two metrics


def test_the_page_of_a_demo_that_never_began_is_whole() -> None:
    _, reader = read(Chronicle(FACTS))
    assert "It did not go as it should" in reader.text


def test_the_page_of_a_release_without_users_is_whole() -> None:
    _, reader = read(replace(taken_back(), outcomes=(), splits=()), (panel(), panel(math.nan)))
    assert "v3" in reader.text


def test_the_page_follows_day_and_night_and_the_width_of_a_phone() -> None:
    text, _ = read(taken_back())
    assert "prefers-color-scheme: dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text


def test_texts_follow_elements_in_the_order_given() -> None:
    made = html(element("p", {}, "a & b ", element("b", {}, "c"), " d", ["e", element("i"), "f"]))
    assert made == "<!DOCTYPE html>\n<p>a &amp; b <b>c</b> de<i></i>f</p>\n"


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 0.33], (0.0, 0.1, 0.2, 0.3, 0.4)),
        ([7.0], (0.0, 2.0, 4.0, 6.0, 8.0)),
        ([0.0], (0.0, 0.25, 0.5, 0.75, 1.0)),
        ([], (0.0, 0.25, 0.5, 0.75, 1.0)),
    ],
)
def test_scales_have_round_numbers(values: list[float], ticks: tuple[float, ...]) -> None:
    assert scale(values).ticks == pytest.approx(ticks)


def test_shares_never_reach_beyond_everything() -> None:
    assert scale([0.72, 0.999], ceiling=1.0, from_zero=False).high == 1.0


def test_values_that_do_not_exist_break_the_line() -> None:
    drawn = panel_chart(panel(0.1, math.nan, 0.2, 0.3), Span(at(0), at(4)), ())
    line = next(node for node in drawn.iter("path"))
    assert line.get("d", "").count("M") == 2
    assert "nan" not in line.get("d", "")


def test_a_limit_far_above_is_named_but_does_not_flatten_the_curve() -> None:
    assert shown_limits(panel(0.004, limit=0.25, unit="seconds")) == []
    assert shown_limits(panel(0.03, limit=0.05)) == [("max", 0.05)]


def test_weights_stack_up_to_everything() -> None:
    layers = [("v1", [(at(0), 100.0), (at(10), 95.0)]), ("v2", [(at(0), 0.0), (at(10), 5.0)])]
    areas = [node.get("points", "") for node in steps_chart(layers, Span(at(0), at(20)), ()).iter("polygon")]
    assert areas == [
        "0.00,0.00 500.00,0.00 500.00,5.00 1000.00,5.00 1000.00,100.00 500.00,100.00 500.00,100.00 0.00,100.00",
        "0.00,0.00 500.00,0.00 500.00,0.00 1000.00,0.00 1000.00,5.00 500.00,5.00 500.00,0.00 0.00,0.00",
    ]


def test_what_lies_outside_is_drawn_at_the_edge() -> None:
    assert Scale(0.0, 1.0, ()).y(2.0) == 0.0
    assert Span(at(0), at(10)).x(at(11)) == 1000.0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.025, "share", "2.5 %"), (0.25, "seconds", "250 ms"), (2.0, "seconds", "2 s"), (12.0, "number", "12")],
)
def test_values_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert with_unit(value, unit) == text


def asked(metric: Metric) -> Query:
    (query,) = curves.questions((metric,), "default", "digits", {"v3": "digits-abc"}, at(0), at(10))
    return query


def test_curves_ask_for_the_metrics_of_the_spec_by_version() -> None:
    pods = "digits-abc-[a-z0-9]+(-[a-z0-9]+)?"
    bad, total = f'sum(rate(errors_total{{pod=~"{pods}"}}[10s]))', f'sum(rate(requests_total{{pod=~"{pods}"}}[10s]))'
    assert asked(ERRORS).promql == f"({bad} or 0 * {total}) / {total}"
    assert asked(LATENCY).promql == (
        f'histogram_quantile(0.95, sum by (le) (rate(duration_seconds_bucket{{pod=~"{pods}"}}[10s])))'
    )
    assert asked(QUEUE).promql == f"avg(queue_length{{pod=~'{pods}'}}[10s])"
    assert [asked(metric).arm for metric in (ERRORS, LATENCY, QUEUE)] == ["v3"] * 3


def test_panels_know_title_unit_and_limits_of_each_metric() -> None:
    metrics = (ERRORS, LATENCY, QUEUE)
    drawn = curves.panels(metrics, {}, lambda version, moment: True)
    assert [(one.title, one.unit, one.limits) for one in drawn] == [
        ("errors", "share", (("max", 0.05),)),
        ("latency, p95", "seconds", (("max", 0.25),)),
        ("queue", "number", (("max", 10.0),)),
    ]


def test_a_curve_has_a_gap_where_its_version_had_no_traffic() -> None:
    samples = ((at(1), 0.1), (at(2), 0.2))
    answers = {asked(ERRORS): Answered((Series({}, samples),)), asked(LATENCY): Unanswered("away", rejected=False)}
    errors, latency = curves.panels((ERRORS, LATENCY), answers, lambda version, moment: moment < at(2))
    (curve,) = errors.curves
    assert (curve.version, curve.points[0]) == ("v3", (at(1), 0.1))
    assert math.isnan(curve.points[1][1])
    assert latency.curves == ()


def test_an_experiment_is_told_with_its_people() -> None:
    _, reader = read(experiment())
    assert (
        "Version v2 serves everybody. kept: 80% (stable 55%), which is better. It answered 4 of the 6 requests of its "
        "time. Of 1 people who met it in the experiment, none met another version before the end."
    ) in reader.text
