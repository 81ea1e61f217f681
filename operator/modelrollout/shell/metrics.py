"""Every metric of the operator's: its name, kind, labels and what it says. Counts nothing.

docs/observability.md, the dashboard and the alert rules are held against this table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


@dataclass(frozen=True, slots=True)
class Described:
    """A metric before anything is counted."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()  # of a histogram

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """The names that queries use, each with its labels."""
        own = frozenset(self.labels)
        if self.kind != "histogram":
            return {self.name: own}
        return {f"{self.name}_bucket": own | {"le"}, f"{self.name}_sum": own, f"{self.name}_count": own}

    def counter(self, registry: CollectorRegistry) -> Counter:
        return Counter(self.name, self.text, self.labels, registry=registry)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        return Gauge(self.name, self.text, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        return Histogram(self.name, self.text, self.labels, registry=registry, buckets=self.buckets)

    def gauges(self) -> GaugeMetricFamily:
        """Without any series yet, for a collector."""
        return GaugeMetricFamily(self.name, self.text, labels=self.labels)

    def counters(self) -> CounterMetricFamily:
        return CounterMetricFamily(self.name, self.text, labels=self.labels)


ENDS = {
    "Installed": ("Installed", "TookOver"),
    "Promoted": ("Promoted", "TookOver"),
    "RolledBack": (
        "MetricFailed",
        "CrashLoop",
        "FewerThanIntended",
        "MoreThanIntended",
        "ProgressDeadlineExceeded",
        "SmokeFailed",
        "StepDeadlineExceeded",
    ),
    "Superseded": ("Superseded",),
    "Cancelled": ("Cancelled",),
}
"""How releases end. Each is shown from the start: Prometheus sees no increase in a series that begins with 1."""
OTHER = "Other"
"""Any other reason: those in a route can be anybody's."""
_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)
_ROLLOUT = ("namespace", "rollout")
_METRIC = (*_ROLLOUT, "metric")

# Of the process
PASS_DURATION = Described(
    "modelrollout_pass_duration_seconds", "histogram", "Time that passes over rollouts took.", buckets=_QUICK
)
PART_DURATION = Described(
    "modelrollout_pass_part_duration_seconds",
    "histogram",
    "Time that parts of passes took: read, plan, ask, take back, save, write.",
    ("part",),
    _QUICK,
)
PASS_FAILURES = Described("modelrollout_pass_failures_total", "counter", "Passes that failed.")
PASS_LAG = Described(
    "modelrollout_pass_lag_seconds", "histogram", "How late passes that were due began.", buckets=_QUICK
)
LOOK_LAG = Described(
    "modelrollout_look_lag_seconds",
    "histogram",
    "From the moment that a look at a candidate was due to Prometheus' answers.",
    buckets=(*_QUICK, 30, 60),
)
OVERDUE = Described("modelrollout_rollouts_overdue", "gauge", "Rollouts whose pass hangs or does not come.")
QUERIES = Described(
    "modelrollout_prometheus_queries_total",
    "counter",
    "Queries to Prometheus: answered, rejected (the query is wrong) or unanswered (Prometheus is away).",
    ("outcome",),
)
REQUESTS = Described(
    "modelrollout_kubernetes_requests_total",
    "counter",
    "Requests sent to the API server, reads and writes.",
    ("verb", "resource"),
)
REFUSALS = Described(
    "modelrollout_kubernetes_failures_total",
    "counter",
    "Requests that the API server did not carry out; code is its answer's, or none where there was no answer.",
    ("verb", "resource", "code"),
)
MIRROR_AGE = Described(
    "modelrollout_mirror_age_seconds", "gauge", "Time since all objects of a kind were looked at.", ("resource",)
)
LEADER = Described("modelrollout_leader", "gauge", "1 in the process that leads, 0 in others.")
LEASE_LEFT = Described(
    "modelrollout_lease_remaining_seconds", "gauge", "Time for which this process may still write; 0 where it may not."
)
ROLLOUTS = Described("modelrollout_rollouts", "gauge", "All rollouts, by phase.", ("phase",))
NOT_SHOWN = Described(
    "modelrollout_series_not_shown",
    "gauge",
    "Rollouts, and metrics of rollouts, beyond the limit of those that are shown one by one.",
    ("of",),
)
RELEASES = Described(
    "modelrollout_releases_total",
    "counter",
    "Releases that ended, by what became of them and why.",
    ("outcome", "reason"),
)
DETECTION = Described(
    "modelrollout_time_to_detect_seconds",
    "histogram",
    "Of releases that were taken back: from the first exposure to the decision.",
    buckets=_SLOW,
)
RESTORATION = Described(
    "modelrollout_time_to_restore_seconds",
    "histogram",
    "Of releases that were taken back: from the decision until all traffic was back on stable.",
    buckets=_SLOW,
)

# Of one rollout; they go with it
PHASE = Described("modelrollout_phase", "gauge", "1 for the phase of a rollout.", (*_ROLLOUT, "phase"))
WEIGHT = Described(
    "modelrollout_candidate_weight_ratio", "gauge", "The part of users that the candidate shall have.", _ROLLOUT
)
MIRROR = Described(
    "modelrollout_candidate_mirror_ratio",
    "gauge",
    "The part of requests that the candidate shall have copies of.",
    _ROLLOUT,
)
VERSIONS = Described(
    "modelrollout_versions_info",
    "gauge",
    "1 for the versions of a rollout; candidate is empty while there is none.",
    (*_ROLLOUT, "stable", "candidate"),
)
CONDITION = Described(
    "modelrollout_condition", "gauge", "1 for the status of each condition.", (*_ROLLOUT, "condition", "status")
)
STEP_BEGAN = Described(
    "modelrollout_step_timestamp_seconds",
    "gauge",
    "When the present step was reached, in unix time.",
    (*_ROLLOUT, "stage", "step"),
)
TAKEN_BACK = Described(
    "modelrollout_rejection_timestamp_seconds",
    "gauge",
    "When a version was decided to be taken back last, in unix time.",
    (*_ROLLOUT, "version", "reason"),
)
ENDED = Described(
    "modelrollout_outcome_timestamp_seconds",
    "gauge",
    "When a release ended last, in unix time.",
    (*_ROLLOUT, "version", "outcome", "reason"),
)
VERDICT = Described("modelrollout_verdict", "gauge", "1 for the last verdict on a metric.", (*_METRIC, "verdict"))
VALUE = Described(
    "modelrollout_metric_value",
    "gauge",
    "The value of a metric at the last look, in its own unit: a share as a ratio, a time in seconds.",
    (*_METRIC, "arm"),
)
SAMPLES = Described(
    "modelrollout_metric_samples", "gauge", "The samples that a value rests on, at this step.", (*_METRIC, "arm")
)
EVIDENCE = Described(
    "modelrollout_metric_evidence_ratio",
    "gauge",
    "Evidence of a regression, as a part of what a rollback takes.",
    _METRIC,
)
RULED_OUT = Described(
    "modelrollout_metric_ruled_out_ratio",
    "gauge",
    "Evidence against what must be ruled out, as a part of what moving on takes.",
    _METRIC,
)

OF_THE_PROCESS: Sequence[Described] = (
    PASS_DURATION,
    PART_DURATION,
    PASS_FAILURES,
    PASS_LAG,
    LOOK_LAG,
    OVERDUE,
    QUERIES,
    REQUESTS,
    REFUSALS,
    MIRROR_AGE,
    LEADER,
    LEASE_LEFT,
    ROLLOUTS,
    NOT_SHOWN,
    RELEASES,
    DETECTION,
    RESTORATION,
)
OF_A_ROLLOUT: Sequence[Described] = (
    PHASE,
    WEIGHT,
    MIRROR,
    VERSIONS,
    CONDITION,
    STEP_BEGAN,
    TAKEN_BACK,
    ENDED,
    VERDICT,
    VALUE,
    SAMPLES,
    EVIDENCE,
    RULED_OUT,
)
ALL = (*OF_THE_PROCESS, *OF_A_ROLLOUT)
