"""The preview by a host name: one more route of the Gateway API, by which the candidate alone answers. Pure.

Taken back it leads to stable until it is deleted, so whoever uses it is never left without an answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from modelrollout.api.names import OBJECT_NAME
from modelrollout.objects.manifests import Apply, Manifest, Owner, Ref
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import Resource
from modelrollout.traffic import acceptance
from modelrollout.traffic.exposure import HOST, NOBODY, Exposure, Match
from modelrollout.traffic.route_rules import Rules
from modelrollout.traffic.router import Backend, InForce, Notes, led_back, own


def ref(resource: Resource, owner: Owner) -> Ref:
    """No revision is called so; another rollout may be, and then its own route has the name."""
    return Ref(resource, owner.namespace, f"{owner.name}-preview")


def hosts(exposure: Exposure) -> list[str]:
    """The host names by which the candidate is asked for."""
    return sorted(match.value for match in exposure.asked if match.header == HOST)


def beside(exposure: Exposure) -> Exposure:
    """What is left to the route of the users."""
    return replace(exposure, asked=frozenset(match for match in exposure.asked if match.header != HOST))


def fault(where: str, exposure: Exposure, taken: Collection[str]) -> str | None:
    """Why nobody could ask by these names. `taken`: the host names of the users."""
    for host in hosts(exposure):
        if host in taken:
            return f"{host} is one of {where}.hostnames, so users would meet the candidate: use another name."
        if not OBJECT_NAME.holds(host):
            return f"{host} is no name of a host, and a stage asks for the candidate by it: use preview.host."
    return None


def in_force(owner: Owner, there: Objects, named: Ref, stable: Backend) -> InForce:
    """Whom it leads anywhere but to stable. A route without host names is for all requests of its gateway."""
    if (route := own(owner, there, named)) is None:
        return InForce()
    rules, names = Rules.of(route), (route.get("spec") or {}).get("hostnames") or ()
    led = rules.exposure(stable.service)
    asked = frozenset(Match(HOST, str(name)) for name in names)
    refusal = acceptance.refusal(route)
    return InForce(
        exposure=Exposure(asked=asked) if asked and led != NOBODY else led,
        services=rules.services(),
        # Nobody comes by a route that was refused; once it is taken back nobody has to.
        refusal=refusal if led != NOBODY else None,
        awaited=acceptance.awaited(route) if refusal is None else None,
    )


def retreat(owner: Owner, there: Objects, named: Ref, to: Backend, backends: list[Manifest]) -> tuple[Apply, ...]:
    """Leads it to stable, whose backends these are."""
    route = own(owner, there, named)
    if route is None or in_force(owner, there, named, to).exposure == NOBODY:
        return ()
    rules = Rules.of(route).led_back(backends, to.service)
    return (led_back(owner, route, {**route["spec"], "rules": rules}, Notes()),)
