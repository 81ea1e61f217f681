"""Whoever is told of transitions: what arrived, and targets that are away or never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from modelrollout.api.notifications import USUAL, Topic
from modelrollout.delivery.deliverer import Parcel, Undelivered
from tests.fakes.cluster import Killed

if TYPE_CHECKING:
    from tests.fakes.town import Town


@dataclass(frozen=True)
class Letter:
    """What a target got."""

    target: str
    topic: str
    version: str
    id: str


@dataclass
class Post:
    """A carrier of notifications."""

    town: Town
    letters: list[Letter] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)  # targets that take a connection, and say nothing
    away: dict[str, str] = field(default_factory=dict)  # targets that take nothing, and why
    standing_targets: dict[str, tuple[Topic, ...]] | None = field(default_factory=dict)  # None: unknown
    is_killed: bool = False  # the process died during a delivery

    def standing(self) -> Mapping[str, frozenset[Topic]] | None:
        if self.standing_targets is None:
            return None
        return {name: frozenset(topics) for name, topics in self.standing_targets.items()}

    async def carry(self, parcel: Parcel) -> None:
        try:
            self.town.cluster.hook("before", "deliver", parcel.target, "")
            if parcel.target in self.hanging:
                await asyncio.Event().wait()
            if parcel.target in self.away:
                raise Undelivered(self.away[parcel.target])
            facts = parcel.errand.facts
            self.letters.append(Letter(parcel.target, facts["topic"], facts.get("version", ""), parcel.errand.id))
            self.town.cluster.hook("after", "deliver", parcel.target, "")
        except Killed:
            self.is_killed = True
            raise

    async def pause(self, seconds: float) -> None:
        """Until the town's clock is there."""
        until = self.town.now + timedelta(seconds=seconds)
        while self.town.now < until:  # noqa: ASYNC110 - the clock is moved by hand, and tells nobody
            await asyncio.sleep(0)

    def of(self, target: str) -> list[str]:
        """The topics that arrived at a target."""
        return [letter.topic for letter in self.letters if letter.target == target]

    def clone(self, town: Town) -> Post:
        return replace(
            self,
            town=town,
            letters=list(self.letters),
            hanging=set(self.hanging),
            away=dict(self.away),
            is_killed=False,
        )


def told(name: str, *topics: Topic) -> dict[str, object]:
    """An entry of spec.notifications."""
    return {
        "name": name,
        "topics": [topic.value for topic in topics or USUAL],
        "secretRef": {"name": "alerts", "key": name},
    }
