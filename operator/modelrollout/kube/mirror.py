"""A live copy of all objects of one kind, kept by listing and watching. Reads only.

It may lag behind the API server, so writes based on it have to be conditional on the version that was seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import aclosing

from modelrollout.kube.cluster import Cluster, Listing
from modelrollout.kube.watching import Key, WatchEvent, by_key, differences, key_of
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import Resource

Changed = Callable[[WatchEvent], None]


class Mirror:
    """`items` by namespace and name, true once `fill` has returned and for as long as `follow` runs.

    It never replaces a newer version by an older one, and never restores an object that it knows to be deleted.
    `labelled` finds objects by the value of `label`; with `only_labelled`, objects without it are not mirrored.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None = None,
        *,
        label: str | None = None,
        only_labelled: bool = False,
    ) -> None:
        self._cluster, self._resource, self._namespace = cluster, resource, namespace
        self._label, self._selector = label, label if only_labelled else None
        self._since: Listing | None = None
        self._gone: dict[str, str] = {}  # by uid: the version in which an object was last seen
        self._labelled: defaultdict[Key, set[Key]] = defaultdict(set)
        self.items: dict[Key, Manifest] = {}

    async def fill(self, changed: Changed = lambda _: None) -> None:
        """List everything. The first listing fills the mirror, a later one finds changes whose events were lost.

        Raises KubeError.
        """
        listing = await self._cluster.list(self._resource, self._namespace, labels=self._selector)
        for event in list(differences(self.items, by_key(listing.items))):
            # Our own write may be younger than the listing, which does not know of it then.
            if event.type != "DELETED" or not is_newer(_version(event.object), listing.resource_version):
                self._tell(event, changed)
        self._since = listing
        self._gone.clear()  # from here on the version of the listing tells what was deleted

    async def follow(self, changed: Changed) -> None:
        """Keep up for ever, and call `changed` after each change. Raises Refused when watching is not allowed."""
        changes = self._cluster.watch(self._resource, self._namespace, labels=self._selector, since=self._since)
        async with aclosing(changes) as events:
            async for event in events:
                self._tell(event, changed)

    def get(self, namespace: str, name: str) -> Manifest | None:
        """The object, or None when there is none of that name."""
        return self.items.get((namespace, name))

    def labelled(self, namespace: str, value: str) -> list[Manifest]:
        """The objects of a namespace whose label has this value, by name."""
        return [self.items[place] for place in sorted(self._labelled.get((namespace, value), ()))]

    def put(self, item: Manifest) -> None:
        """Take what a write of our own returned, ahead of its event: the next pass must not repeat that write."""
        if self._selector is not None and self._value(item) is None:
            return
        is_unknown = key_of(item) not in self.items
        if is_unknown and self._since and not is_newer(_version(item), self._since.resource_version):
            return  # the listing would have it if it were not deleted since
        self._take(WatchEvent("MODIFIED", item))

    def drop(self, namespace: str, name: str, uid: str) -> None:
        """Take note of our own deletion, ahead of its event. If a finalizer keeps it, an event brings it back."""
        present = self.items.get((namespace, name))
        if present is not None and present["metadata"]["uid"] == uid:
            self._take(WatchEvent("DELETED", present))

    def _tell(self, event: WatchEvent, changed: Changed) -> None:
        for each in self._take(event):
            changed(each)

    def _take(self, event: WatchEvent) -> tuple[WatchEvent, ...]:
        """The events for this change: two for an object whose label changed, for its old and its new owner."""
        item, place = event.object, key_of(event.object)
        metadata, present = item["metadata"], self.items.get(place)
        if event.type == "DELETED":
            is_news = metadata["uid"] not in self._gone
            self._gone[metadata["uid"]] = _version(item)
            if present is not None and present["metadata"]["uid"] == metadata["uid"]:
                self._unindex(
                    place
                )  # even if we wrote to it since: if it still exists, the event of that write follows
                del self.items[place]
            return (event,) if is_news else ()
        if not all(is_newer(_version(item), known) for known in self._known_versions(item, present)):
            return ()
        self._unindex(place)
        self.items[place] = item
        if (value := self._value(item)) is not None:
            self._labelled[place[0], value].add(place)
        is_moved = present is not None and self._value(present) != value
        return (WatchEvent("MODIFIED", present), event) if is_moved and present else (event,)

    def _known_versions(self, item: Manifest, present: Manifest | None) -> Iterator[str]:
        if present is not None:
            yield _version(present)
        if (gone := self._gone.get(item["metadata"]["uid"])) is not None:
            yield gone

    def _unindex(self, place: Key) -> None:
        if (present := self.items.get(place)) is None or (value := self._value(present)) is None:
            return
        self._labelled[place[0], value].discard(place)
        if not self._labelled[place[0], value]:
            del self._labelled[place[0], value]

    def _value(self, item: Manifest) -> str | None:
        return (item["metadata"].get("labels") or {}).get(self._label) if self._label is not None else None


def is_newer(version: str, other: str) -> bool:
    """Whether one resourceVersion of a kind comes after another.

    Kubernetes promises since 1.35 (KEP-5504) that those of one kind compare as integers, and etcd's always did. Where
    a server counts in some other way, the order of arrival decides: all that differs is newer.
    """
    if version.isdecimal() and other.isdecimal():
        return int(version) > int(other)
    return version != other


def _version(item: Manifest) -> str:
    return str(item["metadata"]["resourceVersion"])
