"""Rules that a schema cannot say, each in two voices: CEL for the API server, Python for the operator. Pure.

The operator keeps them too because it may meet an older CRD, or an API server that evaluates no CEL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RULES = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of a value: `cel` and `holds` say the same, `message` is the sentence that both refuse with.

    Among a field's annotations it judges the field's value; in `Model.rules` it judges the whole object. CEL may only
    use what Kubernetes 1.27 has. `cel` None: only the operator checks, because the schema says it already or because
    CEL cannot say it within Kubernetes' cost limit, as where every stage would be compared with every other. Such a
    rule has a comment with its reason.
    """

    holds: Callable[[Any], bool]
    message: str
    cel: str | None

    @classmethod
    def matching(cls, pattern: str, message: str) -> Self:
        """Of a string: the whole of it matches. Instead of a schema's `pattern`, whose refusal is the bare pattern."""
        # fullmatch: Python's `$` would let a line end pass, RE2's does not.
        return cls(lambda text: re.fullmatch(pattern, text) is not None, message, f"self.matches(r'{pattern}')")

    def check(self, value: Any) -> Any:
        """The value itself. Raises what pydantic collects into its ValidationError."""
        if not self.holds(value):
            raise PydanticCustomError("rule", "{sentence}", {"sentence": self.message})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return with_rules(handler.resolve_ref_schema(handler(schema)), self)


def with_rules(schema: JsonSchemaValue, *rules: Rule) -> JsonSchemaValue:
    """The schema with the rules' CEL beside what it has already."""
    said = [{"rule": rule.cel, "message": rule.message} for rule in rules if rule.cel is not None]
    return {**schema, RULES: [*schema.get(RULES, ()), *said]} if said else schema


def exactly_one_of(*fields: str, message: str) -> Rule:
    """Of a model: one of its fields is set, no more and no fewer. `fields` are named as people write them."""
    present = ", ".join(f"has(self.{field})" for field in fields)
    return Rule(
        lambda value: len(_present(value) & {*fields}) == 1,
        message,
        f"[{present}].exists_one(field, field)",
    )


def block_of_its_type(blocks: Mapping[str, str], *, message: str) -> Rule:
    """Of a model with a `type`: the block that belongs to its type is set, no other is. `blocks` by type."""
    return Rule(
        lambda value: _present(value) & {*blocks.values()} == {blocks[value.type]},
        message,
        " && ".join(f"has(self.{block}) == (self.type == '{type_}')" for type_, block in blocks.items()),
    )


def _present(value: Any) -> set[str]:
    """The fields of a model that are set, as people write them."""
    fields = type(value).model_fields
    return {str(field.alias) for name, field in fields.items() if getattr(value, name) is not None}


def unique_by(field: str) -> Rule:
    """No two elements of a list with the same value of a field; in the schema it is a list map's key."""

    def is_unique(elements: Sequence[Any]) -> bool:
        values = [getattr(element, field) for element in elements]
        return len(set(values)) == len(values)

    return Rule(is_unique, f"each {field} may stand here once: rename the second one", cel=None)


def cel_number(text: str) -> str:
    """CEL: the value of a ratio or of a limit that is no duration. Its pattern has to be checked before."""
    return f"({text}.endsWith('%') ? double({text}.replace('%', '')) / 100.0 : double({text}))"
