"""Reads what a pass needs of the cluster: the rollout's own objects, by its label and by its name, and the templates
that it refers to. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from modelrollout.api.findings import Finding
from modelrollout.api.metric_templates import CLUSTER_KIND, KIND
from modelrollout.kube import Cluster, KubeError, Manifest, Refused
from modelrollout.objects.manifests import ROLLOUT_LABEL, Owner
from modelrollout.objects.resources import (
    CLUSTER_METRIC_TEMPLATES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    PODS,
    SERVICES,
    Resource,
)
from modelrollout.plan.world import Observed
from modelrollout.rollout.expansion import TemplateKey, Templates
from modelrollout.rollout.rollout import ROUTERS

_RESOURCES = {KIND: METRIC_TEMPLATES, CLUSTER_KIND: CLUSTER_METRIC_TEMPLATES}


async def observe(cluster: Cluster, owner: Owner, trouble: Finding | None) -> Observed:
    """The world around a rollout. Raises KubeError when it cannot be read as a whole: half a world decides nothing."""
    labels = {ROLLOUT_LABEL: owner.name}
    resources = tuple(router.resource for router in ROUTERS)
    try:
        async with asyncio.TaskGroup() as reading:
            workloads = reading.create_task(_list(cluster, DEPLOYMENTS, owner, labels))
            services = reading.create_task(_list(cluster, SERVICES, owner, labels))
            pods = reading.create_task(_list(cluster, PODS, owner, labels))
            routes = [reading.create_task(_read(cluster, resource, owner)) for resource in resources]
    except ExceptionGroup as troubles:
        if (others := troubles.split(KubeError)[1]) is not None:
            raise others from None
        raise troubles.exceptions[0] from None  # one call's trouble stands for all: callers sort by its class
    found = {resource: task.result() for resource, task in zip(resources, routes, strict=True)}
    return Observed(
        workloads=workloads.result(),
        services=services.result(),
        pods=pods.result(),
        routes={resource: route for resource, route in found.items() if route is not None},
        trouble=trouble,
    )


async def read_templates(cluster: Cluster, namespace: str, keys: Sequence[TemplateKey]) -> Templates:
    """The templates that a rollout refers to. Raises KubeError when the API server cannot be reached.

    A refusal, of missing rights or a missing definition, is an answer: it must not stand in the way of a pass that
    takes traffic back for want of readiness.
    """
    found: dict[TemplateKey, Manifest | Finding] = {}
    for key in keys:
        resource = _RESOURCES[key.kind]
        try:
            template = await cluster.read(resource, namespace if resource.namespaced else None, key.name)
        except Refused as refusal:
            found[key] = Finding("TemplateUnreadable", f"{key.kind} '{key.name}' cannot be read: {refusal}.")
        else:
            if template is not None:
                found[key] = template
    return found


async def _list(cluster: Cluster, resource: Resource, owner: Owner, labels: dict[str, str]) -> tuple[Manifest, ...]:
    return tuple((await cluster.list(resource, owner.namespace, labels=labels)).items)


async def _read(cluster: Cluster, resource: Resource, owner: Owner) -> Manifest | None:
    try:
        return await cluster.read(resource, owner.namespace, owner.name)
    except Refused as refusal:
        if refusal.status == 404:  # a cluster without this router's CRD has no such route
            return None
        raise
