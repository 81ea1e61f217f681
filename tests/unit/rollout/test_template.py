"""A workload that is there already, read as the template of a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.workload import Workload
from modelrollout.objects.manifests import Manifest, Ref
from modelrollout.objects.resources import DEPLOYMENTS
from modelrollout.rollout.template import SIZE, size_of, template_of
from tests import builders

WORKLOAD = Workload.model_validate({"workloadRef": builders.workload_ref()})
REF = Ref(DEPLOYMENTS, "ml", "fraud")
CONTAINERS = {"containers": [{"name": "server", "image": "plain"}]}


def read(found: Manifest | Finding | None) -> Manifest | Finding:
    return template_of(WORKLOAD, {} if found is None else {REF: found}, "ml")


def noted(replicas: int | None, note: str | None) -> Manifest:
    found = builders.deployment("ml")
    annotations = {} if note is None else {SIZE: note}
    return {
        **found,
        "metadata": {**found["metadata"], "annotations": annotations},
        "spec": {**found["spec"], "replicas": replicas},
    }


def labelled(selector: Manifest, **labels: str) -> Manifest:
    """With labels on its pods, and what selects them."""
    found = builders.deployment("ml")
    pod = {"metadata": {"labels": labels, "creationTimestamp": None}, "spec": CONTAINERS}
    return {**found, "spec": {**found["spec"], "selector": selector, "template": pod}}


def test_template_in_the_spec_is_taken_as_it_stands() -> None:
    written = {"spec": {"template": {"spec": CONTAINERS}}}
    assert template_of(Workload.model_validate({"template": written}), {}, "ml") == written


def test_template_is_all_that_is_not_about_the_pods_of_its_own() -> None:
    found = builders.deployment("ml", replicas=3)
    found["metadata"] |= {"labels": {"owner": "them"}, "annotations": {"deployment.kubernetes.io/revision": "7"}}
    found["spec"] |= {"paused": True, "minReadySeconds": 7}
    found["status"] = {"readyReplicas": 3}
    assert read(found) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": 3, "minReadySeconds": 7, "template": {"metadata": {}, "spec": CONTAINERS}},
    }


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "fraud"}},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["fraud", "scam"]}]},
        {"matchLabels": {"app": "fraud"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
    ],
)
def test_labels_that_select_its_pods_are_left_to_it(selector: Manifest) -> None:
    found = read(labelled(selector, app="fraud", team="risk"))
    assert isinstance(found, dict)
    assert found["spec"]["template"]["metadata"] == {"labels": {"team": "risk"}}


@pytest.mark.parametrize(
    ("replicas", "note", "size"),
    [
        (3, None, 3),
        (None, None, None),
        (0, "3", 3),  # scaled to zero by us
        (5, "3", 5),  # its owner has given it another size since
        (0, None, 0),
        (0, "many", 0),
        (0, "-3", 0),
    ],
)
def test_size_is_what_its_owner_last_gave_it(replicas: int | None, note: str | None, size: int | None) -> None:
    assert size_of(noted(replicas, note)) == size


@pytest.mark.parametrize(
    ("found", "reason", "mend"),
    [
        (None, "WorkloadNotFound", "create it, or name another"),
        (Finding("Unreadable", "it cannot be read."), "Unreadable", "let the operator get, list, watch and patch"),
        (noted(0, None), "InvalidTemplate", "set its spec.replicas"),
        (noted(0, "0"), "InvalidTemplate", "set its spec.replicas"),
    ],
)
def test_workload_that_is_no_template_is_told_with_field_and_mend(found: Any, reason: str, mend: str) -> None:
    why = read(found)
    assert isinstance(why, Finding)
    assert why.reason == reason
    assert "spec.workload.workloadRef" in why.message
    assert mend in why.message


def test_workload_of_another_controller_is_refused() -> None:
    found = builders.deployment("ml")
    found["metadata"]["ownerReferences"] = [{"kind": "Server", "name": "x", "uid": "u", "controller": True}]
    why = read(found)
    assert isinstance(why, Finding)
    assert "name a workload that nobody else controls" in why.message
