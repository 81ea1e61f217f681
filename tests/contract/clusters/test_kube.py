"""The Kubernetes client against API servers as they are: pages, watches, refusals; test_verbs.py has the rest."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from modelrollout import kube
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, HTTP_ROUTES, LEASES, PODS
from tests.builders import deployment, settings
from tests.clusters import cluster, kubernetes, namespace

__all__ = ["cluster", "kubernetes", "namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def take(count: int, events: Any) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    async with asyncio.timeout(20), aclosing(events):
        async for event in events:
            seen.append((event.type, event.object["metadata"]["name"]))
            if len(seen) == count:
                break
    return seen


async def test_a_name_can_be_left_to_the_api_server(cluster: Cluster, namespace: str) -> None:
    manifest = settings(namespace)
    manifest["metadata"] = {"generateName": "settings-", "namespace": namespace}
    names = [(await cluster.create(manifest))["metadata"]["name"] for _ in range(2)]
    assert len(set(names)) == 2
    assert all(name.startswith("settings-") and len(name) == len("settings-") + 5 for name in names)


async def test_a_replacement_of_something_newer_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(settings(namespace, a="1"))
    await cluster.replace({**made, "data": {"a": "2"}})
    with pytest.raises(kube.Conflict):
        await cluster.replace({**made, "data": {"a": "3"}})
    assert (await cluster.read(CONFIG_MAPS, namespace, "settings") or {})["data"] == {"a": "2"}


async def test_what_breaks_the_schema_is_refused_in_the_servers_words(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(kube.Refused, match=r"spec\.replicas") as refusal:
        await cluster.create(deployment(namespace, replicas=-1))
    assert refusal.value.status == 422


async def test_a_namespace_that_is_not_there_is_named(cluster: Cluster) -> None:
    with pytest.raises(kube.Refused, match="nowhere"):
        await cluster.create(settings("nowhere"))


async def test_a_kind_without_its_crd_is_not_taken_for_a_missing_object(cluster: Cluster, namespace: str) -> None:
    for call in (cluster.list(HTTP_ROUTES), cluster.read(HTTP_ROUTES, namespace, "fraud")):
        with pytest.raises(kube.Refused, match=r"httproutes of gateway\.networking\.k8s\.io/v1; is the CRD installed"):
            await call


async def test_a_list_is_whole_however_many_pages_it_takes(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelrollout.kube.cluster.PAGE", 2)
    names = [f"settings-{number}" for number in range(5)]
    for name in names:
        await cluster.create(settings(namespace, name))
    before = cluster.requests["list", "configmaps"]
    listing = await cluster.list(CONFIG_MAPS, namespace)
    assert [
        (item["kind"], item["metadata"]["name"]) for item in listing.items if item["metadata"]["name"] in names
    ] == [("ConfigMap", name) for name in names]
    assert cluster.requests["list", "configmaps"] - before >= 3


async def test_a_list_can_be_narrowed_by_labels_and_by_fields(cluster: Cluster, namespace: str) -> None:
    for name, arm in (("a", "stable"), ("b", "candidate")):
        manifest = settings(namespace, name)
        manifest["metadata"]["labels"] = {"arm": arm, "app": "fraud"}
        await cluster.create(manifest)

    async def names(**selection: Any) -> list[str]:
        return [item["metadata"]["name"] for item in (await cluster.list(CONFIG_MAPS, namespace, **selection)).items]

    assert await names(labels={"app": "fraud", "arm": "stable"}) == ["a"]
    assert await names(labels="arm in (candidate, other)") == ["b"]
    assert await names(fields="metadata.name=b") == ["b"]
    everywhere = await cluster.list(CONFIG_MAPS, labels={"app": "fraud"}, fields=f"metadata.namespace={namespace}")
    assert len(everywhere.items) == 2


async def test_a_watch_tells_of_all_there_is_and_then_of_changes(cluster: Cluster, namespace: str) -> None:
    # Not configmaps: a real cluster may put some of its own into every namespace.
    def lease(name: str) -> Manifest:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}

    await cluster.create(lease("a"))
    seen: list[tuple[str, str]] = []
    async with asyncio.timeout(20), aclosing(cluster.watch(LEASES, namespace)) as events:
        async for event in events:
            seen.append((event.type, event.object["metadata"]["name"]))
            match len(seen):
                case 1:
                    await cluster.create(lease("b"))
                case 2:
                    await cluster.patch(LEASES, namespace, "a", {"spec": {"holderIdentity": "me"}})
                case 3:
                    await cluster.delete(LEASES, namespace, "b")
                case _:
                    break
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_watch_from_a_listing_tells_of_what_came_after_it(cluster: Cluster, namespace: str) -> None:
    await cluster.create(settings(namespace, "a"))
    listing = await cluster.list(CONFIG_MAPS, namespace)
    await cluster.create(settings(namespace, "b"))
    await cluster.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}})
    await cluster.delete(CONFIG_MAPS, namespace, "b")
    events = await take(3, cluster.watch(CONFIG_MAPS, namespace, since=listing))
    assert events == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


async def test_a_watch_goes_on_when_the_server_ends_it(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelrollout.kube.cluster.WATCH_SECONDS", 1)
    before = cluster.requests["watch", "leases"]
    events = cluster.watch(LEASES, namespace)
    waiting = asyncio.create_task(take(1, events))
    async with asyncio.timeout(20):
        while cluster.requests["watch", "leases"] - before < 3:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    metadata = {"name": "late", "namespace": namespace}
    await cluster.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata})
    assert await waiting == [("ADDED", "late")]


async def test_a_watch_by_label_tells_of_what_leaves_the_selection(cluster: Cluster, namespace: str) -> None:
    manifest = settings(namespace, "a")
    manifest["metadata"]["labels"] = {"arm": "candidate"}
    await cluster.create(manifest)
    listing = await cluster.list(CONFIG_MAPS, namespace, labels={"arm": "candidate"})
    await cluster.patch(CONFIG_MAPS, namespace, "a", {"metadata": {"labels": {"arm": "stable"}}})
    events = cluster.watch(CONFIG_MAPS, namespace, labels={"arm": "candidate"}, since=listing)
    assert await take(1, events) == [("DELETED", "a")]


async def test_a_pod_on_a_node_stays_until_its_node_lets_it_go(cluster: Cluster, namespace: str) -> None:
    spec = {"nodeName": "elsewhere", "containers": [{"name": "server", "image": "plain"}]}
    metadata = {"name": "solo", "namespace": namespace}
    await cluster.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    await cluster.delete(PODS, namespace, "solo")
    leaving = await cluster.read(PODS, namespace, "solo")
    assert leaving
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
    await cluster.delete(PODS, namespace, "solo", grace=0)
    assert await cluster.read(PODS, namespace, "solo") is None


async def test_looking_writes_nothing(cluster: Cluster, namespace: str) -> None:
    await cluster.create(settings(namespace))
    before = cluster.writes
    await cluster.read(CONFIG_MAPS, namespace, "settings")
    await cluster.list(CONFIG_MAPS, namespace)
    await take(1, cluster.watch(CONFIG_MAPS, namespace))
    assert cluster.writes == before
    await cluster.replace(settings(namespace, a="1"))
    assert cluster.writes == before + 1
    assert cluster.requests["update", "configmaps"] >= 1
