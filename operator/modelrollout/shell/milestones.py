"""What a pass brought to an end, and how long it took: from the status before and after, and nothing else. Pure.

All moments are stored ones, so whichever process sees the end counts the whole time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelrollout.api.status import ModelRolloutStatus, Outcome, Rejection


@dataclass(frozen=True, slots=True)
class Detection:
    """A candidate was decided to be taken back, so many seconds after users or copies first reached it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restoration:
    """All traffic is back on stable, so many seconds after that was decided."""

    seconds: float


Milestone = Outcome | Detection | Restoration


def milestones(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Milestone]:
    """Each once, when it is reached."""
    for rejection in after.rejected:
        if rejection not in before.rejected and (seconds := _exposed_for(before, after, rejection)) is not None:
            yield Detection(seconds)
    for outcome in after.history:
        if outcome not in before.history:
            yield outcome
            if outcome.outcome == "RolledBack" and (decided := _rejection_of(after, outcome)) is not None:
                yield Restoration(max(0.0, (outcome.at - decided.at).total_seconds()))


def _exposed_for(before: ModelRolloutStatus, after: ModelRolloutStatus, rejection: Rejection) -> float | None:
    """None for a candidate that nobody met."""
    for status in (after, before):
        if status.candidate is None or status.candidate.revision != rejection.revision:
            continue
        began = status.evidence.start if status.evidence else None
        began = began or (before.stage.since if before.stage else None)
        return None if began is None else max(0.0, (rejection.at - began).total_seconds())
    return None


def _rejection_of(status: ModelRolloutStatus, outcome: Outcome) -> Rejection | None:
    return next((one for one in status.rejected if one.revision == outcome.revision), None)
