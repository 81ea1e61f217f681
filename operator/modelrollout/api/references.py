"""How a rollout names metrics that are written elsewhere: ``presets`` and ``templates`` of ``spec.analysis``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from modelrollout.api.base import Model
from modelrollout.api.metric_templates import ArgumentValue, wrong_arguments
from modelrollout.api.names import Name, ObjectName
from modelrollout.api.presets import PRESETS
from modelrollout.api.rules import Rule

Arguments = Annotated[dict[str, ArgumentValue], Field(max_length=32)]
Include = Annotated[tuple[Name, ...], Field(min_length=1, max_length=32)]

# An `enum` lets the API server list the known presets in its own words; the operator lists them, too.
PresetName = Annotated[
    str,
    Field(json_schema_extra={"enum": sorted(PRESETS)}),
    Rule(lambda name: name in PRESETS, f"this is not a preset; known: {', '.join(sorted(PRESETS))}", cel=None),
]


class PresetRef(Model):
    """Ready-made metrics, by the name of what exports them. docs/presets.md lists them with their arguments."""

    name: Annotated[PresetName, Field(description="Which preset.")]
    arguments: Annotated[Arguments | None, Field(description="Values of its arguments, by name, as text.")] = None
    include: Annotated[
        Include | None, Field(description="Names of the metrics to take; all of the preset's when left out.")
    ] = None

    # Only here: CEL would have to know the arguments of every preset, and its message could not list them.
    @model_validator(mode="after")
    def _knows_its_preset(self) -> Self:
        spec = PRESETS[self.name].spec
        metrics = [metric["name"] for metric in spec.metrics]
        arguments = self.arguments or {}
        sentence = wrong_arguments(spec.arguments, arguments) or _wrong_unit(arguments)
        sentence = sentence or unknown_metrics(metrics, self.include)
        if sentence is not None:
            raise PydanticCustomError("rule", "{sentence}", {"sentence": sentence})
        return self


class TemplateRef(Model):
    """Metrics of a MetricTemplate in this namespace, or of a ClusterMetricTemplate."""

    name: Annotated[ObjectName, Field(description="The template's name.")]
    kind: Annotated[
        Literal["MetricTemplate", "ClusterMetricTemplate"],
        Field(description="MetricTemplate when left out, which is looked for in the namespace of the rollout."),
    ] = "MetricTemplate"
    arguments: Annotated[Arguments | None, Field(description="Values of its arguments, by name, as text.")] = None
    include: Annotated[
        Include | None, Field(description="Names of the metrics to take; all of the template's when left out.")
    ] = None


def _wrong_unit(arguments: Mapping[str, str]) -> str | None:
    """300ms would be read as 0.3 of whatever the metric is in, and every candidate would break that limit."""
    worded = [name for name, value in arguments.items() if name.endswith("seconds") and re.search("[a-z]", value)]
    return f'{worded[0]} is in that unit already: write a plain number, such as "300"' if worded else None


def unknown_metrics(known: list[str], include: tuple[str, ...] | None) -> str | None:
    """What is wrong with the names of metrics to take, with the known ones named; None when nothing is."""
    unknown = [name for name in include or () if name not in known]
    return f"include: {', '.join(unknown)} is not a metric here; known: {', '.join(known)}" if unknown else None
