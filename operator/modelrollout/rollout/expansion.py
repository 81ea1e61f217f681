"""From presets and templates to metrics: arguments filled in, checked, and joined with the rollout's own. Pure.

`expanded` needs the templates from the cluster; `template_keys` names them, of any spec however broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from modelrollout.api.analysis import Analysis
from modelrollout.api.errors import spec_error
from modelrollout.api.findings import Finding
from modelrollout.api.metric import Metric
from modelrollout.api.metric_templates import (
    CLUSTER_KIND,
    KIND,
    PREFIX,
    MetricTemplateSpec,
    values_of,
    wrong_arguments,
)
from modelrollout.api.placeholders import UnknownName, render_tree, require_known
from modelrollout.api.presets import PRESETS
from modelrollout.api.references import unknown_metrics
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.objects.manifests import Manifest

MOST_METRICS = 32
"""Metrics of a rollout in all."""
PLACEHOLDERS = frozenset({"namespace", "rollout", "arm", "revision", "workload", "service", "pods", "window"})
"""What the queries of an arm may ask for, filled in when they are sent (analysis/queries.py)."""
NOT_FOUND = "TemplateNotFound"
"""The reason while a template does not exist. It may be on its way, so the rollout waits for it."""
_WHOLE_NUMBERS = frozenset(
    str(field.alias) for field in Metric.model_fields.values() if int in (field.annotation, *get_args(field.annotation))
)


@dataclass(frozen=True, slots=True, order=True)
class TemplateKey:
    """Which template, seen from a rollout: one of its namespace, or of the cluster."""

    kind: str
    name: str


Templates = Mapping[TemplateKey, Manifest | Finding]
"""The templates that a spec refers to: the object, or why it cannot be read. Left out: it does not exist."""
NO_TEMPLATES: Templates = {}


class Unexpandable(ValueError):  # noqa: N818 - what is wrong, in words
    """A reference that does not lead to metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(reason, message)


@dataclass(frozen=True, slots=True)
class Source:
    """A reference that was followed: where it stands, what it leads to, and what it asks for."""

    where: str  # spec.analysis.presets[0]
    called: str  # preset http; MetricTemplate 'latency'
    reason: str  # of what is wrong with its metrics
    spec: MetricTemplateSpec
    arguments: Mapping[str, str]
    include: tuple[str, ...] | None


def template_keys(spec: Any) -> tuple[TemplateKey, ...]:
    """The templates that a spec names, each once, as far as it makes sense: it may not have been checked."""
    analysis = spec.get("analysis") if isinstance(spec, Mapping) else None
    refs = analysis.get("templates") if isinstance(analysis, Mapping) else None
    found = (_key(ref) for ref in (refs if isinstance(refs, Sequence) else ()))
    return tuple(dict.fromkeys(key for key in found if key is not None))


def _key(ref: Any) -> TemplateKey | None:
    if not isinstance(ref, Mapping):
        return None
    name, kind = ref.get("name"), ref.get("kind") or KIND
    is_one = isinstance(name, str) and name and kind in (KIND, CLUSTER_KIND)
    return TemplateKey(kind, str(name)) if is_one else None


def expanded(spec: ModelRolloutSpec, templates: Templates = NO_TEMPLATES) -> ModelRolloutSpec | Finding:
    """The spec with all its metrics in `analysis.metrics`, and neither presets nor templates; or why that cannot be.

    Metrics of presets come first, then those of templates, then the rollout's own, which replace any of their name.
    """
    analysis = spec.analysis
    if not analysis.presets and not analysis.templates:
        return spec
    try:
        metrics = _joined(analysis, [*_presets(analysis), *_templates(analysis, templates)])
    except Unexpandable as trouble:
        return trouble.finding
    plain = Analysis(**{**dict(analysis), "metrics": metrics, "presets": (), "templates": ()})
    return ModelRolloutSpec(**{**dict(spec), "analysis": plain})


def metrics_of(source: Source) -> list[Metric]:
    """A template's metrics with these arguments filled in. Raises Unexpandable."""
    if wrong := wrong_arguments(source.spec.arguments, source.arguments):
        raise Unexpandable("InvalidSpec", f"{source.where} ({source.called}): {wrong}.")
    values = values_of(source.spec.arguments, source.arguments)
    metrics = [_metric(source, number, written, values) for number, written in enumerate(source.spec.metrics)]
    if wrong := unknown_metrics([metric.name for metric in metrics], source.include):
        raise Unexpandable("InvalidSpec", f"{source.where} ({source.called}): {wrong}.")
    return [metric for metric in metrics if source.include is None or metric.name in source.include]


def _presets(analysis: Analysis) -> Iterator[Source]:
    for number, ref in enumerate(analysis.presets):
        where, preset = f"spec.analysis.presets[{number}]", PRESETS[ref.name]
        yield Source(where, f"preset {ref.name}", "InvalidSpec", preset.spec, ref.arguments or {}, ref.include)


def _templates(analysis: Analysis, templates: Templates) -> Iterator[Source]:
    for number, ref in enumerate(analysis.templates):
        where, called = f"spec.analysis.templates[{number}]", f"{ref.kind} '{ref.name}'"
        match templates.get(TemplateKey(ref.kind, ref.name)):
            case None:
                of = " in the namespace of this ModelRollout" if ref.kind == KIND else ""
                raise Unexpandable(
                    NOT_FOUND,
                    f"{where}: {called} does not exist{of}. Apply it, or mend the name; traffic stays as it is.",
                )
            case Finding() as trouble:
                raise Unexpandable(trouble.reason, f"{where}: {trouble.message}")
            case manifest:
                spec = _spec(called, manifest)
                yield Source(where, called, "InvalidMetricTemplate", spec, ref.arguments or {}, ref.include)


def _spec(called: str, manifest: Manifest) -> MetricTemplateSpec:
    try:
        return MetricTemplateSpec.model_validate(manifest.get("spec") or {})
    except ValidationError as error:
        told = spec_error(error, of=MetricTemplateSpec)
        raise Unexpandable("InvalidMetricTemplate", f"{called}: {told}") from None


def _joined(analysis: Analysis, sources: Sequence[Source]) -> tuple[Metric, ...]:
    own = {metric.name for metric in analysis.metrics}
    brought: dict[str, tuple[Metric, Source]] = {}
    for source in sources:
        for metric in metrics_of(source):
            if metric.name in brought and metric.name not in own:
                raise Unexpandable(
                    "InvalidSpec",
                    f"{source.where} ({source.called}) and {brought[metric.name][1].called} both bring a metric named "
                    f"{metric.name}: take it from one of them with include, or write a metric of that name yourself.",
                )
            brought.setdefault(metric.name, (metric, source))
    metrics = (*(metric for name, (metric, _) in brought.items() if name not in own), *analysis.metrics)
    if len(metrics) > MOST_METRICS:
        raise Unexpandable(
            "InvalidSpec", f"spec.analysis: {len(metrics)} metrics in all, {MOST_METRICS} are the most: use include."
        )
    return metrics


def _metric(source: Source, number: int, written: Mapping[str, Any], values: Mapping[str, str]) -> Metric:
    at = f"metrics[{number}]"
    try:
        filled = _without_blanks(render_tree(dict(written), values, where=at, only=PREFIX))
        for text in _texts(filled):
            require_known(text, PLACEHOLDERS, where=f"{at} ({filled.get('name', '')})")
        return Metric.model_validate({name: _whole(name, value) for name, value in filled.items()})
    except UnknownName as error:
        raise Unexpandable(source.reason, f"{source.called}: {error}") from None
    except ValidationError as error:
        # We do not know which argument is to blame; the reader sees the value.
        told = spec_error(error, of=Metric, at=at if not error.errors()[0]["loc"] else f"{at} ({_name(written)})")
        raise Unexpandable(source.reason, f"{source.called}: {told}") from None


def _name(written: Mapping[str, Any]) -> str:
    return str(written.get("name", "without a name"))


def _texts(tree: Any) -> Iterator[str]:
    match tree:
        case str():
            yield tree
        case dict():
            for value in tree.values():
                yield from _texts(value)


def _without_blanks(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Drops fields that an empty argument left empty, and blocks of only such fields: limits may be optional."""
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        left = _without_blanks(value) if isinstance(value, dict) else value
        if left not in ("", {}):
            kept[name] = left
    return kept


def _whole(name: str, value: Any) -> Any:
    """A number that an argument stands for is text once it is filled in."""
    return int(value) if name in _WHOLE_NUMBERS and isinstance(value, str) and value.strip().isdigit() else value
