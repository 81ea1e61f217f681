"""A live copy of a kind: whatever order news come in, never older over newer, and nothing back from the dead."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modelrollout.kube import WatchEvent
from modelrollout.kube.mirror import Mirror, is_newer
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS
from tests.fakes.cluster import FakeCluster, merged
from tests.fakes.watched import Stream, settle

LABEL = "modelrollout.dev/rollout"


def item(name: str = "a", rollout: str | None = "fraud", **data: str) -> Manifest:
    labels = {LABEL: rollout} if rollout else {}
    metadata = {"name": name, "namespace": "ml", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class World:
    """A cluster, a mirror of it, and what the mirror told."""

    def __init__(self, **options: Any) -> None:
        self.cluster = FakeCluster()
        self.mirror = Mirror(self.cluster, CONFIG_MAPS, **options)  # type: ignore[arg-type]  # the verbs it uses
        self.told: list[tuple[str, str]] = []

    @property
    def stream(self) -> Stream:
        ((_, stream),) = self.cluster.streams
        return stream

    @property
    def is_true(self) -> bool:
        return list(self.mirror.items.values()) == self.cluster.all(CONFIG_MAPS)

    def changed(self, event: WatchEvent) -> None:
        self.told.append((event.type, event.object["metadata"]["name"]))

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        await self.mirror.fill(self.changed)
        following = asyncio.create_task(self.mirror.follow(self.changed))
        await settle()
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.mark.parametrize(
    ("version", "other", "newer"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("a1", "a2", True), ("a1", "a1", False)],
)
def test_versions_compare_as_numbers_and_else_by_being_different(version: str, other: str, newer: bool) -> None:
    assert is_newer(version, other) is newer


async def test_a_mirror_shows_what_is_there_and_keeps_up() -> None:
    world = World()
    world.cluster.put(item("a"))
    async with world.following():
        world.cluster.put(item("b"))
        world.cluster.put(item("a", x="2"))
        world.cluster.remove(CONFIG_MAPS, "b")
        await settle()
        assert world.is_true
        assert world.told == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_objects_are_found_by_name_and_by_the_value_of_their_label() -> None:
    world = World(label=LABEL)
    for name, rollout in (("b", "fraud"), ("a", "fraud"), ("c", "churn"), ("d", None)):
        world.cluster.put(item(name, rollout))
    async with world.following():
        world.cluster.put(item("c", "fraud"))
        world.cluster.put(item("b", None))
        await settle()
        assert [each["metadata"]["name"] for each in world.mirror.labelled("ml", "fraud")] == ["a", "c"]
        assert world.mirror.labelled("ml", "churn") == world.mirror.labelled("elsewhere", "fraud") == []
        assert world.mirror.get("ml", "d") == world.cluster.get(CONFIG_MAPS, "d")
        assert world.mirror.get("ml", "e") is None


async def test_an_object_that_changes_hands_is_told_of_to_both() -> None:
    world, values = World(label=LABEL), []
    world.changed = lambda event: values.append(event.object["metadata"]["labels"].get(LABEL))  # type: ignore[method-assign]
    world.cluster.put(item("a", "fraud"))
    async with world.following():
        world.cluster.put(item("a", "churn"))
        await settle()
        assert values == ["fraud", "fraud", "churn"]


async def test_only_what_is_labelled_is_mirrored_where_that_is_enough() -> None:
    world = World(label=LABEL, only_labelled=True)
    world.cluster.put(item("a", "fraud"))
    world.cluster.put(item("b", None))
    async with world.following():
        assert list(world.mirror.items) == [("ml", "a")]
        world.mirror.put(world.cluster.put(item("c", None)))
        world.cluster.put(item("a", None))
        await settle()
        assert world.mirror.items == {}


async def test_our_own_write_is_there_before_its_event_and_is_not_told_of_again() -> None:
    world = World()
    async with world.following():
        world.stream.hold()
        world.mirror.put(world.cluster.put(item("a", x="1")))
        assert world.is_true
        world.stream.release()
        await settle()
        assert (world.is_true, world.told) == (True, [])


async def test_an_older_event_does_not_undo_a_younger_write() -> None:
    world = World()
    world.cluster.put(item("a", x="1"))
    async with world.following():
        world.stream.hold()
        world.cluster.put(item("a", x="2"))
        world.mirror.put(world.cluster.put(item("a", x="3")))
        world.stream.release(world.stream.held[:1])
        await settle()
        assert world.is_true


async def test_the_answer_to_a_write_that_comes_after_its_deletion_brings_nothing_back() -> None:
    world = World()
    async with world.following():
        late = world.cluster.put(item("a"))
        world.cluster.remove(CONFIG_MAPS, "a")
        await settle()
        world.mirror.put(late)
        assert world.mirror.items == {}
        await world.mirror.fill()
        world.mirror.put(late)
        assert world.mirror.items == {}


async def test_a_late_deletion_spares_the_next_object_of_that_name() -> None:
    world = World()
    world.cluster.put(item("a"))
    async with world.following():
        world.stream.hold()
        world.cluster.remove(CONFIG_MAPS, "a")
        world.mirror.put(world.cluster.put(item("a", x="anew")))
        world.stream.release(world.stream.held[:1])
        await settle()
        assert world.is_true


async def test_our_own_deletion_is_known_before_its_event_and_does_not_hide_an_object_that_stays() -> None:
    world = World()
    uid = world.cluster.put(item("a"))["metadata"]["uid"]
    async with world.following():
        world.mirror.drop("ml", "a", "another")
        assert world.is_true
        world.mirror.drop("ml", "a", uid)
        assert world.mirror.items == {}
        world.cluster.put(merged(world.cluster.get(CONFIG_MAPS, "a"), {"metadata": {"deletionTimestamp": "now"}}))
        await settle()
        assert world.is_true


async def test_an_object_that_comes_back_into_the_selection_is_there_again() -> None:
    world = World(label=LABEL, only_labelled=True)
    async with world.following():
        for rollout in ("fraud", None, "fraud"):
            world.cluster.put(item("a", rollout))
            await settle()
        assert world.is_true


async def test_another_look_finds_what_lost_events_would_have_told() -> None:
    world = World(label=LABEL)
    for name in ("a", "b", "c"):
        world.cluster.put(item(name))
    async with world.following():
        world.stream.hold()
        world.cluster.put(item("a", x="2"))
        world.cluster.remove(CONFIG_MAPS, "b")
        world.cluster.remove(CONFIG_MAPS, "c")
        world.cluster.put(item("c", "churn"))
        world.stream.lose()
        await settle()
        assert not world.is_true
        world.told.clear()
        await world.mirror.fill(world.changed)
        assert world.is_true
        assert world.told == [("DELETED", "b"), ("DELETED", "c"), ("MODIFIED", "a"), ("ADDED", "c")]
        assert len(world.mirror.labelled("ml", "fraud")) == 1


async def test_a_listing_that_is_older_than_our_own_write_does_not_undo_it() -> None:
    world = World()
    world.cluster.put(item("a", x="1"))
    listed = world.cluster.list

    async def slow(*args: Any, **options: Any) -> Any:
        listing = await listed(*args, **options)
        for name in ("a", "b"):  # both while the listing is on its way
            world.mirror.put(world.cluster.put(item(name, x="2")))
        return listing

    world.cluster.list = slow  # type: ignore[method-assign]
    await world.mirror.fill()
    assert world.is_true


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("again", [1, 2])
async def test_any_order_of_the_news_of_one_object_ends_with_the_truth(order: tuple[int, ...], again: int) -> None:
    world = World(label=LABEL)
    world.cluster.put(item("a", x="0"))
    async with world.following():
        world.stream.hold()
        world.cluster.put(item("a", x="1"))
        world.cluster.put(item("a", "churn", x="2"))
        world.cluster.remove(CONFIG_MAPS, "a")
        world.stream.release([world.stream.held[number] for number in order] * again)
        await settle()
        assert world.is_true
        assert world.mirror.labelled("ml", "fraud") == world.mirror.labelled("ml", "churn") == []
