"""What stands beside a version's workload and is named like it: its autoscaler and its disruption budget. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.scaling import Autoscaling, HorizontalPodAutoscaler, ScaledObject
from modelrollout.api.workload import Workload
from modelrollout.objects.access import OWN, Access, Integration
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, Ref
from modelrollout.objects.resources import (
    HORIZONTAL_POD_AUTOSCALERS,
    POD_DISRUPTION_BUDGETS,
    SCALED_OBJECTS,
    Resource,
)
from modelrollout.workloads.kind import Names

COMPANIONS: tuple[Resource, ...] = (HORIZONTAL_POD_AUTOSCALERS, POD_DISRUPTION_BUDGETS, SCALED_OBJECTS)
ACCESS = (
    Access(HORIZONTAL_POD_AUTOSCALERS, OWN),
    Access(POD_DISRUPTION_BUDGETS, OWN),
    Access(SCALED_OBJECTS, OWN, Integration.KEDA),
)
_AUTOSCALERS = (HORIZONTAL_POD_AUTOSCALERS, SCALED_OBJECTS)
_MOST_OF_KEDA = 100


def companions(owner: Owner, names: Names, of: Resource, wished: Workload, least: int) -> Iterator[Manifest]:
    """Those of one version. `of`: the kind of its workload. `least`: pods that its autoscaler may not go below."""
    labels = {REVISION_LABEL: names.revision}
    if wished.autoscaling is not None:
        resource, spec = _autoscaler(wished.autoscaling, least)
        target = {"apiVersion": of.api_version, "kind": of.kind, "name": names.workload}
        yield owner.object(resource, names.workload, labels=labels, spec={**spec, "scaleTargetRef": target})
    if wished.pod_disruption_budget is not None:
        pods = {"matchLabels": {ROLLOUT_LABEL: owner.name, **labels}}
        spec = {**wished.pod_disruption_budget.to_wire(), "selector": pods}
        yield owner.object(POD_DISRUPTION_BUDGETS, names.workload, labels=labels, spec=spec)


def kinds(wished: Workload) -> frozenset[Resource]:
    """The kinds of which each version has one."""
    scaler = {_autoscaler(wished.autoscaling, 0)[0]} if wished.autoscaling is not None else set()
    return frozenset(scaler | ({POD_DISRUPTION_BUDGETS} if wished.pod_disruption_budget is not None else set()))


def is_autoscaler(ref: Ref) -> bool:
    return ref.resource in _AUTOSCALERS


def fewest(autoscaler: Manifest) -> int:
    """The pods below which one that was read does not go; 0 where it may take all of them while nobody asks."""
    spec = autoscaler["spec"]
    return 0 if "idleReplicaCount" in spec else int(spec.get("minReplicas") or spec.get("minReplicaCount") or 0)


def _autoscaler(wished: Autoscaling, least: int) -> tuple[Resource, Manifest]:
    if wished.horizontal_pod_autoscaler is not None:
        return HORIZONTAL_POD_AUTOSCALERS, _of_kubernetes(wished.horizontal_pod_autoscaler, least)
    if wished.scaled_object is not None:
        return SCALED_OBJECTS, _of_keda(wished.scaled_object, least)
    raise ValueError("an autoscaler is one of the two kinds")


def _of_kubernetes(wished: HorizontalPodAutoscaler, least: int) -> Manifest:
    floor = min(least, wished.max_replicas)
    return wished.to_wire() | ({"minReplicas": floor} if floor > (wished.min_replicas or 1) else {})


def _of_keda(wished: ScaledObject, least: int) -> Manifest:
    floor, spec = min(least, wished.max_replica_count or _MOST_OF_KEDA), wished.to_wire()
    if floor > 0:
        spec.pop("idleReplicaCount", None)
    return spec | ({"minReplicaCount": floor} if floor > (wished.min_replica_count or 0) else {})
