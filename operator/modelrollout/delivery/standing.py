"""The operator's own targets, which are told of all rollouts: a file of a mounted Secret, read when it changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from modelrollout.api.base import Model
from modelrollout.api.names import Name
from modelrollout.api.notifications import USUAL, Text, Topics
from modelrollout.api.rules import unique_by
from modelrollout.trial.deliveries import STANDING

logger = logging.getLogger(__name__)


class StandingTarget(Model):
    """An entry of the file. Not to be printed."""

    name: Name
    topics: Topics = USUAL
    url: Annotated[str, Field(min_length=1, repr=False)]
    signing_secret: Annotated[str | None, Field(min_length=1, repr=False)] = None
    text: Text | None = None


class TargetsFile(Model):
    """The whole file."""

    targets: Annotated[tuple[StandingTarget, ...], Field(max_length=50), unique_by("name")]


class StandingTargets:
    """A file in YAML. One that cannot be used stops nothing: the operator's first job is another."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, StandingTarget] | None = {} if path is None else None
        self._version: tuple[int, int] | None = None
        self._complaint = ""

    def found(self) -> dict[str, StandingTarget] | None:
        """By name. While the file cannot be used, as it was; None until it could be used once."""
        if self._path is None:
            return self._found
        try:
            self._refresh(self._path)
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as trouble:
            if (why := _told(trouble)) != self._complaint:
                logger.error("%s (--notifications) cannot be used, and targets stay as they were: %s.", self._path, why)
            self._complaint = why
        return self._found

    def _refresh(self, path: Path) -> None:
        seen = path.stat()
        version = seen.st_mtime_ns, seen.st_ino
        if version != self._version:
            text = path.read_bytes()
            self._version = version  # it was read, and what is wrong with it is told once
            found = TargetsFile.model_validate(yaml.load(text, yaml.BaseLoader)).targets  # noqa: S506 - texts alone
            self._found, self._complaint = {f"{STANDING}{one.name}": one for one in found}, ""


def _told(trouble: Exception) -> str:
    """Without anything of what the file says."""
    match trouble:
        case ValidationError():
            places = (".".join(map(str, one["loc"])) or "its beginning" for one in trouble.errors(include_input=False))
            return f"wrong at {', '.join(places)}"
        case OSError():
            return trouble.strerror or "it cannot be read"
        case _:
            return "it is not YAML"
