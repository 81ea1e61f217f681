"""What a pass reads of a ModelRollout, and what was read in the words of the planner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.api.metric_templates import CLUSTER_KIND, KIND
from modelrollout.kube import Cluster, Manifest, Refused
from modelrollout.objects.manifests import ROLLOUT_LABEL, Owner, Ref
from modelrollout.objects.reads import NOT_INSTALLED, Objects, Reads
from modelrollout.objects.resources import (
    CLUSTER_METRIC_TEMPLATES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    PODS,
    SERVICES,
    Resource,
)
from modelrollout.plan.world import Observed
from modelrollout.rollout.expansion import TemplateKey, Templates, referred
from modelrollout.rollout.rollout import ROUTERS
from modelrollout.shell.reader import Direct

_TEMPLATES = {KIND: METRIC_TEMPLATES, CLUSTER_KIND: CLUSTER_METRIC_TEMPLATES}


def reads(namespace: str, name: str, spec: Any) -> Reads:
    """The rollout's own objects, by its label; its routes, by their name; and the templates that it refers to."""
    routes = tuple(Ref(router.resource, namespace, name) for router in ROUTERS)
    return Reads((DEPLOYMENTS, SERVICES, PODS), (*routes, *template_refs(namespace, spec)))


def template_refs(namespace: str, spec: Any) -> tuple[Ref, ...]:
    """The templates that a spec in this namespace names."""
    found = ((_TEMPLATES[key.kind], key.name) for key in referred(spec))
    return tuple(Ref(resource, namespace if resource.namespaced else "", name) for resource, name in found)


def templates(objects: Objects) -> Templates:
    """What was found of the templates."""
    return {
        TemplateKey(ref.resource.kind, ref.name): _told(item)
        for ref, item in objects.items()
        if ref.resource in _TEMPLATES.values()
    }


def observed(objects: Objects, name: str, trouble: Finding | None) -> Observed:
    """The world around the rollout of this name. Raises Refused when a route may not be read."""
    return Observed(
        workloads=tuple(_labelled(objects, DEPLOYMENTS, name)),
        services=tuple(_labelled(objects, SERVICES, name)),
        pods=tuple(_labelled(objects, PODS, name)),
        routes=dict(_routes(objects, name)),
        trouble=trouble,
    )


async def observe(cluster: Cluster, owner: Owner, trouble: Finding | None) -> Observed:
    """The world as the API server shows it now."""
    objects = await Direct(cluster).read((owner.namespace, owner.name), reads(owner.namespace, owner.name, None))
    return observed(objects, owner.name, trouble)


def _told(item: Manifest | Finding) -> Manifest | Finding:
    return Finding("TemplateUnreadable", item.message) if isinstance(item, Finding) else item


def _labelled(objects: Objects, resource: Resource, name: str) -> Iterator[Manifest]:
    for ref, item in objects.items():
        if ref.resource != resource or not isinstance(item, dict):
            continue
        if (item["metadata"].get("labels") or {}).get(ROLLOUT_LABEL) == name:
            yield item


def _routes(objects: Objects, name: str) -> Iterator[tuple[Resource, Manifest]]:
    for router in ROUTERS:
        for ref, item in objects.items():
            if (ref.resource, ref.name) != (router.resource, name):
                continue
            if isinstance(item, dict):
                yield router.resource, item
            elif item.reason != NOT_INSTALLED:  # a cluster without this router's CRD has no such route
                raise Refused(403, item.message, f"{ref}")
