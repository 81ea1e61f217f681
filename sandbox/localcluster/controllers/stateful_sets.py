"""The StatefulSet controller: pods as `stateful_set_plan` says. No ControllerRevisions and no storage."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from localcluster.controllers.replicas import Move, Object
from localcluster.controllers.stateful_set_plan import plan, pod_of
from localcluster.controllers.workloads import workloads
from modelrollout.kube import Cluster
from modelrollout.objects.resources import STATEFUL_SETS


def stateful_sets(cluster: Cluster, node: str) -> AbstractAsyncContextManager[None]:
    """Keep every StatefulSet's pods as it wants them, placed on `node`, until the block ends."""

    def move(stateful_set: Object, pods: Sequence[Object], now: datetime) -> Move:
        wanted = plan(stateful_set, pods, now)
        create = tuple(pod_of(stateful_set, ordinal, node) for ordinal in wanted.create)
        return Move(create, wanted.delete, wanted.status, wanted.recheck)

    return workloads(cluster, STATEFUL_SETS, move)
