"""Objects in memory with revisions, and the history that watches read. It knows no kinds and decides nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Object = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for cluster-scoped), name

HISTORY = 10_000  # events kept for each kind; a watch from before them gets 410 and lists again


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `object` is the state after it (of a deletion: the last state, at the deletion's revision)."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object
    previous: Object | None


@dataclass(slots=True)
class Collection:
    """All objects of one kind and their recent history. Stored objects are never changed in place."""

    born: int  # what happened before this revision is not known here
    items: dict[Key, Object] = field(default_factory=dict)
    history: deque[Event] = field(default_factory=lambda: deque(maxlen=HISTORY))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def oldest(self) -> int:
        """The first revision from which a watch can still be served whole."""
        return self.history[0].revision - 1 if len(self.history) == HISTORY else self.born

    def since(self, revision: int) -> Iterator[Event]:
        """Events after a revision, oldest first."""
        newer = []
        for event in reversed(self.history):
            if event.revision <= revision:
                break
            newer.append(event)
        return reversed(newer)

    def announce(self) -> None:
        """Wake every watch; each reads the history for itself, so none can miss or hold up another."""
        self.changed.set()
        self.changed = asyncio.Event()


class Store:
    """Every collection, and the one revision counter they share (as etcd's)."""

    def __init__(self) -> None:
        self.revision = 1
        self._collections: dict[tuple[str, str], Collection] = {}

    def collection(self, group: str, plural: str) -> Collection:
        """The objects of a kind; made when first asked for."""
        return self._collections.setdefault((group, plural), Collection(self.revision))

    def drop(self, group: str, plural: str) -> None:
        """Forget a kind whose definition was deleted, and end its watches."""
        if collection := self._collections.pop((group, plural), None):
            collection.closed = True
            collection.announce()

    def put(self, collection: Collection, key: Key, item: Object) -> Object:
        """Write an object at a new revision and return it as stored."""
        self.revision += 1
        stored = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self.revision)}}
        previous = collection.items.get(key)
        collection.items[key] = stored
        collection.history.append(Event(self.revision, "MODIFIED" if previous else "ADDED", stored, previous))
        collection.announce()
        return stored

    def remove(self, collection: Collection, key: Key) -> Object:
        """Delete an object and return its last state, at the revision of its deletion."""
        self.revision += 1
        previous = collection.items.pop(key)
        last = {**previous, "metadata": {**previous["metadata"], "resourceVersion": str(self.revision)}}
        collection.history.append(Event(self.revision, "DELETED", last, previous))
        collection.announce()
        return last
