"""Plans the pods of a StatefulSet, and its status. Pure.

As kubernetes/pkg/controller/statefulset does it, with two things left out. No ControllerRevisions are kept, so a lost
pod always comes back with the present template, below the partition too. And there is no storage: for a claim a pod
gets an empty volume, and the status says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from localcluster.controllers import replicas
from localcluster.controllers.replicas import (
    Object,
    is_available,
    is_leaving,
    is_new,
    is_over,
    is_ready,
    next_available,
    template_hash,
)

POD_NAME, POD_INDEX, REVISION = (
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
)


@dataclass(frozen=True, slots=True)
class StatefulSetPlan:
    """The ordinals to make pods for, the pods to delete, the status, and when to look again at latest."""

    create: tuple[int, ...]
    delete: tuple[Object, ...]
    status: dict[str, Any]
    recheck: timedelta | None


@dataclass(frozen=True, slots=True)
class Census:
    """A set's pods by ordinal: those in their places, and those beyond the wanted number."""

    stateful_set: Object
    places: range
    held: Mapping[int, Object]
    beyond: Mapping[int, Object]
    now: datetime

    @property
    def in_order(self) -> bool:
        return bool(self.stateful_set["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")

    def is_settled(self, pod: Object) -> bool:
        """Ready for at least minReadySeconds, and to stay."""
        return not is_leaving(pod) and is_available(self.stateful_set, pod, self.now)


Step = tuple[tuple[int, ...], tuple[Object, ...]]  # ordinals to make, pods to delete
WAIT: Step = (), ()


def revision(stateful_set: Object) -> str:
    """The name of the present template's revision."""
    return f"{stateful_set['metadata']['name']}-{template_hash(stateful_set)}"


def pod_of(stateful_set: Object, ordinal: int, node: str) -> dict[str, Any]:
    """The pod of this ordinal, with its identity: name, labels, host name, and a volume for each claim."""
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    labels = {POD_NAME: name, POD_INDEX: str(ordinal), REVISION: revision(stateful_set)}
    pod = replicas.pod_of(stateful_set, "StatefulSet", node, name=name, labels=labels)
    service, claimed = stateful_set["spec"].get("serviceName"), _claims(stateful_set)
    volumes = [each for each in pod["spec"].get("volumes") or () if each["name"] not in claimed]
    volumes += [{"name": claim, "emptyDir": {}} for claim in claimed]
    identity = {"hostname": name, **({"subdomain": service} if service else {})}
    return {**pod, "spec": {**pod["spec"], **identity, **({"volumes": volumes} if volumes else {})}}


def plan(stateful_set: Object, pods: Sequence[Object], now: datetime) -> StatefulSetPlan:
    """`pods` are all of the set's own, those on their way out too."""
    census = _census(stateful_set, pods, now)
    create, delete = _step(census)
    return StatefulSetPlan(create, delete, _status(census, pods), next_available(stateful_set, pods, now))


def _census(stateful_set: Object, pods: Sequence[Object], now: datetime) -> Census:
    first = int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)
    places = range(first, first + replicas.replicas(stateful_set))
    by_ordinal = {ordinal: pod for pod in pods if (ordinal := _ordinal(stateful_set, pod)) is not None}
    held = {ordinal: pod for ordinal, pod in sorted(by_ordinal.items()) if ordinal in places}
    beyond = {ordinal: pod for ordinal, pod in sorted(by_ordinal.items(), reverse=True) if ordinal not in places}
    return Census(stateful_set, places, held, beyond, now)


def _ordinal(stateful_set: Object, pod: Object) -> int | None:
    head, _, number = pod["metadata"]["name"].rpartition("-")
    return int(number) if head == stateful_set["metadata"]["name"] and number.isdecimal() else None


def _step(census: Census) -> Step:
    """The places are filled first, then pods beyond them go, then old pods are replaced."""
    moves = chain(_filled(census), _shrunk(census))
    if census.in_order:
        return next(moves, None) or _updated(census)
    step = _together(list(moves))
    return _updated(census) if step == WAIT else step


def _together(moves: Sequence[Step]) -> Step:
    return tuple(n for create, _ in moves for n in create), tuple(pod for _, delete in moves for pod in delete)


def _filled(census: Census) -> Iterator[Step]:
    """From the lowest: a missing pod is made, one that has ended goes to be made again, any other must be settled."""
    for ordinal in census.places:
        pod = census.held.get(ordinal)
        if pod is None:
            yield (ordinal,), ()
        elif is_over(pod) and not is_leaving(pod):
            yield (), (pod,)
        elif not census.is_settled(pod):
            yield WAIT


def _shrunk(census: Census) -> Iterator[Step]:
    """From the highest; in order, the next goes when the one before is gone."""
    for pod in census.beyond.values():
        yield WAIT if is_leaving(pod) else ((), (pod,))


def _updated(census: Census) -> Step:
    """RollingUpdate replaces from the highest ordinal down to the partition, and waits until the new pod is settled."""
    if not _is_rolling(census.stateful_set):
        return WAIT
    strategy = census.stateful_set["spec"].get("updateStrategy") or {}
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    for ordinal, pod in sorted(census.held.items(), reverse=True):
        if ordinal < partition:
            return WAIT
        if not is_new(census.stateful_set, pod) and not is_leaving(pod):
            return (), (pod,)
        if not census.is_settled(pod):
            return WAIT
    return WAIT


def _status(census: Census, pods: Sequence[Object]) -> dict[str, Any]:
    """`currentRevision` follows once a rolling update is complete, as in Kubernetes."""
    stateful_set = census.stateful_set
    before, update = stateful_set.get("status") or {}, revision(stateful_set)
    staying = [pod for pod in pods if not is_leaving(pod)]
    updated, ready = sum(is_new(stateful_set, pod) for pod in staying), sum(is_ready(pod) for pod in staying)
    complete = _is_rolling(stateful_set) and updated == ready == len(pods)
    current = update if complete else before.get("currentRevision") or update
    counts = {
        "readyReplicas": ready,
        "currentReplicas": sum(_revision_of(pod) == current for pod in staying),
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": stateful_set["metadata"].get("generation", 1),
        "replicas": len(pods),
        "availableReplicas": sum(census.is_settled(pod) for pod in staying),
        **{name: count for name, count in counts.items() if count},
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        **_about_storage(stateful_set, census.now),
    }


def _is_rolling(stateful_set: Object) -> bool:
    return bool((stateful_set["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _revision_of(pod: Object) -> str | None:
    return (pod["metadata"].get("labels") or {}).get(REVISION)


def _claims(stateful_set: Object) -> list[str]:
    return [claim["metadata"]["name"] for claim in stateful_set["spec"].get("volumeClaimTemplates") or ()]


def _about_storage(stateful_set: Object, now: datetime) -> dict[str, Any]:
    """The condition that says what is not done about claims."""
    if not (claimed := _claims(stateful_set)):
        return {}
    said = {
        "type": "VolumesClaimed",
        "status": "False",
        "reason": "NoStorage",
        "message": f"The local cluster has no storage: no PersistentVolumeClaims are made for {', '.join(claimed)}, "
        "nothing is mounted, and containers see this machine's files.",
    }
    told = (stateful_set.get("status") or {}).get("conditions") or ()
    since = next((c["lastTransitionTime"] for c in told if c["type"] == said["type"]), replicas.text(now))
    return {"conditions": [{**said, "lastTransitionTime": since}]}
