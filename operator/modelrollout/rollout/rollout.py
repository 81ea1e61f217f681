"""A ModelRollout as the planner sees it: parsed, rendered, and its fault named if it has one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from modelrollout.analysis.queries import ArmNames, Reach, queries
from modelrollout.api.errors import name_error, spec_error
from modelrollout.api.findings import Finding
from modelrollout.api.placeholders import UnknownName, render_tree
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus, VersionInfo
from modelrollout.objects.manifests import Manifest, Owner, digest
from modelrollout.rollout.expansion import NO_TEMPLATES, Templates, expanded
from modelrollout.traffic.gateway_api import GatewayRouter
from modelrollout.traffic.plain_service import ServiceRouter
from modelrollout.traffic.router import Router
from modelrollout.workloads import deployment

ROUTERS: tuple[Router, ...] = (GatewayRouter(), ServiceRouter())


@dataclass(frozen=True, slots=True)
class Wish:
    """A spec that makes sense: what shall be served, and how it gets there."""

    spec: ModelRolloutSpec  # expanded: all metrics are in analysis.metrics, none are in presets or templates
    revision: str
    model: VersionInfo
    template: Manifest  # rendered
    pods: int | None
    router: Router


@dataclass(frozen=True, slots=True)
class Rollout:
    """One resource as it was read. `wish` is None exactly when `fault` says why."""

    owner: Owner
    generation: int
    wish: Wish | None
    fault: Finding | None
    status: ModelRolloutStatus

    def workload(self, revision: str) -> str:
        return f"{self.owner.name}-{revision}"


def parse(manifest: Manifest, templates: Templates = NO_TEMPLATES) -> Rollout:
    """`templates`: what was found of those that `expansion.referred` names.

    Raises pydantic.ValidationError when the status is not one that this operator or an older one wrote."""
    metadata = manifest["metadata"]
    wrong_name = name_error(metadata["name"])  # an older CRD may have let it pass
    wish = Finding("InvalidName", f"{wrong_name}.") if wrong_name else read_wish(manifest.get("spec") or {}, templates)
    return Rollout(
        owner=Owner(metadata["namespace"], metadata["name"], metadata["uid"]),
        generation=int(metadata.get("generation", 1)),
        wish=wish if isinstance(wish, Wish) else None,
        fault=wish if isinstance(wish, Finding) else None,
        status=ModelRolloutStatus.model_validate(manifest.get("status") or {}),
    )


def read_wish(raw: Mapping[str, Any], templates: Templates = NO_TEMPLATES) -> Wish | Finding:
    """The wish in a spec, or the sentence that says what is wrong with it."""
    try:
        spec = expanded(ModelRolloutSpec.model_validate(raw), templates)
        if isinstance(spec, Finding):
            return spec
        template = render_tree(spec.workload.template, model_names(spec), where="spec.workload.template")
        _try_queries(spec)
    except ValidationError as error:
        return Finding("InvalidSpec", spec_error(error))
    except UnknownName as error:
        return Finding("InvalidTemplate", f"{error}")
    if (fault := deployment.fault(template)) is not None:
        return fault
    pods, router = deployment.replicas(template), router_of(spec)
    if router.splits_by_pods and pods is None:
        return Finding(
            "InvalidTemplate",
            "traffic.service splits by counting pods, so spec.workload.template.spec.replicas must be set; "
            "where an autoscaler sets it, use traffic.gatewayAPI.",
        )
    model = VersionInfo(name=spec.model.name, version=spec.model.version, uri=spec.model.uri)
    answers = {"model": model.model_dump(exclude_none=True), "pods": deployment.answering_part(template)}
    return Wish(spec, digest(answers), model, template, pods, router)


def router_of(spec: ModelRolloutSpec) -> Router:
    gateway, service = ROUTERS
    return gateway if spec.traffic.gateway_api is not None else service


def model_names(spec: ModelRolloutSpec) -> dict[str, str]:
    """The names that a template may use."""
    model = spec.model
    return {"model.name": model.name, "model.version": model.version, "model.uri": model.uri or ""}


def _try_queries(spec: ModelRolloutSpec) -> None:
    """Raises UnknownName now rather than in the middle of a rollout."""
    start = datetime(2000, 1, 1, tzinfo=UTC)
    anybody = ArmNames(arm="candidate", namespace="-", rollout="-", revision="-", workload="-", service="-")
    interval = spec.analysis.interval.timedelta
    reach = Reach(start, start + interval, start + interval, interval)
    queries(spec.analysis, anybody, None, {metric.name: reach for metric in spec.analysis.metrics})
