"""What a user wishes: ``spec`` of a ModelRollout. Pure.

Docstrings and descriptions here become the CRD's, so they are written for the person who types ``kubectl explain``.
Its larger parts have modules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from modelrollout.api.analysis import AT_LEAST_A_SECOND, Analysis
from modelrollout.api.base import Model
from modelrollout.api.notifications import Notifications
from modelrollout.api.rules import Rule, unique_by
from modelrollout.api.scalars import CLOCK_PATTERN, Duration
from modelrollout.api.stages import DEFAULT_HOLD, Stage, default_stages
from modelrollout.api.traffic import Traffic
from modelrollout.api.workload import Workload

ROLLOUT_NAME = Rule.matching(
    # Workloads and Services are named <rollout>-<revision>, with 10 characters of revision. A Service's name has no
    # dots and starts with a letter (RFC 1035); and Kubernetes cuts the names of pods so that with more than 57
    # characters for their workload, the pods of two revisions could not be told apart.
    r"^[a-z]([-a-z0-9]{0,44}[a-z0-9])?$",
    "metadata.name must start with a letter, use lower-case letters, digits and - only, and have at most "
    "46 characters: Services and pods are named after it",
)
"""The rule for `metadata.name`, which no schema below `spec` can see."""


class ReleasedModel(Model):
    """The model that is released. A change of any of these starts a rollout."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="The model's name, as its registry knows it.")]
    version: Annotated[
        str, Field(min_length=1, max_length=128, description="The version to serve. Quote it: 12 is not a string.")
    ]
    uri: Annotated[str | None, Field(max_length=2048, description="Where the model's files are.")] = None


class Promotion(Model):
    """What happens once the candidate has all traffic."""

    bake: Annotated[Duration, Field(description="Keep judging for so long, the old version warm beside.")] = Duration(
        "30m"
    )
    keep_old: Annotated[Duration, Field(description="Keep the old version's pods for so long after the bake.")] = (
        Duration("1h")
    )


def _hold_within_deadline(spec: ModelRolloutSpec) -> bool:
    return _fit(spec, [hold for stage in spec.stages if stage.canary is not None for hold in stage.kind.holds])


def _all_holds_within_deadline(spec: ModelRolloutSpec) -> bool:
    return _fit(spec, [hold for stage in spec.stages for hold in stage.kind.holds])


def _fit(spec: ModelRolloutSpec, holds: Sequence[Duration]) -> bool:
    deadline = spec.analysis.step_deadline.timedelta
    return spec.analysis.readiness_only or all(hold.timedelta <= deadline for hold in holds)


_IS_CLOCK = f".matches(r'{CLOCK_PATTERN}')"
_HOLD = f"(has(s.canary.hold) ? s.canary.hold : '{DEFAULT_HOLD}')"
_HOLDS = f"(has(s.canary.steps) ? s.canary.steps.map(t, has(t.hold) ? t.hold : {_HOLD}) : [{_HOLD}])"


class ModelRolloutSpec(Model):
    """A model server, and how a new version of it reaches users."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            _hold_within_deadline,
            "a canary's hold is longer than analysis.stepDeadline, the longest time to wait at one step: "
            "make hold shorter or stepDeadline longer",
            # CEL's durations know no days: where one is written in days, only the operator compares.
            f"has(self.analysis.readinessOnly) && self.analysis.readinessOnly"
            f" || !self.analysis.stepDeadline{_IS_CLOCK} || self.stages.all(s, !has(s.canary) || {_HOLDS}"
            f".all(hold, !hold{_IS_CLOCK} || duration(hold) <= duration(self.analysis.stepDeadline)))",
        ),
        Rule(
            _all_holds_within_deadline,
            "a stage's hold is longer than analysis.stepDeadline, the longest time to wait at one step: "
            "make hold (or previewHold) shorter or stepDeadline longer",
            None,  # only the operator compares: for every kind of stage it would be beyond the limit of CEL's cost
        ),
    )

    model: ReleasedModel
    workload: Workload
    traffic: Traffic
    stages: Annotated[
        tuple[Stage, ...],
        Field(
            min_length=1,
            max_length=16,
            description="Run in the order in which they stand; one canary with weights 5, 25, 50, 100 when left out.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        unique_by("name"),
    ] = default_stages()
    analysis: Analysis
    promotion: Promotion = Promotion()
    progress_deadline: Annotated[
        Duration,
        Field(description="The candidate must be ready within this time, loading the model included."),
        AT_LEAST_A_SECOND,
    ] = Duration("10m")
    notifications: Notifications = ()
