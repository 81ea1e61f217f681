"""Who waits for a resource, and what for: kstatus and kubectl as their sources say, Flux by a real CEL."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from modelrollout.objects.manifests import Manifest

Outcome = Literal["Terminating", "InProgress", "Failed", "Current"]


def kstatus(manifest: Manifest) -> Outcome:
    """As sigs.k8s.io/cli-utils, pkg/kstatus/status decides on a kind that it has no rules of its own for."""
    if manifest["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if not _is_observed(manifest):
        return "InProgress"
    conditions = _conditions(manifest)
    for condition in conditions:  # in the order of the list
        if (condition["type"], condition["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (condition["type"], condition["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    return "Current" if all(status == "True" for status in ready) else "InProgress"


def kubectl_wait(manifest: Manifest, type_: str) -> bool:
    """Whether `kubectl wait --for=condition=TYPE` would end: a condition of an older generation does not count."""
    generation = manifest["metadata"].get("generation", 0)
    return any(
        (one["type"], one["status"]) == (type_, "True") and one.get("observedGeneration", generation) >= generation
        for one in _conditions(manifest)
    )


def flux(manifest: Manifest, expressions: Mapping[str, str]) -> Outcome:
    """As github.com/fluxcd/pkg, runtime/cel evaluates the expressions. Raises RuntimeError where one breaks down."""
    if not _is_observed(manifest):
        return "InProgress"
    named: tuple[tuple[str, Outcome], ...] = (
        ("inProgress", "InProgress"),
        ("failed", "Failed"),
        ("current", "Current"),
    )
    return next((outcome for name, outcome in named if _holds(expressions[name], manifest)), "InProgress")


@functools.cache
def _environment() -> Any:
    fields = ("apiVersion", "kind", "metadata", "spec", "status")
    return cel.NewEnv(variables=dict.fromkeys(fields, cel.Type.DYN), extensions=[ext_optional.ExtOptional()])


@functools.cache
def _program(expression: str) -> Any:
    return _environment().compile(expression)


def _holds(expression: str, manifest: Manifest) -> bool:
    result = _program(expression).eval(data=manifest)
    if result.type().name() != "BOOL":
        raise RuntimeError(f"{expression}: {result.value()}")
    return bool(result.value())


def _is_observed(manifest: Manifest) -> bool:
    generation, observed = manifest["metadata"].get("generation"), manifest.get("status", {}).get("observedGeneration")
    return generation is None or observed is None or observed == generation


def _conditions(manifest: Manifest) -> list[Manifest]:
    found: list[Manifest] = manifest.get("status", {}).get("conditions") or []
    return found
