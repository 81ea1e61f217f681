"""A mistake in a spec, and what is said of it. The tables are in broken_specs and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Broken:
    """A mistake, where it is, and what both the API server and the operator say of it.

    `server` where the schema refuses it, in words that are Kubernetes' own.
    """

    mistake: str
    edits: Mapping[str, Any]
    path: str
    sentence: str
    server: str | None = None
