"""The metric that judges a stage which compares answers: an ordinary ratio with a limit, over the comparer's counters.

It decides at its own stage alone. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.analysis import Analysis
from modelrollout.api.findings import Finding
from modelrollout.api.metric import CounterRatio, Metric
from modelrollout.api.scalars import Limit
from modelrollout.api.shadow import Shadow
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.stages import Stage

_ABOUT = 'rollout_ns="{{ namespace }}",rollout="{{ rollout }}",revision="{{ revision }}"'
_LONGEST_NAME = 63
_SUFFIX = "-agreement"


def with_agreement_metrics(spec: ModelRolloutSpec) -> ModelRolloutSpec | Finding:
    """The spec with one metric more for each stage that compares; or why that cannot be."""
    brought = [_metric(*one) for one in _compared(spec)]
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


def judged_at(spec: ModelRolloutSpec, index: int) -> frozenset[str] | None:
    """The metrics that decide at the stage of a number; None where all metrics decide at all stages."""
    elsewhere = {name_of(stage) for stage, _ in _compared(spec) if spec.stages.index(stage) != index}
    metrics = {metric.name for metric in spec.analysis.metrics}
    return frozenset(metrics - elsewhere) if elsewhere & metrics else None


def name_of(stage: Stage) -> str:
    """The name of the metric that a stage brings."""
    return f"{stage.name[: _LONGEST_NAME - len(_SUFFIX)]}{_SUFFIX}"


def _compared(spec: ModelRolloutSpec) -> Iterator[tuple[Stage, float]]:
    for stage in spec.stages:
        if isinstance(stage.kind, Shadow) and stage.kind.compare is not None:
            yield stage, stage.kind.compare.min_agreement.value


def _metric(stage: Stage, least: float) -> Metric:
    def counter(name: str) -> str:
        return f"modelrollout_comparer_{name}_total{{{_ABOUT}}}"

    return Metric(
        name=name_of(stage),
        ratio=CounterRatio(bad=counter("disagreements"), total=counter("comparisons")),
        max=Limit(f"{round(100 * (1 - least), 9):g}%"),
    )
