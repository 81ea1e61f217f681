"""The parts of a watch: the lines of its stream, and the events that bridge a gap.

Pure but for reading the stream it is given; `Cluster.watch` keeps it going.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import aiohttp

from modelrollout.objects.manifests import Manifest

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Manifest


def by_key(items: Iterable[Manifest]) -> dict[Key, Manifest]:
    """The objects by namespace and name."""
    return {key_of(item): item for item in items}


def key_of(item: Manifest) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def remember(known: dict[Key, Manifest], event: WatchEvent) -> None:
    if event.type == "DELETED":
        known.pop(key_of(event.object), None)
    else:
        known[key_of(event.object)] = event.object


def differences(known: dict[Key, Manifest], now: dict[Key, Manifest]) -> Iterator[WatchEvent]:
    """The events that were missed between two listings. An object that was deleted and made again makes two."""
    for place, old in known.items():
        if place not in now or now[place]["metadata"]["uid"] != old["metadata"]["uid"]:
            yield WatchEvent("DELETED", old)
    for place, new in now.items():
        before = known.get(place, {}).get("metadata", {})
        if before.get("uid") != new["metadata"]["uid"]:
            yield WatchEvent("ADDED", new)
        elif before["resourceVersion"] != new["metadata"]["resourceVersion"]:
            yield WatchEvent("MODIFIED", new)


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # Not readline(): it refuses lines longer than its buffer, and one object may be over a megabyte.
    rest = b""
    async for chunk in stream.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
