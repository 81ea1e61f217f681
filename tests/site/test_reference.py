"""docs/reference.md is what the models, the flags and the chart's values say, with a row for every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from manual import fields, flags
from manual.__main__ import generated
from modelrollout.api.crd import custom_resource_definition
from tests.site.pages import DOCS

TEXT = (DOCS / "reference.md").read_text()


def test_it_is_up_to_date() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text() != text]
    assert stale == [], "run `make reference`"


def test_it_has_a_row_for_every_field_of_the_definition() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    paths = [path for part in ("spec", "status") for path in _paths(part, parts[part])]
    assert len(paths) > 500
    assert [path for path in paths if f"| `{path}` |" not in TEXT] == []


def _paths(path: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from _paths(f"{path}[]", schema["items"]) if "items" in schema else ()
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _paths(f"{path}.{name}", field)


def test_a_field_is_told_with_type_default_and_limits_in_the_words_that_refuse() -> None:
    rule = {"rule": "self > 0", "message": "this is not a duration such as 90s"}
    hold = {
        "type": "string",
        "default": "5m",
        "description": "How long. Default: 5m.",
        "x-kubernetes-validations": [rule],
    }
    weights = {"type": "array", "items": {"type": "integer"}, "maxItems": 3, "description": "Of <all> | of some."}
    schema = {"description": "A canary.", "required": ["weights"], "properties": {"hold": hold, "weights": weights}}
    assert fields.section("spec.canary", schema) == (
        "### spec.canary\n\nA canary.\n\n"
        "| Field | Type | Default | Must be | |\n|---|---|---|---|---|\n"
        "| `spec.canary.hold` | string | `5m` | a duration such as 90s | How long. |\n"
        "| `spec.canary.weights` | list of integer | required | at most 3 items | Of &lt;all> \\| of some. |\n"
    )


def test_a_flag_is_told_with_its_environment_variable() -> None:
    assert "| `--resync` | `MODELROLLOUT_RESYNC` | look at every rollout" in flags.section("run")
