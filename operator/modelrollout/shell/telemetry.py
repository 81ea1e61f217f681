"""The operator's own metrics, and whether its passes keep coming. Decides nothing."""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.kube import Cluster, Leadership
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import Rollout
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.traffic.exposure import NOBODY
from modelrollout.trial.steps import exposure_at

OVERDUE = 60.0
"""Seconds that a pass may be late, or may take, before /healthz says that the operator hangs."""


class Telemetry:
    """Metrics in a registry of their own, and when each rollout's next pass is due."""

    def __init__(self, cluster: Cluster | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._due: dict[RolloutKey, float | None] = {}
        self._statuses: dict[RolloutKey, ModelRolloutStatus] = {}
        self._releases = Counter(
            "modelrollout_releases", "Releases that ended.", ("outcome", "reason"), registry=self.registry
        )
        self.passes = Histogram(
            "modelrollout_pass_duration_seconds",
            "Time that passes over rollouts took.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.failures = Counter("modelrollout_pass_failures", "Passes that failed.", registry=self.registry)
        self.registry.register(_Statuses(self._statuses))
        self._requests = [] if cluster is None else [cluster.requests]
        self.registry.register(_Requests(self._requests))

    def show_ages(self, ages: Callable[[], Mapping[str, float | None]]) -> None:
        """Shows how old the operator's picture of each kind may be."""
        self.registry.register(_Ages(ages))

    def show_leadership(self, leadership: Leadership) -> None:
        """Shows whether this process leads, and counts the requests that this takes with the others."""
        leader = Gauge("modelrollout_leader", "1 in the process that leads, 0 in others.", registry=self.registry)
        leader.set_function(lambda: float(leadership.leads))
        self._requests.append(leadership.requests)

    def saw(self, rollout: Rollout, made: Plan) -> None:
        """Shows what a pass decided."""
        owner, history = rollout.owner, made.status.history
        self._statuses[owner.namespace, owner.name] = made.status
        if history and history != rollout.status.history:
            self._releases.labels(history[0].outcome, history[0].reason).inc()

    def next_pass(self, key: RolloutKey, seconds: float | None) -> None:
        """A pass begins now (0) or is due in so many seconds; None: the next event will cause one."""
        self._due[key] = None if seconds is None else self._clock() + seconds

    def forget(self, key: RolloutKey) -> None:
        self._due.pop(key, None)
        self._statuses.pop(key, None)

    def overdue(self) -> list[RolloutKey]:
        """The rollouts whose pass hangs or is overdue."""
        latest = self._clock() - OVERDUE
        return sorted(key for key, due in self._due.items() if due is not None and due < latest)


class _Statuses(Collector):
    """The state of all rollouts, read when Prometheus asks: a metric can neither lag behind nor outlive its rollout."""

    def __init__(self, statuses: dict[RolloutKey, ModelRolloutStatus]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[Metric]:
        names = ("namespace", "rollout")
        phase = GaugeMetricFamily("modelrollout_phase", "1 for the phase of a rollout.", labels=(*names, "phase"))
        weight = GaugeMetricFamily(
            "modelrollout_candidate_weight_percent", "The weight that the candidate shall have.", labels=names
        )
        mirror = GaugeMetricFamily(
            "modelrollout_candidate_mirror_percent",
            "The part of requests that the candidate shall have copies of.",
            labels=names,
        )
        verdict = GaugeMetricFamily(
            "modelrollout_verdict", "1 for the verdict on a metric.", labels=(*names, "metric", "verdict")
        )
        for key, status in self._statuses.items():
            if status.phase is not None:
                phase.add_metric((*key, status.phase.value), 1)
            exposure = exposure_at(status.stage) if status.stage and status.candidate else NOBODY
            weight.add_metric(key, exposure.weight)
            mirror.add_metric(key, float(exposure.mirror))
            for entry in status.verdicts:
                verdict.add_metric((*key, entry.metric, entry.verdict.value), 1)
        yield from (phase, weight, mirror, verdict)


class _Ages(Collector):
    """By plural, the seconds since the last full listing of a kind: no lost event is older."""

    def __init__(self, ages: Callable[[], Mapping[str, float | None]]) -> None:
        self._ages = ages

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "modelrollout_mirror_age_seconds", "Time since all objects of a kind were looked at.", labels=("resource",)
        )
        for resource, age in self._ages().items():
            if age is not None:
                family.add_metric((resource,), age)
        yield family


class _Requests(Collector):
    """Requests to the API server, as each connection counts them."""

    def __init__(self, counts: list[Counts[tuple[str, str]]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "modelrollout_kubernetes_requests", "Requests sent to the API server.", labels=("verb", "resource")
        )
        for (verb, resource), count in sum(self._counts, start=Counts[tuple[str, str]]()).items():
            family.add_metric((verb, resource), count)
        yield family
