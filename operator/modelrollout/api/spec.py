"""What a user wishes: ``spec`` of a ModelRollout. Pure.

Docstrings and descriptions here become the CRD's, so they are written for the person who types ``kubectl explain``.
``x-kubernetes-validations`` are the rules that the API server checks on apply; each message names field and mend.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from modelrollout.api.base import Model
from modelrollout.api.scalars import Duration, Limit, Share

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Percent = Annotated[int, Field(ge=1, le=100)]


def _rules(*rules: tuple[str, str]) -> ConfigDict:
    """CEL rules of one object: (rule, message) each."""
    return ConfigDict(
        json_schema_extra={"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}
    )


class ReleasedModel(Model):
    """The model that is released. A change of any of these starts a rollout."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="The model's name, as its registry knows it.")]
    version: Annotated[
        str, Field(min_length=1, max_length=128, description="The version to serve. Quote it: 12 is not a string.")
    ]
    uri: Annotated[str | None, Field(max_length=2048, description="Where the model's files are.")] = None


class Workload(Model):
    """The model server. Strings in the template may use {{ model.name }}, {{ model.version }} and {{ model.uri }}."""

    template: Annotated[
        dict[str, Any],
        Field(
            description="A whole Deployment without name and selector (the operator gives each revision its own).",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ]


class ParentRef(Model):
    """The Gateway (or a section of it) that users come through."""

    group: Annotated[str, Field(max_length=253)] = "gateway.networking.k8s.io"
    kind: Annotated[str, Field(min_length=1, max_length=63)] = "Gateway"
    namespace: Annotated[str | None, Field(min_length=1, max_length=63)] = None
    name: Annotated[str, Field(min_length=1, max_length=253)]
    section_name: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    port: Annotated[int | None, Field(ge=1, le=65535)] = None


class GatewayAPI(Model):
    """Split traffic by weight in an HTTPRoute that the operator makes and owns, named after the rollout."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=32)]
    hostnames: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...],
        Field(max_length=16, description="Host names that the route answers to; all of the Gateway's when left out."),
    ] = ()


class ServiceTraffic(Model):
    """Plain Services, no gateway: one Service named after the rollout. 0 and 100 % are exact; between them the share is
    that of ready pods, and the status says which share that is."""


class Traffic(Model):
    """How users reach the model server. Exactly one router."""

    model_config = _rules(
        (
            "[has(self.gatewayAPI), has(self.service)].exists_one(x, x)",
            "traffic needs exactly one router: set either traffic.gatewayAPI or traffic.service",
        )
    )

    port: Annotated[int, Field(ge=1, le=65535, description="The port that the model server's container listens on.")]
    gateway_api: Annotated[GatewayAPI | None, Field(alias="gatewayAPI")] = None
    service: ServiceTraffic | None = None


class Step(Model):
    """One weight of a canary, and how long it is held at least."""

    weight: Annotated[Percent, Field(description="Percent of the traffic that the candidate gets.")]
    hold: Annotated[
        Duration | None, Field(description="Shortest time at this weight; the canary's hold when left out.")
    ] = None


class Canary(Model):
    """The candidate gets a growing share of the traffic, judged at each step."""

    model_config = _rules(
        (
            "has(self.weights) != has(self.steps)",
            "a canary needs either weights, such as [5, 25, 50, 100], or steps, not both",
        ),
        (
            "!has(self.weights) || self.weights.all(w, self.weights.exists_one(v, v == w)) && self.weights.isSorted()",
            "canary.weights must rise from one to the next, such as [5, 25, 50, 100]",
        ),
        (
            "!has(self.steps) || self.steps.map(s, s.weight).all(w, self.steps.exists_one(s, s.weight == w))"
            " && self.steps.map(s, s.weight).isSorted()",
            "the weights of canary.steps must rise from one step to the next, such as 5, 25, 50, 100",
        ),
    )

    weights: Annotated[tuple[Percent, ...] | None, Field(min_length=1, max_length=32)] = None
    steps: Annotated[tuple[Step, ...] | None, Field(min_length=1, max_length=32)] = None
    hold: Annotated[Duration, Field(description="Shortest time at each step.")] = Duration("5m")


class Stage(Model):
    """One stage of the release."""

    name: Name
    canary: Canary


class CounterRatio(Model):
    """A ratio of two counters, each given as a series selector; the raw samples are read, so no rate() or sum()."""

    model_config = _rules(
        ("has(self.bad) != has(self.good)", "a ratio needs total and exactly one of bad and good"),
    )

    bad: Annotated[str | None, Field(min_length=1, max_length=4096, description="Counter of what went wrong.")] = None
    good: Annotated[str | None, Field(min_length=1, max_length=4096, description="Counter of what went right.")] = None
    total: Annotated[str, Field(min_length=1, max_length=4096, description="Counter of all.")]


class Tolerance(Model):
    """How much worse than stable is still fine. Both parts add up: limit = stable × (1 ± relative) ± absolute."""

    relative: Annotated[Share, Field(description="Share of stable's value, such as 25%.")] = Share("0%")
    absolute: Annotated[Limit, Field(description="In the metric's own unit: 0.1%, 5ms, 0.01.")] = Limit("0")


class Metric(Model):
    """One metric, read for candidate and stable over the same time."""

    model_config = _rules(
        (
            "[has(self.ratio), has(self.histogram), has(self.value)].exists_one(x, x)",
            "a metric needs exactly one of ratio, histogram and value",
        ),
        ("!has(self.quantile) || has(self.histogram)", "quantile belongs to a histogram: remove it, or set histogram"),
        ("has(self.value) == has(self.betterWhen)", "betterWhen is needed with value, and only there"),
        (
            "has(self.tolerance) || has(self.min) || has(self.max)",
            "a metric decides nothing without a bound: set tolerance, min or max",
        ),
    )

    name: Name
    ratio: CounterRatio | None = None
    histogram: Annotated[
        str | None,
        Field(min_length=1, max_length=4096, description="Series selector of a histogram's …_bucket counters."),
    ] = None
    value: Annotated[
        str | None, Field(min_length=1, max_length=4096, description="Any PromQL that yields one number for one arm.")
    ] = None
    quantile: Annotated[
        str | None,
        Field(
            pattern=r"^0?\.[0-9]+$",
            max_length=8,
            description='The quantile that tolerance, max and people look at; "0.99" when left out.',
        ),
    ] = None
    better_when: Annotated[Literal["lower", "higher"] | None, Field(description="Which way is better.")] = None
    tolerance: Tolerance | None = None
    min: Annotated[Limit | None, Field(description="Never lower than this, whatever stable does.")] = None
    max: Annotated[Limit | None, Field(description="Never higher than this, whatever stable does.")] = None
    min_samples: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000_000,
            description="Fewest samples of each arm before anything is said: requests for ratio and histogram "
            "(100 when left out), readings for value (5).",
        ),
    ] = None


class PrometheusServer(Model):
    """The Prometheus to ask, instead of the operator's own default."""

    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://.+")]


class Analysis(Model):
    """How the candidate is judged."""

    model_config = _rules(
        (
            "(has(self.metrics) && size(self.metrics) > 0) != (has(self.readinessOnly) && self.readinessOnly)",
            "analysis needs metrics; to release on readiness alone say so with readinessOnly: true and no metrics",
        )
    )

    interval: Annotated[Duration, Field(description="Time between two looks at the metrics; 1s at least.")] = Duration(
        "15s"
    )
    false_rollback_rate: Annotated[
        Share,
        Field(description="Chance that an equally good candidate is taken back, over the rollout and all metrics."),
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
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    readiness_only: Annotated[
        bool, Field(description="Release on readiness alone, without metrics. Silence is never consent.")
    ] = False


class Promotion(Model):
    """What happens once the candidate has all traffic."""

    bake: Annotated[Duration, Field(description="Keep judging for so long, the old version warm beside.")] = Duration(
        "30m"
    )
    keep_old: Annotated[Duration, Field(description="Keep the old version's pods for so long after the bake.")] = (
        Duration("1h")
    )


def default_stages() -> tuple[Stage, ...]:
    """One canary, 5 → 25 → 50 → 100 %."""
    return (Stage(name="canary", canary=Canary(weights=(5, 25, 50, 100))),)


class ModelRolloutSpec(Model):
    """A model server, and how a new version of it reaches users."""

    model: ReleasedModel
    workload: Workload
    traffic: Traffic
    stages: Annotated[
        tuple[Stage, ...],
        Field(
            min_length=1,
            max_length=16,
            description="Run in order; one canary with weights 5, 25, 50, 100 when left out.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=default_stages)
    analysis: Analysis
    promotion: Promotion = Promotion()
    progress_deadline: Annotated[
        Duration, Field(description="The candidate must be ready within this time, loading the model included.")
    ] = Duration("10m")
