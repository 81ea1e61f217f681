"""The writes of a plan: which of them needs which."""

from __future__ import annotations

from dataclasses import replace

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Apply, Ref
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from modelrollout.plan.planner import plan
from tests.fakes.town import Town, releasing


def needs(town: Town) -> dict[Ref, frozenset[Ref]]:
    return {write.ref: write.needs for write in plan(town.rollout(), town.world(), town.now).writes}


def test_route_needs_the_services_that_it_leads_to() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.cluster.remove(HTTP_ROUTES, "fraud")
    led_to = {Ref(SERVICES, "ml", f"fraud-{revision}") for revision in (town.old, town.new)}
    assert needs(town)[Ref(HTTP_ROUTES, "ml", "fraud")] == led_to


def test_deletion_needs_the_route_and_nothing_else_needs_anything() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(seconds=10)
    town.now = town.status.retired[0].delete_after
    town.wish("2", traffic={"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "other"}]}})
    route = Ref(HTTP_ROUTES, "ml", "fraud")
    old = {Ref(resource, "ml", f"fraud-{town.old}"): {route} for resource in (DEPLOYMENTS, SERVICES)}
    assert needs(town) == {route: {Ref(SERVICES, "ml", f"fraud-{town.new}")}, **old}


def test_objects_are_tried_before_a_version_begins_beside_another() -> None:
    town = releasing()
    world, name = town.world(), f"fraud-{town.new}"
    asking = plan(town.rollout(), replace(world, objections=None), town.now)
    tried = [Ref(DEPLOYMENTS, "ml", name), Ref(SERVICES, "ml", name)]
    assert [write.ref for write in asking.rehearsal] == tried
    assert all(isinstance(write, Apply) for write in asking.rehearsal)
    assert (asking.status.candidate, asking.questions) == (None, None)
    begun = plan(town.rollout(), world, town.now)
    assert (begun.rehearsal, begun.status.candidate.revision) == ((), town.new)
