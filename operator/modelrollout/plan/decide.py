"""What becomes of a rollout: the next status, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from pydantic import ValidationError

from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, CandidateArm, ModelRolloutStatus, Phase, StageStatus, VersionInfo
from modelrollout.objects.manifests import MODEL, Manifest, annotation, revision_of
from modelrollout.plan import checks, evidence, statuses
from modelrollout.plan.phases import SERVES_CANDIDATE, intended
from modelrollout.plan.sight import Sight, is_on_trial
from modelrollout.plan.statuses import changed
from modelrollout.plan.steps import PROMOTION, Step, position, steps
from modelrollout.rollout.rollout import Wish


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status (conditions and message still to be set), and the one sentence that explains it."""

    status: ModelRolloutStatus
    why: Finding


def decide(sight: Sight) -> Decision:
    """One step of the machine; the next pass takes the next one."""
    status, wish = with_readiness(sight, without_gone(sight, sight.rollout.status)), sight.rollout.wish
    fault = sight.rollout.fault or name_is_taken(sight)
    if fault is not None or wish is None:
        broken = changed(status, phase=Phase.INVALID, resumes=intended(status))
        return Decision(broken, fault or Finding("InvalidSpec", "The spec cannot be read."))
    status = whole(sight, changed(status, phase=intended(status), resumes=None), wish)
    return Decision(*moved(sight, at_a_step_that_exists(sight, aimed(sight, status, wish), wish), wish))


def effective_weight(sight: Sight, status: ModelRolloutStatus) -> int:
    """The weight that the route shall have now: the step's, while the candidate can carry it."""
    if not is_on_trial(status) or status.stage is None or status.candidate is None:
        return 0
    live, wanted = sight.live_weight(status.stable), status.stage.weight
    return wanted if wanted <= live or sight.hindrance(status, wanted) is None else live


def name_is_taken(sight: Sight) -> Finding | None:
    """Whether an object of somebody else has the name that our route needs."""
    wish, owner = sight.rollout.wish, sight.rollout.owner
    found = sight.observed.routes.get(wish.router.resource) if wish else None
    if found is None or owner.may_own(found):
        return None
    kind = found["kind"]
    return Finding(
        "NameTaken",
        f"{kind} '{owner.name}' exists and belongs to somebody else: rename this ModelRollout, or delete that {kind}.",
    )


def without_gone(sight: Sight, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Without the retired revisions of which nothing is left, or the list would grow with every release."""
    there = {manifest["metadata"]["name"] for manifest in (*sight.observed.workloads, *sight.observed.services)}
    left = tuple(old for old in status.retired if sight.now < old.delete_after or old.workload in there)
    return status if left == status.retired else changed(status, retired=left)


def with_readiness(sight: Sight, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """With it noted since when the candidate has not been ready. Once it lost that, all of its pods must be back."""
    if (candidate := status.candidate) is None:
        return status
    state = sight.workload(candidate)
    if state is None:
        is_ready = False
    elif candidate.unready_since is not None:
        is_ready = state.is_fully_ready
    elif sight.router is not None and sight.router.splits_by_pods:
        is_ready = state.ready > 0
    else:
        is_ready = state.can_serve
    since = None if is_ready else candidate.unready_since or sight.now
    return changed(status, candidate=CandidateArm(**{**dict(candidate), "unready_since": since}))


def whole(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """With what the world and its other parts bear out: a status can be lost, edited, or restored in parts."""
    if status.stable is None:
        status = changed(status, stable=_serving_arm(sight, wish))
    if (candidate := status.candidate) is None:
        return status
    if status.stable is not None and status.stable.revision == candidate.revision:
        return changed(status, candidate=None, stage=None, evidence=None)
    is_at_a_step = status.phase in SERVES_CANDIDATE and status.stage is not None and status.stable is not None
    if is_at_a_step and status.stage is not None and (status.evidence is None or status.evidence.start is None):
        return changed(status, evidence=evidence.begun(status.evidence, wish, status.stage.entered))
    if is_at_a_step or status.phase in (Phase.PENDING, Phase.ROLLING_BACK):
        return status
    was_rejected = statuses.rejection_of(status, candidate.revision) is not None
    return changed(status, phase=Phase.ROLLING_BACK if was_rejected else Phase.PENDING, stage=None, evidence=None)


def aimed(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """With the candidate that the spec wishes for: the same, another, or none."""
    if status.candidate is not None and status.candidate.revision == wish.revision:
        return status
    status = _dropped(sight, status, wish)
    if status.stable is not None and status.stable.revision == wish.revision:
        return changed(status, phase=Phase.HEALTHY, stable=_renamed(status.stable, wish))
    if statuses.rejection_of(status, wish.revision) is not None:
        return changed(status, phase=Phase.ROLLED_BACK)
    return statuses.begun(status, sight.rollout, wish, sight.now)


def at_a_step_that_exists(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """With the step of an edited spec that asks for no more traffic than the current one."""
    if status.phase is not Phase.PROGRESSING or status.stage is None:
        return status
    all_steps = steps(wish.spec)
    step = all_steps[position(all_steps, status.stage)]
    if (step.step, step.weight) != (status.stage.step, status.stage.weight):
        return _at(sight, status, step, wish)
    # Another stage before it, or another name for it, changes nothing about the step itself.
    stage = StageStatus(**{**dict(status.stage), "index": step.index, "name": step.stage})
    return status if stage == status.stage else changed(status, stage=stage)


def with_clock(sight: Sight, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """With the step's time counted from when the route says that its weight was put in force: a crash between saving
    and acting, a write that was refused for an hour, or somebody's edit of the route must not shorten the step."""
    stage, since = status.stage, sight.in_force_since()
    if stage is None or since is None or since <= stage.since or sight.live_weight(status.stable) != stage.weight:
        return status
    begun = evidence.in_force(status.evidence, stage, since)
    return changed(status, stage=StageStatus(**{**dict(stage), "since": since}), evidence=begun)


def moved(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    """The next phase or step, or the reason for staying."""
    phase = status.phase
    on_the_way = phase in (Phase.PENDING, Phase.PROGRESSING, Phase.PROMOTING, Phase.BAKING)
    # The first version ever has nothing to go back to: it is waited for. One that was only just aimed at has its turn
    # in the next pass, so that its beginning is told before its end.
    may_abort = on_the_way and status.stable is not None and not _is_new(sight, status)
    if may_abort and (abort := checks.first(checks.ABORTS, sight, status, wish)):
        return statuses.rejected(status, abort, sight.now), abort
    match phase:
        case Phase.PENDING:
            return _pending(sight, status, wish)
        case Phase.PROGRESSING:
            return _progressing(sight, status, wish)
        case Phase.PROMOTING:
            return _promoting(sight, status, wish)
        case Phase.BAKING:
            return _baking(sight, status, wish)
        case Phase.ROLLING_BACK:
            return _rolling_back(sight, status, wish)
        case Phase.ROLLED_BACK:
            return status, _rejection(status, wish)
        case Phase.HEALTHY:
            return status, Finding("Serving", f"Version {wish.model.version} serves everybody.")
        case Phase.INVALID | None:
            raise ValueError(f"a spec that can be read leads to a phase, not to {phase}")
        case _:
            assert_never(phase)


def _is_new(sight: Sight, status: ModelRolloutStatus) -> bool:
    known, candidate = sight.rollout.status.candidate, status.candidate
    return candidate is not None and (known is None or known.revision != candidate.revision)


def _pending(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    if status.stable is None:
        if wait := checks.first((checks.is_not_ready,), sight, status, wish):
            return status, checks.first((checks.crash_loops, checks.ready_too_late), sight, status, wish) or wait
        why = Finding("Installed", f"Version {wish.model.version} is the first; it serves everybody.")
        return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, sight.now), why
    if wait := checks.first(checks.PENDING_WAITS, sight, status, wish):
        return status, wait
    step = steps(wish.spec)[0]
    return _at(sight, changed(status, phase=Phase.PROGRESSING), step, wish), _step_begins(step, wish)


def _progressing(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    if wait := checks.first(checks.STEP_WAITS, sight, status, wish):
        return status, wait
    all_steps = steps(wish.spec)
    following = (position(all_steps, status.stage) + 1) if status.stage else 0
    if following < len(all_steps):
        return _at(sight, status, all_steps[following], wish), _step_begins(all_steps[following], wish)
    promotion = Step(len(wish.spec.stages), PROMOTION, 0, 100, wish.spec.promotion.bake.timedelta)
    why = Finding("Promoting", f"Version {wish.model.version} passed all stages and gets all traffic.")
    return _at(sight, changed(status, phase=Phase.PROMOTING), promotion, wish), why


def _promoting(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    if wait := checks.first(checks.PROMOTING_WAITS, sight, status, wish):
        return status, wait
    bake = Step(len(wish.spec.stages), PROMOTION, 0, 100, wish.spec.promotion.bake.timedelta)
    why = Finding(
        "Baking",
        f"Version {wish.model.version} has all traffic and is judged for {wish.spec.promotion.bake} more; "
        "the old version stays warm.",
    )
    return _at(sight, changed(status, phase=Phase.BAKING), bake, wish), why


def _baking(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    if wait := checks.first(checks.BAKING_WAITS, sight, status, wish):
        return status, wait
    why = Finding("Promoted", f"Version {wish.model.version} serves everybody.")
    return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, sight.now), why


def _rolling_back(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    why = _rejection(status, wish)
    if sight.strays(status.stable):
        return status, why
    return changed(statuses.without_candidate(status, "RolledBack", why, sight.now), phase=Phase.ROLLED_BACK), why


def _at(sight: Sight, status: ModelRolloutStatus, step: Step, wish: Wish) -> ModelRolloutStatus:
    stage = StageStatus(
        index=step.index, name=step.stage, step=step.step, weight=step.weight, entered=sight.now, since=sight.now
    )
    return changed(status, stage=stage, evidence=evidence.with_step(status.evidence, wish, sight.now))


def _step_begins(step: Step, wish: Wish) -> Finding:
    share = checks.share(step.weight, wish)
    return Finding("StepStarted", f"{step.stage} {share}: this share of the traffic goes to the candidate.")


def _rejection(status: ModelRolloutStatus, wish: Wish) -> Finding:
    entry = statuses.rejection_of(status, wish.revision)
    if entry is None:
        return Finding("RolledBack", "The candidate was taken back.")
    return Finding(
        entry.reason, f"Version {entry.model.version} was taken back and is not tried again: {entry.message}"
    )


def _dropped(sight: Sight, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Without a candidate that the spec no longer wishes for."""
    if (old := status.candidate) is None:
        return status
    # A verdict that only the route knows of was reached right before the process died, or the spec was edited.
    if status.phase is not Phase.ROLLING_BACK and (noted := sight.noted(old.revision)):
        status = statuses.rejected(status, noted, sight.now)
    if status.phase is Phase.ROLLING_BACK and (entry := statuses.rejection_of(status, old.revision)):
        return statuses.without_candidate(status, "RolledBack", Finding(entry.reason, entry.message), sight.now)
    version = old.model.version
    if status.stable is not None and status.stable.revision == wish.revision:
        why = Finding("Cancelled", f"The spec went back to the stable version; version {version} was given up.")
        return statuses.without_candidate(status, "Cancelled", why, sight.now)
    why = Finding("Superseded", f"Version {wish.model.version} took the place of version {version} before it was done.")
    return statuses.without_candidate(status, "Superseded", why, sight.now)


def _renamed(stable: Arm, wish: Wish) -> Arm:
    return Arm(revision=stable.revision, model=wish.model, workload=stable.workload)


def _serving_arm(sight: Sight, wish: Wish) -> Arm | None:
    """Who serves according to the route when the status does not know, as after a restore from a backup."""
    if (route := sight.route(wish.router)) is None:
        return None

    def share(workload: Manifest) -> tuple[int, str]:
        return (
            wish.router.weight_off_stable(route, sight.backend(_arm_of(workload))),
            workload["metadata"].get("creationTimestamp") or "",
        )

    serving = [w for w in sight.observed.workloads if wish.router.uses(route, sight.backend(_arm_of(w)))]
    return _arm_of(min(serving, key=share)) if serving else None


def _arm_of(workload: Manifest) -> Arm:
    try:
        model = VersionInfo.model_validate_json(annotation(workload, MODEL) or "")
    except ValidationError:  # an annotation is anybody's to edit, and who serves must be known all the same
        model = VersionInfo(name="unknown", version="unknown")
    return Arm(revision=revision_of(workload), model=model, workload=workload["metadata"]["name"])
