"""What is known of errands on their way: who is told, what arrived, and what fails. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelrollout.api.notifications import Topic

STANDING = "operator/"
"""Begins the names of the operator's own targets, so that no ModelRollout has one of the same name."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """As the process that delivers them knows it; another one may have been told of less."""

    standing: Mapping[str, frozenset[Topic]] | None = field(default_factory=dict)
    """Targets of the operator's own, which are told of all rollouts, with their topics; None: they were never read."""
    done: frozenset[tuple[str, str]] = frozenset()
    """What arrived: the id of an errand, and the name of a target."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """By target, why its last delivery failed: words without its address."""
