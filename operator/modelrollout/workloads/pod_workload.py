"""What kinds with a pod template of their own share: Deployments and StatefulSets. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.objects.access import FIND, OWN, Access, Integration
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL, Manifest, Owner, Patch, Ref, revision_of
from modelrollout.objects.resources import PODS, Resource
from modelrollout.workloads.kind import Names
from modelrollout.workloads.state import WorkloadState

_WHERE = "spec.workload.template"


@dataclass(frozen=True, slots=True)
class PodWorkload:
    """A kind whose `spec.template` is a pod and whose `spec.replicas` is the size.

    `named` gives a regular expression for the names of its pods. `answering`: fields beside the pod that decide how the
    model answers.
    """

    resource: Resource
    named: Callable[[str], str]
    answering: tuple[str, ...] = ()
    integration: Integration | None = None

    @property
    def access(self) -> tuple[Access, ...]:
        return Access(self.resource, OWN, self.integration), Access(PODS, FIND)

    def fault(self, template: Manifest) -> Finding | None:
        for is_wrong, message in _FAULTS:
            if is_wrong(template):
                return Finding("InvalidTemplate", message.format(where=_WHERE))
        return None

    def identity(self, template: Manifest) -> Any:
        spec = template["spec"]
        others = {name: spec[name] for name in self.answering if name in spec}
        # The pod alone where nothing else is set: a digest that was written down before stays what it was.
        return {"template": spec["template"], **others} if others else spec["template"]

    def size(self, template: Manifest) -> int | None:
        value = template["spec"].get("replicas")
        return None if value is None else int(value)

    def render(self, owner: Owner, names: Names, template: Manifest, size: int | None) -> Manifest:
        own = {ROLLOUT_LABEL: owner.name, REVISION_LABEL: names.revision}
        spec = {key: value for key, value in template["spec"].items() if key != "replicas"}
        pod = spec["template"]
        metadata = pod.get("metadata") or {}
        spec["template"] = {**pod, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **own}}}
        spec["selector"] = {"matchLabels": own}
        if size is not None:
            spec["replicas"] = size
        user = template.get("metadata") or {}
        return owner.object(
            self.resource,
            names.workload,
            labels={**(user.get("labels") or {}), REVISION_LABEL: names.revision},
            annotations=user.get("annotations") or {},
            spec=spec,
        )

    def resized(self, ref: Ref, size: int) -> Patch:
        return Patch(ref, {"spec": {"replicas": size}})

    def state(self, manifest: Manifest) -> WorkloadState:
        spec, status, owners = manifest["spec"], manifest.get("status") or {}, _owners_of_size(manifest["metadata"])
        return WorkloadState(
            name=manifest["metadata"]["name"],
            revision=revision_of(manifest),
            replicas=1 if spec.get("replicas") is None else int(spec["replicas"]),
            ready=int(status.get("readyReplicas") or 0),
            available=int(status.get("availableReplicas") or 0),
            is_observed=int(status.get("observedGeneration") or 0) >= int(manifest["metadata"].get("generation") or 0),
            scaled_by=_scaled_by(owners),
            is_size_applied=any(map(_applies, owners)),
            failure=_failure(status),
        )

    def pods_named(self, workload: str) -> str:
        return self.named(workload)


def _owners_of_size(metadata: Manifest) -> list[Manifest]:
    """The entries of managedFields that have `replicas`."""
    entries = metadata.get("managedFields") or ()
    return [entry for entry in entries if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})]


def _applies(owner: Manifest) -> bool:
    return owner.get("operation") == "Apply"


def _scaled_by(owners: list[Manifest]) -> str | None:
    """Whoever owns `replicas` through the subresource that autoscalers use. People use it by kubectl.

    Nobody while the number is what was applied, too: whoever scales owns it alone as soon as he changes it.
    """
    if any(map(_applies, owners)):
        return None
    scalers = (str(entry.get("manager")) for entry in owners if entry.get("subresource") == "scale")
    return next((manager for manager in scalers if not manager.startswith("kubectl")), None)


def _failure(status: Manifest) -> str | None:
    """What a ReplicaSet was told when it wished to make a pod, such as that a quota is exhausted."""
    failing = (
        one for one in status.get("conditions") or () if (one["type"], one["status"]) == ("ReplicaFailure", "True")
    )
    return next((str(one.get("message") or one.get("reason") or "") for one in failing), None)


def _has_no_containers(template: Manifest) -> bool:
    spec = template.get("spec")
    pod = spec.get("template") if isinstance(spec, dict) else None
    pod_spec = pod.get("spec") if isinstance(pod, dict) else None
    containers = pod_spec.get("containers") if isinstance(pod_spec, dict) else None
    return not (isinstance(containers, list) and containers and all(isinstance(c, dict) for c in containers))


def _has_odd_replicas(template: Manifest) -> bool:
    value = template["spec"].get("replicas")
    return value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0)


def _has_odd_texts(metadata: Any) -> bool:
    """Whether its labels and annotations are anything but names with texts; how a text is spelled is not looked at."""
    if not isinstance(metadata, dict):
        return metadata is not None
    return not all(isinstance(metadata.get(name) or {}, dict) for name in ("labels", "annotations"))


_FAULTS: tuple[tuple[Callable[[Manifest], bool], str], ...] = (
    (_has_no_containers, "{where}.spec.template.spec.containers must list at least one container."),
    (_has_odd_replicas, "{where}.spec.replicas must be a whole number, or left out where an autoscaler sets it."),
    (
        lambda template: _has_odd_texts(template.get("metadata")),
        "{where}.metadata must be made of labels and annotations, each a name and a text, such as team: risk.",
    ),
    (
        lambda template: _has_odd_texts(template["spec"]["template"].get("metadata")),
        "{where}.spec.template.metadata must be made of labels and annotations, each a name and a text.",
    ),
    (
        lambda template: "selector" in template["spec"],
        "{where}.spec.selector must be left out: each revision is given a selector of its own.",
    ),
    (
        lambda template: bool(template["spec"].get("paused")),
        "{where}.spec.paused must be left out: a paused workload makes no pods for a new revision.",
    ),
    (
        lambda template: "name" in (template.get("metadata") or {}),
        "{where}.metadata.name must be left out: each revision is given a name of its own.",
    ),
)
