"""Spans of passes: what is in them, that they reach an endpoint, and that an endpoint that hangs holds up nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import parse
from modelrollout.shell.telemetry import Telemetry
from modelrollout.shell.tracing import LAST_SPANS, Facts, OpenTelemetry, Untraced, traces
from tests import builders
from tests.fakes.town import KEY, Town, run

PASSWORD = "hunter2"  # noqa: S105 - nobody has it
PARTS = {"read", "plan", "ask", "take back", "save"}


class TracedTown(Town):
    """Spans are kept."""

    def make_telemetry(self) -> Telemetry:
        self.spans, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        return Telemetry(traces=OpenTelemetry(provider))

    def spans_of_the_rollback(self) -> dict[str, ReadableSpan]:
        """Of the pass in which it is decided."""
        self.go(Phase.PROGRESSING, 50)
        self.metrics.bad = {"2": 0.5}
        spans = dict[str, ReadableSpan]()
        while self.phase is Phase.PROGRESSING:
            self.now += timedelta(seconds=5)
            spans = self.traced_pass()
        return spans

    def traced_pass(self) -> dict[str, ReadableSpan]:
        """By name, the spans of one pass."""

        async def a_pass() -> None:
            with self.telemetry.a_pass(KEY):
                await self.passing()

        self.spans.clear()
        run(a_pass())
        return {span.name: span for span in self.spans.get_finished_spans()}


@pytest.fixture(scope="module")
def taking_back() -> dict[str, ReadableSpan]:
    """A pass that takes a candidate with errors back."""
    town = TracedTown()
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    town.wish("2")
    return town.spans_of_the_rollback()


def test_a_pass_is_a_span_with_its_parts_below_it(taking_back: dict[str, ReadableSpan]) -> None:
    whole = taking_back["pass"]
    assert taking_back.keys() == {"pass", *PARTS}
    assert whole.context is not None
    parents = [taking_back[part].parent for part in PARTS]
    assert {parent and parent.span_id for parent in parents} == {whole.context.span_id}


def test_a_pass_says_which_release_it_is_about_and_what_was_decided(taking_back: dict[str, ReadableSpan]) -> None:
    said = {name.removeprefix("modelrollout."): value for name, value in (taking_back["pass"].attributes or {}).items()}
    assert {"uid", "revision", "release"} <= said.keys()
    expected = {
        "namespace": "ml",
        "rollout": "fraud",
        "phase.before": "Progressing",
        "phase": "RollingBack",
        "stage": "canary",
        "weight": 0,
        "takes_back": True,
        "verdict.errors": "Fail",
    }
    assert {name: said[name] for name in expected} == expected
    assert "errors" in str(said["message"])
    assert (taking_back["ask"].attributes or {}) == {"modelrollout.queries.answered": 2}


def test_nothing_of_it_has_the_password_of_a_prometheus(caplog: pytest.LogCaptureFixture) -> None:
    town, analysis = TracedTown(), builders.spec()["analysis"]
    address = {"url": f"http://reader:{PASSWORD}@prometheus:9090"}
    town.wish("1", analysis={**analysis, "prometheus": address})
    with caplog.at_level("DEBUG"):
        spans = town.traced_pass()
    assert town.phase is Phase.INVALID  # and whoever reads why must not read the password
    said = [town.status.model_dump_json(), town.exposition().decode(), caplog.text]
    told = [*said, *(span.to_json() for span in spans.values())]
    assert [text for text in told if PASSWORD in text] == []


def test_without_an_endpoint_nothing_is_imported() -> None:
    imported = "import modelrollout.shell.telemetry, modelrollout.shell.tracing as t, sys; t.traces({}); "
    code = f"{imported} sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0  # noqa: S603


@pytest.mark.parametrize(
    "environment", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}], ids=["none", "off"]
)
def test_without_an_endpoint_or_switched_off_there_are_no_spans(environment: dict[str, str]) -> None:
    assert isinstance(traces(environment), Untraced)


def test_nothing_is_put_into_words_where_no_span_is_kept() -> None:
    unkept = OpenTelemetry(TracerProvider(sampler=ALWAYS_OFF))

    def words() -> Facts:
        raise AssertionError("nobody wants them")

    for spans in (Untraced(), unkept):
        with spans.span("pass"):
            spans.note(words)


class Unread:
    """Part of a plan that nobody looks at."""

    def __bool__(self) -> bool:
        raise AssertionError("nobody wants to know")


def test_without_traces_nothing_is_made_of_a_decision() -> None:
    unread: Any = Unread()
    made = Plan(ModelRolloutStatus(phase=Phase.HEALTHY), retreat=unread)
    with Telemetry().a_pass(KEY):
        Telemetry().saw(parse(builders.rollout(), {}), made)


def test_a_variable_that_cannot_be_used_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")  # less than one batch
    assert isinstance(traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}), Untraced)
    assert "There will be no traces" in caplog.text


@contextmanager
def collector(received: Queue[bytes], may_answer: threading.Event) -> Iterator[str]:
    """An endpoint for OTLP over HTTP, which answers as soon as it may."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(self.rfile.read(int(self.headers["Content-Length"])))
            may_answer.wait(30)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        may_answer.set()
        server.shutdown()
        serving.join()
        server.server_close()


def spans_to(url: str, monkeypatch: pytest.MonkeyPatch, **more: str) -> OpenTelemetry:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "releases", **more}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = traces(environment)
    assert isinstance(made, OpenTelemetry)
    return made


def test_spans_reach_an_endpoint_by_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    received, may_answer = Queue[bytes](), threading.Event()
    may_answer.set()
    with collector(received, may_answer) as url:
        telemetry = Telemetry(traces=spans_to(url, monkeypatch))
        with telemetry.a_pass(KEY), telemetry.part("read"):
            pass
        telemetry.stop()
        (of_service,) = ExportTraceServiceRequest.FromString(received.get(timeout=30)).resource_spans
    assert ("service.name", "releases") in {(one.key, one.value.string_value) for one in of_service.resource.attributes}
    assert [span.name for scope in of_service.scope_spans for span in scope.spans] == ["read", "pass"]


def test_an_endpoint_that_hangs_holds_up_neither_passes_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    received, may_answer = Queue[bytes](), threading.Event()
    few = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    with collector(received, may_answer) as url:
        telemetry = Telemetry(traces=spans_to(url, monkeypatch, **few))
        for _ in range(100):
            with telemetry.a_pass(KEY):
                pass
        received.get(timeout=30)
        for _ in range(100):  # none of these is sent: the first batch waits for its answer
            with telemetry.a_pass(KEY):
                pass
        telemetry.stop()
        assert received.empty()
        may_answer.set()
        for thread in threading.enumerate():
            if thread.name == LAST_SPANS:
                thread.join()
