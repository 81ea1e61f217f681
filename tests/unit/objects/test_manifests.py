"""Objects as dictionaries: whose they are, and whether what is wished for is there already."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.objects.manifests import (
    APPLIED,
    Manifest,
    Owner,
    annotation,
    digest,
    is_applied,
    ref_of,
    revision_of,
    seal,
)
from modelrollout.objects.resources import DEPLOYMENTS, SERVICES

OWNER = Owner("ml", "fraud", "uid-fraud")
OURS = {"uid": "uid-fraud", "controller": True}
THEIRS = {"uid": "uid-other", "controller": True}
BYSTANDER = {"uid": "uid-other"}
LABEL = {"modelrollout.dev/rollout": "fraud"}


@pytest.mark.parametrize(
    ("why", "desired", "observed", "is_there"),
    [
        ("the same", {"a": 1}, {"a": 1}, True),
        ("a default was added", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, True),
        ("a default was added in a list", [{"a": 1}], [{"a": 1, "b": 2}], True),
        ("a value differs", {"a": 1}, {"a": 2}, False),
        ("a field is missing", {"a": 1}, {}, False),
        ("a list is longer", [1], [1, 2], False),
        ("a list is in another order", [1, 2], [2, 1], False),
        ("what is empty was dropped", {"a": {}, "b": [], "c": "", "d": None}, {}, True),
        ("what is empty was filled", {"a": []}, {"a": [1]}, False),
        ("nothing is there at all", {"a": 1}, None, False),
        ("a quantity is written otherwise", {"cpu": "1000m"}, {"cpu": "1"}, True),
        ("a quantity is written as a number", {"cpu": 1}, {"cpu": "1"}, True),
        ("memory is written otherwise", {"memory": "1024Mi"}, {"memory": "1Gi"}, True),
        ("quantities differ", {"cpu": "100m"}, {"cpu": "200m"}, False),
        ("words are no quantities", {"name": "fraud"}, {"name": "churn"}, False),
        ("a quantity is no text", {"cpu": "1"}, {"cpu": "one"}, False),
        ("another kind of value", {"a": {"b": 1}}, {"a": [1]}, False),
        ("another kind of value, empty", {"a": {}}, {"a": "x"}, False),
        ("a field turned from false to unset", {"a": False}, {}, False),
    ],
)
def test_is_applied_when(why: str, desired: Any, observed: Any, is_there: bool) -> None:
    assert is_applied(desired, observed) is is_there


@pytest.mark.parametrize(
    ("metadata", "owns", "may_own"),
    [
        ({"ownerReferences": [OURS]}, True, True),
        ({"ownerReferences": [BYSTANDER, OURS]}, True, True),
        ({"ownerReferences": [THEIRS], "labels": LABEL}, False, False),
        ({"ownerReferences": [BYSTANDER], "labels": LABEL}, False, True),
        ({"labels": LABEL}, False, True),
        ({"labels": {"modelrollout.dev/rollout": "churn"}}, False, False),
        ({}, False, False),
        ({"labels": None, "ownerReferences": None}, False, False),
    ],
)
def test_object_is_ours_by_its_controller_and_else_by_its_label(metadata: Manifest, owns: bool, may_own: bool) -> None:
    assert (OWNER.owns({"metadata": metadata}), OWNER.may_own({"metadata": metadata})) == (owns, may_own)


def test_object_carries_its_owner_its_label_and_the_digest_of_all_of_it() -> None:
    made = OWNER.object(SERVICES, "fraud-1", labels={"a": "b"}, annotations={"c": "d"}, spec={"ports": []})
    metadata = made["metadata"]
    assert metadata["labels"] == {"a": "b", **LABEL}
    assert (metadata["ownerReferences"][0]["uid"], metadata["ownerReferences"][0]["controller"]) == ("uid-fraud", True)
    assert metadata["annotations"].keys() == {"c", APPLIED}
    assert (ref_of(made).resource, str(ref_of(made))) == (SERVICES, "Service 'ml/fraud-1'")


def test_digest_tells_that_a_field_was_taken_out() -> None:
    """By itself the smaller object looks applied: everything that it has is there."""
    large = OWNER.object(DEPLOYMENTS, "fraud-1", spec={"replicas": 1, "paused": False})
    small = OWNER.object(DEPLOYMENTS, "fraud-1", spec={"replicas": 1})
    assert is_applied(small["spec"], large["spec"])
    assert not is_applied(small, large)


def test_sealing_twice_changes_nothing() -> None:
    made = OWNER.object(SERVICES, "fraud", spec={})
    assert seal(seal(made)) == made


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert len(digest(None)) == 10


def test_what_is_not_there_has_no_annotation_and_no_revision() -> None:
    assert annotation(None, "x") is None
    assert annotation({"metadata": {"annotations": None}}, "x") is None
    assert annotation({"metadata": {"annotations": {"x": ""}}}, "x") == ""
    assert revision_of({"metadata": {"labels": None}}) == ""
