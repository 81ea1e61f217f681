"""How many pods each version of a model has, and how many may be away: parts of ``spec.workload``. Pure.

Docstrings and descriptions here become the CRD's, so they are written for the person who types ``kubectl explain``.
"""

from __future__ import annotations

import re
from operator import not_
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from modelrollout.api.base import Model
from modelrollout.api.rules import Rule, exactly_one_of

_ANY: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_Object = Annotated[dict[str, Any], WithJsonSchema(_ANY)]
_Objects = Annotated[tuple[_Object, ...], Field(max_length=32, exclude_if=not_)]
_Pods = Annotated[int, Field(strict=True, ge=1)]
_WholeNumber = Annotated[int, Field(strict=True, ge=0)]


class HorizontalPodAutoscaler(Model):
    """The spec of a HorizontalPodAutoscaler (autoscaling/v2), whose target is filled in."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda one: one.min_replicas is None or one.min_replicas <= one.max_replicas,
            "minReplicas is more than maxReplicas: make one of them another",
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        ),
    )

    min_replicas: Annotated[_Pods | None, Field(description="Fewest pods. Default: 1.")] = None
    max_replicas: Annotated[_Pods, Field(description="Most pods.")]
    metrics: Annotated[
        _Objects, Field(description="What the number follows, as in a HorizontalPodAutoscaler; CPU when left out.")
    ] = ()
    behavior: Annotated[
        _Object | None, Field(description="How fast it may change, as in a HorizontalPodAutoscaler.")
    ] = None


def _names_its_own_autoscaler(advanced: dict[str, Any]) -> bool:
    config = advanced.get("horizontalPodAutoscalerConfig")
    return isinstance(config, dict) and "name" in config


class ScaledObject(Model):
    """The spec of a ScaledObject of KEDA (keda.sh/v1alpha1), whose target is filled in."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            lambda one: one.advanced is None or not _names_its_own_autoscaler(one.advanced),
            "advanced.horizontalPodAutoscalerConfig.name would be that of two versions at once: leave it out",
            None,  # of an object without a schema CEL knows no fields
        ),
    )

    triggers: Annotated[
        tuple[_Object, ...], Field(min_length=1, max_length=32, description="What the number follows, as KEDA has it.")
    ]
    min_replica_count: Annotated[
        _WholeNumber | None,
        Field(description="Fewest pods; 0, KEDA's default, lets a version without requests have none."),
    ] = None
    max_replica_count: Annotated[_Pods | None, Field(description="Most pods. KEDA's default: 100.")] = None
    idle_replica_count: Annotated[
        _WholeNumber | None,
        Field(description="Pods while no trigger is active. It does not count while a candidate is on trial."),
    ] = None
    polling_interval: Annotated[_WholeNumber | None, Field(description="Seconds between looks at the triggers.")] = None
    cooldown_period: Annotated[_WholeNumber | None, Field(description="Seconds before the last pod goes.")] = None
    initial_cooldown_period: Annotated[
        _WholeNumber | None, Field(description="The same, right after the version was made.")
    ] = None
    fallback: Annotated[_Object | None, Field(description="The number while triggers fail, as KEDA has it.")] = None
    advanced: Annotated[_Object | None, Field(description="Further settings, as KEDA has them.")] = None


class Autoscaling(Model):
    """Each version is scaled by an autoscaler of its own, which is made, named and removed together with it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("horizontalPodAutoscaler", "scaledObject"),
            message="a version has one autoscaler: set either horizontalPodAutoscaler or scaledObject",
        ),
    )

    horizontal_pod_autoscaler: HorizontalPodAutoscaler | None = None
    scaled_object: ScaledObject | None = None


_COUNT = re.compile(r"(100|[1-9]?[0-9])%")


def _count(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _COUNT.fullmatch(value):
        return value
    raise ValueError("this is neither a number of pods nor a percentage of them, such as 1 or 25%")


_PodCount = Annotated[int | str, PlainValidator(_count), WithJsonSchema({"x-kubernetes-int-or-string": True})]


class PodDisruptionBudget(Model):
    """How many pods of a version may be away while nodes are drained. Each version has a budget of its own."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("minAvailable", "maxUnavailable"),
            message="a budget is written in one way: set either minAvailable or maxUnavailable",
        ),
    )

    min_available: Annotated[_PodCount | None, Field(description='Pods that stay: a number, or "50%" of them.')] = None
    max_unavailable: Annotated[_PodCount | None, Field(description='Pods that may be away: a number, or "25%".')] = None
    unhealthy_pod_eviction_policy: Annotated[
        Literal["IfHealthyBudget", "AlwaysAllow"] | None,
        Field(description="Whether pods that are not ready may go in any case. Kubernetes' default: IfHealthyBudget."),
    ] = None
