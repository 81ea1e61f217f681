"""Deployments and pods: how one is rendered for a revision, and what its status says."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner
from modelrollout.workloads import pods
from modelrollout.workloads.deployment import DEPLOYMENT
from modelrollout.workloads.kind import Names
from modelrollout.workloads.kind_table import kind_of
from modelrollout.workloads.state import WorkloadState
from tests import builders

OWNER = Owner("ml", "fraud", "uid-fraud")
OWN = {ROLLOUT_LABEL: "fraud", REVISION_LABEL: "abc"}
NAMES = Names("fraud-abc", "abc")
CONTAINERS = [{"name": "server", "image": "x"}]


def template(**spec: Any) -> Manifest:
    return {"spec": {"template": {"spec": {"containers": CONTAINERS}}, **spec}}


def state(
    replicas: int, ready: int, *, available: int | None = None, starting: int = 0, is_observed: bool = True
) -> WorkloadState:
    available = ready if available is None else available
    return WorkloadState("fraud-abc", "abc", replicas, ready, available, is_observed, starting)


# Templates


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({**template(), "kind": "DaemonSet"}, "kind"),
        ({**template(), "apiVersion": "apps/v1beta1"}, "kind"),
        ({}, "containers"),
        ({"spec": "none"}, "containers"),
        ({"spec": {"template": {"spec": {"containers": []}}}}, "containers"),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, "containers"),
        (template(replicas="4"), "replicas"),
        (template(replicas=-1), "replicas"),
        (template(replicas=True), "replicas"),
        (template(selector={}), "selector"),
        (template(paused=True), "paused"),
        ({**template(), "metadata": {"name": "mine"}}, "metadata.name"),
    ],
)
def test_template_that_makes_no_sense_is_named_with_its_field(wrong: Manifest, names: str) -> None:
    kind = kind_of(wrong)
    found = kind if isinstance(kind, Finding) else kind.fault(wrong)
    assert found is not None
    assert found.reason == "InvalidTemplate"
    assert names in found.message


def test_template_that_makes_sense_has_no_fault() -> None:
    assert DEPLOYMENT.fault(builders.spec()["workload"]["template"]) is None
    assert DEPLOYMENT.fault(template(replicas=0, paused=False)) is None


def test_revision_is_decided_by_the_pods_alone() -> None:
    assert DEPLOYMENT.identity(template(replicas=9, strategy={"type": "Recreate"})) == DEPLOYMENT.identity(template())


def test_deployment_of_a_revision_selects_its_pods_alone_and_keeps_what_the_user_wrote() -> None:
    wish = template(replicas=4, strategy={"type": "Recreate"})
    wish["spec"]["template"]["metadata"] = {"labels": {"app": "fraud"}, "annotations": {"a": "b"}}
    wish["metadata"] = {"labels": {"team": "risk"}, "annotations": {"note": "x"}}
    made = DEPLOYMENT.render(OWNER, NAMES, wish, 2)
    assert made["spec"]["selector"] == {"matchLabels": OWN}
    assert made["spec"]["template"]["metadata"] == {"labels": {"app": "fraud", **OWN}, "annotations": {"a": "b"}}
    assert (made["spec"]["replicas"], made["spec"]["strategy"]) == (2, {"type": "Recreate"})
    assert made["metadata"]["labels"] == {"team": "risk", **OWN}
    assert made["metadata"]["annotations"]["note"] == "x"


def test_deployment_of_an_autoscaler_says_nothing_about_replicas() -> None:
    assert "replicas" not in DEPLOYMENT.render(OWNER, NAMES, template(replicas=4), None)["spec"]


# States


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"replicas": 4}, {"readyReplicas": 3, "availableReplicas": 2, "observedGeneration": 2}, (4, 3, 2, True)),
        ({"replicas": 4}, {"readyReplicas": 4, "observedGeneration": 1}, (4, 4, 0, False)),
        ({}, {"observedGeneration": 2}, (1, 0, 0, True)),
        ({"replicas": None}, None, (1, 0, 0, False)),
        ({"replicas": 0}, {"readyReplicas": None, "observedGeneration": None}, (0, 0, 0, False)),
    ],
)
def test_state_is_what_the_controller_last_said(
    spec: Manifest, status: Any, expected: tuple[int, int, int, bool]
) -> None:
    metadata = {"name": "fraud-abc", "labels": OWN, "generation": 2}
    found = DEPLOYMENT.state({"metadata": metadata, "spec": spec, "status": status})
    assert (found.replicas, found.ready, found.available, found.is_observed) == expected


def test_state_says_why_the_controller_cannot_make_pods() -> None:
    failing = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: gpus"}
    progressing = {"type": "Progressing", "status": "True"}

    def said(*conditions: Manifest) -> str | None:
        metadata = {"name": "fraud-abc", "labels": OWN}
        return DEPLOYMENT.state({"metadata": metadata, "spec": {}, "status": {"conditions": conditions}}).failure

    assert said(progressing, failing) == "exceeded quota: gpus"
    assert said(progressing, {**failing, "status": "False"}) is None
    assert said() is None


@pytest.mark.parametrize(
    ("found", "is_fully_available", "can_serve"),
    [
        (state(4, 4), True, True),
        (state(4, 3), False, True),  # one that is replaced must not stop a release
        (state(4, 2), False, False),
        (state(3, 2), False, False),  # a quarter of three is none
        (state(1, 0), False, False),
        (state(0, 0), False, False),
        (state(4, 5), True, True),  # scaled down, and one is still going
        (state(4, 4, is_observed=False), False, True),
        (state(4, 4, available=3), False, True),  # ready, and not yet for minReadySeconds
        (state(8, 4, starting=4), False, True),
        (state(8, 3, starting=4), False, True),
        (state(8, 2, starting=4), False, False),
        (state(8, 0, starting=8), False, False),
    ],
)
def test_availability_that_takes_more_traffic_and_readiness_that_keeps_it(
    found: WorkloadState, is_fully_available: bool, can_serve: bool
) -> None:
    assert (found.is_fully_available, found.can_serve) == (is_fully_available, can_serve)


def test_state_in_words_tells_ready_pods_from_available_ones() -> None:
    assert str(state(4, 3)) == "3 of 4 pods are ready"
    assert str(state(4, 4, available=1)) == "4 of 4 pods are ready, 1 for long enough (minReadySeconds)"


# Pods


def pod(name: str = "fraud-abc-x", *, ready: str | None = None, since: str = "", **container: Any) -> Manifest:
    conditions = [] if ready is None else [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    statuses = [{"name": "server", "restartCount": 0, **container}] if container else []
    return {"metadata": {"name": name}, "status": {"conditions": conditions, "containerStatuses": statuses}}


def waiting(reason: str, **more: Any) -> Manifest:
    return {"waiting": {"reason": reason, **more}}


BEFORE, STARTED, AFTER = "2026-01-01T12:00:00Z", "2026-01-01T12:00:05Z", "2026-01-01T12:00:09Z"
RUNNING = {"running": {"startedAt": STARTED}}
LOOP = waiting("CrashLoopBackOff")


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ({"state": LOOP, "restartCount": 2}, None),
        ({"state": RUNNING, "restartCount": 9}, None),
        ({"state": waiting("ImagePullBackOff"), "restartCount": 9}, None),
        ({"state": LOOP, "restartCount": 3}, "Container 'server' of pod 'fraud-abc-x' crashed 3 times."),
        (
            {"state": LOOP, "restartCount": 3, "lastState": {"terminated": {"exitCode": 137}}},
            "Container 'server' of pod 'fraud-abc-x' crashed 3 times, last with exit code 137.",
        ),
    ],
)
def test_crash_loop_is_one_from_the_third_restart(container: Manifest, says: str | None) -> None:
    assert pods.crash_loop([pod(), pod(**container)]) == says


def test_init_container_that_crashes_is_a_crash_loop_too() -> None:
    crashing = [{"name": "load", "restartCount": 5, "state": LOOP}]
    assert pods.crash_loop([{"metadata": {"name": "p"}, "status": {"initContainerStatuses": crashing}}]) is not None


@pytest.mark.parametrize(
    ("container", "says"),
    [
        ({"state": RUNNING}, None),
        ({"state": waiting("ContainerCreating")}, None),
        ({"state": waiting("PodInitializing")}, None),
        ({"state": {"waiting": {}}}, None),
        (
            {"state": waiting("ErrImagePull", message="no such tag")},
            "Pod 'fraud-abc-x' waits: ErrImagePull (no such tag).",
        ),
        ({"state": waiting("CreateContainerError")}, "Pod 'fraud-abc-x' waits: CreateContainerError."),
    ],
)
def test_trouble_is_told_in_kubernetes_own_words(container: Manifest, says: str | None) -> None:
    assert pods.trouble([pod(**container)]) == says


@pytest.mark.parametrize(
    ("scheduled", "says"),
    [
        ({"status": "True"}, None),
        (
            {"status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available."},
            "Pod 'p' cannot be scheduled: 0/3 nodes are available.",
        ),
        ({"status": "False", "reason": "SchedulingGated"}, "Pod 'p' cannot be scheduled: SchedulingGated."),
    ],
)
def test_scheduler_that_finds_no_place_is_told_in_its_own_words(scheduled: Manifest, says: str | None) -> None:
    one = {"metadata": {"name": "p"}, "status": {"conditions": [{"type": "PodScheduled", **scheduled}]}}
    leaving = {**one, "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T12:00:00Z"}}
    assert pods.without_place([one, leaving]) == says


@pytest.mark.parametrize(
    ("why", "one", "is_starting"),
    [
        ("not scheduled yet", pod(), True),
        ("no status at all", {"metadata": {"name": "p"}}, True),
        (
            "its image is pulled",
            pod(ready="False", since=BEFORE, state=waiting("ContainerCreating")),
            True,
        ),
        ("loading its model", pod(ready="False", since=BEFORE, state=RUNNING), True),
        ("ready", pod(ready="True", since=AFTER, state=RUNNING), False),
        ("was ready and lost it", pod(ready="False", since=AFTER, state=RUNNING), False),
        ("nobody knows since when", pod(ready="False", state=RUNNING), False),
        ("crashed", pod(ready="False", since=BEFORE, state=RUNNING, restartCount=1), False),
        ("leaving", {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T12:00:00Z"}}, False),
    ],
)
def test_pod_is_starting_as_long_as_it_was_never_ready(why: str, one: Manifest, is_starting: bool) -> None:
    assert pods.starting([one]) == is_starting
