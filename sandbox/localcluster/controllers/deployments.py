"""The Deployment controller: pods as `deployment_plan` says. No ReplicaSets, since nothing here needs their history."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from localcluster.controllers.deployment_plan import plan, pod_of
from localcluster.controllers.replicas import Move, Object
from localcluster.controllers.workloads import workloads
from modelrollout.kube import Cluster
from modelrollout.objects.resources import DEPLOYMENTS


def deployments(cluster: Cluster, node: str) -> AbstractAsyncContextManager[None]:
    """Keep every Deployment's pods as it wants them, placed on `node`, until the block ends."""

    def move(deployment: Object, pods: Sequence[Object], now: datetime) -> Move:
        wanted = plan(deployment, pods, now)
        create = tuple(pod_of(deployment, node) for _ in range(wanted.create))
        return Move(create, wanted.delete, wanted.status, wanted.recheck)

    return workloads(cluster, DEPLOYMENTS, move)
