"""Turns the objects that were read into the planner's world. Reads nothing itself."""

from __future__ import annotations

from modelrollout.api.findings import Finding
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Owner
from modelrollout.objects.reads import NOT_INSTALLED, Objects
from modelrollout.traffic.router_table import route_refs
from modelrollout.trial.world import World


def observed(objects: Objects, owner: Owner, trouble: Finding | None) -> World:
    """Raises Refused when a route may not be read: then we cannot know who serves users.

    A cluster that lacks the definition of a kind has no such route.
    """
    for ref in route_refs(owner):
        found = objects.get(ref)
        if isinstance(found, Finding) and found.reason != NOT_INSTALLED:
            raise Refused(403, found.message, f"{ref}")
    return World(owner.name, objects, trouble)
