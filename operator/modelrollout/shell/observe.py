"""Turns the objects that were read into the planner's world. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.api.findings import Finding
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Owner, Ref
from modelrollout.objects.reads import NOT_INSTALLED, Objects
from modelrollout.traffic.router_table import route_refs
from modelrollout.trial.world import World


def observed(objects: Objects, owner: Owner, refusals: Mapping[Ref, Finding]) -> World:
    """The world, before the API server was asked whether it takes what is wished for. `refusals`: of our writes.

    Raises Refused when a route may not be read: then we cannot know who serves users.

    A cluster that lacks the definition of a kind has no such route.
    """
    for ref in route_refs(owner):
        found = objects.get(ref)
        if isinstance(found, Finding) and found.reason != NOT_INSTALLED:
            raise Refused(403, found.message, f"{ref}")
    return World(owner.name, objects, refusals, objections=None)
