"""What all our resource models share: camelCase on the wire, unknown fields refused, values never changed in place."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from modelrollout.api.rules import Rule, with_rules

GROUP = "modelrollout.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelRollout"
PLURAL = "modelrollouts"


class Model(BaseModel):
    """A part of a resource. Build new values with the constructor: ``model_copy(update=…)`` does not validate."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _keep_the_rules(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return with_rules(handler.resolve_ref_schema(handler(schema)), *cls.rules)

    def to_wire(self) -> dict[str, Any]:
        """The value as Kubernetes keeps it: JSON types, camelCase, and what is None left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Record(Model):
    """A part of the status. A newer operator may have written fields that this one does not know: they are ignored."""

    model_config = ConfigDict(extra="ignore")
