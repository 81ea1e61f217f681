"""The model server that is released: ``spec.workload``. Pure."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.names import ObjectName
from modelrollout.api.rules import Rule, exactly_one_of
from modelrollout.api.scaling import Autoscaling, PodDisruptionBudget


class WorkloadRef(Model):
    """A Deployment or StatefulSet of the user's that serves as the template. It is read and never owned."""

    api_version: Annotated[Literal["apps/v1"], Field(description="API version of the workload.")] = "apps/v1"
    kind: Annotated[Literal["Deployment", "StatefulSet"], Field(description="Kind of the workload.")]
    name: Annotated[ObjectName, Field(description="Its name, in the namespace of the rollout.")]
    when_managed: Annotated[
        Literal["Keep", "ScaleToZero"],
        Field(
            description="What becomes of its own pods once the operator's serve the users. Keep leaves them alone; "
            "ScaleToZero frees what they hold."
        ),
    ] = "Keep"


class Workload(Model):
    """The model server: a template, or a workload that is there already. Strings in the template may use
    {{ model.name }}, {{ model.version }} and {{ model.uri }}."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one_of(
            *("template", "workloadRef"),
            message="a workload is described once: set either workload.template or workload.workloadRef",
        ),
    )

    template: Annotated[
        dict[str, Any] | None,
        Field(
            description="A whole Deployment or StatefulSet without name and selector: the operator gives each revision "
            "its own.",
            json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        ),
    ] = None
    workload_ref: WorkloadRef | None = None
    autoscaling: Autoscaling | None = None
    pod_disruption_budget: PodDisruptionBudget | None = None
