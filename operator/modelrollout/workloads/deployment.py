"""Deployments: how one is rendered for a revision and what its status says. Pure."""

from __future__ import annotations

from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, revision_of
from modelrollout.objects.resources import DEPLOYMENTS
from modelrollout.workloads.state import WorkloadState

RESOURCE = DEPLOYMENTS
_WHERE = "spec.workload.template"


def fault(template: Manifest) -> Finding | None:
    """What is wrong with a rendered template, or None. The API server judges the rest when it is applied."""
    for is_wrong, message in _FAULTS:
        if is_wrong(template):
            return Finding("InvalidTemplate", message.format(where=_WHERE))
    return None


def answering_part(template: Manifest) -> Any:
    """The part that decides how the model answers; a change of it is a new revision."""
    return template["spec"]["template"]


def replicas(template: Manifest) -> int | None:
    """The pods wished for; None leaves the number to an autoscaler."""
    value = template["spec"].get("replicas")
    return None if value is None else int(value)


def render(owner: Owner, name: str, revision: str, template: Manifest, pods: int | None) -> Manifest:
    """The Deployment of one revision; `pods` None leaves spec.replicas alone."""
    own = {ROLLOUT_LABEL: owner.name, REVISION_LABEL: revision}
    spec = {key: value for key, value in template["spec"].items() if key != "replicas"}
    pod = spec["template"]
    metadata = pod.get("metadata") or {}
    spec["template"] = {**pod, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **own}}}
    spec["selector"] = {"matchLabels": own}
    if pods is not None:
        spec["replicas"] = pods
    user = template.get("metadata") or {}
    return owner.object(
        RESOURCE,
        name,
        labels={**(user.get("labels") or {}), REVISION_LABEL: revision},
        annotations=user.get("annotations") or {},
        spec=spec,
    )


def state(manifest: Manifest) -> WorkloadState:
    spec, status = manifest["spec"], manifest.get("status") or {}
    return WorkloadState(
        name=manifest["metadata"]["name"],
        revision=revision_of(manifest),
        replicas=1 if spec.get("replicas") is None else int(spec["replicas"]),
        ready=int(status.get("readyReplicas") or 0),
        is_observed=int(status.get("observedGeneration") or 0) >= int(manifest["metadata"].get("generation") or 0),
    )


def _is_another_kind(template: Manifest) -> bool:
    kind = (template.get("apiVersion", RESOURCE.api_version), template.get("kind", RESOURCE.kind))
    return kind != (RESOURCE.api_version, RESOURCE.kind)


def _has_no_containers(template: Manifest) -> bool:
    spec = template.get("spec")
    pod = spec.get("template") if isinstance(spec, dict) else None
    pod_spec = pod.get("spec") if isinstance(pod, dict) else None
    containers = pod_spec.get("containers") if isinstance(pod_spec, dict) else None
    return not (isinstance(containers, list) and containers and all(isinstance(c, dict) for c in containers))


def _has_odd_replicas(template: Manifest) -> bool:
    value = template["spec"].get("replicas")
    return value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0)


_FAULTS = (
    (_is_another_kind, "{where}.kind must be Deployment (apps/v1), the kind of workload that is supported."),
    (_has_no_containers, "{where}.spec.template.spec.containers must list at least one container."),
    (_has_odd_replicas, "{where}.spec.replicas must be a whole number, or left out where an autoscaler sets it."),
    (
        lambda template: "selector" in template["spec"],
        "{where}.spec.selector must be left out: each revision is given a selector of its own.",
    ),
    (
        lambda template: "name" in (template.get("metadata") or {}),
        "{where}.metadata.name must be left out: each revision is given a name of its own.",
    ),
)
