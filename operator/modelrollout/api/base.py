"""What all our resource models share: camelCase on the wire, unknown fields refused, values never changed in place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

GROUP = "modelrollout.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelRollout"
PLURAL = "modelrollouts"


class Model(BaseModel):
    """A part of a resource. Build new values with the constructor: ``model_copy(update=…)`` does not validate."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
