"""The counters of a comparer, for Prometheus. Decides nothing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from modelrollout.comparer.agreement import Reason
from modelrollout.comparer.answers import Agreed, Answer, Disagreed, Outcome, Reply, Uncompared
from modelrollout.comparer.config import Config
from modelrollout.comparer.copies import Shed
from modelrollout.comparer.sizes import CLASSES, UNTOLD, size_class

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ABOUT = ("rollout_ns", "rollout", "revision")
"""Labels of every series; `revision` is the candidate's. `namespace` would be renamed by most scrapes."""
EVERYTHING = "all"
"""The segment of a comparer that tells none apart."""


class Metrics:
    """All that Prometheus is told, in a registry of its own."""

    def __init__(self, config: Config) -> None:
        self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one untyped
        self._about = (config.namespace, config.rollout, config.candidate.revision)
        self._copies = self._counter("copies", "Copies of requests that arrived, by size of the body.", "size")
        self._shed = self._counter("shed", "Copies that were not worked on.", "reason")
        self._comparisons = self._counter("comparisons", "Requests that both versions answered.", "segment")
        self._agreements = self._counter("agreements", "Comparisons in which the answers agree.", "segment")
        self._disagreements = self._counter("disagreements", "Comparisons in which they do not.", "segment", "reason")
        self._uncompared = self._counter("uncompared", "Requests that say nothing of the candidate.", "reason")
        self._failures = self._counter("failures", "Requests without an answer, or one of 5xx.", "arm", "reason")
        self._seconds = self._histogram("answer_seconds", "Time until an answer was complete.")
        self._first_token = self._histogram("first_token_seconds", "Time until a stream's first word.")
        self._show_zeros()

    def _show_zeros(self) -> None:
        """A counter that appears together with its first event hides that event."""
        self.show_segment(EVERYTHING)
        for name in (*CLASSES, UNTOLD):
            self._copies.labels(*self._about, name)
        for why in Shed:
            self._shed.labels(*self._about, why.value)

    def show_segment(self, segment: str) -> None:
        """Its counters exist before the first comparison is counted."""
        self._comparisons.labels(*self._about, segment)
        self._agreements.labels(*self._about, segment)
        for reason in Reason:
            self._disagreements.labels(*self._about, segment, reason.value)

    def arrived(self, size: int | None) -> None:
        self._copies.labels(*self._about, size_class(size)).inc()

    def shed(self, why: Shed) -> None:
        self._shed.labels(*self._about, why.value).inc()

    def answered(self, arm: str, reply: Reply) -> None:
        """`arm`: stable or candidate."""
        if not isinstance(reply, Answer):
            self._failures.labels(*self._about, arm, reply.trouble.value).inc()
            return
        if reply.status >= 500:
            self._failures.labels(*self._about, arm, "status").inc()
        self._seconds.labels(*self._about, arm).observe(reply.seconds)
        if reply.first_token is not None:
            self._first_token.labels(*self._about, arm).observe(reply.first_token)

    def compared(self, segment: str, result: Outcome) -> None:
        match result:
            case Uncompared(reason):
                self._uncompared.labels(*self._about, reason).inc()
                return
            case Agreed():
                self._agreements.labels(*self._about, segment).inc()
            case Disagreed(reason):
                self._disagreements.labels(*self._about, segment, reason.value).inc()
        self._comparisons.labels(*self._about, segment).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"modelrollout_comparer_{name}", text, (*ABOUT, *labels), registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        labels = (*ABOUT, "arm")
        return Histogram(f"modelrollout_comparer_{name}", text, labels, buckets=SECONDS, registry=self.registry)
