"""The metric that judges a stage which compares answers: an ordinary ratio with a limit, over the comparer's counters.

It decides at its own stage alone. Pure.
"""

from __future__ import annotations

from modelrollout.api.analysis import Analysis
from modelrollout.api.findings import Finding
from modelrollout.api.metric import CounterRatio, Metric
from modelrollout.api.scalars import Limit
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.stages import Stage

_ABOUT = 'rollout_ns="{{ namespace }}",rollout="{{ rollout }}",revision="{{ revision }}"'
_LONGEST_NAME = 63
_SUFFIX = "-agreement"


def with_agreement_metrics(spec: ModelRolloutSpec) -> ModelRolloutSpec | Finding:
    """The spec with one metric more for each stage that compares; or why that cannot be."""
    brought = [_metric(stage, least) for stage in spec.stages if (least := _least_agreement(stage)) is not None]
    if not brought:
        return spec
    taken = {metric.name for metric in spec.analysis.metrics}
    for metric in brought:
        if metric.name in taken:
            return Finding(
                "InvalidSpec",
                f"spec.analysis.metrics: {metric.name} is the name of the metric that a stage with `compare` brings: "
                "rename yours, or the stage.",
            )
        taken.add(metric.name)
    # Readiness alone decides at all stages that have no metric.
    analysis = {**dict(spec.analysis), "metrics": (*spec.analysis.metrics, *brought), "readiness_only": False}
    return ModelRolloutSpec(**{**dict(spec), "analysis": Analysis(**analysis)})


def judged_at(spec: ModelRolloutSpec, index: int | None) -> frozenset[str] | None:
    """The metrics that decide while the stage of a number has requests copied, or while none has; None: all of them."""
    compared = [(number, stage) for number, stage in enumerate(spec.stages) if _least_agreement(stage) is not None]
    elsewhere = {name_of(stage) for number, stage in compared if number != index}
    return (
        frozenset(metric.name for metric in spec.analysis.metrics if metric.name not in elsewhere)
        if elsewhere
        else None
    )


def name_of(stage: Stage) -> str:
    """The name of the metric that a stage brings."""
    return f"{stage.name[: _LONGEST_NAME - len(_SUFFIX)]}{_SUFFIX}"


def _least_agreement(stage: Stage) -> float | None:
    """Of a stage that compares; None of any other."""
    copies = stage.kind.copies
    return copies.compare.min_agreement.value if copies is not None and copies.compare is not None else None


def _metric(stage: Stage, least: float) -> Metric:
    def counter(name: str) -> str:
        return f"modelrollout_comparer_{name}_total{{{_ABOUT}}}"

    return Metric(
        name=name_of(stage),
        ratio=CounterRatio(bad=counter("disagreements"), total=counter("comparisons")),
        max=Limit(f"{round(100 * (1 - least), 9):g}%"),
    )
