"""The dashboard as a page: what a Prometheus answered, drawn."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from charts.panels import PANELS, Panel
from demo.dashboard import Curve, Seen, drawn, main
from modelrollout.reports.plot import Mark, Span

SPAN = Span(0, 100)
BY_TITLE = {panel.title: panel for panel in PANELS}


def page(panel: Panel, *curves: Curve) -> str:
    return drawn({"Release": [Seen(panel.title, panel, curves)]}, SPAN, [Mark(50, "<fraud> taken back", "red")])


def test_both_arms_have_their_own_colors_and_a_decision_is_a_line_across() -> None:
    arms = [Curve(f"fraud {arm}", ((0, 0.1), (50, 0.2), (100, 0.3))) for arm in ("candidate", "stable")]
    made = page(BY_TITLE["$metric: candidate and stable"], *arms)
    assert re.findall(r'<path class="line (\w+)"', made) == ["candidate", "stable"]
    assert 'class="mark red"' in made
    assert "&lt;fraud&gt; taken back" in made


def test_a_value_holds_until_the_next_one_and_where_there_was_none_for_long_is_a_gap() -> None:
    points = (*((at, 1.0) for at in range(20)), *((at, 2.0) for at in range(60, 80)))
    made = page(BY_TITLE["Samples"], Curve("fraud", tuple((float(at), value) for at, value in points)))
    (path,) = re.findall(r'<path class="line [^"]*" d="([^"]*)"', made)
    assert path.count("M") == 2


def test_a_time_line_has_a_bar_for_as_long_as_a_series_is_there() -> None:
    points = tuple((float(at), 1.0) for at in (*range(20), *range(60, 80)))
    made = page(BY_TITLE["Phase"], Curve("fraud Pending", points))
    assert made.count('<rect class="bar') == 2


def test_a_number_is_the_last_one_in_its_unit() -> None:
    assert "<b>45 s</b>fraud" in page(BY_TITLE["Time at this step"], Curve("fraud", ((100.0, 45.0),)))


def test_a_panel_without_an_answer_says_so() -> None:
    assert "Nothing." in page(BY_TITLE["Evidence of a regression"])


@pytest.fixture
def silent() -> Iterator[str]:
    """A Prometheus that knows nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "success", "data": {"result": []}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_the_command_writes_the_page(silent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "dashboard.html"
    assert main([silent, "--out", str(out)]) == 0
    assert out.read_text().count("Nothing.") == len(PANELS) - 1  # one is there for each metric
    assert capsys.readouterr().out == f"{out}\n"


def test_the_command_says_that_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["http://127.0.0.1:1", "--out", str(tmp_path / "x.html")]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
