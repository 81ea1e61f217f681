"""From references to metrics: what is filled in, what is checked, and how a mistake is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.analysis.queries import ArmNames
from modelrollout.api.findings import Finding
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.rollout.expansion import PLACEHOLDERS, TemplateKey, expanded, template_keys
from modelrollout.rollout.rollout import Wish, read_wish
from tests import builders
from tests.builders import metric, small

OURS = TemplateKey("MetricTemplate", "ours")


def template(*metrics: Any, arguments: tuple[str, ...] | list[dict[str, str]] = ()) -> dict[TemplateKey, Any]:
    """A template `ours`; arguments that are names alone have no default."""
    named = [a if isinstance(a, dict) else {"name": a} for a in arguments]
    return {OURS: {"spec": {"arguments": named, "metrics": list(metrics)}}}


def spec(*metrics: Any, presets: Any = (), **reference: Any) -> ModelRolloutSpec:
    """A spec that refers to the template `ours`, or to presets where they are given."""
    templates = [] if presets else [{"name": "ours", **reference}]
    analysis = {"metrics": list(metrics), "presets": list(presets), "templates": templates}
    return ModelRolloutSpec.model_validate(small(analysis=analysis))


def metrics(wanted: ModelRolloutSpec, templates: Any = None) -> dict[str, Any]:
    """The metrics that it comes to, by name, as they would be written."""
    found = expanded(wanted, templates or {})
    assert isinstance(found, ModelRolloutSpec), found
    assert found.analysis.presets == found.analysis.templates == ()
    return {one.name: one.to_wire() for one in found.analysis.metrics}


def fault(wanted: ModelRolloutSpec, templates: Any = None) -> str:
    found = expanded(wanted, templates or {})
    assert isinstance(found, Finding), found
    return f"{found.reason}: {found.message}"


def test_the_placeholders_of_an_arm_are_those_of_its_queries() -> None:
    arm = ArmNames(arm="stable", namespace="a", rollout="b", revision="c", workload="d", service="e", pods="d-.+")
    assert set(arm.values(timedelta(minutes=1))) == PLACEHOLDERS


def test_a_spec_without_references_is_left_as_it_is() -> None:
    wanted = ModelRolloutSpec.model_validate(small())
    assert expanded(wanted) is wanted


def test_arguments_are_filled_in_everywhere_and_the_arms_names_stay_for_later() -> None:
    written = {
        "name": "{{ args.name }}",
        "value": 'sum(rate({{ args.counter }}{pod=~"{{ pods }}",a="{{ "{{" }}"}[{{ window }}]))',
        "betterWhen": "{{ args.better }}",
        "tolerance": {"relative": "{{ args.share }}"},
        "min": "{{ args.least }}",
        "minSamples": "{{ args.samples }}",
    }
    values = {"name": "hits", "counter": "hits_total", "better": "higher", "share": "5%", "least": "3", "samples": "7"}
    assert metrics(spec(arguments=values), template(written, arguments=tuple(values))) == {
        "hits": {
            "name": "hits",
            "value": 'sum(rate(hits_total{pod=~"{{ pods }}",a="{{ "{{" }}"}[{{ window }}]))',
            "betterWhen": "higher",
            "tolerance": {"relative": "5%", "absolute": "0"},
            "min": "3",
            "minSamples": 7,
        }
    }


def test_an_argument_may_bring_placeholders_of_its_own() -> None:
    written = metric(ratio={"bad": "a{ {{ args.arm }} }", "total": "b{ {{ args.arm }} }"})
    found = metrics(spec(arguments={"arm": 'x="{{ workload }}"'}), template(written, arguments=("arm",)))
    assert found["errors"]["ratio"] == {"bad": 'a{ x="{{ workload }}" }', "total": 'b{ x="{{ workload }}" }'}


def test_what_comes_out_empty_is_left_out_and_blocks_of_nothing_else_with_it() -> None:
    written = metric(max="{{ args.most }}", tolerance={"relative": "{{ args.share }}"})
    arguments = [{"name": "most", "default": "5%"}, {"name": "share", "default": ""}]
    assert metrics(spec(), template(written, arguments=arguments))["errors"].keys() == {"name", "ratio", "max"}


def test_ones_own_metric_takes_the_place_of_one_of_its_name() -> None:
    brought = (metric(), metric(name="failures"))
    own = metric(name="failures", max="3%")
    found = metrics(spec(own, metric(name="ours")), template(*brought))
    assert list(found) == ["errors", "failures", "ours"]
    assert found["failures"]["max"] == "3%"


def test_include_takes_some_of_the_metrics() -> None:
    assert list(metrics(spec(include=["b"]), template(metric(name="a"), metric(name="b")))) == ["b"]


def test_one_template_may_be_used_twice_with_other_names() -> None:
    written = metric(name="{{ args.part }}-errors")
    refs = [{"name": "ours", "arguments": {"part": part}} for part in ("front", "back")]
    wanted = ModelRolloutSpec.model_validate(small(analysis={"templates": refs}))
    assert list(metrics(wanted, template(written, arguments=("part",)))) == ["front-errors", "back-errors"]


def test_two_sources_of_one_name_are_told_with_the_way_out() -> None:
    presets = [{"name": "istio"}, {"name": "envoy"}]
    assert fault(spec(presets=presets)) == (
        "InvalidSpec: spec.analysis.presets[1] (preset envoy) and preset istio both bring a metric named errors: "
        "take it from one of them with include, or write a metric of that name yourself."
    )
    own = metric(name="latency")
    assert "named errors" in fault(spec(own, presets=presets))
    assert list(metrics(spec(own, metric(), presets=presets))) == ["latency", "errors"]


def test_more_metrics_than_a_rollout_may_have_are_counted() -> None:
    own = [metric(name=f"own-{number}") for number in range(31)]
    assert "33 metrics in all, 32 are the most: use include" in fault(spec(*own, presets=[{"name": "http"}]))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "the argument most is missing: add it to arguments (known: most, least)."),
        ({"most": "1", "mist": "2"}, "mist is not an argument here; known: most, least."),
    ],
)
def test_wrong_arguments_are_told_with_the_known_ones(arguments: dict[str, str], told: str) -> None:
    written = template(metric(max="{{ args.most }}"), arguments=[{"name": "most"}, {"name": "least", "default": ""}])
    assert fault(spec(arguments=arguments), written) == (
        f"InvalidSpec: spec.analysis.templates[0] (MetricTemplate 'ours'): {told}"
    )


def test_a_metric_that_a_template_does_not_bring_is_told_with_those_it_does() -> None:
    assert "include: nothing is not a metric here; known: errors." in fault(
        spec(include=["nothing"]), template(metric())
    )


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (metric(max="{{ args.x }}"), 'metrics[0] (errors).max is "lots": this is not a limit such as'),
        (metric(tolerance={"relative": "{{ args.x }}"}), 'metrics[0] (errors).tolerance.relative is "lots"'),
        (metric(max="{{ args.y }}"), "metrics[0].max: {{ args.y }} is not a known name; known here: args.x."),
        (metric(minSamples="{{ args.x }}"), 'metrics[0] (errors).minSamples is "lots": this must be a whole number'),
        (metric(maxx="1"), "metrics[0] (errors).maxx is not a known field: did you mean max?"),
        (metric(tolerance=None), "metrics[0] (errors): a metric decides nothing without a bound"),
        (metric(max="5", tolerance=None), "metrics[0] (errors): a ratio lies between 0% and 100%"),
        (metric(name="{{ args.x }} of it"), 'metrics[0] ({{ args.x }} of it).name is "lots of it": a name is made of'),
        ({"value": "up", "betterWhen": "higher", "min": "1"}, "metrics[0] (without a name).name is missing: add it"),
        (
            metric(ratio={"bad": 'rate({{ args.x }}{pod=~"{{ pods }}"}[5m])', "total": 'b{pod=~"{{ pods }}"}'}),
            "metrics[0] (errors).ratio.bad is",
        ),
        (
            metric(ratio={"bad": 'a{pod=~"{{ podz }}"}', "total": 'b{pod=~"{{ pods }}"}'}),
            "metrics[0] (errors): {{ podz }} is not a known name; known here: arm, namespace, pods,",
        ),
        (metric(max="{{ args.x"), 'metrics[0].max: "{{" is never closed'),
    ],
)
def test_a_mistake_names_template_metric_and_field(written: Any, told: str) -> None:
    found = fault(spec(arguments={"x": "lots"}), template(written, arguments=("x",)))
    assert found.startswith(f"InvalidMetricTemplate: MetricTemplate 'ours': {told}")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"metrics": []}, "MetricTemplate 'ours': spec.metrics is []: this needs at least 1 element"),
        (
            {"metrics": ["errors"]},
            "MetricTemplate 'ours': spec.metrics[0] is \"errors\": this must be a block of fields",
        ),
        ({}, "MetricTemplate 'ours': spec.metrics is missing: add it"),
        (
            {"metrics": [metric()], "args": []},
            "MetricTemplate 'ours': spec.args is not a known field: did you mean arguments?",
        ),
        ({"metrics": [metric(), metric()]}, "MetricTemplate 'ours': spec.metrics: each name may stand here once"),
        (
            {"metrics": [metric()], "arguments": [{"name": "a"}, {"name": "a"}]},
            "MetricTemplate 'ours': spec.arguments: each name may stand here once",
        ),
    ],
)
def test_a_template_that_an_older_definition_let_pass_is_told(broken: Any, told: str) -> None:
    assert fault(spec(), {OURS: {"spec": broken}}).startswith(f"InvalidMetricTemplate: {told}")


def test_a_template_that_is_not_there_is_told_with_the_mend() -> None:
    assert fault(spec()) == (
        "TemplateNotFound: spec.analysis.templates[0]: MetricTemplate 'ours' does not exist in the namespace of this "
        "ModelRollout. Apply it, or mend the name; traffic stays as it is."
    )
    assert "ClusterMetricTemplate 'ours' does not exist." in fault(
        spec(kind="ClusterMetricTemplate"), template(metric())
    )


def test_a_template_that_cannot_be_read_is_told_as_it_was() -> None:
    trouble = Finding("TemplateUnreadable", "MetricTemplate 'ours' cannot be read: forbidden.")
    assert fault(spec(), {OURS: trouble}) == (
        "TemplateUnreadable: spec.analysis.templates[0]: MetricTemplate 'ours' cannot be read: forbidden."
    )


def test_a_bad_value_for_a_preset_names_preset_metric_and_field() -> None:
    told = fault(spec(presets=[{"name": "http", "arguments": {"maxErrors": "a few"}}]))
    assert told.startswith('InvalidSpec: preset http: metrics[0] (errors).max is "a few": this is not a limit')


@pytest.mark.parametrize(
    "raw",
    [
        *(None, [], "text", {}, {"analysis": None}, {"analysis": []}, {"analysis": {"templates": None}}),
        *({"analysis": {"templates": refs}} for refs in ("ours", 3, [None], ["ours"], [{}], [{"name": 3}])),
        *({"analysis": {"templates": [ref]}} for ref in ({"name": ""}, {"name": "ours", "kind": "Other"})),
    ],
)
def test_a_spec_that_makes_no_sense_refers_to_nothing(raw: Any) -> None:
    assert template_keys(raw) == ()


def test_each_template_is_named_once() -> None:
    refs = [{"name": "a"}, {"name": "a", "kind": "ClusterMetricTemplate"}, {"name": "a", "arguments": {}}]
    assert template_keys({"analysis": {"templates": refs}}) == (
        TemplateKey("MetricTemplate", "a"),
        TemplateKey("ClusterMetricTemplate", "a"),
    )


def test_the_wish_has_the_metrics_and_its_revision_does_not_depend_on_them() -> None:
    plain = read_wish(builders.spec())
    found = read_wish(
        builders.spec(analysis={"templates": [{"name": "errors"}]}),
        {TemplateKey("MetricTemplate", "errors"): builders.metric_template()},
    )
    assert isinstance(plain, Wish)
    assert isinstance(found, Wish)
    assert found.spec.analysis.metrics == plain.spec.analysis.metrics
    assert found.revision == plain.revision
