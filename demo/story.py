"""The story that the demo tells: which versions are released, and how each release should end. Pure data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["Installed", "Promoted", "RolledBack"]


@dataclass(frozen=True, slots=True)
class Release:
    """One version, and what becomes of it if all is well. `about` completes the sentence "v3 …"."""

    name: str
    about: str
    ending: Ending


STORY = (
    Release("v1", "is the first version: 93 % of its answers are right", "Installed"),
    Release("v2", "is better: 97 % right", "Promoted"),
    Release("v3", "answers one request in five with an error", "RolledBack"),
    Release("v4", "is quietly wrong: every 1 and 7 mixed up, no error, as quick as ever", "RolledBack"),
)

SHOULD = {
    "Installed": "be installed",
    "Promoted": "be promoted",
    "RolledBack": "be taken back",
}
IN_WORDS = {
    "Installed": "installed",
    "Promoted": "promoted",
    "RolledBack": "taken back",
}


def complaints(rows: Sequence[Mapping[str, Any]], story: Sequence[Release] = STORY) -> tuple[str, ...]:
    """Where `releases` of a report differ from the story, a sentence each; empty when it went as told."""
    told = {row["name"]: row for row in rows}
    return tuple(complaint for release in story for complaint in _about(release, told.get(release.name)))


def _about(release: Release, row: Mapping[str, Any] | None) -> Iterator[str]:
    if row is None:
        yield f"{release.name} was never released."
        return
    if row["outcome"] != release.ending:
        found = IN_WORDS.get(row["outcome"], "still on its way at the end")
        yield f"{release.name} should {SHOULD[release.ending]}, but it was {found}."
    if row["requestsFailedBySwitch"]:
        yield f"{row['requestsFailedBySwitch']} requests failed during {release.name} because traffic moved."
