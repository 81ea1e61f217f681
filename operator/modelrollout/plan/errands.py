"""What has to be delivered after a decision, saved together with it: `status.errands`. Pure.

Somebody outside delivers, and says so; a later pass strikes what arrived. So an errand outlives the process that
decided on it, and nothing waits for its delivery. Which errands a decision makes is in a module for each kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.notifications import Topic
from modelrollout.api.status import Errand, ModelRolloutStatus
from modelrollout.plan.plan import Event
from modelrollout.plan.statuses import changed
from modelrollout.trial.deliveries import STANDING
from modelrollout.trial.facts import Facts

NOTIFICATION = "notification"
"""The kind of errand that tells people or programs of a transition."""
MOST_ERRANDS = 10
PATIENCE = timedelta(hours=24)
"""How long a delivery is tried. Later nobody is helped by the news."""
DELIVERED = "Delivered"
"""The type of the condition that is there, and False, while something cannot be delivered."""


def targets(facts: Facts) -> Mapping[str, Collection[Topic]]:
    """Who is told of this rollout, by name, with the topics of each: its own targets, and the operator's."""
    standing = facts.world.deliveries.standing or {}
    return {**{one.name: one.topics for one in facts.rollout.notifications}, **standing}


def struck(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """The status without what arrived, what is too old, and targets that are gone."""
    left = tuple(one for one in _undone(facts) if not _is_old(one, facts.now))
    return status if left == status.errands else changed(status, errands=left)


def added(status: ModelRolloutStatus, new: tuple[Errand, ...]) -> ModelRolloutStatus:
    """The status with more errands. Beyond the limit, the oldest are dropped."""
    return changed(status, errands=(*status.errands, *new)[-MOST_ERRANDS:]) if new else status


def undelivered(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """What cannot be delivered, and why. After a restart it stays as it was told until another attempt was made."""
    awaited, known = {target for one in status.errands for target in one.to}, facts.world.deliveries
    failing = {target: why for target, why in known.failing.items() if target in awaited}
    if failing:
        return Finding("DeliveryFailing", " ".join(f"{target}: {why}." for target, why in sorted(failing.items())))
    told = facts.rollout.status.condition(DELIVERED)
    return Finding(told.reason, told.message) if told is not None and awaited and not known.done else None


def given_up(facts: Facts, status: ModelRolloutStatus) -> Iterator[Event]:
    """An Event for each errand that the new status has no more, although it did not arrive."""
    kept = {one.id for one in status.errands}
    for one in _undone(facts):
        if one.id not in kept:
            told = f"{one.facts.get('topic', one.kind)} of {one.at:%Y-%m-%d %H:%M:%S} UTC"
            late = f"within {PATIENCE.total_seconds() / 3600:g} hours"
            why = late if _is_old(one, facts.now) else f"before {MOST_ERRANDS} others came"
            yield Event("Warning", "DeliveryGivenUp", f"{told} was not delivered to {', '.join(one.to)} {why}.")


def _undone(facts: Facts) -> Iterator[Errand]:
    """What was saved, with the targets that have yet to get it."""
    done = facts.world.deliveries.done
    for one in facts.rollout.status.errands:
        if one.kind != NOTIFICATION:
            yield one  # a newer operator's: it is not ours to strike
        elif to := tuple(name for name in one.to if _is_target(facts, name) and (one.id, name) not in done):
            yield one if to == one.to else Errand(**{**dict(one), "to": to})


def _is_target(facts: Facts, name: str) -> bool:
    """Whether there is a target of that name, or may be: the operator's own are not always known."""
    may_be = facts.world.deliveries.standing is None and name.startswith(STANDING)
    return may_be or name in targets(facts)


def _is_old(errand: Errand, now: datetime) -> bool:
    return now >= errand.at + PATIENCE
