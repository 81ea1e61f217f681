"""How the candidate is judged: ``spec.analysis``. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool

from modelrollout.api.addresses import NO_ADDRESS, URL
from modelrollout.api.base import Model
from modelrollout.api.metric import Metric
from modelrollout.api.names import ObjectName
from modelrollout.api.references import PresetRef, TemplateRef
from modelrollout.api.rules import Rule, cel_number, unique_by
from modelrollout.api.scalars import CLOCK_PATTERN, RATIO_PATTERN, Duration, Share

MAX_ERROR_RATE = 0.5
AT_LEAST_A_SECOND = Rule(
    lambda duration: duration.timedelta >= timedelta(seconds=1),
    "this must be 1s or longer",
    f"!self.matches(r'{CLOCK_PATTERN}') || duration(self) >= duration('1s')",
)
IS_ERROR_RATE = Rule(
    lambda share: 0 < share.value <= MAX_ERROR_RATE,
    'this must be above 0% and at most 50%, such as 1% or "0.01"',
    f"!self.matches(r'{RATIO_PATTERN}') || {cel_number('self')} > 0.0 && {cel_number('self')} <= {MAX_ERROR_RATE}",
)


class SecretRef(Model):
    """A Secret of the rollout's own namespace."""

    name: Annotated[ObjectName, Field(description="Its name.")]


class PrometheusServer(Model):
    """The Prometheus to ask, instead of the operator's own, or what the operator's own is shown."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda server: server.url is not None or server.secret_ref is not None,
            "prometheus is empty: set url or secretRef, or leave it out to ask the operator's own",
            "has(self.url) || has(self.secretRef)",
        ),
    )

    url: Annotated[
        Annotated[str, Field(max_length=2048), Rule.matching(URL, NO_ADDRESS)] | None,
        Field(
            description="Its address, such as http://prometheus.monitoring.svc:9090, among those that the operator "
            "may ask; the operator's own when left out."
        ),
    ] = None
    secret_ref: Annotated[
        SecretRef | None,
        Field(
            description="A Secret of this namespace with what the server is shown: token, or username and password; "
            "headers, one `Name: value` a line; ca.crt. It is read again for every look."
        ),
    ] = None


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
        IS_ERROR_RATE,
    ] = Share("5%")
    false_rollback_rate: Annotated[
        Share,
        Field(description="Chance that an equally good candidate is taken back, over the rollout and all metrics."),
        IS_ERROR_RATE,
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
