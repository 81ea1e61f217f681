"""What a plan is made from and what it is: the observed world in, writes and words out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from modelrollout.api.findings import Finding
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.manifests import Manifest, Write
from modelrollout.objects.resources import Resource
from modelrollout.promql.query import Answer, Query


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was read about a rollout in one pass. Workloads, services and pods are those with its label."""

    workloads: tuple[Manifest, ...] = ()
    services: tuple[Manifest, ...] = ()
    pods: tuple[Manifest, ...] = ()
    routes: Mapping[Resource, Manifest] = field(default_factory=dict)  # by kind: named like the rollout
    answers: Mapping[Query, Answer] | None = None  # None: Prometheus was not asked
    trouble: Finding | None = None  # what the API server refused to write in the last pass

    def with_answers(self, answers: Mapping[Query, Answer]) -> Observed:
        return replace(self, answers=answers)


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling; Kubernetes shows it with `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What one pass shall do, in this order: retreat, save status, write the rest, tell."""

    status: ModelRolloutStatus
    retreat: tuple[Write, ...] = ()
    writes: tuple[Write, ...] = ()
    events: tuple[Event, ...] = ()
    recheck: timedelta | None = None
