"""As whom the pods of a template run: a ServiceAccount that the rollout's namespace has. Pure.

Whoever may create a ModelRollout may choose one, as whoever may create a Deployment. One that is not there is told
before a workload is made, which could have no pods.
"""

from __future__ import annotations

from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.api.names import OBJECT_NAME
from modelrollout.objects.manifests import Ref
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import SERVICE_ACCOUNTS

NOT_FOUND = "ServiceAccountNotFound"
"""The reason while it does not exist: it may be on its way."""
_THERE_ALWAYS = ("", "default")


def named_in(spec: Any, namespace: str) -> Ref | None:
    """The ServiceAccount that a spec names, however broken; None where every namespace has it, or it is yet to be
    filled in: the API server refuses the pods then."""
    pod = spec
    for part in ("workload", "template", "spec", "template", "spec"):
        pod = pod.get(part) if isinstance(pod, dict) else None
    if not isinstance(pod, dict):
        return None
    name = pod.get("serviceAccountName") or pod.get("serviceAccount") or ""
    is_one = isinstance(name, str) and name not in _THERE_ALWAYS and OBJECT_NAME.holds(name)
    return Ref(SERVICE_ACCOUNTS, namespace, name) if is_one else None


def fault(spec: Any, namespace: str, there: Objects) -> Finding | None:
    """Why no pod could be made. One that may not be read is left to the API server to refuse."""
    ref = named_in(spec, namespace)
    if ref is None or ref in there:
        return None
    return Finding(
        NOT_FOUND,
        f"ServiceAccount '{ref.name}' (spec.workload.template.spec.template.spec.serviceAccountName) does not exist in "
        f"namespace '{namespace}': create it, or name another; traffic stays as it is.",
    )
