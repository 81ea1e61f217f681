"""What becomes of a workload of the user's that serves as the template: `spec.workload.workloadRef`. Pure.

It is never owned. With `whenManaged: ScaleToZero` its pods go once the revision made from it serves everybody, and its
size is noted on it in the same write: that is the size still wished for, and the way back.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.manifests import Manifest, Owner, Patch, Ref, annotation, ref_of
from modelrollout.objects.reads import Objects
from modelrollout.rollout.rollout import Wish
from modelrollout.rollout.template import SIZE, ref_to, size_of
from modelrollout.trial.facts import Facts


def writes(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Iterator[Patch]:
    """The size that the user's workload shall have now."""
    if (reference := wish.spec.workload.workload_ref) is None:
        return
    ref = ref_to(reference, facts.rollout.owner.namespace)
    found = facts.world.objects.get(ref)
    if not isinstance(found, dict):
        return
    if reference.when_managed == "Keep":
        yield from _restored(ref, found)
    elif status.phase is Phase.HEALTHY and _is_in_force(facts, status):
        yield from _scaled_to_zero(ref, found)


def _is_in_force(facts: Facts, status: ModelRolloutStatus) -> bool:
    """Whether users are served by a revision of ours: its pods are ready, and the route to it is accepted."""
    router = facts.router
    is_routed = router is not None and facts.routing(router, status.stable).exists
    is_diverted = bool(facts.diverting_routers(status.stable))
    return is_routed and not is_diverted and facts.unaccepted() is None and facts.can_serve(status.stable)


def _scaled_to_zero(ref: Ref, found: Manifest) -> Iterator[Patch]:
    if found["spec"].get("replicas") == 0 and annotation(found, SIZE) is not None:
        return
    size = size_of(found)
    noted = {"metadata": {"annotations": {SIZE: str(1 if size is None else size)}}}
    yield Patch(ref, {**noted, "spec": {"replicas": 0}})


def _restored(ref: Ref, found: Manifest) -> Iterator[Patch]:
    """It has the size that its owner gave it. Where the owner has given it another since, that one stays."""
    if annotation(found, SIZE) is None:
        return
    freed = {"metadata": {"annotations": {SIZE: None}}}
    is_ours = found["spec"].get("replicas") == 0
    # A note that somebody made unreadable must not leave it without pods: Kubernetes' own default is 1.
    yield Patch(ref, {**freed, "spec": {"replicas": size_of(found) or 1}} if is_ours else freed)


def given_back(owner: Owner, objects: Objects) -> Iterator[Patch]:
    """Deletion of the rollout: the user's workload has its pods back, so that it can serve again."""
    for found in objects.values():
        if isinstance(found, dict) and annotation(found, SIZE) is not None and not owner.may_own(found):
            yield from _restored(ref_of(found), found)
