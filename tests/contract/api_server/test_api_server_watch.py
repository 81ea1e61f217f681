"""Watches, which every controller lives on: nothing missed, nothing twice, and a clear word when history is gone."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.api_server.api_server_client import TABLE, Api, config, path, widget, widgets

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_watch_from_a_list_sees_all_that_follows(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("old"))
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        await api.made(widgets(namespace), widget("a"))
        await api.patch(widgets(namespace, "a"), {"spec": {"size": 9}})
        await api.delete(widgets(namespace, "a"))
        assert await watch.changes(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_catches_up_with_what_happened_before_it_began(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    await api.made(widgets(namespace), widget("a"))
    await api.patch(widgets(namespace, "a"), {"spec": {"size": 9}})
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        assert await watch.changes(2) == [("ADDED", "a"), ("MODIFIED", "a")]


async def test_a_watch_without_a_version_begins_with_what_is_there(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        await api.made(widgets(namespace), widget(name))
    for start in ({}, {"resourceVersion": "0"}):
        async with api.watch(widgets(namespace), **start) as watch:
            assert sorted(await watch.changes(2)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_each_change_carries_the_whole_object_and_its_version(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        made = await api.made(widgets(namespace), widget("a", size=4))
        assert await watch.next() == {"type": "ADDED", "object": made}
        await api.delete(widgets(namespace, "a"))
        gone = await watch.next()
        assert (gone["type"], gone["object"]["spec"]) == ("DELETED", {"size": 4})
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_a_watch_can_be_taken_up_where_another_broke_off(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        await api.made(widgets(namespace), widget("a"))
        seen = (await watch.next())["object"]["metadata"]["resourceVersion"]
    await api.made(widgets(namespace), widget("b"))
    async with api.watch(widgets(namespace), resourceVersion=seen) as watch:
        assert await watch.changes(1) == [("ADDED", "b")]


async def test_many_watches_see_the_same(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with (
        api.watch(widgets(namespace), resourceVersion=version) as one,
        api.watch("/apis/contract.example.com/v1/widgets", resourceVersion=version) as everywhere,
        api.watch(widgets(namespace), resourceVersion=version, fieldSelector="metadata.name=b") as only_b,
    ):
        for name in ("a", "b"):
            await api.made(widgets(namespace), widget(name))
        both = [("ADDED", "a"), ("ADDED", "b")]
        assert await one.changes(2) == both
        assert await everywhere.changes(2) == both
        assert await only_b.changes(1) == [("ADDED", "b")]


async def test_a_watch_of_a_namespace_sees_no_other(api: Api, namespace: str) -> None:
    version = (await api.get(path("configmaps", namespace))).version
    async with api.watch(path("configmaps", namespace), resourceVersion=version) as watch:
        elsewhere = await api.post(path("configmaps", "default"), config(f"{namespace}-elsewhere"))
        assert elsewhere.status == 201
        await api.made(path("configmaps", namespace), config("here"))
        assert await watch.changes(1) == [("ADDED", "here")]


async def test_an_object_comes_and_goes_with_its_labels(api: Api, namespace: str) -> None:
    where = path("configmaps", namespace)
    version = (await api.get(where)).version
    async with api.watch(where, resourceVersion=version, labelSelector="team=x") as watch:
        await api.made(where, config("a", {"team": "y"}))
        await api.patch(f"{where}/a", {"metadata": {"labels": {"team": "x"}}})
        await api.patch(f"{where}/a", {"data": {"k": "v"}})
        await api.patch(f"{where}/a", {"metadata": {"labels": {"team": "y"}}})
        await api.delete(f"{where}/a")
        await api.made(where, config("b", {"team": "x"}))
        seen = [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]
        assert await watch.changes(4) == seen


async def test_one_object_can_be_watched_by_its_name(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    async with api.watch(widgets(namespace), fieldSelector="metadata.name=a") as watch:
        await api.made(widgets(namespace), widget("b"))
        await api.patch(widgets(namespace, "a"), {"spec": {"size": 9}})
        assert await watch.changes(2) == [("ADDED", "a"), ("MODIFIED", "a")]


async def test_an_object_being_deleted_is_a_modified_one(api: Api, namespace: str) -> None:
    manifest = widget("a")
    manifest["metadata"]["finalizers"] = ["contract.example.com/hold"]
    await api.made(widgets(namespace), manifest)
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        await api.delete(widgets(namespace, "a"))
        change = await watch.next()
        assert (change["type"], "deletionTimestamp" in change["object"]["metadata"]) == ("MODIFIED", True)
        await api.patch(widgets(namespace, "a"), {"metadata": {"finalizers": []}})
        assert (await watch.next())["type"] == "DELETED"


async def test_a_watch_ends_when_its_time_is_over(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version, timeoutSeconds="1") as watch:
        assert await watch.ends() == []


async def test_a_watch_is_told_of_versions_in_between(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    query = {"resourceVersion": "0", "allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    async with api.watch(widgets(namespace), **query) as watch:
        changes = await watch.ends()
    assert changes[0]["type"] == "ADDED"
    for bookmark in changes[1:]:
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["kind"] == "Widget"
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) > 0


async def test_a_watch_can_stand_in_for_a_list(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        await api.made(widgets(namespace), widget(name))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": "",
        "allowWatchBookmarks": "true",
    }
    async with api.watch(widgets(namespace), **query) as watch:
        assert sorted(await watch.changes(2)) == [("ADDED", "a"), ("ADDED", "b")]
        bookmark = await watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.made(widgets(namespace), widget("c"))
        assert await watch.changes(1) == [("ADDED", "c")]


async def test_history_that_is_gone_is_said_to_be_gone(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    async with api.watch(widgets(namespace), resourceVersion="1") as watch:
        assert watch.response.status == 200
        change = await watch.next()
    assert change["type"] == "ERROR"
    gone = change["object"]
    assert (gone["kind"], gone["code"], gone["reason"]) == ("Status", 410, "Expired")
    assert gone["message"].startswith("too old resource version: 1 ")


async def test_a_version_that_is_none_is_refused(api: Api, namespace: str) -> None:
    async with api.watch(widgets(namespace), resourceVersion="soon") as watch:
        assert watch.response.status == 500  # so says Kubernetes


async def test_a_watcher_that_leaves_disturbs_nobody(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as staying:
        async with api.watch(widgets(namespace), resourceVersion=version):
            await api.made(widgets(namespace), widget("a"))
        await api.made(widgets(namespace), widget("b"))
        assert await staying.changes(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_burst_of_writes_arrives_whole_and_in_order(api: Api, namespace: str) -> None:
    where = path("configmaps", namespace)
    version = (await api.get(where)).version
    async with api.watch(where, resourceVersion=version) as watch:
        made = await asyncio.gather(*(api.made(where, config(f"c{number}")) for number in range(100)))
        changes = [await watch.next() for _ in made]
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in changes]
    assert versions == sorted(versions)
    assert {each["object"]["metadata"]["name"] for each in changes} == {f"c{number}" for number in range(100)}


async def test_no_write_no_event(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    async with api.watch(widgets(namespace), resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        assert (await api.patch(widgets(namespace, "a"), {"spec": {"size": 4}})).status == 200
        assert (await api.put(widgets(namespace, "a"), made)).status == 200
        await api.made(widgets(namespace), widget("b"))
        assert await watch.changes(1) == [("ADDED", "b")]


async def test_a_rehearsal_is_not_announced(api: Api, namespace: str) -> None:
    version = (await api.get(widgets(namespace))).version
    async with api.watch(widgets(namespace), resourceVersion=version) as watch:
        await api.post(widgets(namespace), widget("a"), dryRun="All")
        await api.made(widgets(namespace), widget("b"))
        assert await watch.changes(1) == [("ADDED", "b")]


async def test_tables_can_be_watched(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4))
    query = {"watch": "true", "timeoutSeconds": "1", "resourceVersion": "0"}
    answer = await api.get(widgets(namespace), accept=TABLE, **query)
    assert (answer.body["type"], answer.body["object"]["kind"]) == ("ADDED", "Table")
    assert answer.body["object"]["rows"][0]["cells"][:2] == ["a", 4]
