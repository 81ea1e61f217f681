"""What a StatefulSet does next with its pods, and how truthfully it says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from localcluster.controllers.stateful_set_plan import StatefulSetPlan, plan, pod_of, revision
from tests.localcluster.controllers.builders import NOON, seen, workload

PARALLEL = {"podManagementPolicy": "Parallel"}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


def stateful_set(replicas: int | None = 3, **more: Any) -> Any:
    return workload(replicas, generation=4, **more)


def pod(ordinal: int, *, image: str = "v1", **more: Any) -> Any:
    return seen(pod_of(stateful_set(image=image), ordinal, "node"), uid=f"{image}-{ordinal}", **more)


def moves(wanted: StatefulSetPlan) -> tuple[list[int], list[str]]:
    return list(wanted.create), [p["metadata"]["name"] for p in wanted.delete]


def test_a_pod_has_its_ordinals_name_and_an_identity_that_stays() -> None:
    wanted = stateful_set(serviceName="webs")
    made = pod_of(wanted, 2, "node")
    assert made["metadata"]["name"] == "web-2"
    assert made["metadata"]["labels"] == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-2",
        "apps.kubernetes.io/pod-index": "2",
        "controller-revision-hash": revision(wanted),
    }
    assert made["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
    assert made["spec"] == {
        "containers": [{"image": "v1"}],
        "nodeName": "node",
        "hostname": "web-2",
        "subdomain": "webs",
    }


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        (None, [], ([0], [])),
        (3, [], ([0], [])),
        (3, [pod(0, ready=False)], ([], [])),  # the next only when the one before is ready
        (3, [pod(0)], ([1], [])),
        (3, [pod(0), pod(1), pod(2)], ([], [])),
        (3, [pod(0), pod(2)], ([1], [])),  # a lost one comes back in its place
        (3, [pod(0), pod(1, leaving=True), pod(2)], ([], [])),  # but not before its name is free
        (1, [pod(0, phase="Failed")], ([], ["web-0"])),
        (1, [pod(0), pod(1), pod(2)], ([], ["web-2"])),  # the highest goes first
        (1, [pod(0), pod(1), pod(2, leaving=True)], ([], [])),  # and alone
        (1, [pod(0, ready=False), pod(1)], ([], [])),  # nothing shrinks while a lower one is not ready
        (0, [pod(0)], ([], ["web-0"])),
    ],
)
def test_pods_are_made_from_the_lowest_and_taken_from_the_highest_one_at_a_time(
    replicas: int | None, pods: list[Any], expected: tuple[list[int], list[str]]
) -> None:
    assert moves(plan(stateful_set(replicas), pods, NOON)) == expected


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        (3, [], ([0, 1, 2], [])),
        (3, [pod(0, ready=False)], ([1, 2], [])),
        (1, [pod(0, ready=False), pod(1), pod(2)], ([], ["web-2", "web-1"])),
    ],
)
def test_parallel_waits_for_nobody(replicas: int, pods: list[Any], expected: tuple[list[int], list[str]]) -> None:
    assert moves(plan(stateful_set(replicas, **PARALLEL), pods, NOON)) == expected


def test_ordinals_start_where_the_set_says() -> None:
    wanted = stateful_set(2, ordinals={"start": 5})
    assert moves(plan(wanted, [], NOON)) == ([5], [])
    assert moves(plan(wanted, [pod(4), pod(5), pod(6)], NOON)) == ([], ["web-4"])


@pytest.mark.parametrize("policy", [{}, PARALLEL])
@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([pod(0), pod(1), pod(2)], ["web-2"]),
        ([pod(0), pod(1), pod(2, leaving=True)], []),
        ([pod(0), pod(1), pod(2, image="v2", ready=False)], []),
        ([pod(0), pod(1), pod(2, image="v2")], ["web-1"]),
        ([pod(0, image="v2"), pod(1, image="v2"), pod(2, image="v2")], []),
    ],
)
def test_a_new_template_replaces_pods_from_the_highest_one_at_a_time(
    policy: dict[str, Any], pods: list[Any], expected: list[str]
) -> None:
    assert moves(plan(stateful_set(3, image="v2", **policy), pods, NOON)) == ([], expected)


def test_pods_below_the_partition_keep_their_template() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    wanted = stateful_set(3, image="v2", updateStrategy=strategy)
    assert moves(plan(wanted, [pod(0), pod(1), pod(2)], NOON)) == ([], ["web-2"])
    assert moves(plan(wanted, [pod(0), pod(1), pod(2, image="v2")], NOON)) == ([], [])


def test_on_delete_leaves_the_replacing_to_others() -> None:
    assert moves(plan(stateful_set(1, image="v2", **ON_DELETE), [pod(0)], NOON)) == ([], [])
    assert moves(plan(stateful_set(1, image="v2", **ON_DELETE), [], NOON)) == ([0], [])


def test_the_status_of_a_complete_set() -> None:
    wanted = stateful_set(2)
    assert plan(wanted, [pod(0), pod(1)], NOON).status == {
        "observedGeneration": 4,
        "replicas": 2,
        "availableReplicas": 2,
        "readyReplicas": 2,
        "currentReplicas": 2,
        "updatedReplicas": 2,
        "currentRevision": revision(wanted),
        "updateRevision": revision(wanted),
        "collisionCount": 0,
    }


def test_the_current_revision_follows_when_the_last_pod_is_new_and_ready() -> None:
    old, new = revision(stateful_set()), revision(stateful_set(image="v2"))
    wanted = stateful_set(2, image="v2", status={"currentRevision": old})
    halfway = plan(wanted, [pod(0), pod(1, image="v2")], NOON).status
    assert (halfway["currentRevision"], halfway["updateRevision"]) == (old, new)
    assert (halfway["currentReplicas"], halfway["updatedReplicas"]) == (1, 1)
    waiting = plan(wanted, [pod(0, image="v2", ready=False), pod(1, image="v2")], NOON).status
    assert waiting["currentRevision"] == old
    done = plan(wanted, [pod(0, image="v2"), pod(1, image="v2")], NOON).status
    assert (done["currentRevision"], done["currentReplicas"]) == (new, 2)


def test_a_pod_that_is_leaving_is_there_and_counts_for_nothing_else() -> None:
    status = plan(stateful_set(2), [pod(0), pod(1, leaving=True)], NOON).status
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 1, 1)


def test_the_next_pod_waits_until_the_one_before_was_ready_long_enough() -> None:
    wanted = stateful_set(2, minReadySeconds=10)
    young = plan(wanted, [pod(0, since=NOON - timedelta(seconds=4))], NOON)
    assert (moves(young), young.recheck) == (([], []), timedelta(seconds=6))
    assert (young.status["readyReplicas"], young.status["availableReplicas"]) == (1, 0)
    assert moves(plan(wanted, [pod(0, since=NOON - timedelta(seconds=10))], NOON)) == ([1], [])


def test_a_claim_becomes_an_empty_volume_and_the_status_says_that_there_is_no_storage() -> None:
    wanted = stateful_set(1, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}])
    assert pod_of(wanted, 0, "node")["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    first = plan(wanted, [], NOON).status
    [condition] = first["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("VolumesClaimed", "False", "NoStorage")
    later = plan({**wanted, "status": first}, [], NOON + timedelta(hours=1)).status
    assert later == first
