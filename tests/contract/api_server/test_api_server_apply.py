"""Server-side apply, the operator's way of writing: who owns which field, who may take it, what becomes of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.api_server.api_server_client import APPLY, Api, config, deployment, path, widget, widgets

pytestmark = pytest.mark.asyncio(loop_scope="session")


def owned(item: Any, manager: str, operation: str = "Apply", subresource: str | None = None) -> Any:
    """The fields of one manager's claim; None when it has none."""
    found = [
        each["fieldsV1"]
        for each in item["metadata"].get("managedFields", [])
        if (each["manager"], each["operation"], each.get("subresource")) == (manager, operation, subresource)
    ]
    assert len(found) < 2
    return found[0] if found else None


def managers(item: Any) -> set[tuple[str, str]]:
    return {(each["manager"], each["operation"]) for each in item["metadata"].get("managedFields", [])}


# Making and owning


async def test_applying_makes_what_is_not_there(api: Api, namespace: str) -> None:
    answer = await api.apply(widgets(namespace, "a"), widget("a", colour="red"), "me")
    assert (answer.status, answer.body["spec"]) == (201, {"size": 3, "colour": "red"})
    assert owned(answer.body, "me") == {"f:spec": {"f:colour": {}}}


async def test_applying_again_changes_nothing(api: Api, namespace: str) -> None:
    first = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    second = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    assert (second.status, second.body) == (200, first.body)


async def test_applying_needs_a_manager(api: Api, namespace: str) -> None:
    answer = await api.call("PATCH", widgets(namespace, "a"), widget("a"), media=APPLY)
    assert answer.status in (400, 422)
    assert "fieldManager" in answer.message


async def test_what_one_does_not_apply_stays_with_its_owner(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, colour="red"), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", nested={"note": "x"}), "you")
    assert answer.body["spec"] == {"size": 4, "colour": "red", "nested": {"note": "x", "on": True}}
    assert owned(answer.body, "me") == {"f:spec": {"f:size": {}, "f:colour": {}}}
    assert owned(answer.body, "you") == {"f:spec": {"f:nested": {"f:note": {}}}}


async def test_a_field_that_is_no_longer_applied_goes(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, colour="red"), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    assert answer.body["spec"] == {"size": 4}
    assert owned(answer.body, "me") == {"f:spec": {"f:size": {}}}


async def test_a_field_that_goes_takes_its_default_again(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, colour="red"), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", colour="red"), "me")
    assert answer.body["spec"] == {"size": 3, "colour": "red"}


async def test_a_shared_field_stays_with_the_other(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, colour="red"), "me")
    both = await api.apply(widgets(namespace, "a"), widget("a", colour="red"), "you")
    assert both.status == 200
    assert owned(both.body, "you") == {"f:spec": {"f:colour": {}}}
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    assert answer.body["spec"] == {"size": 4, "colour": "red"}
    answer = await api.apply(widgets(namespace, "a"), widget("a"), "you")
    assert answer.body["spec"] == {"size": 4}
    assert owned(answer.body, "you") == {"f:spec": {}}


async def test_labels_and_annotations_are_owned_one_by_one(api: Api, namespace: str) -> None:
    mine, yours = widget("a"), widget("a")
    mine["metadata"] |= {"labels": {"mine": "1"}, "annotations": {"example.com/mine": "1"}}
    yours["metadata"] |= {"labels": {"yours": "1"}}
    await api.apply(widgets(namespace, "a"), mine, "me")
    answer = await api.apply(widgets(namespace, "a"), yours, "you")
    assert answer.body["metadata"]["labels"] == {"mine": "1", "yours": "1"}
    assert owned(answer.body, "you")["f:metadata"] == {"f:labels": {"f:yours": {}}}
    answer = await api.apply(widgets(namespace, "a"), widget("a"), "me")
    assert answer.body["metadata"]["labels"] == {"yours": "1"}
    assert "annotations" not in answer.body["metadata"]


# Conflicts


async def test_a_field_of_anothers_is_a_conflict(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=5), "you")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "me": .spec.size'
    assert answer.causes == {(".spec.size", "FieldManagerConflict")}
    assert (await api.get(widgets(namespace, "a"))).body["spec"] == {"size": 4}


async def test_all_conflicts_are_told_at_once(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    await api.apply(widgets(namespace, "a"), widget("a", colour="red"), "they")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=5, colour="blue"), "you")
    assert answer.message == (
        'Apply failed with 2 conflicts: conflicts with "me":\n- .spec.size\nconflicts with "they":\n- .spec.colour'
    )


async def test_a_conflict_can_be_forced(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, colour="red"), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=5), "you", force="true")
    assert answer.body["spec"] == {"size": 5, "colour": "red"}
    assert owned(answer.body, "me") == {"f:spec": {"f:colour": {}}}
    assert owned(answer.body, "you") == {"f:spec": {"f:size": {}}}


async def test_a_field_written_by_an_update_is_that_writers(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    written = await api.patch(widgets(namespace, "a"), {"spec": {"size": 5}}, fieldManager="hand")
    assert owned(written.body, "me") is None
    assert owned(written.body, "hand", "Update") == {"f:spec": {"f:size": {}}}
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "hand" using contract.example.com/v1: .spec.size'
    )
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me", force="true")
    assert (answer.body["spec"], managers(answer.body)) == ({"size": 4}, {("me", "Apply")})


async def test_an_update_that_agrees_takes_nothing(api: Api, namespace: str) -> None:
    applied = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"size": 4}}, fieldManager="hand")
    assert answer.body == applied.body


async def test_applying_the_same_value_shares_the_field(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "you")
    assert answer.status == 200
    assert managers(answer.body) == {("me", "Apply"), ("you", "Apply")}
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=5), "you")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "me": .spec.size'


# Lists


async def test_lists_with_keys_are_owned_item_by_item(api: Api, namespace: str) -> None:
    mine = widget("a", steps=[{"name": "one", "weight": 1}, {"name": "two", "weight": 2}])
    await api.apply(widgets(namespace, "a"), mine, "me")
    yours = widget("a", steps=[{"name": "three", "weight": 3}, {"name": "one"}])
    answer = await api.apply(widgets(namespace, "a"), yours, "you")
    assert sorted(answer.body["spec"]["steps"], key=lambda each: each["weight"]) == [
        {"name": "one", "weight": 1},
        {"name": "two", "weight": 2},
        {"name": "three", "weight": 3},
    ]
    assert owned(answer.body, "you") == {
        "f:spec": {
            "f:steps": {
                'k:{"name":"one"}': {".": {}, "f:name": {}},
                'k:{"name":"three"}': {".": {}, "f:name": {}, "f:weight": {}},
            }
        }
    }
    answer = await api.apply(widgets(namespace, "a"), widget("a"), "me")
    assert {each["name"]: each.get("weight") for each in answer.body["spec"]["steps"]} == {"three": 3, "one": None}


async def test_a_conflict_names_the_item(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", steps=[{"name": "one", "weight": 1}]), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", steps=[{"name": "one", "weight": 2}]), "you")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "me": .spec.steps[name="one"].weight'


async def test_the_order_of_keyed_items_is_the_last_appliers(api: Api, namespace: str) -> None:
    def steps(*names: str) -> Any:
        return widget("a", steps=[{"name": name} for name in names])

    def order(answer: Any) -> list[str]:
        return [each["name"] for each in answer.body["spec"]["steps"]]

    await api.apply(widgets(namespace, "a"), steps("a", "b", "c"), "me")
    answer = await api.apply(widgets(namespace, "a"), steps("c", "a"), "you")
    assert order(answer) == ["b", "c", "a"]
    answer = await api.apply(widgets(namespace, "a"), steps("a", "x", "c"), "you")
    assert order(answer) == ["b", "a", "x", "c"]


async def test_sets_are_owned_member_by_member(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", tags=["a", "b"]), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", tags=["b", "c"]), "you")
    assert answer.body["spec"]["tags"] == ["a", "b", "c"]
    assert owned(answer.body, "you") == {"f:spec": {"f:tags": {'v:"b"': {}, 'v:"c"': {}}}}
    answer = await api.apply(widgets(namespace, "a"), widget("a"), "me")
    assert answer.body["spec"]["tags"] == ["b", "c"]


async def test_plain_lists_have_one_owner(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", weights=[1, 2]), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", weights=[1, 3]), "you")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "me": .spec.weights'
    answer = await api.apply(widgets(namespace, "a"), widget("a", weights=[1, 3]), "you", force="true")
    assert (answer.body["spec"]["weights"], owned(answer.body, "me")) == ([1, 3], None)


async def test_maps_are_owned_key_by_key(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", labels={"a": "1"}), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", labels={"b": "2"}), "you")
    assert answer.body["spec"]["labels"] == {"a": "1", "b": "2"}
    assert owned(answer.body, "you") == {"f:spec": {"f:labels": {"f:b": {}}}}


async def test_free_form_parts_are_owned_key_by_key(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", anything={"a": {"x": 1}, "l": [1, 2]}), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", anything={"a": {"y": 2}}), "you")
    assert answer.body["spec"]["anything"] == {"a": {"x": 1, "y": 2}, "l": [1, 2]}
    answer = await api.apply(widgets(namespace, "a"), widget("a", anything={"a": {"x": 1}}), "me")
    assert answer.body["spec"]["anything"] == {"a": {"x": 1, "y": 2}}


async def test_one_thing_in_place_of_another_takes_all_of_it(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", anything={"p": {"q": 1}}), "me")
    answer = await api.apply(widgets(namespace, "a"), widget("a", anything={"p": 5}), "you", force="true")
    assert answer.body["spec"]["anything"] == {"p": 5}
    assert owned(answer.body, "me") is None
    assert owned(answer.body, "you") == {"f:spec": {"f:anything": {"f:p": {}}}}


async def test_what_is_dropped_takes_along_what_others_have_below_it(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4, anything={"p": {"q": 1}}), "me")
    await api.patch(widgets(namespace, "a"), {"spec": {"anything": {"p": {"r": 2}}}}, fieldManager="hand")
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    assert answer.body["spec"].get("anything", {}) == {}


async def test_an_item_may_be_named_once(api: Api, namespace: str) -> None:
    twice = widget("a", steps=[{"name": "one"}, {"name": "one"}])
    answer = await api.apply(widgets(namespace, "a"), twice, "me")
    assert answer.status == 500
    assert 'duplicate entries for key [name="one"]' in answer.message


# What does not fit the schema


async def test_a_field_unknown_to_the_schema_is_refused(api: Api, namespace: str) -> None:
    answer = await api.apply(widgets(namespace, "a"), widget("a", sise=4), "me")
    assert (answer.status, answer.message) == (
        500,
        "failed to create typed patch object (/a; contract.example.com/v1, Kind=Widget): "
        ".spec.sise: field not declared in schema",
    )


async def test_a_value_of_another_type_cannot_be_applied(api: Api, namespace: str) -> None:
    answer = await api.apply(widgets(namespace, "a"), widget("a", size="four"), "me")
    assert answer.status == 500
    assert ".spec.size: expected numeric (int or float), got string" in answer.message


async def test_an_applied_object_is_validated(api: Api, namespace: str) -> None:
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=0), "me")
    assert (answer.status, answer.causes) == (422, {("spec.size", "FieldValueInvalid")})


async def test_another_version_or_name_is_refused(api: Api, namespace: str) -> None:
    manifest = {**widget("a"), "apiVersion": "contract.example.com/v2"}
    assert (await api.apply(widgets(namespace, "a"), manifest, "me")).status == 400
    assert (await api.apply(widgets(namespace, "a"), widget("b"), "me")).status == 400


async def test_managed_fields_cannot_be_applied(api: Api, namespace: str) -> None:
    manifest = widget("a")
    manifest["metadata"]["managedFields"] = []
    answer = await api.apply(widgets(namespace, "a"), manifest, "me")
    assert (answer.status, answer.message) == (400, "metadata.managedFields must be nil")


async def test_an_applied_version_is_a_condition(api: Api, namespace: str) -> None:
    first = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    await api.patch(widgets(namespace, "a"), {"metadata": {"labels": {"x": "y"}}})
    stale = widget("a", size=5)
    stale["metadata"]["resourceVersion"] = first.version
    answer = await api.apply(widgets(namespace, "a"), stale, "me")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")


async def test_an_applied_uid_keeps_an_object_from_being_made_and_a_version_does_not(api: Api, namespace: str) -> None:
    manifest = widget("a", size=5)
    manifest["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"
    answer = await api.apply(widgets(namespace, "a"), manifest, "me")
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "no existing object was found" in answer.message
    manifest["metadata"] = {"name": "a", "resourceVersion": "1"}
    assert (await api.apply(widgets(namespace, "a"), manifest, "me")).status == 201
    assert (await api.apply(widgets(namespace, "a"), manifest, "me")).status == 409


async def test_a_rehearsed_apply_leaves_no_trace(api: Api, namespace: str) -> None:
    answer = await api.apply(widgets(namespace, "a"), widget("a"), "me", dryRun="All")
    assert answer.status == 201
    assert (await api.get(widgets(namespace, "a"))).status == 404


# Status


async def test_status_is_applied_through_its_own_door(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    manifest = {**widget("a"), "status": {"phase": "Ready"}}
    answer = await api.apply(widgets(namespace, "a", "status"), manifest, "me")
    assert (answer.status, answer.body["status"], answer.body["spec"]) == (200, {"phase": "Ready"}, {"size": 4})
    assert owned(answer.body, "me", subresource="status") == {"f:status": {"f:phase": {}}}
    assert owned(answer.body, "me") == {"f:spec": {"f:size": {}}}
    answer = await api.apply(widgets(namespace, "a"), widget("a", size=5), "me")
    assert answer.body["status"] == {"phase": "Ready"}


async def test_status_of_nothing_cannot_be_applied(api: Api, namespace: str) -> None:
    assert (await api.apply(widgets(namespace, "a", "status"), widget("a"), "me")).status == 404


# After other writes


async def test_every_writer_is_known(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a", size=4, steps=[{"name": "one"}]), fieldManager="maker")
    assert owned(made, "maker", "Update") == {
        "f:spec": {
            ".": {},
            "f:size": {},
            "f:steps": {".": {}, 'k:{"name":"one"}': {".": {}, "f:name": {}}},
        }
    }
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"colour": "red"}}, fieldManager="painter")
    assert owned(answer.body, "painter", "Update") == {"f:spec": {"f:colour": {}}}
    answer = await api.patch(widgets(namespace, "a"), {"spec": {"colour": None}}, fieldManager="cleaner")
    assert managers(answer.body) == {("maker", "Update")}


async def test_a_writer_is_named_after_its_program(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"))
    assert managers(made) == {("contract", "Update")}


async def test_status_written_by_update_is_owned_apart(api: Api, namespace: str) -> None:
    made = await api.made(widgets(namespace), widget("a"), fieldManager="maker")
    changed = {**made, "status": {"phase": "Ready"}}
    answer = await api.put(widgets(namespace, "a", "status"), changed, fieldManager="maker")
    assert owned(answer.body, "maker", "Update", "status") == {"f:status": {".": {}, "f:phase": {}}}
    assert owned(answer.body, "maker", "Update") is not None


async def test_a_client_that_sends_no_managed_fields_loses_none(api: Api, namespace: str) -> None:
    applied = await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    metadata = {key: value for key, value in applied.body["metadata"].items() if key != "managedFields"}
    answer = await api.put(widgets(namespace, "a"), {**applied.body, "metadata": metadata, "spec": {"size": 4}})
    assert owned(answer.body, "me") == {"f:spec": {"f:size": {}}}


async def test_managed_fields_can_be_reset(api: Api, namespace: str) -> None:
    await api.apply(widgets(namespace, "a"), widget("a", size=4), "me")
    answer = await api.patch(widgets(namespace, "a"), {"metadata": {"managedFields": [{}]}}, fieldManager="hand")
    assert owned(answer.body, "me") is None


# Built-in kinds


async def test_a_deployment_is_applied_field_by_field(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace, "a")
    first = await api.apply(where, deployment("a", replicas=2), "operator")
    assert first.status == 201
    again = await api.apply(where, deployment("a", replicas=2), "operator")
    assert again.body == first.body
    answer = await api.apply(where, deployment("a", "example/a:2", replicas=2), "operator")
    assert (answer.body["metadata"]["generation"], answer.body["spec"]["replicas"]) == (2, 2)


async def test_ports_are_told_apart_by_number_and_protocol(api: Api, namespace: str) -> None:
    where = path("services", namespace, "a")
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"selector": {"app": "a"}, "ports": [{"port": 80, "name": "http"}]},
    }
    first = await api.apply(where, manifest, "operator")
    ports = owned(first.body, "operator")["f:spec"]["f:ports"]
    assert ports == {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}}
    again = await api.apply(where, manifest, "operator")
    assert again.body == first.body


async def test_replicas_are_left_to_the_autoscaler(api: Api, namespace: str) -> None:
    where = path("apps/v1/deployments", namespace, "a")
    await api.apply(where, deployment("a"), "operator")
    scaled = await api.patch(f"{where}/scale", {"spec": {"replicas": 7}}, fieldManager="autoscaler")
    assert scaled.body["spec"] == {"replicas": 7}
    answer = await api.apply(where, deployment("a", "example/a:2"), "operator")
    assert answer.body["spec"]["replicas"] == 7


async def test_a_selector_has_one_owner_and_is_replaced_whole(api: Api, namespace: str) -> None:
    where = path("services", namespace, "a")

    def service(**selector: str) -> Any:
        spec = {"selector": selector, "ports": [{"port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}

    await api.apply(where, service(app="a", arm="stable"), "operator")
    answer = await api.apply(where, service(app="a"), "operator")
    assert answer.body["spec"]["selector"] == {"app": "a"}


async def test_config_can_be_applied_by_two(api: Api, namespace: str) -> None:
    where = path("configmaps", namespace, "a")
    await api.apply(where, config("a", x="1"), "me")
    answer = await api.apply(where, config("a", y="2"), "you")
    assert answer.body["data"] == {"x": "1", "y": "2"}
    answer = await api.apply(where, config("a"), "me")
    assert answer.body["data"] == {"y": "2"}


async def test_owners_are_applied_one_by_one(api: Api, namespace: str) -> None:
    def owner(name: str, uid: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}

    one = owner("o1", "3f0c3f44-0000-4000-8000-000000000001")
    two = owner("o2", "3f0c3f44-0000-4000-8000-000000000002")
    mine, yours = widget("a"), widget("a")
    mine["metadata"]["ownerReferences"], yours["metadata"]["ownerReferences"] = [one], [two]
    await api.apply(widgets(namespace, "a"), mine, "me")
    answer = await api.apply(widgets(namespace, "a"), yours, "you")
    assert {each["name"] for each in answer.body["metadata"]["ownerReferences"]} == {"o1", "o2"}
