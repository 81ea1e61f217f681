"""What others made of an object of ours since it was written, in words. Pure.

Our lists of rules are ours as a whole, so the next write takes it off. Nobody shall look for it in vain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import APPLIED, Manifest, Ref, annotation

_MOST_SHOWN = 300
"""Characters of one value: an Event takes 1,024 in all."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A field that is not as it was written. `mend`: how to get the same by the rollout's spec."""

    field: str
    found: Any
    mend: str

    def __str__(self) -> str:
        shown = "left out" if self.found in (None, [], {}) else json.dumps(self.found, ensure_ascii=False)
        cut = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
        return f"{self.field} was {cut}; {self.mend}"


def told(ref: Ref, edits: Sequence[Edit]) -> Finding | None:
    """The edits of one object as a sentence each; None where there are none."""
    if not edits:
        return None
    what = " ".join(f"{edit}." for edit in edits)
    return Finding("EditedByOthers", f"{ref} was edited by somebody else, and the operator puts it back: {what}")


def is_as_written_for(wanted: Manifest, found: Manifest) -> bool:
    """Whether an object was last written with the content that is wanted; what differs from it is somebody else's."""
    return annotation(found, APPLIED) == annotation(wanted, APPLIED)
