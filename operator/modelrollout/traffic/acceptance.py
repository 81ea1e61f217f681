"""What gateways say of a route of the Gateway API: who refuses it, and whether anybody has accepted it as it is. Pure.

A route that was written is not in force yet. A Gateway that does not exist says nothing, and one whose controller is
down goes on by the route as it was: neither looks like a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelrollout.objects.manifests import Manifest

_Parent = tuple[str, str, str, str]  # group, kind, namespace, name


def refusal(route: Manifest) -> str | None:
    """What a gateway says against the route as it is now."""
    generation = _generation(route)
    for parent in _said(route):
        for condition in parent.get("conditions") or ():
            if condition["type"] in ("Accepted", "ResolvedRefs") and _is("False", condition, generation):
                gateway = (parent.get("parentRef") or {}).get("name", "?")
                return (
                    f"Gateway '{gateway}' does not take the route: {condition.get('message', '')} "
                    f"({condition.get('reason', condition['type'])})."
                )
    return None


def awaited(route: Manifest) -> str | None:
    """Whose word is missing; None once one of its parents has accepted the route as it is now."""
    generation, wanted = _generation(route), list(dict.fromkeys(_parents(route)))
    said = [parent for parent in _said(route) if _parent(route, parent.get("parentRef") or {}) in wanted]
    if any(_has_accepted(parent, generation) for parent in said):
        return None
    name = f"{route['kind']} '{route['metadata'].get('namespace', '')}/{route['metadata']['name']}'"
    who = " and ".join(f"{kind} '{namespace}/{gateway}'" for _, kind, namespace, gateway in wanted)
    is_one = len(wanted) == 1
    if not wanted:
        return f"{name} names no Gateway that could accept it."
    has = "has" if is_one else "have"
    if said:
        running = "is its controller" if is_one else "are their controllers"
        return f"{who} {has} not accepted the latest change of {name} yet; {running} running?"
    exists = "does it exist, and does its class have a controller" if is_one else "do they exist, and have controllers"
    return f"{who} {has} not accepted {name}, and said nothing about it: {exists}?"


def accepted(route: Manifest) -> Manifest:
    """The route as it is when all of its gateways have accepted it, for worlds in which all goes well."""
    observed = {"status": "True", "observedGeneration": _generation(route)}
    conditions = [{"type": type_, "reason": type_, "message": "", **observed} for type_ in ("Accepted", "ResolvedRefs")]
    parents = [{"parentRef": dict(ref), "conditions": conditions} for ref in _refs(route)]
    return {**route, "status": {"parents": parents}}


def _has_accepted(parent: Manifest, generation: int) -> bool:
    conditions = parent.get("conditions") or ()
    return any(condition["type"] == "Accepted" and _is("True", condition, generation) for condition in conditions)


def _is(status: str, condition: Manifest, generation: int) -> bool:
    """A condition that speaks of an older generation says nothing about the route as it is now."""
    return bool(condition["status"] == status) and int(condition.get("observedGeneration") or 0) >= generation


def _generation(route: Manifest) -> int:
    return int(route["metadata"].get("generation") or 0)


def _said(route: Manifest) -> list[Manifest]:
    return (route.get("status") or {}).get("parents") or []


def _refs(route: Manifest) -> list[Manifest]:
    return (route.get("spec") or {}).get("parentRefs") or []


def _parents(route: Manifest) -> Iterator[_Parent]:
    return (_parent(route, ref) for ref in _refs(route))


def _parent(route: Manifest, ref: Manifest) -> _Parent:
    group: Any = ref.get("group")
    return (
        "gateway.networking.k8s.io" if group is None else group,
        ref.get("kind") or "Gateway",
        ref.get("namespace") or route["metadata"].get("namespace") or "",
        ref.get("name") or "?",
    )
