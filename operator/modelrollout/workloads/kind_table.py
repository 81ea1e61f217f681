"""All kinds of workload, by what a template calls them. A new one is a file and a line here. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.api.findings import Finding
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import Resource
from modelrollout.workloads.deployment import DEPLOYMENT
from modelrollout.workloads.kind import Kind
from modelrollout.workloads.stateful_set import STATEFUL_SET

_ALL: tuple[Kind, ...] = (DEPLOYMENT, STATEFUL_SET)

KINDS: Mapping[tuple[str, str], Kind] = {(kind.resource.api_version, kind.resource.kind): kind for kind in _ALL}
WORKLOADS: tuple[Resource, ...] = tuple(kind.resource for kind in _ALL)


def kind_of(template: Manifest) -> Kind | Finding:
    """The kind of a template, a Deployment where it does not say; or what is wrong with it."""
    default = DEPLOYMENT.resource
    name = (template.get("apiVersion", default.api_version), template.get("kind", default.kind))
    if (kind := KINDS.get(name)) is not None:
        return kind
    known = " or ".join(f"{kind.resource.kind} ({kind.resource.api_version})" for kind in _ALL)
    return Finding(
        "InvalidTemplate", f"spec.workload.template.kind must be {known}, the kinds of workload that are supported."
    )
