"""To which older versions a rollout can go back at once. Pure."""

from __future__ import annotations

from modelrollout.api.status import Arm, ModelRolloutStatus, Outcome, Rejection, Retired
from modelrollout.plan import statuses
from modelrollout.trial.facts import Facts

SERVED = ("Installed", "Promoted")
"""Ends of a release, as history has them, after which a version had all users."""


def version_to_go_back_to(facts: Facts, status: ModelRolloutStatus, revision: str | None) -> Arm | str:
    """The arm of that revision, or of the last one that served before; or why there is none."""
    kept = _kept(facts, status)
    if status.stable is not None and revision == status.stable.revision:
        return f"Revision {revision} serves already."
    if revision is not None and revision not in kept:
        others = f"kept are {', '.join(kept)}" if kept else "none is kept"
        return f"Revision {revision} is none that served and is still kept (spec.promotion.keepOld); {others}."
    arm = kept[revision] if revision is not None else next(iter(kept.values()), None)
    if arm is None and (refused := _kept_but_refused(facts, status)) is not None:
        version = refused.model.version
        return f"Version {version} is kept, but was taken back: put it into the spec and ask for retry."
    if arm is None:
        return "No older version is kept any more (spec.promotion.keepOld), so there is none to go back to."
    return _lacks(facts, status, arm) or arm


def served_before(facts: Facts, status: ModelRolloutStatus, revision: str) -> bool:
    """Whether it is a version that had all users, and whose pods are kept since."""
    return revision in _ends(status) and any(old.revision == revision for old in _still_kept(facts, status))


def _kept(facts: Facts, status: ModelRolloutStatus) -> dict[str, Arm]:
    """By revision, the versions that served before and still have their workload; the last one first."""
    ends, found = _ends(status), {}
    for old in reversed(_still_kept(facts, status)):
        end = ends.get(old.revision)
        arm = Arm(revision=old.revision, model=end.model, workload=old.workload) if end is not None else None
        is_refused = statuses.rejection_of(status, old.revision) is not None
        if arm is not None and not is_refused and facts.workload(arm) is not None:
            found[old.revision] = arm
    return found


def _kept_but_refused(facts: Facts, status: ModelRolloutStatus) -> Rejection | None:
    """Of a version that served before, why it is not gone back to by itself."""
    served = (old.revision for old in _still_kept(facts, status) if old.revision in _ends(status))
    return next(filter(None, (statuses.rejection_of(status, revision) for revision in served)), None)


def _ends(status: ModelRolloutStatus) -> dict[str, Outcome]:
    """By revision, the last release by which a version got all users."""
    return {one.revision: one for one in reversed(status.history) if one.outcome in SERVED}


def _still_kept(facts: Facts, status: ModelRolloutStatus) -> tuple[Retired, ...]:
    return tuple(old for old in status.retired if facts.now < old.delete_after)


def _lacks(facts: Facts, status: ModelRolloutStatus, arm: Arm) -> str | None:
    """Why everybody cannot be sent there: nobody is taken from pods that serve to fewer."""
    state, present, version = facts.workload(arm), facts.workload(status.stable), arm.model.version
    if state is None or not state.can_serve:
        return f"Version {version} is kept, but its pods are not ready: {state or 'it has none'}."
    if present is not None and state.replicas < present.ready:  # pods that are not ready serve nobody
        kind = facts.kind(arm)
        few = f"Version {version} has {state.replicas} pods, and everybody is served by {present.ready} now"
        return f"{few}: scale {kind.resource.kind if kind else 'workload'} {arm.workload}."
    return None
