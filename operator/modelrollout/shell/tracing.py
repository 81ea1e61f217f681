"""Traces of passes for an OpenTelemetry endpoint, where there is one; nothing is imported, and nothing done, where not.

Spans wait in a bounded queue of the SDK's and leave by a thread of its own. When the endpoint is slow or away they are
dropped there: no pass waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_MISSING = "%s is set, but the packages for it are missing: install modelrollout[tracing]. There will be no traces."
_LAST_WORDS = 2.0
"""Seconds for the spans that wait when the process ends."""
LAST_SPANS = "last-spans"
"""The thread that sends them."""
Facts = Mapping[str, str | int | float | bool]


class Traces(Protocol):
    """Where spans go."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span around what happens inside, below the one that is open."""

    def note(self, facts: Callable[[], Facts]) -> None:
        """Adds attributes to the span that is open, and asks for them only if it is kept."""

    def stop(self) -> None:
        """Sends what waits, and does not wait for long."""


class Untraced:
    """No endpoint."""

    def span(self, name: str) -> AbstractContextManager[object]:
        return nullcontext()

    def note(self, facts: Callable[[], Facts]) -> None: ...

    def stop(self) -> None: ...


def traces(environment: Mapping[str, str]) -> Traces:
    """As the standard variables say."""
    endpoint = next((name for name in ENDPOINTS if environment.get(name)), None)
    if endpoint is None or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Untraced()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning(_MISSING, endpoint)
        return Untraced()
    try:
        processor = BatchSpanProcessor(OTLPSpanExporter())
    except ValueError as error:  # such as a queue smaller than a batch
        logger.warning("There will be no traces, since its OTEL_ variables cannot be used: %s", error)
        return Untraced()
    # Else it would hold up the end of the process for as long as the endpoint hangs.
    provider = TracerProvider(resource=Resource.create({"service.name": _service(environment)}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return OpenTelemetry(provider)


def _service(environment: Mapping[str, str]) -> str:
    return environment.get("OTEL_SERVICE_NAME") or "modelrollout"


class OpenTelemetry:
    """Spans by the SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace

        self._provider, self._tracer, self._open = provider, provider.get_tracer("modelrollout"), trace.get_current_span

    def span(self, name: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name)

    def note(self, facts: Callable[[], Facts]) -> None:
        if (span := self._open()).is_recording():
            span.set_attributes(facts())

    def stop(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name=LAST_SPANS, daemon=True)
        ending.start()
        ending.join(_LAST_WORDS)
