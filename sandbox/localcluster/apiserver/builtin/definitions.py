"""Rules of the kind CustomResourceDefinition itself. Pure; what a definition brings about is `crds.py`."""

from __future__ import annotations

from localcluster.apiserver.builtin.plain import without_grace
from localcluster.apiserver.crd_checks import definition_errors
from localcluster.apiserver.resources import Rules
from localcluster.apiserver.store import Object

# Holds a definition until its objects are gone.
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def with_defaults(crd: Object) -> Object:
    """A definition with the names that Kubernetes derives from its kind."""
    spec = crd.get("spec") or {}
    names = dict(spec.get("names") or {})
    if kind := names.get("kind"):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec = {"conversion": {"strategy": "None"}, **spec, "names": names}
    return {**crd, "spec": spec}


DEFINITION_RULES = Rules(
    default=with_defaults,
    validate=definition_errors,
    finalizer_on_delete=CLEANUP,
    on_delete=without_grace,
    finalizers_of_any_name=True,
    counts_generations=True,
    keeps_status_apart=True,
)
