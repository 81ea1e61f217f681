"""The dashboard: all that it asks for exists, it fits together, and the chart ships it for Grafana's sidecar."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from charts import dashboard, metric_table
from charts.panels import CHOICES, NOTES, PANELS, Panel, expressions
from modelrollout.shell import metrics
from tests.chart.helm import CHART, needs_helm, only, rendered
from tests.chart.queries import labels_of
from tests.docs import blocks
from tests.places import ROOT

FILE = CHART / "files/dashboard.json"
PAGE = ROOT / "docs/observability.md"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_asks_for_what_exists_and_names_its_lines_by_labels_that_they_have(panel: Panel) -> None:
    for series in panel.series:
        assert {*re.findall(r"\{\{(\w+)\}\}", series.legend)} <= labels_of(series.expr)


def test_decisions_are_moments_in_milliseconds_and_are_named_by_labels_that_they_have() -> None:
    for note in NOTES:
        assert {*re.findall(r"\{\{(\w+)\}\}", note.title + note.text)} <= labels_of(note.expr)
        assert re.search(r"_timestamp_seconds\{.*\* 1000$", note.expr)


def test_choices_are_labels_of_what_they_are_taken_from() -> None:
    assert [choice.name for choice in CHOICES if choice.label not in labels_of(choice.metric)] == []
    used = {*re.findall(r"\$([a-z]\w*)", " ".join([*expressions(), *(panel.repeat or "" for panel in PANELS)]))}
    assert used <= {choice.name for choice in CHOICES}


def test_every_metric_is_somewhere_on_it() -> None:
    asked = " ".join(expressions())
    assert [one.name for one in metrics.ALL if one.name not in asked] == []


def test_no_two_panels_cover_each_other() -> None:
    places = [panel["gridPos"] for panel in json.loads(FILE.read_text())["panels"]]
    fields = [{(p["x"] + x, p["y"] + y) for x in range(p["w"]) for y in range(p["h"])} for p in places]
    assert not any(one & other for one, other in combinations(fields, 2))
    assert all(place["x"] + place["w"] <= dashboard.COLUMNS for place in places)


def test_it_can_be_imported_anywhere() -> None:
    """Every part asks the Prometheus that is chosen at the top."""
    sources = re.findall(r'"uid": "(.*?)"', FILE.read_text())
    assert {*sources} == {"${datasource}", "modelrollout"}


@needs_helm
def test_the_chart_ships_the_file_as_it_is() -> None:
    values = {"crds": {"enabled": False}, "metrics": {"dashboard": {"enabled": True}}}
    made = only(rendered(values), "ConfigMap")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["modelrollout.json"]) == json.loads(FILE.read_text())


@needs_helm
def test_values_on_the_page_are_taken() -> None:
    for values in blocks(PAGE):
        assert rendered({**values, "crds": {"enabled": False}})


def test_links_on_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- metrics of a process -->"):
        metric_table.page("# Metrics\n")
