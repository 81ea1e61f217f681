"""The checked-in definition, and what Kubernetes asks of any: all that can be seen without an API server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from modelrollout.api.base import Model
from modelrollout.api.crd import as_yaml, custom_resource_definition, structural
from modelrollout.api.rules import RULES
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.resources import MODEL_ROLLOUTS

CHECKED_IN = Path(__file__).parents[2] / "crds/modelrollout.dev_modelrollouts.yaml"
DEFINITION = custom_resource_definition()["spec"]
VERSION = DEFINITION["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
# What CEL in Kubernetes 1.27 knows, of what our rules might use.
KNOWN_TO_1_27 = {
    *("has", "all", "exists", "exists_one", "map", "filter", "size", "isSorted", "indexOf", "sum", "min", "max"),
    *("matches", "startsWith", "endsWith", "contains", "replace", "split", "duration", "double", "int", "string"),
}


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with the path of its field."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from parts(field, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")


PARTS = dict(parts(SCHEMA))
RULED = [(path, rule) for path, part in PARTS.items() for rule in part.get(RULES, ())]


def test_the_checked_in_definition_is_the_one_made_from_the_models() -> None:
    assert CHECKED_IN.read_text() == as_yaml(), f"{CHECKED_IN.name} is out of date: run `make crds` and commit it"


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
    for path, part in PARTS.items():
        assert "type" in part, path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "title", "const", "additionalProperties"} & set(part), path


def test_what_rules_may_look_at_has_an_end() -> None:
    """Kubernetes reckons what a rule may cost from these; without them it refuses the whole definition."""
    bounds = {"array": "maxItems", "string": "maxLength"}
    for path, part in PARTS.items():
        if path.startswith(".spec") and part["type"] in bounds and "enum" not in part:
            assert bounds[part["type"]] in part, path


def test_every_field_of_the_spec_is_described() -> None:
    undescribed = [path for path, part in PARTS.items() if path.startswith(".spec") and not path.endswith("[]")]
    assert [path for path in undescribed if not PARTS[path].get("description")] == []


def test_descriptions_are_lines_without_markup() -> None:
    for path, part in PARTS.items():
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


def test_lists_of_named_things_merge_by_name() -> None:
    maps = {
        path: part["x-kubernetes-list-map-keys"] for path, part in PARTS.items() if "x-kubernetes-list-type" in part
    }
    assert maps == {
        ".spec.stages": ["name"],
        ".spec.analysis.metrics": ["name"],
        ".status.verdicts": ["metric"],
        ".status.retired": ["revision"],
        ".status.conditions": ["type"],
    }


def test_nothing_is_filled_in_inside_lists() -> None:
    """GitOps tools compare the lists of custom resources whole: what is filled in there is drift for ever."""
    assert [path for path, part in PARTS.items() if "[]" in path and "default" in part] == []


def test_the_template_is_kept_whole() -> None:
    template = PARTS[".spec.workload.template"]
    assert (template["type"], template["x-kubernetes-preserve-unknown-fields"]) == ("object", True)


def test_the_status_cannot_refuse_or_change_what_a_newer_operator_writes() -> None:
    forbidden = {"default", "enum", "pattern", "minimum", "maximum", "maxItems", "minItems", "maxLength", RULES}
    for path, part in PARTS.items():
        if path.startswith(".status"):
            assert not forbidden & set(part), path


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
