"""Patches: merge (kopf's way), JSON with its test, strategic merge (kubectl apply's way); rehearsals and strictness."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api_server.api_server_client import (
    JSON_PATCH,
    STRATEGIC,
    Api,
    config,
    deployment,
    path,
    widget,
    widgets,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

# JSON merge patch


async def test_a_merge_patch_changes_what_it_names(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4, nested={"note": "x"}, weights=[1, 2]))
    patch = {"spec": {"nested": {"on": False}, "weights": [3]}}
    answer = await api.patch(widgets(namespace, "a"), patch)
    assert answer.body["spec"] == {"size": 4, "nested": {"note": "x", "on": False}, "weights": [3]}


async def test_null_in_a_merge_patch_removes(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4, colour="red"))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"colour": None}})
    assert answer.body["spec"] == {"size": 4}


async def test_a_removed_field_takes_its_default_again(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": None}})
    assert answer.body["spec"] == {"size": 3}


async def test_finalizers_are_put_on_and_taken_off_by_merge_patch(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    held = await api.patch(widgets(namespace, "a"), {"metadata": {"finalizers": ["kopf.example.com/hold"]}})
    assert held.body["metadata"]["finalizers"] == ["kopf.example.com/hold"]
    free = await api.patch(widgets(namespace, "a"), {"metadata": {"finalizers": []}})
    assert "finalizers" not in free.body["metadata"]


async def test_annotations_come_and_go(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    patch = {"metadata": {"annotations": {"a/x": "1", "a/y": "2"}}}
    assert (await api.patch(widgets(namespace, "a"), patch)).body["metadata"]["annotations"] == {"a/x": "1", "a/y": "2"}
    patch = {"metadata": {"annotations": {"a/x": None}}}
    answer = await api.patch(widgets(namespace, "a"), patch)
    assert answer.body["metadata"]["annotations"] == {"a/y": "2"}
    assert answer.body["metadata"]["generation"] == 1


async def test_a_patch_of_nothing_is_not_found(api: Api, namespace: str) -> None:
    assert (await api.patch(widgets(namespace, "nobody"), {"spec": {"size": 4}})).status == 404


async def test_a_patch_may_name_the_version_it_is_for(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    version = made["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"size": 4}}
    assert (await api.patch(widgets(namespace, "a"), patch)).status == 200
    answer = await api.patch(widgets(namespace, "a"), {**patch, "spec": {"size": 5}})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_no_write_may_say_that_its_object_is_in_another_namespace(api: Api, namespace: str) -> None:
    """kubectl sends a file as it is, whatever namespace it was told."""
    one, deployed = widgets(namespace, "a"), path("apps/v1/deployments", namespace, "a")
    there = await api.made(widgets(namespace), widget("a"))
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    elsewhere = {"metadata": {"namespace": "default"}}
    moved = [{"op": "replace", "path": "/metadata/namespace", "value": "default"}]
    wrong = {name: {**widget(name), "metadata": {"name": name, "namespace": "default"}} for name in ("a", "new")}
    replacing = {**there, "metadata": {**there["metadata"], "namespace": "default"}}
    answers = [
        await api.patch(one, {**elsewhere, "spec": {"size": 4}}),
        await api.patch(one, moved, JSON_PATCH),
        await api.patch(widgets(namespace, "a", "status"), {**elsewhere, "status": {}}),
        await api.patch(deployed, elsewhere, STRATEGIC),
        await api.patch(f"{deployed}/scale", {**elsewhere, "spec": {"replicas": 2}}),
        await api.apply(one, wrong["a"], "team", force="true"),
        await api.apply(widgets(namespace, "new"), wrong["new"], "team"),
        await api.put(one, replacing),
        await api.put(widgets(namespace, "a", "status"), replacing),
    ]
    why = "the namespace of the provided object does not match the namespace sent on the request"
    assert [(answer.status, answer.body["message"]) for answer in answers] == [(400, why)] * len(answers)
    assert (await api.get(one)).body == there


@pytest.mark.parametrize("none", [None, ""])
async def test_a_patch_without_a_namespace_leaves_the_object_where_it_is(
    api: Api, namespace: str, none: str | None
) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.patch(widgets(namespace, "a"), {"metadata": {"namespace": none}})
    assert (answer.status, answer.body["metadata"]["namespace"]) == (200, namespace)


async def test_an_object_of_the_whole_cluster_is_in_no_namespace_whatever_is_said(api: Api, namespace: str) -> None:
    answer = await api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"namespace": "default"}})
    assert answer.status == 200
    assert "namespace" not in answer.body["metadata"]


async def test_a_patch_is_validated(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 0}})
    assert (answer.status, answer.causes) == (422, {("spec.size", "FieldValueInvalid")})


async def test_a_patch_cannot_rename(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a"))
    answer = await api.patch(path("configmaps", namespace, "a"), {"metadata": {"name": "b"}})
    assert answer.status in (400, 422)
    assert (await api.get(path("configmaps", namespace, "a"))).status == 200


async def test_a_patch_that_changes_nothing_writes_nothing(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 4}, "metadata": {"labels": None}})
    assert answer.version == made["metadata"]["resourceVersion"]


async def test_refuses_a_patch_of_a_kind_it_does_not_know(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 4}}, "application/json")
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")


async def test_custom_objects_take_no_strategic_patch(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    assert (await api.patch(widgets(namespace, "a"), {"spec": {"size": 4}}, STRATEGIC)).status == 415


# JSON patch


async def test_a_json_patch_adds_replaces_and_removes(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4, colour="red", weights=[1, 2]))
    operations = [
        {"op": "replace", "path": "/spec/size", "value": 5},
        {"op": "remove", "path": "/spec/colour"},
        {"op": "add", "path": "/spec/weights/-", "value": 3},
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b_c": "d"}},
        {"op": "add", "path": "/metadata/annotations/a~1e", "value": "f"},
    ]
    answer = await api.patch(widgets(namespace, "a"), operations, JSON_PATCH)
    assert answer.body["spec"] == {"size": 5, "weights": [1, 2, 3]}
    assert answer.body["metadata"]["annotations"] == {"a/b_c": "d", "a/e": "f"}


async def test_a_json_patch_whose_test_fails_changes_nothing(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a", size=4))
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/spec/size", "value": 5},
        {"op": "replace", "path": "/spec/size", "value": 6},
    ]
    answer = await api.patch(widgets(namespace, "a"), operations, JSON_PATCH)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 4}
    operations[0]["value"] = 4
    answer = await api.patch(widgets(namespace, "a"), operations, JSON_PATCH)
    assert (answer.status, answer.body["spec"]) == (200, {"size": 6})


async def test_a_json_patch_can_test_the_version(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    version = made["metadata"]["resourceVersion"]
    guarded = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/metadata/finalizers", "value": ["kopf.example.com/hold"]},
    ]
    assert (await api.patch(widgets(namespace, "a"), guarded, JSON_PATCH)).status == 200
    assert (await api.patch(widgets(namespace, "a"), guarded, JSON_PATCH)).status == 422


async def test_a_json_patch_of_a_path_that_is_not_there_is_refused(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    for operation in (
        {"op": "remove", "path": "/spec/colour"},
        {"op": "replace", "path": "/spec/nested/note", "value": "x"},
        {"op": "test", "path": "/spec/colour", "value": "red"},
    ):
        assert (await api.patch(widgets(namespace, "a"), [operation], JSON_PATCH)).status == 422


async def test_a_json_patch_that_is_none_is_refused(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    assert (await api.patch(widgets(namespace, "a"), {"op": "remove"}, JSON_PATCH)).status == 400


# Strategic merge patch


async def _patched(api: Api, namespace: str, patch: Any) -> Any:
    answer = await api.patch(path("apps/v1/deployments", namespace, "a"), patch, STRATEGIC)
    assert answer.status == 200, answer.body
    return answer.body["spec"]["template"]["spec"]


def _pods(**spec: Any) -> Any:
    return {"spec": {"template": {"spec": spec}}}


async def test_containers_merge_by_name(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    spec = await _patched(api, namespace, _pods(containers=[{"name": "server", "args": ["-v"]}]))
    assert [(each["name"], each["image"], each["args"]) for each in spec["containers"]] == [
        ("server", "example/a:1", ["-v"])
    ]
    spec = await _patched(api, namespace, _pods(containers=[{"name": "side", "image": "example/side:1"}]))
    assert {each["name"] for each in spec["containers"]} == {"server", "side"}
    spec = await _patched(api, namespace, _pods(containers=[{"name": "side", "$patch": "delete"}]))
    assert [each["name"] for each in spec["containers"]] == ["server"]


async def test_the_order_of_merged_items_can_be_set(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    order = [{"name": "side"}, {"name": "server"}]
    patch = {"$setElementOrder/containers": order, "containers": [{"name": "side", "image": "example/side:1"}]}
    spec = await _patched(api, namespace, _pods(**patch))
    assert [each["name"] for each in spec["containers"]] == ["side", "server"]


async def test_environment_merges_by_name_and_arguments_are_replaced(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    one = {"name": "server", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x", "y"]}
    await _patched(api, namespace, _pods(containers=[one]))
    two = {"name": "server", "env": [{"name": "B", "value": "3"}], "args": ["z"]}
    [container] = (await _patched(api, namespace, _pods(containers=[two])))["containers"]
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]
    assert container["args"] == ["z"]


async def test_a_part_can_be_replaced_whole(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    patch = {"containers": [{"$patch": "replace"}, {"name": "other", "image": "example/other:1"}]}
    spec = await _patched(api, namespace, _pods(**patch))
    assert [each["name"] for each in spec["containers"]] == ["other"]


async def test_fields_that_exclude_each_other_are_dropped(api: Api, namespace: str) -> None:
    await api.made(path("apps/v1/deployments", namespace), deployment("a"))
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    answer = await api.patch(path("apps/v1/deployments", namespace, "a"), patch, STRATEGIC)
    assert answer.body["spec"]["strategy"] == {"type": "Recreate"}


async def test_members_of_a_set_are_added_and_removed(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a"))
    where = path("configmaps", namespace, "a")
    await api.patch(where, {"metadata": {"finalizers": ["example.com/a"]}}, STRATEGIC)
    answer = await api.patch(where, {"metadata": {"finalizers": ["example.com/b"]}}, STRATEGIC)
    assert answer.body["metadata"]["finalizers"] == ["example.com/b", "example.com/a"]
    answer = await api.patch(where, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}, STRATEGIC)
    assert answer.body["metadata"]["finalizers"] == ["example.com/b"]


async def test_null_in_a_strategic_patch_removes(api: Api, namespace: str) -> None:
    await api.made(path("configmaps", namespace), config("a", x="1", y="2"))
    answer = await api.patch(path("configmaps", namespace, "a"), {"data": {"x": None}}, STRATEGIC)
    assert answer.body["data"] == {"y": "2"}


# Rehearsals


async def test_a_rehearsed_write_shows_its_outcome_and_leaves_no_trace(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), widget("a"), dryRun="All")
    assert (answer.status, answer.body["spec"]) == (201, {"size": 3})
    assert (await api.get(widgets(namespace, "a"))).status == 404
    await api.made(widgets(namespace), widget("a", size=4))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 5}}, dryRun="All")
    assert (answer.body["spec"], answer.body["metadata"]["generation"]) == ({"size": 5}, 2)
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 4}


async def test_a_rehearsed_write_is_refused_like_a_real_one(api: Api, namespace: str) -> None:
    assert (await api.post(widgets(namespace), widget("a", size=0), dryRun="All")).status == 422


async def test_only_all_of_it_can_be_rehearsed(api: Api, namespace: str) -> None:
    assert (await api.post(widgets(namespace), widget("a"), dryRun="Some")).status in (400, 422)


# How strictly fields are taken


async def test_unknown_fields_are_dropped_with_a_warning(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), widget("a", sise=4, nested={"of": 1}))
    assert (answer.status, answer.body["spec"]) == (201, {"size": 3, "nested": {"on": True}})
    said = {'299 - "unknown field \\"spec.sise\\""', '299 - "unknown field \\"spec.nested.of\\""'}
    assert set(answer.warnings) == said


async def test_unknown_fields_can_be_refused(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), widget("a", sise=4), fieldValidation="Strict")
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert answer.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.sise"'
    )


async def test_unknown_fields_can_be_passed_over_in_silence(api: Api, namespace: str) -> None:
    answer = await api.post(widgets(namespace), widget("a", sise=4), fieldValidation="Ignore")
    assert (answer.status, answer.warnings) == (201, [])


async def test_unknown_fields_of_built_in_kinds_are_treated_alike(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace)
    manifest = deployment("a", replica=2)
    answer = await api.post(where, manifest, fieldValidation="Strict")
    assert (answer.status, answer.message) == (
        400,
        'Deployment in version "v1" cannot be handled as a Deployment: '
        'strict decoding error: unknown field "spec.replica"',
    )
    answer = await api.post(where, manifest)
    assert (answer.status, answer.warnings) == (201, ['299 - "unknown field \\"spec.replica\\""'])


async def test_unknown_fields_in_a_patch_can_be_refused(api: Api, namespace: str) -> None:
    await api.made(widgets(namespace), widget("a"))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"sise": 4}}, fieldValidation="Strict")
    assert answer.status in (400, 422)
    assert 'unknown field "spec.sise"' in answer.message


async def test_a_value_of_another_type_is_refused(api: Api, namespace: str) -> None:
    answer = await api.post(path("apps/v1/deployments", namespace), deployment("a", replicas="two"))
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32" in (
        answer.message
    )


async def test_true_is_not_one(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", anything={"p": 1}))
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"anything": {"p": True}}})
    assert answer.body["spec"]["anything"]["p"] is True
    assert (answer.version != made["metadata"]["resourceVersion"], answer.body["metadata"]["generation"]) == (True, 2)


async def test_free_form_parts_keep_everything(api: Api, namespace: str) -> None:
    free = {"anything": {"a": [1, {"b": None}], "c": 1.5}}
    made = await api.made(widgets(namespace), widget("a", **free))
    assert made["spec"]["anything"] == free["anything"]
