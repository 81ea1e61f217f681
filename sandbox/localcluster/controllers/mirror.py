"""A live copy of all objects of one kind, for the sandbox's controllers. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from modelrollout.kube import Cluster, Listing, Manifest, WatchEvent
from modelrollout.objects.resources import Resource

Key = tuple[str, str]


class Mirror:
    """`items` by namespace and name, true once `fill` has returned and for as long as `follow` runs."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        self._cluster, self._resource = cluster, resource
        self._since: Listing | None = None
        self._gone: set[str] = set()
        self.items: dict[Key, Manifest] = {}

    async def fill(self) -> None:
        """Take the first look. Raises KubeError."""
        self._since = await self._cluster.list(self._resource)
        self.items = {key_of(item): item for item in self._since.items}

    async def follow(self, changed: Callable[[WatchEvent], None]) -> None:
        """Keep up for ever, and call `changed` after each change."""
        async with aclosing(self._cluster.watch(self._resource, since=self._since)) as events:
            async for event in events:
                if event.type == "DELETED":
                    self._gone.add(event.object["metadata"]["uid"])
                    self.items.pop(key_of(event.object), None)
                else:
                    self.items[key_of(event.object)] = event.object
                changed(event)

    def put(self, item: Manifest) -> None:
        """Take what a write of our own returned, ahead of its event: the next pass must not repeat that write."""
        if item["metadata"]["uid"] not in self._gone:
            self.items.setdefault(key_of(item), item)


def key_of(item: Manifest) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
