"""The verbs that the operator's passes are made of, on each cluster: two API servers, and the fake one of our tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from modelrollout import kube
from modelrollout.kube import Cluster
from modelrollout.kube.cluster import NO_VERSION
from modelrollout.kube.errors import NotFound
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CONFIG_MAPS, DEPLOYMENTS
from tests.builders import deployment, settings
from tests.clusters import any_cluster, namespace

__all__ = ["namespace"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["dictionaries", "built-in", "real"])
async def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Each cluster in turn, through the verbs of the client."""
    async with any_cluster(request.param, tmp_path_factory.mktemp("kubernetes")) as cluster:
        yield cluster


def labelled(namespace: str, name: str, **labels: str) -> Manifest:
    manifest = settings(namespace, name)
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


def owner(name: str, *, is_controller: bool) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": f"uid-{name}", "controller": is_controller}


def owned(namespace: str, *owners: Manifest) -> Manifest:
    manifest = settings(namespace)
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [*owners]}}


async def test_what_is_created_can_be_read_until_it_is_deleted(cluster: Cluster, namespace: str) -> None:
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") is None
    made = await cluster.create(settings(namespace, a="1"))
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") == made
    await cluster.delete(CONFIG_MAPS, namespace, "settings")
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") is None
    await cluster.delete(CONFIG_MAPS, namespace, "settings")


async def test_creating_twice_tells_that_it_exists(cluster: Cluster, namespace: str) -> None:
    await cluster.create(settings(namespace))
    with pytest.raises(kube.AlreadyExists, match="settings"):
        await cluster.create(settings(namespace))


async def test_a_status_is_swapped_only_for_the_one_that_was_read(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(deployment(namespace, replicas=1))
    changed = {**made, "spec": {**made["spec"], "replicas": 9}, "status": {"replicas": 1}}
    after = await cluster.replace_status(changed)
    assert (after["status"]["replicas"], after["spec"]["replicas"]) == (1, 1)
    assert after["metadata"]["generation"] == made["metadata"]["generation"]
    with pytest.raises(kube.Conflict):
        await cluster.replace_status({**changed, "status": {"replicas": 2}})


async def test_applying_twice_changes_nothing_the_second_time(cluster: Cluster, namespace: str) -> None:
    first = await cluster.apply(deployment(namespace), manager="one")
    assert await cluster.apply(deployment(namespace), manager="one") == first


async def test_a_manager_takes_back_what_it_leaves_out(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(settings(namespace, a="1", b="1"), manager="one")
    await cluster.apply(settings(namespace, c="2"), manager="two")
    after = await cluster.apply(settings(namespace, a="1"), manager="one")
    assert after["data"] == {"a": "1", "c": "2"}


async def test_without_force_another_managers_field_is_refused_by_name(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(settings(namespace, a="1"), manager="gitops")
    with pytest.raises(kube.Refused, match="gitops") as refusal:
        await cluster.apply(settings(namespace, a="2"), manager="operator", force=False)
    assert refusal.value.status == 409
    assert (await cluster.apply(settings(namespace, a="2"), manager="operator"))["data"] == {"a": "2"}


async def test_a_merge_patch_changes_one_field_and_removes_another(cluster: Cluster, namespace: str) -> None:
    await cluster.create(settings(namespace, a="1", b="1", c="1"))
    after = await cluster.patch(CONFIG_MAPS, namespace, "settings", {"data": {"a": "2", "b": None}})
    assert after["data"] == {"a": "2", "c": "1"}


async def test_deleting_by_uid_spares_the_next_of_that_name(cluster: Cluster, namespace: str) -> None:
    old = await cluster.create(settings(namespace))
    await cluster.delete(CONFIG_MAPS, namespace, "settings")
    new = await cluster.create(settings(namespace))
    await cluster.delete(CONFIG_MAPS, namespace, "settings", uid=old["metadata"]["uid"])
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") == new
    await cluster.delete(CONFIG_MAPS, namespace, "settings", uid=new["metadata"]["uid"])
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") is None


async def test_a_scaled_deployment_gets_a_new_generation(cluster: Cluster, namespace: str) -> None:
    await cluster.create(deployment(namespace))
    after = await cluster.patch(DEPLOYMENTS, namespace, "fraud", {"spec": {"replicas": 3}})
    assert after["metadata"]["generation"] == 2


async def test_a_list_is_of_one_namespace_or_of_all_and_can_be_narrowed_by_labels(
    cluster: Cluster, namespace: str
) -> None:
    for name, arm in (("a", "stable"), ("b", "candidate")):
        await cluster.create(labelled(namespace, name, arm=arm, of=namespace))
    stable = await cluster.list(CONFIG_MAPS, namespace, labels={"of": namespace, "arm": "stable"})
    assert [item["metadata"]["name"] for item in stable.items] == ["a"]
    assert (await cluster.list(CONFIG_MAPS, "elsewhere", labels={"of": namespace})).items == []
    everywhere = await cluster.list(CONFIG_MAPS, labels={"of": namespace})
    assert [item["metadata"]["name"] for item in everywhere.items] == ["a", "b"]


async def test_a_field_of_two_managers_stays_until_both_have_left_it_out(cluster: Cluster, namespace: str) -> None:
    for manager in ("one", "two"):
        await cluster.apply(settings(namespace, a="1"), manager=manager)
    assert (await cluster.apply(settings(namespace), manager="one"))["data"] == {"a": "1"}
    assert not (await cluster.apply(settings(namespace), manager="two")).get("data")


async def test_a_manager_takes_nothing_back_from_an_object_that_was_made_anew(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(settings(namespace, a="1"), manager="one")
    await cluster.delete(CONFIG_MAPS, namespace, "settings")
    await cluster.create(settings(namespace, a="2"))
    assert (await cluster.apply(settings(namespace, b="1"), manager="one"))["data"] == {"a": "2", "b": "1"}


async def test_owners_of_several_managers_stand_beside_one_another(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(owned(namespace, owner("a", is_controller=True)), manager="one")
    after = await cluster.apply(owned(namespace, owner("b", is_controller=False)), manager="two")
    assert {one["uid"] for one in after["metadata"]["ownerReferences"]} == {"uid-a", "uid-b"}


async def test_a_second_controller_is_refused(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(owned(namespace, owner("a", is_controller=True)), manager="one")
    with pytest.raises(kube.Refused, match="Only one reference can have Controller set to true") as refusal:
        await cluster.apply(owned(namespace, owner("b", is_controller=True)), manager="two")
    assert refusal.value.status == 422


async def test_patching_and_saving_a_status_tell_that_there_is_no_such_object(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(NotFound):
        await cluster.patch(CONFIG_MAPS, namespace, "settings", {"data": {"a": "1"}})
    made = await cluster.create(deployment(namespace))
    await cluster.delete(DEPLOYMENTS, namespace, "fraud")
    with pytest.raises(NotFound):
        await cluster.replace_status({**made, "status": {"replicas": 1}})


async def test_reading_and_listing_are_not_counted_as_writes(cluster: Cluster, namespace: str) -> None:
    before = cluster.writes
    await cluster.create(settings(namespace))
    await cluster.read(CONFIG_MAPS, namespace, "settings")
    await cluster.list(CONFIG_MAPS, namespace)
    assert cluster.writes == before + 1


async def test_a_status_does_not_make_a_new_generation_and_a_spec_does(cluster: Cluster, namespace: str) -> None:
    first = await cluster.apply(deployment(namespace), manager="one")
    saved = await cluster.replace_status({**first, "status": {"replicas": 1}})
    again = await cluster.apply(deployment(namespace, replicas=2), manager="one")
    generations = [manifest["metadata"]["generation"] for manifest in (first, saved, again)]
    assert generations == [1, 1, 2]
    assert again["status"] == {"replicas": 1}
    assert "generation" not in (await cluster.create(settings(namespace)))["metadata"]


async def test_an_apply_of_something_newer_is_a_conflict_and_changes_nothing(cluster: Cluster, namespace: str) -> None:
    def at(version: str, **data: str) -> Manifest:
        manifest = settings(namespace, **data)
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}

    first = await cluster.apply(settings(namespace, a="1"), manager="one")
    seen = first["metadata"]["resourceVersion"]
    second = await cluster.apply(at(seen, a="2"), manager="one")
    assert second["data"] == {"a": "2"}
    for force in (True, False):
        with pytest.raises(kube.Conflict):
            await cluster.apply(at(seen, a="3"), manager="one", force=force)
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") == second
    await cluster.delete(CONFIG_MAPS, namespace, "settings")
    assert (await cluster.apply(at(seen, a="4"), manager="one"))["data"] == {"a": "4"}  # none is there to differ from


async def test_an_apply_can_ask_that_nothing_is_there(cluster: Cluster, namespace: str) -> None:
    manifest = settings(namespace, a="1")
    manifest["metadata"]["resourceVersion"] = NO_VERSION
    made = await cluster.apply(manifest, manager="one")
    assert made["data"] == {"a": "1"}
    with pytest.raises(kube.Conflict):
        await cluster.apply(manifest, manager="one")
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") == made


async def test_a_patch_of_something_newer_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(settings(namespace, a="1"))
    patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "2"}}
    await cluster.patch(CONFIG_MAPS, namespace, "settings", patch)
    with pytest.raises(kube.Conflict):
        await cluster.patch(CONFIG_MAPS, namespace, "settings", patch)


async def test_a_deletion_of_something_newer_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(settings(namespace, a="1"))
    uid, seen = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    after = await cluster.patch(CONFIG_MAPS, namespace, "settings", {"data": {"a": "2"}})
    with pytest.raises(kube.Conflict):
        await cluster.delete(CONFIG_MAPS, namespace, "settings", uid=uid, version=seen)
    await cluster.delete(CONFIG_MAPS, namespace, "settings", uid=uid, version=after["metadata"]["resourceVersion"])
    assert await cluster.read(CONFIG_MAPS, namespace, "settings") is None
