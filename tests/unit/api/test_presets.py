"""The catalogue: every preset works as it is, is described, and its queries are ones that Prometheus understands."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.api.metric import Metric
from modelrollout.api.metric_templates import Argument, MetricTemplateSpec
from modelrollout.api.placeholders import render_text
from modelrollout.api.presets import PRESETS
from modelrollout.api.presets.__main__ import main
from modelrollout.api.presets.page import as_template, page
from modelrollout.api.presets.preset import Preset
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.promql.selectors import parse
from modelrollout.rollout.expansion import PLACEHOLDERS, TemplateKey, expanded
from tests.builders import small
from tests.places import ROOT

PAGE = ROOT / "docs/presets.md"
every_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
ASKED_FOR = (
    *("http", "fastapi", "starlette", "envoy", "istio", "kserve", "knative", "seldon-core-2", "triton"),
    *("tensorflow-serving", "torchserve", "vllm", "sglang", "tgi", "llama-cpp", "bentoml", "ray-serve", "mlserver"),
)
# What else may be written for an argument of that name.
OTHER_VALUES = {
    "arm": 'exported_pod=~"{{ pods }}"',
    "matchers": 'container="server", namespace="ml"',
    "quantile": "0.5",
    "window": "5m",
    "reporter": "source",
    "requests": "app:requests_total",
}


def metrics_of(preset: Preset, **arguments: str) -> tuple[Metric, ...]:
    analysis = {"presets": [{"name": preset.name, "arguments": arguments}]}
    found = expanded(ModelRolloutSpec.model_validate(small(analysis=analysis)))
    assert isinstance(found, ModelRolloutSpec), found
    return found.analysis.metrics


def another_value(argument: Argument) -> str:
    if argument.name in OTHER_VALUES:
        return OTHER_VALUES[argument.name]
    if argument.name.endswith("seconds"):
        return "300"
    if re.search(r"Tolerance|Margin|maxErrors|maxKVCache", argument.name):
        return "7%"
    return "900ms" if argument.name.startswith("max") else f"other_{argument.name.lower()}"


def queries_of(metric: Metric) -> Iterator[str]:
    ratio = metric.ratio
    texts = (metric.histogram, metric.value, ratio and ratio.bad, ratio and ratio.good, ratio and ratio.total)
    yield from (text for text in texts if text is not None)


def test_everything_that_was_asked_for_is_there() -> None:
    assert set(ASKED_FOR) <= set(PRESETS)


@every_preset
def test_a_preset_needs_nothing_and_brings_metrics_that_can_be_judged(preset: Preset) -> None:
    metrics = metrics_of(preset)
    assert [metric.name for metric in metrics] == [metric["name"] for metric in preset.spec.metrics]
    # What compares, or keeps a limit, whoever uses it: only a limit is never set without the user's word, but for a
    # share of a resource that has an end.
    limited = {metric.name for metric in metrics if metric.max is not None}
    assert limited <= {"kv-cache"}


@every_preset
def test_every_query_of_a_preset_names_the_namespace(preset: Preset) -> None:
    assert all("{{ namespace }}" in query for metric in metrics_of(preset) for query in queries_of(metric))


@pytest.mark.parametrize(
    ("cluster", "is_ours"),
    [
        ("outbound|80||fraud-b41c.ml.svc.cluster.local", True),
        ("ml/fraud-b41c|80|local", True),
        ("gateway/ml_fraud-b41c_80", True),
        ("fraud-b41c_ml_svc_80", True),
        ("fraud-b41c", True),
        ("fraud-b41c:80", True),
        ("outbound|80||fraud-b41c.staging.svc.cluster.local", False),
        ("staging/fraud-b41c|80|local", False),
        ("outbound|80||fraud-b41c.ml-2.svc.cluster.local", False),
        ("fraud-b41c-2", False),
    ],
)
def test_envoys_clusters_are_told_apart_by_namespace_and_service(cluster: str, is_ours: bool) -> None:
    errors, _ = metrics_of(PRESETS["envoy"])
    assert errors.ratio is not None
    names = dict.fromkeys(PLACEHOLDERS, "") | {"service": "fraud-b41c", "namespace": "ml"}
    selector = parse(render_text(errors.ratio.total, names, where="envoy"))
    assert selector.matches({"__name__": "envoy_cluster_upstream_rq_xx", "envoy_cluster_name": cluster}) is is_ours


@pytest.mark.parametrize(
    ("namespace", "is_ours"), [({"namespace": "ml"}, True), ({"namespace": "staging"}, False), ({}, True)]
)
def test_presets_work_with_a_scrape_that_sets_no_namespace(namespace: dict[str, str], is_ours: bool) -> None:
    errors, _ = metrics_of(PRESETS["http"])
    assert errors.ratio is not None
    names = dict.fromkeys(PLACEHOLDERS, "") | {"pods": "fraud-b41c-[a-z0-9]+", "namespace": "ml"}
    selector = parse(render_text(errors.ratio.total, names, where="http"))
    assert selector.matches({"__name__": "http_requests_total", "pod": "fraud-b41c-x", **namespace}) is is_ours


@every_preset
def test_every_argument_is_used_described_and_optional(preset: Preset) -> None:
    used = set(re.findall(r"\{\{ args\.(\w+) \}\}", str(preset.spec.to_wire()["metrics"])))
    assert used == {argument.name for argument in preset.spec.arguments}
    for argument in preset.spec.arguments:
        assert argument.default is not None, argument.name
        assert len((argument.description or "").split()) >= 4, argument.name


@every_preset
def test_every_argument_may_be_set(preset: Preset) -> None:
    values = {argument.name: another_value(argument) for argument in preset.spec.arguments}
    text = str([metric.to_wire() for metric in metrics_of(preset, **values)])
    for name, value in values.items():
        assert value.replace('"', '"') in text, name


@every_preset
def test_a_preset_says_where_its_names_were_checked(preset: Preset) -> None:
    assert preset.sources
    assert preset.title
    assert preset.name == re.sub(r"[^-a-z0-9]", "", preset.name)


@every_preset
def test_times_are_in_the_unit_that_their_limit_names(preset: Preset) -> None:
    units = {"_us_": "Microseconds", "_ms_": "Milliseconds", "milliseconds_bucket": "Milliseconds"}
    for metric in preset.spec.metrics:
        if "histogram" not in metric:
            continue
        name = metric["histogram"]
        in_seconds = "seconds_bucket" in name and "milliseconds" not in name
        assert not (in_seconds and "seconds }}" in metric["max"].lower()), "a limit in another unit than the metric's"
        for mark, unit in units.items():
            if mark in name:
                assert unit in metric["max"]


@every_preset
def test_a_preset_is_also_a_template(preset: Preset) -> None:
    template = as_template(preset)
    assert MetricTemplateSpec.model_validate(template["spec"]) == preset.spec
    analysis = {"templates": [{"name": preset.name}]}
    found = expanded(
        ModelRolloutSpec.model_validate(small(analysis=analysis)),
        {TemplateKey("MetricTemplate", preset.name): template},
    )
    assert isinstance(found, ModelRolloutSpec)
    assert found.analysis.metrics == metrics_of(preset)


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """With its own parser: promtool reads them as rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH")
    arm = dict.fromkeys(PLACEHOLDERS, "fraud-b41c") | {"window": "60s", "pods": "fraud-b41c-[a-z0-9]+(-[a-z0-9]+)?"}
    rules: list[dict[str, Any]] = []
    for preset in PRESETS.values():
        others = {argument.name: another_value(argument) for argument in preset.spec.arguments}
        for metric in (*metrics_of(preset), *metrics_of(preset, **others)):
            for query in queries_of(metric):
                record = re.sub(r"\W", "_", f"{preset.name}:{metric.name}")
                rules.append({"record": record, "expr": render_text(query, arm, where=preset.name)})
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "presets", "rules": rules}]}))
    checked = subprocess.run(  # noqa: S603 - what stands on PATH, with our own file
        [promtool, "check", "rules", "--lint=none", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(tuple(PRESETS.values())), "run `make presets` and commit docs/presets.md"


def test_the_check_of_the_page_says_how_to_mend_it(tmp_path: Path, capsys: Any) -> None:
    path = str(tmp_path / "presets.md")
    assert main(["--check", path]) == 1
    assert "run `make presets`" in capsys.readouterr().err
    assert main([path]) == 0
    assert main(["--check", path]) == 0
