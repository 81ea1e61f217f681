"""A finding: why something is so, as a constant for machines and a sentence for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The same two strings serve condition, Event, log line and command line."""

    reason: str
    message: str
