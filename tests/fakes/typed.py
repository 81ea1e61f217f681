"""What server-side apply says to an object that does not fit the types of its kind: where Deployments are concerned.

tests/contract/clusters/test_rehearsals.py holds it to what a real API server says.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from modelrollout.objects.manifests import Manifest, ref_of

_FIELDS = """
args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports readinessProbe resizePolicy resources
restartPolicy restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath
terminationMessagePolicy tty volumeDevices volumeMounts workingDir
"""
CONTAINER = frozenset(_FIELDS.split())


def untyped(manifest: Manifest) -> str | None:
    """The API server's sentence; None where there is nothing to say."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] != "Deployment":
        return None
    fault = _numeric(spec.get("replicas"), ".spec.replicas")
    for container in ((spec.get("template") or {}).get("spec") or {}).get("containers") or ():
        where = f'.spec.template.spec.containers[name="{container["name"]}"]'
        fault = fault or _unknown(container, where) or _twice(container, where)
    ref = ref_of(manifest)
    kind = f"{manifest['apiVersion']}, Kind={manifest['kind']}"
    return f"failed to create typed patch object ({ref.namespace}/{ref.name}; {kind}): {fault}" if fault else None


def _numeric(value: Any, where: str) -> str | None:
    is_number = value is None or isinstance(value, int | float)
    return None if is_number else f"{where}: expected numeric (int or float), got string"


def _unknown(container: Manifest, where: str) -> str | None:
    return next(
        (f"{where}.{name}: field not declared in schema" for name in sorted(container.keys() - CONTAINER)), None
    )


def _twice(container: Manifest, where: str) -> str | None:
    names = Counter(one["name"] for one in container.get("env") or ())
    return next((f'{where}.env: duplicate entries for key [name="{name}"]' for name, n in names.items() if n > 1), None)
