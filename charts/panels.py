"""The dashboard, panel by panel: one thought each. Pure.

Series are summed up by what a rollout is known by, so that a change of leader breaks no line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "state-timeline", "stat", "table"]

CHOSEN = 'namespace=~"$namespace",rollout=~"$rollout"'
"""The rollouts that were chosen at the top."""
ROLLOUT = "namespace, rollout"
BAD = "Stalled|WaitingForPerson|Edited|ScaledByOthers"
GOOD = "Healthy|Applied|TrafficAsIntended|CopiesCompared|Delivered|AnalysisAvailable|Sensitive"
LACKS = "{{rollout}} {{condition}}"


@dataclass(frozen=True, slots=True)
class Series:
    """A query, and how its lines are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """`unit` is Grafana's word for it; `width` in columns of 24."""

    title: str
    text: str
    kind: Kind
    unit: str
    series: tuple[Series, ...]
    width: int = 12
    height: int = 8
    repeat: str | None = None
    """A variable, for each of whose values there is a panel."""

    @property
    def is_at_once(self) -> bool:
        """Whether it shows how things are now, and not over time."""
        return self.kind in ("stat", "table")


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A decision, as a line across all panels; the value of its series is the moment, in milliseconds."""

    name: str
    color: str
    expr: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable at the top, with the values of a label."""

    name: str
    metric: str
    label: str


def chosen(expr: str, window: str = "5m", span: str = "3h", **values: str) -> str:
    """A query as Grafana sends it: all that can be chosen is everything, or the value that is given."""
    expr = expr.replace("$__rate_interval", window).replace("$__range", span)
    return re.sub(r'(=~?)"\$(\w+)"', lambda found: f'=~"{values.get(found[2], ".*")}"', expr)


def _of(metric: str, by: str, more: str = "") -> str:
    return f"max by ({', '.join(filter(None, (ROLLOUT, by)))}) ({metric}{{{CHOSEN}{more}}})"


def _quantile(share: float, metric: str, by: str = "", window: str = "$__rate_interval") -> str:
    grouped = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket[{window}])))"


def _rate(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}[$__rate_interval]))"


CHOICES = (
    Choice("namespace", "modelrollout_phase", "namespace"),
    Choice("rollout", 'modelrollout_phase{namespace=~"$namespace"}', "rollout"),
    Choice("metric", f"modelrollout_verdict{{{CHOSEN}}}", "metric"),
)

NOTES = (
    Note(
        "Steps",
        "blue",
        f"{_of('modelrollout_step_timestamp_seconds', 'stage, step')} * 1000",
        "{{rollout}}: {{stage}}, step {{step}}",
        "The step was reached.",
    ),
    Note(
        "Taken back",
        "red",
        f"{_of('modelrollout_rejection_timestamp_seconds', 'version, reason')} * 1000",
        "{{rollout}}: version {{version}} is taken back",
        "{{reason}}",
    ),
    Note(
        "Ends",
        "green",
        f"{_of('modelrollout_outcome_timestamp_seconds', 'version, outcome, reason')} * 1000",
        "{{rollout}}: version {{version}}: {{outcome}}",
        "{{reason}}",
    ),
)

RELEASE = Row(
    "Release",
    (
        Panel(
            "Phase",
            "Where each rollout stands.",
            "state-timeline",
            "none",
            (Series(_of("modelrollout_phase", "phase"), "{{rollout}} {{phase}}"),),
        ),
        Panel(
            "Who meets the candidate",
            "The part of users that it answers, and the part of requests of which it gets a copy.",
            "timeseries",
            "percentunit",
            (
                Series(_of("modelrollout_candidate_weight_ratio", ""), "{{rollout}} weight"),
                Series(_of("modelrollout_candidate_mirror_ratio", ""), "{{rollout}} copies"),
            ),
        ),
        Panel(
            "$metric: candidate and stable",
            "Both versions over the same time, as of the last look. Numbers are those of the present step.",
            "timeseries",
            "short",
            (Series(_of("modelrollout_metric_value", "arm", ',metric="$metric"'), "{{rollout}} {{arm}}"),),
            repeat="metric",
        ),
        Panel(
            "Evidence of a regression",
            "At 100 % the candidate is taken back.",
            "timeseries",
            "percentunit",
            (Series(_of("modelrollout_metric_evidence_ratio", "metric"), "{{rollout}} {{metric}}"),),
        ),
        Panel(
            "Ruled out",
            "Evidence against what must be ruled out; at 100 % a metric passes.",
            "timeseries",
            "percentunit",
            (Series(_of("modelrollout_metric_ruled_out_ratio", "metric"), "{{rollout}} {{metric}}"),),
        ),
        Panel(
            "Verdicts",
            "What each metric said at the last look.",
            "state-timeline",
            "none",
            (Series(_of("modelrollout_verdict", "metric, verdict"), "{{rollout}} {{metric}} {{verdict}}"),),
        ),
        Panel(
            "Samples",
            "What the values rest on, at the present step.",
            "timeseries",
            "short",
            (Series(_of("modelrollout_metric_samples", "metric, arm"), "{{rollout}} {{metric}} {{arm}}"),),
        ),
        Panel(
            "What stands in the way",
            "Conditions that are not as they are in a release that goes well.",
            "state-timeline",
            "none",
            (
                Series(_of("modelrollout_condition", "condition", f',status="True",condition=~"{BAD}"'), LACKS),
                Series(
                    _of("modelrollout_condition", "condition", f',status="False",condition=~"{GOOD}"'), f"{LACKS}: no"
                ),
            ),
            width=24,
        ),
        Panel(
            "Versions",
            "Candidate is empty while there is none.",
            "table",
            "none",
            (Series(_of("modelrollout_versions_info", "stable, candidate"), ""),),
        ),
        Panel(
            "Time at this step",
            "Since the step was reached.",
            "stat",
            "s",
            (
                Series(
                    f"time() - {_of('modelrollout_step_timestamp_seconds', 'stage, step')}",
                    "{{rollout}} {{stage}}, step {{step}}",
                ),
            ),
        ),
    ),
)

FLEET = Row(
    "All releases",
    (
        Panel(
            "Rollouts by phase",
            "All that the operator serves.",
            "timeseries",
            "short",
            (Series("sum by (phase) (max by (job, phase) (modelrollout_rollouts))", "{{phase}}"),),
            8,
        ),
        Panel(
            "Releases that ended",
            "Within the time that is shown.",
            "stat",
            "short",
            (
                Series(
                    "round(sum by (outcome, reason) (increase(modelrollout_releases_total[$__range]))) > 0",
                    "{{outcome}}: {{reason}}",
                ),
            ),
            8,
        ),
        Panel(
            "Time to detect and to restore",
            "Of bad releases, within the time that is shown: from the first exposure to the decision, and from there "
            "until stable had all traffic. Read between bounds of buckets: with few releases these are rough.",
            "stat",
            "s",
            (
                Series(_quantile(0.5, "modelrollout_time_to_detect_seconds", window="$__range"), "detect, half"),
                Series(_quantile(0.9, "modelrollout_time_to_detect_seconds", window="$__range"), "detect, 9 of 10"),
                Series(_quantile(0.5, "modelrollout_time_to_restore_seconds", window="$__range"), "restore, half"),
                Series(_quantile(0.9, "modelrollout_time_to_restore_seconds", window="$__range"), "restore, 9 of 10"),
            ),
            8,
        ),
    ),
)

OPERATOR = Row(
    "Operator",
    (
        Panel(
            "Who leads",
            "One process of each operator has to. Below, the time for which it may write before it renews the Lease.",
            "stat",
            "none",
            (
                Series("sum by (job) (modelrollout_leader)", "{{job}}: leaders"),
                Series("max by (job) (modelrollout_lease_remaining_seconds)", "{{job}}: seconds left"),
                Series("max by (job) (modelrollout_rollouts_overdue)", "{{job}}: rollouts without a pass"),
            ),
            8,
        ),
        Panel(
            "Passes",
            "How long they take.",
            "timeseries",
            "s",
            (
                Series(_quantile(0.5, "modelrollout_pass_duration_seconds"), "half take less"),
                Series(_quantile(0.99, "modelrollout_pass_duration_seconds"), "99 % take less"),
            ),
            8,
        ),
        Panel(
            "Parts of passes",
            "Where the time goes: 99 % take less.",
            "timeseries",
            "s",
            (Series(_quantile(0.99, "modelrollout_pass_part_duration_seconds", "part"), "{{part}}"),),
            8,
        ),
        Panel(
            "Lag",
            "How late passes begin and looks come: 99 % are earlier.",
            "timeseries",
            "s",
            (
                Series(_quantile(0.99, "modelrollout_pass_lag_seconds"), "passes"),
                Series(_quantile(0.99, "modelrollout_look_lag_seconds"), "looks"),
            ),
            8,
        ),
        Panel(
            "Failures",
            "Passes that failed, and requests that the API server did not carry out. 404 and 409 are part of its life.",
            "timeseries",
            "reqps",
            (
                Series(_rate("modelrollout_pass_failures_total"), "passes"),
                Series(
                    _rate("modelrollout_kubernetes_failures_total", "verb, resource, code"),
                    "{{verb}} {{resource}} {{code}}",
                ),
            ),
            8,
        ),
        Panel(
            "Requests to the API server",
            "create, update, patch and delete are writes.",
            "timeseries",
            "reqps",
            (Series(_rate("modelrollout_kubernetes_requests_total", "verb"), "{{verb}}"),),
            8,
        ),
        Panel(
            "Queries to Prometheus",
            "rejected: the query is wrong. unanswered: Prometheus is away.",
            "timeseries",
            "reqps",
            (Series(_rate("modelrollout_prometheus_queries_total", "outcome"), "{{outcome}}"),),
            8,
        ),
        Panel(
            "Age of what it knows",
            "Since all objects of a kind were looked at; no lost event is older.",
            "timeseries",
            "s",
            (Series("max by (resource) (modelrollout_mirror_age_seconds)", "{{resource}}"),),
            8,
        ),
        Panel(
            "Not shown",
            "Rollouts and metrics beyond the limit of what is shown one by one.",
            "stat",
            "short",
            (Series("max by (of) (modelrollout_series_not_shown)", "{{of}}"),),
            8,
        ),
    ),
)

ROWS: Sequence[Row] = (RELEASE, FLEET, OPERATOR)
PANELS = tuple(panel for row in ROWS for panel in row.panels)


def expressions() -> Iterator[str]:
    """Everything that the dashboard asks for."""
    for panel in PANELS:
        yield from (one.expr for one in panel.series)
    yield from (note.expr for note in NOTES)
    yield from (choice.metric for choice in CHOICES)
