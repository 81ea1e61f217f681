"""What others made of our routes and Services since these were written: told once, because it is about to go. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.findings import Finding
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Ref
from modelrollout.objects.resources import SERVICES
from modelrollout.plan.desired import routing_at
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic import revision_service
from modelrollout.traffic.exposure import NOBODY
from modelrollout.traffic.router import Notes
from modelrollout.trial.facts import Facts
from modelrollout.trial.steps import exposure_at


def edits_by_others(facts: Facts) -> Finding | None:
    """All of them in a row. They are taken off by the writes of this pass, or of the next that can write."""
    wish = facts.rollout.wish
    if wish is None or facts.rollout.status.phase is Phase.INVALID:
        return None
    found = [*_of_the_route(facts, wish), *_of_services(facts)]
    return Finding(found[0].reason, " ".join(edit.message for edit in found)) if found else None


def _of_the_route(facts: Facts, wish: Wish) -> Iterator[Finding]:
    """It was written for the status as it was read: this pass has not written yet."""
    status = facts.rollout.status
    if status.stable is None:
        return
    noted = facts.routing(wish.router, None).rejected
    wanted = exposure_at(status.stage) if status.stage else NOBODY
    for exposure in dict.fromkeys((wanted, NOBODY)):  # what is not ready may have been given nothing
        notes = Notes(rejected=noted, since=None if exposure == NOBODY else facts.written_at())
        routing = routing_at(facts, status, wish, status.stable, exposure, notes)
        edits = wish.router.edits(facts.rollout.owner, wish.spec.traffic, routing, facts.world.objects)
        if edits is not None:
            yield edits
            return


def _of_services(facts: Facts) -> Iterator[Finding]:
    owner, status = facts.rollout.owner, facts.rollout.status
    for arm in filter(None, (status.stable, status.candidate)):
        service = facts.world.objects.get(Ref(SERVICES, owner.namespace, arm.workload))
        if isinstance(service, dict) and (edits := revision_service.edits(owner, facts.backend(arm), service)):
            yield edits
