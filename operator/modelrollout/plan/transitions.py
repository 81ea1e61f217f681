"""What people and programs are told of, from the difference between the status before and after. Pure.

Each is told once: it is there after the pass, and was not before.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.notifications import Topic
from modelrollout.api.status import Condition, ModelRolloutStatus, Phase
from modelrollout.plan.conditions import APPLIED, WAITING_FOR_PERSON
from modelrollout.trial.checks import TRAFFIC_AS_INTENDED
from modelrollout.trial.obstacles import SCALED_TO_ZERO

_PERSISTENT = (
    (Topic.WAITING_FOR_PERSON, (WAITING_FOR_PERSON,)),
    (Topic.STUCK, ("Stalled", APPLIED)),
    (Topic.TRAFFIC_SHARE_MISMATCH, (TRAFFIC_AS_INTENDED,)),
)
"""Topics that last for a while, with the conditions that say so."""
_ENDS = {"Installed": Topic.PROMOTED, "Promoted": Topic.PROMOTED, "RolledBack": Topic.ROLLED_BACK}
"""How a release ended, as history has it."""


def transitions(before: ModelRolloutStatus, after: ModelRolloutStatus, why: Finding) -> Iterator[tuple[Topic, Finding]]:
    """In the order in which they came about."""
    yield from _ends(before, after)
    yield from _beginnings(before, after)
    if after.phase is Phase.ROLLING_BACK and before.phase is not Phase.ROLLING_BACK:
        yield Topic.ROLLING_BACK, why
    for topic, types in _PERSISTENT:
        now = _holding(after, types)
        if now is not None and _holding(before, types) is None:
            yield topic, Finding(now.reason, now.message)


def _ends(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[tuple[Topic, Finding]]:
    if after.history and after.history != before.history and after.history[0].outcome in _ENDS:
        yield _ENDS[after.history[0].outcome], Finding(after.history[0].reason, after.history[0].message)


def _beginnings(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[tuple[Topic, Finding]]:
    old, new = before.candidate, after.candidate
    if new is not None and (old is None or old.revision != new.revision):
        yield Topic.STARTED, Finding("NewRevision", f"Version {new.model.version} is the candidate.")


def _holding(status: ModelRolloutStatus, types: tuple[str, ...]) -> Condition | None:
    """The condition of these types that keeps a rollout, if one does. A rollback that is over is told as such, and who
    scaled a rollout to zero knows."""
    untold = {"Stalled"} if status.phase is Phase.ROLLED_BACK else set()
    found = (status.condition(type_) for type_ in types if type_ not in untold)
    return next((one for one in found if one is not None and one.reason != SCALED_TO_ZERO), None)
