"""What the operator tells of itself: metrics, the spans of its passes, and whether these keep coming. Decides nothing.

All that a pass waits for here is to add up a few numbers.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.api.status import ModelRolloutStatus, Outcome
from modelrollout.kube import Cluster, Leadership
from modelrollout.plan.plan import Plan
from modelrollout.promql.query import Answer, Answered
from modelrollout.rollout.rollout import Rollout
from modelrollout.shell import journal, metrics
from modelrollout.shell.milestones import Detection, Restoration, milestones
from modelrollout.shell.shown_rollouts import Shown, ShownRollouts
from modelrollout.shell.tracing import Facts, Traces, Untraced
from modelrollout.shell.wakeups import RolloutKey

Labels = TypeVar("Labels", bound=tuple[str, ...])
OVERDUE = 60.0
"""Seconds that a pass may be late, or may take, before /healthz says that the operator hangs."""
MOST_ROLLOUTS = 1000
"""Rollouts that are shown one by one, where nobody says otherwise."""


class Telemetry:
    """Metrics in a registry of their own, and when each rollout's next pass is due."""

    def __init__(
        self,
        cluster: Cluster | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = MOST_ROLLOUTS,
        traces: Traces | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves this one untyped
        self.registry = registry = CollectorRegistry()
        self._clock, self._traces = clock, traces or Untraced()
        self._due: dict[RolloutKey, float | None] = {}
        self._shown: dict[RolloutKey, Shown] = {}
        self._looks: dict[RolloutKey, datetime] = {}
        self._passes = metrics.PASS_DURATION.histogram(registry)
        self._parts = metrics.PART_DURATION.histogram(registry)
        self._late_passes, self._late_looks = metrics.PASS_LAG.histogram(registry), metrics.LOOK_LAG.histogram(registry)
        self.failures = metrics.PASS_FAILURES.counter(registry)
        self._queries = metrics.QUERIES.counter(registry)
        self._releases = metrics.RELEASES.counter(registry)
        for answered in ("answered", "rejected", "unanswered"):
            self._queries.labels(answered)
        for outcome, reasons in metrics.ENDS.items():
            for reason in (*reasons, metrics.OTHER):
                self._releases.labels(outcome, reason)
        self._detections = metrics.DETECTION.histogram(registry)
        self._restorations = metrics.RESTORATION.histogram(registry)
        metrics.OVERDUE.gauge(registry).set_function(lambda: float(len(self.overdue())))
        registry.register(ShownRollouts(self._shown, most))
        self._clusters: list[Cluster | Leadership] = [] if cluster is None else [cluster]
        registry.register(_Requests(self._clusters))

    def show_ages(self, ages: Callable[[], Mapping[str, float | None]]) -> None:
        """Shows how old the operator's picture of each kind may be."""
        self.registry.register(_Ages(ages))

    def show_leadership(self, leadership: Leadership | None) -> None:
        """Shows whether this process leads, and counts the requests that this takes with the others.

        None: it leads without a Lease.
        """
        leader = metrics.LEADER.gauge(self.registry)
        if leadership is None:
            leader.set(1)
            return
        leader.set_function(lambda: float(leadership.leads))
        metrics.LEASE_LEFT.gauge(self.registry).set_function(lambda: leadership.left)
        self._clusters.append(leadership)

    def page(self) -> bytes:
        """All metrics in the text format. It takes a while with many rollouts, and may be called in any thread."""
        return generate_latest(self.registry)

    # Around what is done

    @contextmanager
    def a_pass(self, key: RolloutKey) -> Iterator[None]:
        """Around one pass: all that is logged and traced inside is about this rollout."""
        due, began = self._due.get(key), self._clock()
        if due is not None and began >= due:  # one that is woken earlier is not late
            self._late_passes.observe(began - due)
        self.next_pass(key, 0)
        with journal.working_for(key), self._traces.span("pass"):
            try:
                yield
            finally:
                self._passes.observe(self._clock() - began)
                self._traces.note(lambda: _attributes(journal.fields()))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Around one part of a pass: read, plan, ask, take back, save or write."""
        began = self._clock()
        with self._traces.span(name):
            try:
                yield
            finally:
                self._parts.labels(name).observe(self._clock() - began)

    # What was done

    def heard(self, answers: Iterable[Answer]) -> None:
        """Prometheus was asked."""
        outcomes = Counts(_outcome(answer) for answer in answers)
        for outcome, count in outcomes.items():
            self._queries.labels(outcome).inc(count)
        self._traces.note(lambda: _attributes(outcomes, "queries."))

    def looked(self, key: RolloutKey, due: datetime | None, now: datetime) -> None:
        """The answers to a look that was due then are there. Passes until the next one ask the same again."""
        if due is not None and self._looks.get(key) != due:
            self._looks[key] = due
            self._late_looks.observe(max(0.0, (now - due).total_seconds()))

    def works_for(self, rollout: Rollout) -> None:
        """The pass found out whom it is about."""
        journal.note(rollout.owner, rollout.status)

    def saw(self, rollout: Rollout, made: Plan) -> None:
        """Shows what a pass decided."""
        owner, status = rollout.owner, made.status
        key = owner.namespace, owner.name
        known = self._shown.get(key)
        # An earlier pass may have saved what this one was still shown the way it was before.
        before = known.status if known is not None else rollout.status
        self._count(before, status)
        verdicts = made.verdicts
        if verdicts is None:
            is_as_before = known is not None and known.status.verdicts == status.verdicts
            verdicts = known.verdicts if known is not None and is_as_before else status.verdicts
        self._shown[key] = Shown(status, verdicts)
        journal.note(owner, status, rollout.status)
        self._traces.note(lambda: _decision(rollout.status, made))

    def _count(self, before: ModelRolloutStatus, after: ModelRolloutStatus) -> None:
        for reached in milestones(before, after):
            match reached:
                case Outcome():
                    is_known = reached.reason in metrics.ENDS[reached.outcome]
                    self._releases.labels(reached.outcome, reached.reason if is_known else metrics.OTHER).inc()
                case Detection():
                    self._detections.observe(reached.seconds)
                case Restoration():
                    self._restorations.observe(reached.seconds)

    def next_pass(self, key: RolloutKey, seconds: float | None) -> None:
        """A pass begins now (0) or is due in so many seconds; None: the next event will cause one."""
        self._due[key] = None if seconds is None else self._clock() + seconds

    def forget(self, key: RolloutKey) -> None:
        self._due.pop(key, None)
        self._shown.pop(key, None)
        self._looks.pop(key, None)

    def overdue(self) -> list[RolloutKey]:
        """The rollouts whose pass hangs or is overdue."""
        latest = self._clock() - OVERDUE
        return sorted(key for key, due in self._due.copy().items() if due is not None and due < latest)

    def stop(self) -> None:
        """Sends the spans that wait; takes two seconds at most."""
        self._traces.stop()


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Answered):
        return "answered"
    return "rejected" if answer.rejected else "unanswered"


def _attributes(facts: Mapping[str, str] | Mapping[str, int], prefix: str = "") -> Facts:
    return {f"modelrollout.{prefix}{name}": value for name, value in facts.items()}


def _decision(before: ModelRolloutStatus, made: Plan) -> Facts:
    """What a span says of a decision."""
    status, stage = made.status, made.status.stage
    facts: dict[str, str | int | float | bool] = {
        "modelrollout.phase": str(status.phase or ""),
        "modelrollout.phase.before": str(before.phase or ""),
        "modelrollout.message": status.message or "",
        "modelrollout.takes_back": bool(made.retreat),
        "modelrollout.writes": len(made.writes),
    }
    if stage is not None:
        facts |= {
            "modelrollout.stage": stage.name,
            "modelrollout.step": stage.step,
            "modelrollout.weight": stage.weight,
        }
    facts |= {f"modelrollout.verdict.{one.metric}": one.verdict.value for one in made.verdicts or ()}
    return facts


class _Ages(Collector):
    """By plural, the seconds since the last full listing of a kind: no lost event is older."""

    def __init__(self, ages: Callable[[], Mapping[str, float | None]]) -> None:
        self._ages = ages

    def collect(self) -> Iterator[Metric]:
        family: GaugeMetricFamily = metrics.MIRROR_AGE.gauges()
        for resource, age in self._ages().items():
            if age is not None:
                family.add_metric((resource,), age)
        yield family


class _Requests(Collector):
    """Requests to the API server and those that failed, as each connection counts them."""

    def __init__(self, clusters: list[Cluster | Leadership]) -> None:
        self._clusters = clusters

    def collect(self) -> Iterator[Metric]:
        requests, refusals = metrics.REQUESTS.counters(), metrics.REFUSALS.counters()
        _add_up(requests, [cluster.requests for cluster in self._clusters])
        _add_up(refusals, [cluster.failures for cluster in self._clusters])
        yield from (requests, refusals)


def _add_up(family: CounterMetricFamily, counts: Iterable[Counts[Labels]]) -> None:
    total = Counts[Labels]()
    for one in counts:
        total.update(dict(one))  # a copy: requests go on while another thread reads
    for labels, count in total.items():
        family.add_metric(labels, count)
