"""What every client of Kubernetes leans on: who may come in, objects and their metadata, lists, deletion.

The suite runs unchanged against the built-in server and a real kube-apiserver; where they differ, ours is wrong.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from localcluster.kubernetes import KubernetesEndpoint
from tests.contract.api_server.api_server_client import (
    DEFINITIONS,
    JSON_PATCH,
    Answer,
    Api,
    config,
    definition,
    path,
    widget,
    widgets,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

STALE = "the object has been modified; please apply your changes to the latest version and try again"


# Who may come in, and what there is


async def test_refuses_a_stranger(server: KubernetesEndpoint) -> None:
    headers = {"Authorization": "Bearer wrong"}
    connector = aiohttp.TCPConnector(ssl=False)
    async with (
        aiohttp.ClientSession(server.url, headers=headers, connector=connector) as session,
        session.get("/api/v1/namespaces") as response,
    ):
        assert (response.status, (await response.json())["reason"]) == (401, "Unauthorized")


async def test_the_kubeconfig_is_for_its_owner_alone(server: KubernetesEndpoint) -> None:
    assert server.kubeconfig.stat().st_mode & 0o777 == 0o600


async def test_says_that_it_is_well(api: Api) -> None:
    for probe in ("/healthz", "/readyz", "/livez"):
        assert (await api.get(probe)).body == "ok"


async def test_tells_its_version(api: Api, server: KubernetesEndpoint) -> None:
    version = (await api.get("/version")).body
    assert (version["major"], version["gitVersion"]) == ("1", server.version)


async def test_lists_groups_and_kinds(api: Api) -> None:
    groups = {each["name"]: each for each in (await api.get("/apis")).body["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    kinds = {each["name"]: each for each in (await api.get("/apis/contract.example.com/v1")).body["resources"]}
    assert kinds["widgets"]["kind"] == "Widget"
    assert kinds["widgets"]["shortNames"] == ["wdg"]
    assert kinds["widgets"]["categories"] == ["toys"]
    assert set(kinds["widgets"]["verbs"]) >= {"create", "delete", "get", "list", "patch", "update", "watch"}
    assert kinds["widgets/status"]["verbs"] == ["get", "patch", "update"]
    assert kinds["widgets/scale"]["kind"] == "Scale"


async def test_lists_core_kinds(api: Api) -> None:
    kinds = {each["name"]: each for each in (await api.get("/api/v1")).body["resources"]}
    assert (kinds["pods"]["shortNames"], kinds["pods"]["namespaced"]) == (["po"], True)
    assert kinds["namespaces"]["namespaced"] is False
    assert {"services", "events", "configmaps", "secrets", "serviceaccounts", "endpoints", "nodes"} <= set(kinds)


async def test_discovery_comes_in_one_piece_when_asked(api: Api) -> None:
    form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = await api.get("/apis", accept=f"{form},application/json")
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    found = {each["metadata"]["name"]: each["versions"] for each in answer.body["items"]}
    kinds = {each["resource"]: each for each in found["contract.example.com"][0]["resources"]}
    assert kinds["widgets"]["responseKind"]["kind"] == "Widget"
    assert kinds["widgets"]["scope"] == "Namespaced"
    assert {each["subresource"] for each in kinds["widgets"]["subresources"]} == {"status", "scale"}


async def test_publishes_schemas(api: Api) -> None:
    name = "apis/contract.example.com/v1"
    index = await api.until("/openapi/v3", lambda answer: name in answer.body["paths"])
    document = await api.get(index.body["paths"][name]["serverRelativeURL"])
    schemas = document.body["components"]["schemas"]
    [schema] = [each for name, each in schemas.items() if name.endswith(".Widget")]
    kind = {"group": "contract.example.com", "version": "v1", "kind": "Widget"}
    assert schema["x-kubernetes-group-version-kind"] == [kind]
    assert schema["properties"]["spec"]["properties"]["size"] == {"type": "integer", "minimum": 1, "default": 3}


async def test_an_unknown_path_is_not_found(api: Api) -> None:
    for unknown in ("/apis/nobody.example.com/v1", "/api/v1/nothings", "/apis/contract.example.com/v2/widgets"):
        assert (await api.get(unknown)).status == 404


# Creating and reading


async def test_a_new_object_gets_its_identity(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    metadata = made["metadata"]
    assert (metadata["name"], metadata["namespace"], metadata["generation"]) == ("a", namespace, 1)
    assert metadata["uid"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert (await api.get(widgets(namespace, "a"))).body == made


async def test_a_missing_object_is_not_found(api: Api, namespace: str) -> None:
    answer = await api.get(widgets(namespace, "nobody"))
    assert (answer.status, answer.body["reason"]) == (404, "NotFound")
    assert answer.message == 'widgets.contract.example.com "nobody" not found'
    assert answer.body["details"] == {"name": "nobody", "group": "contract.example.com", "kind": "widgets"}


async def test_a_name_is_given_once(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.post(widgets(namespace), widget("a"))
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'widgets.contract.example.com "a" already exists'


async def test_finds_a_name_when_asked_to(api: Api, namespace: str) -> None:
    names = {(await api.made(widgets(namespace), widget()))["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("widget-") and len(name) == len("widget-") + 5 for name in names)


async def test_refuses_an_object_without_a_name(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), {**widget(), "metadata": {}})
    assert (answer.status, answer.causes) == (422, {("metadata.name", "FieldValueRequired")})


async def test_refuses_a_name_that_is_no_domain_name(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), widget("Not_A_Name"))
    assert (answer.status, answer.causes) == (422, {("metadata.name", "FieldValueInvalid")})
    assert "a lowercase RFC 1123 subdomain must consist of" in answer.message


async def test_refuses_a_label_that_is_none(api: Api, namespace: str) -> None:
    answer = await api.post(path("configmaps", namespace), config("a", {"app": "not a label"}))
    assert (answer.status, answer.causes) == (422, {("metadata.labels", "FieldValueInvalid")})


async def test_refuses_an_object_for_another_namespace(api: Api, namespace: str) -> None:
    manifest = {**widget("a"), "metadata": {"name": "a", "namespace": "default"}}
    answer = await api.post(widgets(namespace), manifest)
    assert answer.status == 400
    assert answer.message == "the namespace of the provided object does not match the namespace sent on the request"


async def test_refuses_an_object_for_a_namespace_that_is_not_there(api: Api) -> None:
    answer = await api.post(widgets("nowhere"), widget("a"))
    assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')


async def test_refuses_a_resource_version_on_a_new_object(api: Api, namespace: str) -> None:
    manifest = {**widget("a"), "metadata": {"name": "a", "resourceVersion": "1"}}
    answer = await api.post(widgets(namespace), manifest)
    assert (answer.status, answer.message) == (500, "resourceVersion should not be set on objects to be created")


async def test_refuses_what_is_no_json(api: Api, namespace: str) -> None:
    assert (await api.call("POST", widgets(namespace), "{", media="application/json")).status == 400
    assert (await api.call("POST", widgets(namespace), {}, media="text/plain")).status == 415


async def test_the_status_of_a_new_object_is_not_its_makers(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), {**widget("a"), "status": {"phase": "Ready"}})
    assert "status" not in made


# Updating


async def test_a_changed_wish_counts_a_generation(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    answer = await api.put(widgets(namespace, "a"), {**made, "spec": {"size": 5}})
    assert answer.body["metadata"]["generation"] == 2
    labelled = {**answer.body, "metadata": {**answer.body["metadata"], "labels": {"a": "b"}}}
    answer = await api.put(widgets(namespace, "a"), labelled)
    assert (answer.body["metadata"]["generation"], answer.body["metadata"]["labels"]) == (2, {"a": "b"})


async def test_an_update_of_a_stale_object_is_a_conflict(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    assert (await api.put(widgets(namespace, "a"), {**made, "spec": {"size": 5}})).status == 200
    answer = await api.put(widgets(namespace, "a"), {**made, "spec": {"size": 6}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == f'Operation cannot be fulfilled on widgets.contract.example.com "a": {STALE}'


async def test_an_update_of_a_custom_object_must_name_its_version(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.put(widgets(namespace, "a"), widget("a", size=5))
    assert (answer.status, answer.causes) == (422, {("metadata.resourceVersion", "FieldValueInvalid")})
    assert "must be specified for an update" in answer.message


async def test_an_update_of_a_config_map_need_not(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a", x="1"))
    answer = await api.put(path("configmaps", namespace, "a"), config("a", x="2"))
    assert (answer.status, answer.body["data"]) == (200, {"x": "2"})


async def test_an_update_of_nothing_is_not_found(api: Api, namespace: str) -> None:
    manifest = {**widget("a"), "metadata": {"name": "a", "resourceVersion": "1"}}
    assert (await api.put(widgets(namespace, "a"), manifest)).status == 404


async def test_an_update_under_another_name_is_refused(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    answer = await api.put(widgets(namespace, "b"), made)
    assert (answer.status, answer.message) == (
        400,
        "the name of the object (a) does not match the name on the URL (b)",
    )


async def test_an_update_of_another_object_of_that_name_is_a_conflict(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    other = {**made, "metadata": {**made["metadata"], "uid": "3f0c3f44-0000-4000-8000-000000000000"}}
    assert (await api.put(widgets(namespace, "a"), other)).status == 409


async def test_an_update_that_changes_nothing_writes_nothing(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    answer = await api.put(widgets(namespace, "a"), made)
    assert answer.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_identity_survives_an_update_that_leaves_it_out(api: Api, namespace: str) -> None:
    made = await api.made(path("configmaps", namespace), config("a", x="1"))
    answer = await api.put(path("configmaps", namespace, "a"), config("a", x="2"))
    for key in ("uid", "creationTimestamp"):
        assert answer.body["metadata"][key] == made["metadata"][key]


# Status


async def test_status_is_written_through_its_own_door(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    changed = {**made, "spec": {"size": 9}, "status": {"phase": "Ready"}}
    answer = await api.put(widgets(namespace, "a", "status"), changed)
    assert (answer.status, answer.body["spec"], answer.body["status"]) == (200, {"size": 4}, {"phase": "Ready"})
    assert answer.body["metadata"]["generation"] == 1


async def test_status_written_through_the_main_door_is_ignored(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    written = (await api.put(widgets(namespace, "a", "status"), {**made, "status": {"phase": "Ready"}})).body
    answer = await api.put(widgets(namespace, "a"), {**written, "spec": {"size": 5}, "status": {"phase": "Lost"}})
    assert (answer.body["spec"], answer.body["status"]) == ({"size": 5}, {"phase": "Ready"})


async def test_a_stale_status_is_a_conflict(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    assert (await api.put(widgets(namespace, "a", "status"), {**made, "status": {"n": 1}})).status == 200
    answer = await api.put(widgets(namespace, "a", "status"), {**made, "status": {"n": 2}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_status_can_be_patched(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.patch(widgets(namespace, "a", "status"), {"status": {"phase": "Ready"}, "spec": {"size": 9}})
    assert (answer.body["status"], answer.body["spec"]) == ({"phase": "Ready"}, {"size": 3})
    operations = [{"op": "replace", "path": "/status/phase", "value": "Lost"}]
    answer = await api.patch(widgets(namespace, "a", "status"), operations, JSON_PATCH)
    assert answer.body["status"] == {"phase": "Lost"}


async def test_status_can_be_read_alone(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    assert (await api.get(widgets(namespace, "a", "status"))).body == made


async def test_a_write_of_metadata_through_status_is_ignored(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    labelled = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}, "status": {"n": 1}}
    answer = await api.put(widgets(namespace, "a", "status"), labelled)
    assert "labels" not in answer.body["metadata"]


# Deleting


async def test_a_deleted_object_is_gone(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    answer = await api.delete(widgets(namespace, "a"))
    about = {"name": "a", "group": "contract.example.com", "kind": "widgets", "uid": made["metadata"]["uid"]}
    assert (answer.status, answer.body["status"], answer.body["details"]) == (200, "Success", about)
    assert (await api.get(widgets(namespace, "a"))).status == 404
    assert (await api.delete(widgets(namespace, "a"))).status == 404


async def test_a_finalizer_holds_a_deleted_object(api: Api, namespace: str) -> None:
    manifest = widget("a")
    manifest["metadata"]["finalizers"] = ["contract.example.com/hold"]
    await api.made(widgets(namespace), manifest)
    answer = await api.delete(widgets(namespace, "a"))
    assert (answer.status, answer.body["kind"]) == (200, "Widget")
    held = (await api.get(widgets(namespace, "a"))).body
    assert held["metadata"]["deletionTimestamp"]
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    assert held["metadata"]["generation"] == 2
    answer = await api.patch(widgets(namespace, "a"), {"metadata": {"finalizers": None}})
    assert answer.status == 200
    assert (await api.get(widgets(namespace, "a"))).status == 404


async def test_deleting_again_changes_nothing(api: Api, namespace: str) -> None:
    manifest = widget("a")
    manifest["metadata"]["finalizers"] = ["contract.example.com/hold"]
    await api.made(widgets(namespace), manifest)
    await api.delete(widgets(namespace, "a"))
    first = (await api.get(widgets(namespace, "a"))).body
    await api.delete(widgets(namespace, "a"))
    assert (await api.get(widgets(namespace, "a"))).body == first


async def test_a_deleted_object_takes_no_new_finalizer(api: Api, namespace: str) -> None:
    manifest = widget("a")
    manifest["metadata"]["finalizers"] = ["contract.example.com/hold"]
    await api.made(widgets(namespace), manifest)
    await api.delete(widgets(namespace, "a"))
    more = {"metadata": {"finalizers": ["contract.example.com/hold", "contract.example.com/more"]}}
    answer = await api.patch(widgets(namespace, "a"), more)
    assert (answer.status, answer.causes) == (422, {("metadata.finalizers", "FieldValueForbidden")})
    assert 'found new finalizers []string{"contract.example.com/more"}' in answer.message


async def test_a_held_object_can_still_be_written(api: Api, namespace: str) -> None:
    manifest = widget("a", size=4)
    manifest["metadata"]["finalizers"] = ["contract.example.com/hold"]
    await api.made(widgets(namespace), manifest)
    await api.delete(widgets(namespace, "a"))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 5}})
    assert (answer.body["spec"], answer.body["metadata"]["generation"]) == ({"size": 5}, 3)
    assert (await api.patch(widgets(namespace, "a", "status"), {"status": {"n": 1}})).status == 200


async def test_deletes_only_the_object_that_was_meant(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    other = {"preconditions": {"uid": "3f0c3f44-0000-4000-8000-000000000000"}}
    assert (await api.delete(widgets(namespace, "a"), other)).status == 409
    stale = {"preconditions": {"resourceVersion": "1"}}
    assert (await api.delete(widgets(namespace, "a"), stale)).status == 409
    meant = {"preconditions": {"uid": made["metadata"]["uid"]}}
    assert (await api.delete(widgets(namespace, "a"), meant)).status == 200


async def test_foreground_deletion_waits_for_the_collector(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    await api.delete(widgets(namespace, "a"), {"propagationPolicy": "Foreground"})
    held = (await api.get(widgets(namespace, "a"))).body
    assert held["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert held["metadata"]["deletionTimestamp"]


async def test_orphaning_waits_for_the_collector(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    await api.delete(widgets(namespace, "a"), propagationPolicy="Orphan")
    assert (await api.get(widgets(namespace, "a"))).body["metadata"]["finalizers"] == ["orphan"]


async def test_deletes_many_by_label(api: Api, namespace: str) -> None:
    for name, labels in (("a", {"team": "x"}), ("b", {"team": "x"}), ("c", {"team": "y"})):
        await api.made(path("configmaps", namespace), config(name, labels))
    assert (await api.delete(path("configmaps", namespace), labelSelector="team=x")).status == 200
    left = (await api.get(path("configmaps", namespace))).body["items"]
    assert [each["metadata"]["name"] for each in left] == ["c"]


async def test_a_rehearsed_deletion_deletes_nothing(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    assert (await api.delete(widgets(namespace, "a"), dryRun="All")).status == 200
    assert (await api.get(widgets(namespace, "a"))).status == 200


# Listing


async def test_lists_a_namespace_and_all_of_them(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("b"))
    await api.made(widgets(namespace), widget("a"))
    listing = (await api.get(widgets(namespace))).body
    assert (listing["kind"], listing["apiVersion"]) == ("WidgetList", "contract.example.com/v1")
    assert [each["metadata"]["name"] for each in listing["items"]] == ["a", "b"]
    everywhere = (await api.get("/apis/contract.example.com/v1/widgets")).body["items"]
    assert {"a", "b"} <= {each["metadata"]["name"] for each in everywhere if each["metadata"]["namespace"] == namespace}


async def test_items_of_built_in_kinds_do_not_say_what_they_are(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a"))
    listing = (await api.get(path("configmaps", namespace))).body
    assert (listing["kind"], listing["apiVersion"]) == ("ConfigMapList", "v1")
    assert not {"kind", "apiVersion"} & set(listing["items"][0])
    await api.made(widgets(namespace), widget("a"))
    item = (await api.get(widgets(namespace))).body["items"][0]
    assert (item["kind"], item["apiVersion"]) == ("Widget", "contract.example.com/v1")


async def test_selects_by_label(api: Api, namespace: str) -> None:
    for name, labels in (("a", {"tier": "1", "app": "x"}), ("b", {"tier": "2"}), ("c", {"app": "x"})):
        await api.made(path("configmaps", namespace), config(name, labels))

    async def found(selector: str) -> list[str]:
        items = (await api.get(path("configmaps", namespace), labelSelector=selector)).body["items"]
        return [each["metadata"]["name"] for each in items]

    assert await found("tier=1") == ["a"]
    assert await found("tier==1,app=x") == ["a"]
    assert await found("tier!=1") == ["b", "c"]
    assert await found("tier in (1, 2)") == ["a", "b"]
    assert await found("tier notin (1)") == ["b", "c"]
    assert await found("app") == ["a", "c"]
    assert await found("!app") == ["b"]
    assert await found("app,tier") == ["a"]


async def test_refuses_a_label_selector_it_cannot_read(api: Api, namespace: str) -> None:
    assert (await api.get(path("configmaps", namespace), labelSelector="tier in 1")).status == 400


async def test_selects_by_name_and_namespace(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        await api.made(widgets(namespace), widget(name))
    one = (await api.get(widgets(namespace), fieldSelector="metadata.name=a")).body["items"]
    assert [each["metadata"]["name"] for each in one] == ["a"]
    rest = (await api.get(widgets(namespace), fieldSelector="metadata.name!=a")).body["items"]
    assert [each["metadata"]["name"] for each in rest] == ["b"]
    kind = "/apis/contract.example.com/v1/widgets"
    here = (await api.get(kind, fieldSelector=f"metadata.namespace={namespace}")).body["items"]
    assert [each["metadata"]["name"] for each in here] == ["a", "b"]


async def test_refuses_to_select_by_any_field(api: Api, namespace: str) -> None:
    answer = await api.get(widgets(namespace), fieldSelector="spec.size=3")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "field label not supported: spec.size" in answer.message


async def test_reads_a_long_list_page_by_page(api: Api, namespace: str) -> None:
    for number in range(5):
        await api.made(path("configmaps", namespace), config(f"c{number}"))
    first = (await api.get(path("configmaps", namespace), limit="2")).body
    assert [each["metadata"]["name"] for each in first["items"]] == ["c0", "c1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.made(path("configmaps", namespace), config("c22"))
    token = first["metadata"]["continue"]
    second = (await api.get(path("configmaps", namespace), limit="2", **{"continue": token})).body
    assert [each["metadata"]["name"] for each in second["items"]] == ["c2", "c3"]
    token = second["metadata"]["continue"]
    third = (await api.get(path("configmaps", namespace), limit="2", **{"continue": token})).body
    assert [each["metadata"]["name"] for each in third["items"]] == ["c4"]
    assert "continue" not in third["metadata"]
    assert first["metadata"]["resourceVersion"] == third["metadata"]["resourceVersion"]


async def test_refuses_to_go_on_with_a_list_it_does_not_know(api: Api, namespace: str) -> None:
    answer = await api.get(path("configmaps", namespace), **{"continue": "bm9uc2Vuc2U"})
    assert answer.status in (400, 410)


async def test_does_not_answer_from_the_future(api: Api, namespace: str) -> None:
    answer = await api.get(widgets(namespace), resourceVersion="999999999")
    assert (answer.status, answer.body["reason"]) == (504, "Timeout")


# Many at once


async def test_of_two_writers_with_one_version_one_wins(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    writes = [api.put(widgets(namespace, "a"), {**made, "spec": {"size": size}}) for size in range(4, 14)]
    statuses = sorted(answer.status for answer in await asyncio.gather(*writes))
    assert statuses == [200] + [409] * 9


async def test_versions_rise_with_every_write(api: Api, namespace: str) -> None:
    made = [await api.made(widgets(namespace), widget()) for _ in range(3)]
    versions = [int(each["metadata"]["resourceVersion"]) for each in made]
    assert versions == sorted(set(versions))
    listing = (await api.get(widgets(namespace))).body
    assert int(listing["metadata"]["resourceVersion"]) >= versions[-1]


# Namespaces


async def test_there_are_namespaces_from_the_start(api: Api) -> None:
    def has_them(answer: Answer) -> bool:
        names = {each["metadata"]["name"] for each in answer.body["items"]}
        return {"default", "kube-system", "kube-public"} <= names

    await api.until("/api/v1/namespaces", has_them)


async def test_a_namespace_knows_its_name_and_that_it_is_active(api: Api, namespace: str) -> None:
    found = (await api.get(f"/api/v1/namespaces/{namespace}")).body
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == namespace
    assert (found["spec"], found["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


async def test_a_deleted_namespace_waits_to_be_emptied(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a"))
    answer = await api.delete(f"/api/v1/namespaces/{namespace}")
    assert (answer.status, answer.body["status"]["phase"]) == (200, "Terminating")
    answer = await api.post(path("configmaps", namespace), config("b"))
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.message == (
        f'configmaps "b" is forbidden: unable to create new content in namespace {namespace} '
        "because it is being terminated"
    )
    assert answer.causes == {("metadata.namespace", "NamespaceTerminating")}
    assert (await api.get(path("configmaps", namespace, "a"))).status == 200
    emptied = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}, "spec": {"finalizers": []}}
    assert (await api.put(f"/api/v1/namespaces/{namespace}/finalize", emptied)).status == 200
    assert (await api.get(f"/api/v1/namespaces/{namespace}")).status == 404


async def test_some_namespaces_cannot_be_deleted(api: Api) -> None:
    answer = await api.delete("/api/v1/namespaces/kube-system")
    assert (answer.status, answer.message) == (
        403,
        'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    )


# Definitions


async def test_a_new_kind_is_served_and_gone_again(api: Api, namespace: str) -> None:
    crd = definition("Passing", {"type": "object"}, group="passing.example.com")
    await api.made(DEFINITIONS, crd)
    where = f"/apis/passing.example.com/v1/namespaces/{namespace}/passings"
    await api.until(where, lambda answer: answer.status == 200)
    manifest = {"apiVersion": "passing.example.com/v1", "kind": "Passing", "metadata": {"name": "a"}, "spec": {}}
    await api.made(where, manifest)
    await api.delete(f"{DEFINITIONS}/passings.passing.example.com")
    await api.until(f"{DEFINITIONS}/passings.passing.example.com", lambda answer: answer.status == 404)
    await api.until(where, lambda answer: answer.status == 404)
    await api.made(DEFINITIONS, crd)
    found = await api.until(where, lambda answer: answer.status == 200)
    assert found.body["items"] == []
