"""Where a rollout's workload comes from: a template in its spec, or a workload of the user's that is there. Pure.

A workload that is referred to stays the user's. What was read of it is the template, word for word, with its size; its
selector's labels are left to it, so that a Service of the user's goes on to select its own pods alone.
"""

from __future__ import annotations

from modelrollout.api.base import GROUP
from modelrollout.api.findings import Finding
from modelrollout.api.workload import Workload, WorkloadRef
from modelrollout.objects.manifests import Manifest, Ref, annotation
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import KNOWN

SIZE = f"{GROUP}/replicas"
"""Annotation on a workload that was scaled to zero: the size that its owner gave it, which is still wished for."""
NOT_FOUND = "WorkloadNotFound"
"""The reason while the workload that is referred to does not exist: it may be on its way, so this is waited for."""
_THEIRS = ("selector", "replicas", "paused")
"""Fields that are about the user's own pods. A paused Deployment would make none for a revision."""


def ref_to(ref: WorkloadRef, namespace: str) -> Ref:
    return Ref(KNOWN[ref.api_version, ref.kind], namespace, ref.name)


def template_of(workload: Workload, objects: Objects, namespace: str) -> Manifest | Finding:
    """The template, as it was written; or why there is none."""
    if (ref := workload.workload_ref) is None:
        return workload.template or {}
    where = f"{ref.kind} '{ref.name}' (spec.workload.workloadRef)"
    found = objects.get(ref_to(ref, namespace))
    if isinstance(found, Finding):
        may = f"let the operator get, list, watch and patch {KNOWN[ref.api_version, ref.kind].plural}."
        return Finding(found.reason, f"spec.workload.workloadRef: {found.message} To mend it, {may}")
    if found is None:
        return Finding(NOT_FOUND, f"{where} does not exist: create it, or name another; traffic stays as it is.")
    if any(owner.get("controller") for owner in found["metadata"].get("ownerReferences") or ()):
        return Finding(
            "InvalidTemplate", f"{where} belongs to another object: name a workload that nobody else controls."
        )
    if size_of(found) == 0:  # nobody who empties the workload that he replaced wants to empty the one that serves
        return Finding(
            "InvalidTemplate",
            f"{where} is at zero, and its annotation {SIZE} has no number of pods: set its spec.replicas to as many "
            "as shall serve; traffic stays as it is.",
        )
    return _as_template(found)


def _as_template(found: Manifest) -> Manifest:
    spec = {name: value for name, value in found["spec"].items() if name not in _THEIRS}
    pod, theirs = spec["template"], _selecting(found["spec"].get("selector") or {})
    metadata = pod.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name not in theirs}
    bare = {name: value for name, value in metadata.items() if name not in ("labels", "creationTimestamp")}
    spec["template"] = {**pod, "metadata": {**bare, "labels": labels} if labels else bare}
    if (size := size_of(found)) is not None:
        spec["replicas"] = size
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "spec": spec}


def _selecting(selector: Manifest) -> set[str]:
    """The labels by which a workload knows its pods."""
    expressions = selector.get("matchExpressions") or ()
    return {*(selector.get("matchLabels") or {}), *(expression["key"] for expression in expressions)}


def size_of(found: Manifest) -> int | None:
    """The size that its owner wishes for: what it has, or had before it was scaled to zero."""
    replicas = found["spec"].get("replicas")
    noted = annotation(found, SIZE)
    if not replicas and noted is not None and noted.isdecimal():
        return int(noted)
    return None if replicas is None else int(replicas)
