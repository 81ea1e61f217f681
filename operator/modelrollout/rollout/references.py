"""Which objects a pass reads for a rollout, of any spec however broken. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from modelrollout.api.findings import Finding
from modelrollout.api.metric_templates import CLUSTER_KIND
from modelrollout.api.metric_templates import KIND as TEMPLATE_KIND
from modelrollout.api.names import OBJECT_NAME
from modelrollout.api.traffic import Traffic
from modelrollout.api.workload import WorkloadRef
from modelrollout.objects.access import READ, Access
from modelrollout.objects.manifests import Manifest, Owner, Ref
from modelrollout.objects.reads import Objects, Reads
from modelrollout.objects.resources import CLUSTER_METRIC_TEMPLATES, METRIC_TEMPLATES, PODS, SERVICE_ACCOUNTS, SERVICES
from modelrollout.rollout import service_account
from modelrollout.rollout.expansion import TemplateKey, Templates, template_keys
from modelrollout.rollout.template import ref_to
from modelrollout.traffic.features import class_of
from modelrollout.traffic.router_table import route_refs, router_of
from modelrollout.workloads.companions import COMPANIONS
from modelrollout.workloads.kind_table import WORKLOADS

LABELLED = (PODS, SERVICES, *WORKLOADS)
"""The kinds of which a rollout has any number of objects, found by its label."""
_CORE = {"name", "canary"}
"""What a stage may have in it that every Gateway can do."""
_TEMPLATES = {TEMPLATE_KIND: METRIC_TEMPLATES, CLUSTER_KIND: CLUSTER_METRIC_TEMPLATES}
ACCESS = tuple(Access(resource, READ) for resource in (*_TEMPLATES.values(), SERVICE_ACCOUNTS))


def reads(manifest: Manifest) -> Reads:
    """All that a pass over this rollout reads."""
    owner = owner_of(manifest)
    named = (*route_refs(owner), *mentioned(owner.namespace, manifest.get("spec")))
    return Reads(LABELLED, tuple(dict.fromkeys(named)), COMPANIONS)


def beyond(manifest: Manifest, objects: Objects) -> tuple[Ref, ...]:
    """What the objects that were read lead to: the Gateways of the route and their classes, where stages ask for more
    than any Gateway does."""
    stages = _part(manifest, "spec", "stages")
    if not any(isinstance(stage, dict) and stage.keys() - _CORE for stage in stages if isinstance(stages, list)):
        return ()
    try:
        traffic = Traffic.model_validate(_part(manifest, "spec", "traffic"))
    except ValidationError:  # told when the spec is parsed
        return ()
    gateways = router_of(traffic).gateways(owner_of(manifest), traffic, objects)
    return (*gateways, *filter(None, (class_of(gateway, objects) for gateway in gateways)))


def essential(manifest: Manifest) -> Reads:
    """What tells whether traffic has to be taken back, apart from metrics: who serves, and who is ready to."""
    return Reads(LABELLED, route_refs(owner_of(manifest)))


def owner_of(manifest: Manifest) -> Owner:
    """The rollout as the owner of objects, with the routes that it was lent: by its spec, and by earlier ones."""
    metadata = manifest["metadata"]
    named, kept = _part(manifest, "spec", "traffic", "routeRef", "name"), _part(manifest, "status", "lent")
    lent = [named, *(kept if isinstance(kept, list) else ())]
    names = dict.fromkeys(name for name in lent if isinstance(name, str) and OBJECT_NAME.holds(name))
    return Owner(metadata["namespace"], metadata["name"], metadata.get("uid", ""), tuple(names))


def _part(whole: Any, *path: str) -> Any:
    """A part of something that may be broken anywhere."""
    for name in path:
        whole = whole.get(name) if isinstance(whole, dict) else None
    return whole


def mentioned(namespace: str, spec: Any) -> tuple[Ref, ...]:
    """The objects of others that a spec names: templates of metrics, the ServiceAccount of its pods, and the workload
    that serves as the template."""
    account = service_account.named_in(spec, namespace)
    others = (*(_place(key, namespace) for key in template_keys(spec)), *filter(None, [account]))
    workload = spec.get("workload") if isinstance(spec, dict) else None
    raw = workload.get("workloadRef") if isinstance(workload, dict) else None
    try:
        return (*others, ref_to(WorkloadRef.model_validate(raw), namespace)) if raw else others
    except ValidationError:  # told when the spec is parsed
        return others


def templates_among(objects: Objects, namespace: str, spec: Any) -> Templates:
    """The metric templates that a spec names, as they were found."""
    found = {key: objects.get(_place(key, namespace)) for key in template_keys(spec)}
    return {key: _in_words(one) for key, one in found.items() if one is not None}


def _in_words(found: Manifest | Finding) -> Manifest | Finding:
    return Finding("TemplateUnreadable", found.message) if isinstance(found, Finding) else found


def _place(key: TemplateKey, namespace: str) -> Ref:
    resource = _TEMPLATES[key.kind]
    return Ref(resource, namespace if resource.namespaced else "", key.name)
