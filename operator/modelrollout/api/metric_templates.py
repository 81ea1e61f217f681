"""Metrics with arguments: what presets are made of, and ``spec`` of MetricTemplate and ClusterMetricTemplate. Pure.

The metrics are kept as they are written: a field can be checked only once its placeholders are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.rules import Rule, unique_by

KIND = "MetricTemplate"
CLUSTER_KIND = "ClusterMetricTemplate"
PREFIX = "args."
"""Begins the names of placeholders that stand for an argument."""
LONGEST_QUERY = 4096  # characters of a query, as in a ModelRollout

ArgumentName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Rule.matching(
        r"^[a-zA-Z]([-_a-zA-Z0-9]*[a-zA-Z0-9])?$",
        "an argument's name is made of letters, digits, - and _, as maxErrors",
    ),
]
ArgumentValue = Annotated[str, Field(max_length=1024)]


class Argument(Model):
    """What a user of the template may set. Every {{ args.NAME }} in its metrics stands for the value."""

    name: Annotated[ArgumentName, Field(description="Used in the metrics as {{ args.NAME }}.")]
    description: Annotated[str | None, Field(max_length=1024, description="What it means, for its users.")] = None
    default: Annotated[
        ArgumentValue | None,
        Field(description='Used where none is given. Left out: users must give one. "": what it fills is left out.'),
    ] = None


def _has_each_name_once(metrics: Sequence[Mapping[str, Any]]) -> bool:
    names = [str(metric.get("name")) for metric in metrics]
    return len(set(names)) == len(names)


class MetricTemplateSpec(Model):
    """Metrics that many rollouts share. Their strings may use {{ args.NAME }} beside {{ pods }} and its like."""

    description: Annotated[
        str | None, Field(max_length=1024, description="What is measured, and of what, in a sentence.")
    ] = None
    arguments: Annotated[
        tuple[Argument, ...],
        Field(
            max_length=32,
            description="What users of the template may, or must, set.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        unique_by("name"),
    ] = ()
    metrics: Annotated[
        tuple[dict[str, Any], ...],
        Field(
            min_length=1,
            max_length=32,
            description="As in spec.analysis.metrics of a ModelRollout. A field that comes out empty is left out.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
        Rule(_has_each_name_once, "each name may stand here once: rename the second one", cel=None),
    ]


def wrong_arguments(taken: Sequence[Argument], given: Mapping[str, str]) -> str | None:
    """What is wrong with the arguments that are given, with the known ones named; None when nothing is."""
    known = {argument.name: argument for argument in taken}
    names = ", ".join(known) or "none"
    if unknown := [name for name in given if name not in known]:
        return f"{', '.join(unknown)} is not an argument here; known: {names}"
    missing = [name for name, argument in known.items() if argument.default is None and name not in given]
    return f"the argument {', '.join(missing)} is missing: add it to arguments (known: {names})" if missing else None


def values_of(taken: Sequence[Argument], given: Mapping[str, str]) -> dict[str, str]:
    """The value of every argument, by the name of its placeholder."""
    return {f"{PREFIX}{argument.name}": given.get(argument.name, argument.default or "") for argument in taken}
