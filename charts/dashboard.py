"""The dashboard as Grafana imports it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from charts.panels import CHOICES, NOTES, ROWS, Choice, Note, Panel, Series

Json = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
OPTIONS: dict[str, Json] = {
    "timeseries": {"tooltip": {"mode": "multi", "sort": "desc"}},
    "state-timeline": {"showValue": "never", "mergeValues": True},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "graphMode": "none"},
    "table": {},
}
ARMS = {"candidate": "orange", "stable": "blue"}


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> Json:
    return {
        "title": "ModelRollout",
        "uid": "modelrollout",
        "description": "Releases of models: both versions side by side, weights, evidence and decisions.",
        "tags": ["modelrollout"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource(), *map(_choice, CHOICES)]},
        "annotations": {"list": [_note(note) for note in NOTES]},
        "panels": [*_placed()],
    }


def _placed() -> Iterator[Json]:
    """From left to right, as many as fit, and then below."""
    number, y = 1, 0
    for row in ROWS:
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], **_place(0, y, 24, 1)}
        number, x, y = number + 1, 0, y + 1
        for panel in row.panels:
            width = COLUMNS if panel.repeat else panel.width
            if x + width > COLUMNS:
                x, y = 0, y + panel.height
            yield {"id": number, **_panel(panel), **_place(x, y, width, panel.height)}
            number, x = number + 1, x + width
        y += row.panels[-1].height


def _place(x: int, y: int, width: int, height: int) -> Json:
    return {"gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _panel(panel: Panel) -> Json:
    repeated = {"repeat": panel.repeat, "repeatDirection": "h", "maxPerRow": 3} if panel.repeat else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [_target(panel, one, "ABCDEFGH"[number]) for number, one in enumerate(panel.series)],
        "options": OPTIONS[panel.kind],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_colored(arm) for arm in ARMS]},
        **repeated,
    }


def _target(panel: Panel, series: Series, ref: str) -> Json:
    """What has one number is asked for once, and not for every point of a line."""
    at_once = {"instant": True, "range": False} if panel.is_at_once else {}
    as_table = {"format": "table"} if panel.kind == "table" else {}
    legend = {"expr": series.expr, "legendFormat": series.legend, "refId": ref}
    return {"datasource": SOURCE, **legend, **at_once, **as_table}


def _defaults(panel: Panel) -> Json:
    """Weights and values hold until the next look, so their lines are steps."""
    lines = {"lineInterpolation": "stepAfter", "fillOpacity": 5, "spanNulls": 60_000}  # ms: a new leader breaks none
    drawn = {"custom": lines} if panel.kind == "timeseries" else {}
    return {"unit": panel.unit, "min": 0, "color": {"mode": "palette-classic"}, **drawn}


def _colored(arm: str) -> Json:
    """The same color for an arm in every panel."""
    matcher = {"id": "byRegexp", "options": f"/ {arm}$/"}
    return {"matcher": matcher, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": ARMS[arm]}}]}


def _datasource() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}


def _choice(choice: Choice) -> Json:
    return {
        "name": choice.name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({choice.metric}, {choice.label})", "refId": choice.name},
        "definition": f"label_values({choice.metric}, {choice.label})",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }


def _note(note: Note) -> Json:
    return {
        "name": note.name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": note.color,
        "expr": note.expr,
        "step": "15s",
        "titleFormat": note.title,
        "textFormat": note.text,
        "tagKeys": "namespace,rollout",
        "useValueForTime": True,
    }
