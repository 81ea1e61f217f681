"""An entry in the table of built-in kinds, and the rules that many of them follow."""

from __future__ import annotations

from dataclasses import dataclass

from localcluster.apiserver.resources import Rules

PLAIN = Rules()
STATUS = Rules(keeps_status_apart=True)
SPEC_AND_STATUS = Rules(counts_generations=True, keeps_status_apart=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a kind is called, where its schema comes from, which rules it follows."""

    group: str
    kind: str
    plural: str
    model: str
    rules: Rules = PLAIN
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    selectable: frozenset[str] = frozenset()
    verbs: tuple[str, ...] | None = None
