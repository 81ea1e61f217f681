"""What a user wishes: ``spec`` of a ModelRollout. Pure.

Docstrings and descriptions here become the CRD's, so they are written for the person who types ``kubectl explain``.
Its larger parts have modules of their own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import Field

from modelrollout.api.analysis import AT_LEAST_A_SECOND, Analysis
from modelrollout.api.base import Model
from modelrollout.api.rules import Rule, unique_by
from modelrollout.api.scalars import CLOCK_PATTERN, Duration
from modelrollout.api.stages import DEFAULT_HOLD, Stage, default_stages
from modelrollout.api.traffic import Traffic

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


class Workload(Model):
    """The model server. Strings in the template may use {{ model.name }}, {{ model.version }} and {{ model.uri }}."""

    template: Annotated[
        dict[str, Any],
        Field(
            description="A whole Deployment without name and selector (the operator gives each revision its own).",
            json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
        ),
    ]


class Promotion(Model):
    """What happens once the candidate has all traffic."""

    bake: Annotated[Duration, Field(description="Keep judging for so long, the old version warm beside.")] = Duration(
        "30m"
    )
    keep_old: Annotated[Duration, Field(description="Keep the old version's pods for so long after the bake.")] = (
        Duration("1h")
    )


def _never_fall(stages: tuple[Stage, ...]) -> bool:
    canaries = [stage.canary.all_steps for stage in stages]
    return all(one[-1].weight <= next_one[0].weight for one, next_one in pairwise(canaries))


def _hold_within_deadline(spec: ModelRolloutSpec) -> bool:
    holds = [step.hold or stage.canary.hold for stage in spec.stages for step in stage.canary.all_steps]
    deadline = spec.analysis.step_deadline.timedelta
    return spec.analysis.readiness_only or all(hold.timedelta <= deadline for hold in holds)


_IS_CLOCK = f".matches(r'{CLOCK_PATTERN}')"
_HOLD = f"(has(s.canary.hold) ? s.canary.hold : '{DEFAULT_HOLD}')"
_HOLDS = f"(has(s.canary.steps) ? s.canary.steps.map(t, has(t.hold) ? t.hold : {_HOLD}) : [{_HOLD}])"


def _first(stage: str) -> str:
    return f"(has({stage}.canary.weights) ? {stage}.canary.weights[0] : {stage}.canary.steps[0].weight)"


def _last(stage: str) -> str:
    weights, steps = f"{stage}.canary.weights", f"{stage}.canary.steps"
    return f"(has({weights}) ? {weights}[size({weights}) - 1] : {steps}[size({steps}) - 1].weight)"


class ModelRolloutSpec(Model):
    """A model server, and how a new version of it reaches users."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            _hold_within_deadline,
            "a canary's hold is longer than analysis.stepDeadline, the longest time to wait at one step: "
            "make hold shorter or stepDeadline longer",
            # CEL's durations know no days: where one is written in days, only the operator compares.
            f"has(self.analysis.readinessOnly) && self.analysis.readinessOnly"
            f" || !self.analysis.stepDeadline{_IS_CLOCK} || self.stages.all(s, {_HOLDS}"
            f".all(hold, !hold{_IS_CLOCK} || duration(hold) <= duration(self.analysis.stepDeadline)))",
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
            description="Run in order; one canary with weights 5, 25, 50, 100 when left out.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        unique_by("name"),
        Rule(
            _never_fall,
            "a stage may not start below the weight at which the stage before it ended: "
            "raise its first weight, or swap the stages",
            # Stages that overlap in no weight, and rise with both their ends, follow one another.
            f"!self.all(s, has(s.canary.weights) != has(s.canary.steps))"
            f" || self.map(s, {_first('s')}).isSorted() && self.map(s, {_last('s')}).isSorted()"
            f" && self.all(a, self.all(b, a.name == b.name || {_last('a')} <= {_first('b')}"
            f" || {_last('b')} <= {_first('a')}))",
        ),
    ] = default_stages()
    analysis: Analysis
    promotion: Promotion = Promotion()
    progress_deadline: Annotated[
        Duration,
        Field(description="The candidate must be ready within this time, loading the model included."),
        AT_LEAST_A_SECOND,
    ] = Duration("10m")
