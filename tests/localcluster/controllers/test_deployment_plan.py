"""What a Deployment does next with its pods, and how truthfully it says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from localcluster.controllers.deployment_plan import DeploymentPlan, plan, pod_of
from localcluster.controllers.replicas import TEMPLATE_HASH, template_hash
from tests.localcluster.controllers.builders import NOON, seen, workload

ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def deployment(replicas: int | None = 2, **more: Any) -> Any:
    return workload(replicas, **more)


def pod(name: str, *, image: str = "v1", **more: Any) -> Any:
    created = f"2026-01-01T11:00:0{name[-1]}Z"
    made = pod_of(deployment(image=image), "sandbox")
    return seen(made, name=name, uid=name, creationTimestamp=created, **more)


def moves(wanted: DeploymentPlan) -> tuple[int, list[str]]:
    return wanted.create, sorted(p["metadata"]["name"] for p in wanted.delete)


def progressing(wanted: DeploymentPlan) -> tuple[str, str]:
    condition = next(c for c in wanted.status["conditions"] if c["type"] == "Progressing")
    return condition["status"], condition["reason"]


def test_a_pod_is_the_deployments_own_and_knows_its_template() -> None:
    made = pod_of(deployment(), "sandbox")
    assert made["metadata"]["generateName"] == "web-"
    assert made["metadata"]["labels"] == {"app": "web"}
    assert made["metadata"]["annotations"] == {TEMPLATE_HASH: template_hash(deployment())}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "owner"
    assert made["spec"] == {"containers": [{"image": "v1"}], "nodeName": "sandbox"}


@pytest.mark.parametrize(
    ("replicas", "pods", "expected"),
    [
        (None, [], (1, [])),
        (3, [], (3, [])),
        (0, [], (0, [])),
        (3, [pod("a1")], (2, [])),
        (1, [pod("a1"), pod("a2")], (0, ["a2"])),  # the youngest goes
        (1, [pod("a1", ready=False), pod("a2")], (0, ["a1"])),  # unless another serves nobody
        (2, [pod("a1"), pod("a2", leaving=True)], (1, [])),
        (1, [pod("a1", phase="Failed")], (1, ["a1"])),
    ],
)
def test_there_are_as_many_pods_as_wanted(
    replicas: int | None, pods: list[Any], expected: tuple[int, list[str]]
) -> None:
    assert moves(plan(deployment(replicas), pods, NOON)) == expected


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([pod("o1"), pod("o2")], (1, [])),  # one more first
        ([pod("o1"), pod("o2"), pod("n3", image="v2", ready=False)], (0, [])),  # wait for it
        ([pod("o1"), pod("o2"), pod("n3", image="v2")], (0, ["o1"])),  # then one less
        ([pod("o1", leaving=True), pod("o2"), pod("n3", image="v2")], (1, [])),
        ([pod("o2"), pod("n3", image="v2"), pod("n4", image="v2")], (0, ["o2"])),
        ([pod("n3", image="v2"), pod("n4", image="v2")], (0, [])),
        ([pod("o1", ready=False), pod("o2")], (1, [])),
        ([pod("o1", ready=False), pod("o2"), pod("n3", image="v2")], (0, ["o1"])),  # those that serve nobody go first
    ],
)
def test_a_new_template_replaces_pods_without_serving_with_fewer(
    pods: list[Any], expected: tuple[int, list[str]]
) -> None:
    assert moves(plan(deployment(2, image="v2", strategy=ROLLING), pods, NOON)) == expected


def test_by_default_a_quarter_more_and_a_quarter_fewer_are_allowed() -> None:
    old = [pod(f"o{number}") for number in range(1, 5)]
    assert moves(plan(deployment(4, image="v2"), old, NOON)) == (1, ["o1"])
    assert moves(plan(deployment(1, image="v2"), old[:1], NOON)) == (1, [])


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    wanted = deployment(1, image="v2", strategy={"type": "Recreate"})
    assert moves(plan(wanted, [pod("o1")], NOON)) == (0, ["o1"])
    assert moves(plan(wanted, [pod("o1", leaving=True)], NOON)) == (0, [])
    assert moves(plan(wanted, [], NOON)) == (1, [])


def test_a_paused_deployment_leaves_the_old_template_alone() -> None:
    assert moves(plan(deployment(1, image="v2", paused=True), [pod("o1")], NOON)) == (0, [])


def test_the_status_of_a_complete_deployment() -> None:
    wanted = plan(deployment(2, generation=4), [pod("a1"), pod("a2")], NOON)
    times = {"lastUpdateTime": "2026-01-01T12:00:00Z", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    assert wanted == DeploymentPlan(
        create=0,
        delete=(),
        status={
            "observedGeneration": 4,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            "availableReplicas": 2,
            "conditions": [
                {
                    "type": "Available",
                    "status": "True",
                    "reason": "MinimumReplicasAvailable",
                    "message": "Deployment has minimum availability.",
                    **times,
                },
                {
                    "type": "Progressing",
                    "status": "True",
                    "reason": "NewReplicaSetAvailable",
                    "message": 'Deployment "web" has successfully progressed.',
                    **times,
                },
            ],
        },
        recheck=None,
    )


def test_a_status_that_says_it_all_does_not_move_with_time() -> None:
    pods = [pod("a1"), pod("a2", ready=False)]
    first = plan(deployment(2), pods, NOON).status
    assert plan(deployment(2, status=first), pods, NOON + timedelta(minutes=5)).status == first


def test_a_pod_counts_as_available_only_after_min_ready_seconds() -> None:
    wanted = deployment(1, minReadySeconds=10)
    young = plan(wanted, [pod("a1", since=NOON - timedelta(seconds=4))], NOON)
    assert (young.status["readyReplicas"], young.status["unavailableReplicas"]) == (1, 1)
    assert young.recheck == timedelta(seconds=6)
    old = plan(wanted, [pod("a1", since=NOON - timedelta(seconds=10))], NOON)
    assert old.status["availableReplicas"] == 1


def test_without_progress_the_deadline_is_told_and_looked_at_in_time() -> None:
    spec = {"progressDeadlineSeconds": 30}
    pods = [pod("a1", ready=False)]
    first = plan(deployment(1, **spec), pods, NOON)
    assert progressing(first) == ("True", "NewReplicaSetCreated")
    assert first.recheck == timedelta(seconds=30)
    waiting = plan(deployment(1, status=first.status, **spec), pods, NOON + timedelta(seconds=20))
    assert (progressing(waiting), waiting.recheck) == (("True", "NewReplicaSetCreated"), timedelta(seconds=10))
    late = plan(deployment(1, status=waiting.status, **spec), pods, NOON + timedelta(seconds=30))
    assert progressing(late) == ("False", "ProgressDeadlineExceeded")
    assert plan(deployment(1, status=late.status, **spec), pods, NOON + timedelta(hours=1)).status == late.status
    mended = plan(deployment(1, status=late.status, **spec), [pod("a1")], NOON + timedelta(hours=1))
    assert progressing(mended) == ("True", "NewReplicaSetAvailable")


def test_each_step_forward_moves_the_deadline() -> None:
    first = plan(deployment(2), [pod("a1", ready=False), pod("a2", ready=False)], NOON)
    later = NOON + timedelta(seconds=500)
    second = plan(deployment(2, status=first.status), [pod("a1", since=later), pod("a2", ready=False)], later)
    assert (progressing(second), second.recheck) == (("True", "ReplicaSetUpdated"), timedelta(seconds=600))


def test_a_new_template_begins_anew_after_a_missed_deadline() -> None:
    pods = [pod("o1", ready=False)]
    late = plan(deployment(1, status=plan(deployment(1), pods, NOON).status), pods, NOON + timedelta(hours=1))
    assert progressing(late)[0] == "False"
    anew = plan(deployment(1, image="v2", generation=2, status=late.status), pods, NOON + timedelta(hours=2))
    assert progressing(anew) == ("True", "NewReplicaSetCreated")


def test_a_pod_lost_after_completion_is_no_late_rollout() -> None:
    done = plan(deployment(1), [pod("a1")], NOON)
    lost = plan(deployment(1, status=done.status), [pod("a1", ready=False)], NOON + timedelta(days=1))
    assert progressing(lost) == ("True", "NewReplicaSetAvailable")
    assert next(c for c in lost.status["conditions"] if c["type"] == "Available")["status"] == "False"
