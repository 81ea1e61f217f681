"""How the candidate is judged: ``spec.analysis``. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from modelrollout.api import metric_rules
from modelrollout.api.base import Model
from modelrollout.api.references import PresetRef, TemplateRef
from modelrollout.api.rules import Rule, unique_by
from modelrollout.api.scalars import CLOCK_PATTERN, Duration, Limit, Share
from modelrollout.api.stages import Name

AT_LEAST_A_SECOND = Rule(
    lambda duration: duration.timedelta >= timedelta(seconds=1),
    "this must be 1s or longer",
    f"!self.matches(r'{CLOCK_PATTERN}') || duration(self) >= duration('1s')",
)
Selector = Annotated[str, Field(min_length=1, max_length=4096), metric_rules.IS_SELECTOR]


DEFAULT_QUANTILE = "0.99"


class CounterRatio(Model):
    """A ratio of two counters, each given as a series selector; the raw samples are read, so no rate() or sum()."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda ratio: (ratio.bad is None) != (ratio.good is None),
            "a ratio needs total and exactly one of bad and good",
            "has(self.bad) != has(self.good)",
        ),
    )

    bad: Annotated[Selector | None, Field(description="Counter of what went wrong.")] = None
    good: Annotated[Selector | None, Field(description="Counter of what went right.")] = None
    total: Annotated[Selector, Field(description="Counter of all.")]
    groups: Annotated[Groups | None, Field(description="Judge groups by themselves, too, and the gaps between.")] = None


class Groups(Model):
    """Groups of people or requests, told apart by a label of both counters. Each is compared by itself."""

    label: Annotated[
        str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", description="The label.")
    ]
    values: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(
            min_length=2,
            max_length=16,
            description="The groups. The first is the one whose gap to the others is watched.",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ]
    max_extra_gap: Annotated[
        Share, Field(description="By so many points the candidate may widen the gap of a group to the first one.")
    ] = Share("3%")


class Mean(Model):
    """A mean per user, such as revenue, from counters of their sum, sum of squares and number."""

    sum: Annotated[Selector, Field(description="Counter that adds up the values.")]
    squares: Annotated[Selector, Field(description="Counter that adds up their squares: how much users differ.")]
    count: Annotated[Selector, Field(description="Counter of users; each belongs to one arm only.")]


class Pairs(Model):
    """The same requests answered by both versions, as mirrored traffic is, once the true label is known."""

    candidate_wrong: Annotated[Selector, Field(description="Counter of those that only the candidate got wrong.")]
    stable_wrong: Annotated[Selector, Field(description="Counter of those that only stable got wrong.")]
    total: Annotated[
        Selector | None,
        Field(description="Counter of all that were compared. Without it, two models that never differ never pass."),
    ] = None


class Tolerance(Model):
    """How much worse than stable is still fine. Both parts add up: limit = stable × (1 ± relative) ± absolute."""

    relative: Annotated[Share, Field(description="Share of stable's value, such as 25%.")] = Share("0%")
    absolute: Annotated[
        Limit,
        Field(description="In the metric's own unit: 0.1%, 5ms, 0.01."),
        Rule(
            lambda limit: not limit.startswith("-"),
            "a tolerance says how much worse is still fine, so it is never negative: remove the -",
            "!self.startsWith('-')",
        ),
    ] = Limit("0")


class Metric(Model):
    """One metric, read for candidate and stable over the same time."""

    rules: ClassVar[tuple[Rule, ...]] = metric_rules.ALL

    name: Annotated[Name, Field(description="What people call it; unique among the metrics.")]
    ratio: CounterRatio | None = None
    histogram: Annotated[Selector | None, Field(description="Series selector of a histogram's …_bucket counters.")] = (
        None
    )
    value: Annotated[
        str | None, Field(min_length=1, max_length=4096, description="Any PromQL that yields one number for one arm.")
    ] = None
    mean: Mean | None = None
    pairs: Pairs | None = None
    quantile: Annotated[
        str | None,
        Field(
            max_length=8,
            description='The quantile that max limits and people read, "0.99" when left out. The tolerance compares '
            "the whole distribution.",
        ),
        metric_rules.IS_QUANTILE,
    ] = None
    better_when: Annotated[Literal["lower", "higher"] | None, Field(description="Which way is better.")] = None
    tolerance: Tolerance | None = None
    exclude: Annotated[
        Tolerance | None,
        Field(
            description="To move on, a regression this large must have been ruled out. Left out: twice as bad as "
            "stable, and no less than twice the tolerance."
        ),
    ] = None
    min: Annotated[Limit | None, Field(description="Never lower than this, whatever stable does.")] = None
    max: Annotated[Limit | None, Field(description="Never higher than this, whatever stable does.")] = None
    min_samples: Annotated[
        int | None,
        Field(
            strict=True,
            ge=1,
            le=1_000_000_000,
            description="Fewest samples of each arm before a metric may pass: requests for ratio and histogram "
            "(100 when left out), users for mean (100), answers for pairs (20), readings for value (10 at least). "
            "Enough evidence of a regression may come from fewer.",
        ),
    ] = None

    @property
    def quantile_share(self) -> float:
        """The quantile as a share of the requests, 0–1; the default where none is set."""
        return float(self.quantile or DEFAULT_QUANTILE)


class PrometheusServer(Model):
    """The Prometheus to ask, instead of the operator's own default."""

    url: Annotated[
        str,
        Field(max_length=2048, description="Its address, such as http://prometheus.monitoring:9090."),
        Rule.matching(r"^https?://[^\s]+$", "this is not an address such as http://prometheus.monitoring:9090"),
    ]


_HAS_METRICS = "({})".format(
    " || ".join(f"has(self.{where}) && size(self.{where}) > 0" for where in ("metrics", "presets", "templates"))
)


class Analysis(Model):
    """How the candidate is judged."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda analysis: (
                bool(analysis.metrics or analysis.presets or analysis.templates) != analysis.readiness_only
            ),
            "analysis needs metrics, presets or templates; to release on readiness alone say so with "
            "readinessOnly: true and none of them",
            f"{_HAS_METRICS} != (has(self.readinessOnly) && self.readinessOnly)",
        ),
        Rule(
            lambda analysis: analysis.step_deadline.timedelta >= analysis.interval.timedelta,
            "stepDeadline is shorter than interval, so a step would end before its metrics are read: make it longer",
            f"!self.interval.matches(r'{CLOCK_PATTERN}') || !self.stepDeadline.matches(r'{CLOCK_PATTERN}')"
            " || duration(self.stepDeadline) >= duration(self.interval)",
        ),
    )

    interval: Annotated[
        Duration, Field(description="Time between two looks at the metrics; 1s at least."), AT_LEAST_A_SECOND
    ] = Duration("15s")
    warm_up: Annotated[
        Duration, Field(description="What a pod does in its first time does not count: caches fill, code is compiled.")
    ] = Duration("30s")
    noise: Annotated[
        Literal["auto", "independent", "strict"],
        Field(
            description="How noise of single pods is allowed for. auto: as the history of stable's pods shows; "
            "independent: requests are vouched to fail one by one; strict: two tests with different assumptions must "
            "agree, which is slow."
        ),
    ] = "auto"
    threshold: Annotated[
        Literal["anytime", "planned"],
        Field(
            description="anytime: falseRollbackRate holds however long it takes. planned: it holds for the time that "
            "the stages plan, and regressions are found sooner; beyond it another chance as large is added."
        ),
    ] = "anytime"
    false_promotion_rate: Annotated[
        Share,
        Field(description="Chance that a step ends although a regression as large as exclude is there."),
        metric_rules.IS_ERROR_RATE,
    ] = Share("5%")
    false_rollback_rate: Annotated[
        Share,
        Field(description="Chance that an equally good candidate is taken back, over the rollout and all metrics."),
        metric_rules.IS_ERROR_RATE,
    ] = Share("1%")
    on_inconclusive: Annotated[
        Literal["hold", "promote", "rollback"],
        Field(
            description="At a step's deadline without enough evidence. promote never applies while there is no data or "
            "Prometheus is away: that holds."
        ),
    ] = "hold"
    step_deadline: Annotated[Duration, Field(description="Longest time to wait for evidence at one step.")] = Duration(
        "2h"
    )
    prometheus: PrometheusServer | None = None
    metrics: Annotated[
        tuple[Metric, ...],
        Field(
            max_length=32,
            description="What is measured of both arms; the names are unique. One that is named like a metric of a "
            "preset or template takes its place.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        unique_by("name"),
    ] = ()
    presets: Annotated[
        tuple[PresetRef, ...],
        Field(
            max_length=16,
            description="Ready-made metrics of well-known model servers and proxies.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        unique_by("name"),
    ] = ()
    templates: Annotated[
        tuple[TemplateRef, ...],
        Field(max_length=16, description="Metrics from MetricTemplates of this namespace and ClusterMetricTemplates."),
    ] = ()
    readiness_only: Annotated[
        StrictBool, Field(description="Release on readiness alone, without metrics. Silence is never consent.")
    ] = False
