"""The checked-in definition, and what Kubernetes asks of any: all that can be seen without an API server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from modelrollout.api.base import Model
from modelrollout.api.crd import (
    as_yaml,
    custom_resource_definition,
    definitions,
    file_name,
    main,
    structural,
    template_definitions,
)
from modelrollout.api.metric import Metric
from modelrollout.api.rules import RULES
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.objects.resources import CLUSTER_METRIC_TEMPLATES, METRIC_TEMPLATES, MODEL_ROLLOUTS
from tests.places import ROOT

CHECKED_IN = ROOT / "crds"
DEFINITION = custom_resource_definition()["spec"]
VERSION = DEFINITION["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
# What CEL in Kubernetes 1.27 knows, of what our rules might use.
KNOWN_TO_1_27 = {
    *("has", "all", "exists", "exists_one", "map", "filter", "size", "isSorted", "indexOf", "sum", "min", "max"),
    *(
        "matches",
        "startsWith",
        "endsWith",
        "contains",
        "replace",
        "split",
        "lowerAscii",
        "duration",
        "double",
        "int",
        "string",
    ),
}


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with the path of its field."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from parts(field, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from parts(schema[key], f"{path}{mark}")


PARTS = dict(parts(SCHEMA))
TEMPLATE = template_definitions()[0]["spec"]["versions"][0]
TEMPLATE_PARTS = dict(parts(TEMPLATE["schema"]["openAPIV3Schema"]))
EVERY_PART = [*PARTS.items(), *TEMPLATE_PARTS.items()]
LOOSE = "x-kubernetes-int-or-string"
RULED = [(path, rule) for path, part in EVERY_PART for rule in part.get(RULES, ())]


def test_the_checked_in_definitions_are_those_made_from_the_models() -> None:
    wanted = {file_name(definition): as_yaml(definition) for definition in definitions()}
    assert {path.name: path.read_text() for path in CHECKED_IN.iterdir()} == wanted, "run `make crds` and commit crds/"


def test_the_check_names_what_is_stale_and_the_writing_mends_it(tmp_path: Path, capsys: Any) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert "metrictemplates.yaml is not what the models say: run `make crds`" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


@pytest.mark.parametrize("resource", [MODEL_ROLLOUTS, METRIC_TEMPLATES, CLUSTER_METRIC_TEMPLATES])
def test_each_kind_that_the_operator_reads_is_defined(resource: Any) -> None:
    spec = next(d["spec"] for d in definitions() if d["spec"]["names"]["kind"] == resource.kind)
    assert (spec["group"], spec["versions"][0]["name"]) == (resource.group, resource.version)
    assert spec["names"]["plural"] == resource.plural
    assert spec["scope"] == ("Namespaced" if resource.namespaced else "Cluster")


def test_the_definition_names_what_the_operator_asks_for() -> None:
    names = DEFINITION["names"]
    assert (DEFINITION["group"], VERSION["name"], names["plural"], names["kind"]) == (
        MODEL_ROLLOUTS.group,
        MODEL_ROLLOUTS.version,
        MODEL_ROLLOUTS.plural,
        MODEL_ROLLOUTS.kind,
    )
    assert names["shortNames"] == ["mro"]
    assert DEFINITION["scope"] == "Namespaced"
    assert VERSION["subresources"] == {"status": {}}


def test_every_column_shows_a_field_that_exists() -> None:
    columns = VERSION["additionalPrinterColumns"]
    ours = [column["jsonPath"] for column in columns if not column["jsonPath"].startswith(".metadata")]
    assert set(ours) <= set(PARTS)
    assert [column["name"] for column in columns if column.get("priority")] == ["Message"]


def test_the_schema_is_structural() -> None:
    for path, part in EVERY_PART:
        assert "type" in part or LOOSE in part or part.get("x-kubernetes-preserve-unknown-fields"), path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "title", "const"} & set(part), path
        assert not {"properties", "additionalProperties"} <= set(part), path


def test_what_rules_may_look_at_has_an_end() -> None:
    """Kubernetes reckons what a rule may cost from these; without them it refuses the whole definition."""
    bounds = {"array": "maxItems", "string": "maxLength"}
    for path, part in EVERY_PART:
        if path.startswith(".spec") and part.get("type") in bounds and "enum" not in part:
            assert bounds[part["type"]] in part, path
        if "additionalProperties" in part:
            assert "maxProperties" in part, path


def test_every_field_of_the_spec_is_described() -> None:
    fields = [(path, part) for path, part in EVERY_PART if path.startswith(".spec") and path[-1] not in "]}"]
    assert [path for path, part in fields if not part.get("description")] == []


def test_descriptions_are_lines_without_markup() -> None:
    for path, part in EVERY_PART:
        assert not re.search(r"\n|``|  ", part.get("description", "")), path


@pytest.mark.parametrize(("path", "rule"), RULED, ids=[f"{path}-{number}" for number, (path, _) in enumerate(RULED)])
def test_a_rule_says_a_sentence_and_uses_what_kubernetes_1_27_knows(path: str, rule: dict[str, str]) -> None:
    code = re.sub(r"r?'[^']*'", "''", rule["rule"])
    assert set(re.findall(r"(\w+)\(", code)) <= KNOWN_TO_1_27
    assert rule.keys() == {"rule", "message"}
    assert "\n" not in rule["message"]
    assert len(rule["message"].split()) >= 5


def test_every_rule_of_the_models_is_in_the_schema() -> None:
    said = {rule["message"] for _, rule in RULED}
    models = [model for model in every_model(Model) if model.__module__.startswith("modelrollout.api")]
    spoken = {rule.message for model in models for rule in model.rules if rule.cel is not None}
    assert spoken
    assert spoken <= said


def test_what_a_template_leaves_open_is_checked_by_no_rule_and_no_list_of_values() -> None:
    metrics = {path: part for path, part in TEMPLATE_PARTS.items() if path.startswith(".spec.metrics[].")}
    assert metrics.keys() >= {f".spec.metrics[].{name}" for name in ("value", "betterWhen", "tolerance.relative")}
    assert not [path for path, part in metrics.items() if {"enum", "default", "minimum"} & set(part)]
    rules = [rule["rule"] for part in metrics.values() for rule in part.get(RULES, ())]
    assert all("self" not in re.sub(r"has\(self\.\w+\)", "", rule) for rule in rules)
    assert set(metrics) == {f".spec.metrics[]{path}" for path, _ in parts(structural(Metric)) if path}


def test_lists_of_named_things_merge_by_name() -> None:
    maps = {
        path: part["x-kubernetes-list-map-keys"]
        for path, part in EVERY_PART
        if part.get("x-kubernetes-list-type") == "map"
    }
    assert maps == {
        ".spec.stages": ["name"],
        ".spec.stages[].canary.smoke": ["name"],
        ".spec.stages[].shadow.smoke": ["name"],
        ".spec.stages[].blueGreen.smoke": ["name"],
        ".spec.notifications": ["name"],
        ".spec.arguments": ["name"],
        ".spec.metrics": ["name"],
        ".spec.analysis.presets": ["name"],
        ".spec.analysis.metrics": ["name"],
        ".status.verdicts": ["metric"],
        ".status.evidence.metrics": ["metric"],
        ".status.retired": ["revision"],
        ".status.errands": ["id"],
        ".status.conditions": ["type"],
    }


def test_nothing_is_filled_in_inside_lists() -> None:
    """GitOps tools compare the lists of custom resources whole: what is filled in there is drift for ever."""
    assert [path for path, part in EVERY_PART if "[]" in path and "default" in part] == []


def test_the_template_is_kept_whole() -> None:
    template = PARTS[".spec.workload.template"]
    assert (template["type"], template["x-kubernetes-preserve-unknown-fields"]) == ("object", True)


def test_the_status_cannot_refuse_or_change_what_a_newer_operator_writes() -> None:
    forbidden = {"default", "enum", "pattern", "minimum", "maximum", "maxItems", "minItems", "maxLength", RULES}
    for path, part in PARTS.items():
        if path.startswith(".status."):
            assert not forbidden & set(part), path
    assert forbidden & set(PARTS[".status"]) == {"default"}  # there while nobody has written anything


def test_a_rollout_that_no_operator_has_seen_says_so_to_tools_that_wait_for_it() -> None:
    """kstatus takes a resource without a status for done; of a generation that was not observed it waits."""
    assert PARTS[".status"]["default"] == {"observedGeneration": 0}


def test_the_values_of_the_status_are_told_all_the_same() -> None:
    assert PARTS[".status.phase"]["description"].endswith("RollingBack, RolledBack, Invalid.")


def test_a_default_is_told_to_people() -> None:
    assert PARTS[".spec.analysis.interval"]["description"].endswith("Default: 15s.")


@pytest.mark.parametrize("model", [ModelRolloutSpec, ModelRolloutStatus])
def test_nothing_may_be_null(model: type[BaseModel]) -> None:
    assert "null" not in str(structural(model))
    assert "None" not in str(structural(model))


def every_model(model: type[Model]) -> Iterator[type[Model]]:
    for below in model.__subclasses__():
        yield below
        yield from every_model(below)


@pytest.mark.parametrize("definition", definitions(), ids=lambda one: one["spec"]["names"]["kind"])
def test_kubectl_explain_tells_something_of_every_field(definition: dict[str, Any]) -> None:
    fields = dict(parts(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
    told_by_kubernetes = {"", ".apiVersion", ".kind", ".metadata"}
    silent = {path for path, part in fields.items() if not part.get("description") and not path.endswith(("[]", "{}"))}
    assert silent - told_by_kubernetes == set()


def test_one_word_finds_all_of_our_kinds_and_none_is_among_those_of_everybody() -> None:
    assert [one["spec"]["names"]["categories"] for one in definitions()] == [["ml"]] * 3
