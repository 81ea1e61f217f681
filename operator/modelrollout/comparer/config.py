"""What a comparer is told when it starts: whom to ask, and when answers agree. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelrollout.api.base import Model
from modelrollout.api.compare import Compare


class Version(Model):
    """One of the two that are asked."""

    url: Annotated[str, Field(pattern=r"^http://[^/?#@\s]+$")]  # of its Service, without a path
    revision: str


class Config(Model):
    """One comparer's work. It does not change: another stage has another comparer."""

    namespace: str
    rollout: str
    stable: Version
    candidate: Version
    methods: tuple[str, ...]  # of requests that may be carried out twice
    compare: Compare
