"""Decides the next status of a rollout, and says why. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from pydantic import ValidationError

from modelrollout.api.findings import Finding
from modelrollout.api.status import Arm, CandidateArm, ModelRolloutStatus, Phase, StageStatus, VersionInfo
from modelrollout.objects.manifests import MODEL, Manifest, annotation, revision_of
from modelrollout.plan import looks, statuses
from modelrollout.plan.statuses import changed
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import fault as fault_of_stages
from modelrollout.stages.way import way
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.trial import checks
from modelrollout.trial.facts import Facts, is_on_trial
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD, SERVES_CANDIDATE, intended
from modelrollout.trial.steps import current, exposure_at, position, recorded
from modelrollout.trial.trial import Step, Trial, first


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status (conditions and message still to be set), and the one sentence that explains it."""

    status: ModelRolloutStatus
    why: Finding


def mended(facts: Facts) -> ModelRolloutStatus:
    """The status as it was read, corrected by what the world shows. Works with any spec, however broken."""
    status = facts.rollout.status
    for mend in MENDS:
        status = mend(facts, status)
    return status


def decide(facts: Facts, status: ModelRolloutStatus) -> Decision:
    """One step of the machine, from a mended status; the next pass takes the next one."""
    wish = facts.rollout.wish
    fault = facts.rollout.fault or name_is_taken(facts) or (fault_of_stages(wish) if wish else None)
    if fault is not None or wish is None:
        broken = changed(status, phase=Phase.INVALID, resumes=intended(status))
        return Decision(broken, fault or Finding("InvalidSpec", "The spec cannot be read."))
    status = changed(status, phase=intended(status), resumes=None)
    for mend in WISHED_MENDS:
        status = mend(facts, status, wish)
    return Decision(*moved(facts, status, wish))


def effective(facts: Facts, status: ModelRolloutStatus) -> Exposure:
    """The exposure that the route shall have now: the step's, while the candidate can carry it."""
    if not is_on_trial(status) or status.stage is None or status.candidate is None:
        return NOBODY
    if facts.rejection(status.candidate.revision) is not None:  # also while the spec is broken, and decides nothing
        return NOBODY
    live, wanted = facts.live(status.stable), exposure_at(status.stage)
    return wanted if wanted <= live or facts.hindrance(status, wanted) is None else wanted & live


def trial_of(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Trial | None:
    """The candidate at its step; None where there is none."""
    if status.candidate is None:
        return None
    return Trial(facts, status, wish, status.candidate, current(way(wish), status))


def name_is_taken(facts: Facts) -> Finding | None:
    """Whether an object of somebody else has the name that our route needs."""
    for found in facts.names_taken():
        kind, name = found["kind"], found["metadata"]["name"]
        why = f"{kind} '{name}' exists and belongs to somebody else: rename this ModelRollout, or delete that {kind}."
        return Finding("NameTaken", why)
    return None


def without_gone(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Drops retired revisions whose objects are gone, or the list would grow with every release."""
    there = {manifest["metadata"]["name"] for manifest in (*facts.world.workloads, *facts.world.services)}
    left = tuple(old for old in status.retired if facts.now < old.delete_after or old.workload in there)
    return status if left == status.retired else changed(status, retired=left)


def with_readiness(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Records since when the candidate is not ready. Once readiness is lost, all of its pods must come back."""
    if (candidate := status.candidate) is None:
        return status
    state = facts.workload(candidate)
    if state is None:
        is_ready = False
    elif candidate.unready_since is not None:
        is_ready = state.is_fully_ready
    elif facts.router is not None and facts.router.splits_by_pods:
        is_ready = state.ready > 0
    else:
        is_ready = state.can_serve
    since = None if is_ready else candidate.unready_since or facts.now
    return changed(status, candidate=CandidateArm(**{**dict(candidate), "unready_since": since}))


def with_clock(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Counts the step's time from when its exposure was first seen in force: written, and accepted by a gateway.

    While it is not in force, the status has no such time. That is saved before the route is written, so no crash in
    between, refused write, gateway that is away, or edit of the route by somebody shortens the step.
    """
    if (stage := status.stage) is None:
        return status
    since, written = stage.since, facts.written_at()
    if not facts.is_in_force(exposure_at(stage), status.stable):
        since = None
    elif since is None or (written is not None and written > since):  # written anew, and the status was not told
        since = max(facts.now, written or facts.now)
    if since == stage.since:
        return status
    evidence = looks.in_force(status.evidence, stage, since) if since else status.evidence
    return changed(status, stage=StageStatus(**{**dict(stage), "since": since}), evidence=evidence)


def with_repaired_parts(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Repairs a status that was lost, edited or restored in parts: keeps what the world and its other parts confirm."""
    if status.stable is None:
        status = changed(status, stable=_serving_arm(facts, wish))
    if (candidate := status.candidate) is None:
        return status
    if status.stable is not None and status.stable.revision == candidate.revision:
        return changed(status, candidate=None, stage=None, evidence=None)
    is_at_a_step = status.phase in SERVES_CANDIDATE and status.stage is not None and status.stable is not None
    if is_at_a_step and status.stage is not None and (status.evidence is None or status.evidence.start is None):
        return changed(status, evidence=looks.new_evidence(status.evidence, wish, status.stage.entered))
    if is_at_a_step or status.phase in (Phase.PENDING, Phase.ROLLING_BACK):
        return status
    was_rejected = statuses.rejection_of(status, candidate.revision) is not None
    return changed(status, phase=Phase.ROLLING_BACK if was_rejected else Phase.PENDING, stage=None, evidence=None)


def with_the_wished_candidate(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Takes the candidate that the spec asks for: the same, another, or none."""
    if status.candidate is not None and status.candidate.revision == wish.revision:
        return status
    status = _dropped(facts, status, wish)
    if status.stable is not None and status.stable.revision == wish.revision:
        return changed(status, phase=Phase.HEALTHY, stable=_renamed(status.stable, wish))
    if statuses.rejection_of(status, wish.revision) is not None:
        return changed(status, phase=Phase.ROLLED_BACK)
    return statuses.with_new_candidate(status, facts.rollout, wish, facts.now)


def at_a_step_that_exists(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Moves to the step of an edited spec that exposes nobody more than the current one."""
    if status.phase is not Phase.PROGRESSING or status.stage is None:
        return status
    all_steps = way(wish)
    step = all_steps[position(all_steps, status.phase, status.stage)]
    if (step.place.number, step.exposure) != (status.stage.step, exposure_at(status.stage)):
        return _at(facts, status, step, wish)
    # Another stage before it, or another name for it, changes nothing about the step itself.
    stage = StageStatus(**{**dict(status.stage), "index": step.place.index, "name": step.place.stage})
    return status if stage == status.stage else changed(status, stage=stage)


MENDS: tuple[Callable[[Facts, ModelRolloutStatus], ModelRolloutStatus], ...] = (
    without_gone,  # or the list of retired revisions would grow with every release
    with_clock,  # a step's time counts while its exposure is in force
    with_readiness,  # the candidate loses its traffic for want of it, whatever the spec says
)
"""Corrects a status by what the world shows."""

WISHED_MENDS: tuple[Callable[[Facts, ModelRolloutStatus, Wish], ModelRolloutStatus], ...] = (
    with_repaired_parts,  # a status can be lost, edited, or restored in parts
    with_the_wished_candidate,  # the spec may ask for another, or for none
    at_a_step_that_exists,  # and its steps may be others
)
"""Corrects it by what the spec asks for. Only then is there something to decide."""


def moved(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    """The next phase or step, or the reason for staying."""
    trial = trial_of(facts, status, wish)
    # The first version ever has nothing to go back to, so the rollout waits for it. A candidate that is new in this
    # pass is decided on in the next one, so that its beginning is told before its end.
    may_abort = status.phase in HAS_CANDIDATE_AHEAD and status.stable is not None and not _is_new(facts, status)
    if trial is not None and may_abort and (abort := first((*checks.ABORTS, *trial.step.fails), trial)):
        return statuses.rejected(status, abort, facts.now), abort
    match status.phase:
        case Phase.PENDING | Phase.PROGRESSING | Phase.PROMOTING | Phase.BAKING:
            if trial is None:
                raise ValueError(f"{status.phase} is a phase of a candidate")
            return _pending(trial) if status.phase is Phase.PENDING else _at_a_step(trial)
        case Phase.ROLLING_BACK:
            return _rolling_back(facts, status, wish)
        case Phase.ROLLED_BACK:
            return status, _not_followed_yet(facts, _rejection(status, wish))
        case Phase.HEALTHY:
            serving = Finding("Serving", f"Version {wish.model.version} serves everybody.")
            return status, facts.unaccepted() or serving
        case Phase.INVALID | None:
            raise ValueError(f"a spec that can be read leads to a phase, not to {status.phase}")
        case _:
            assert_never(status.phase)


def _is_new(facts: Facts, status: ModelRolloutStatus) -> bool:
    known, candidate = facts.rollout.status.candidate, status.candidate
    return candidate is not None and (known is None or known.revision != candidate.revision)


def _pending(trial: Trial) -> tuple[ModelRolloutStatus, Finding]:
    status, wish = trial.status, trial.wish
    if status.stable is None:
        if wait := checks.is_not_ready(trial):
            return status, first((checks.crash_loops, checks.ready_too_late), trial) or wait
        why = Finding("Installed", f"Version {wish.model.version} is the first; everybody is sent to it.")
        return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, trial.facts.now), why
    if wait := first(checks.PENDING_WAITS, trial):
        return status, wait
    return _at(trial.facts, status, trial.step, wish), trial.step.begins


def _at_a_step(trial: Trial) -> tuple[ModelRolloutStatus, Finding]:
    """The next step, once this one waits for nothing more. After the last step the candidate becomes stable."""
    status, wish, facts = trial.status, trial.wish, trial.facts
    if wait := first(trial.step.waits, trial):
        return status, wait
    all_steps = way(wish)
    if (following := all_steps.index(trial.step) + 1) < len(all_steps):
        return _at(facts, status, all_steps[following], wish), all_steps[following].begins
    why = Finding("Promoted", f"Version {wish.model.version} serves everybody.")
    return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, facts.now), why


def _rolling_back(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    why = _rejection(status, wish)
    if facts.diverting_routers(status.stable):
        return status, _not_followed_yet(facts, why)
    return changed(statuses.without_candidate(status, "RolledBack", why, facts.now), phase=Phase.ROLLED_BACK), why


def _not_followed_yet(facts: Facts, why: Finding) -> Finding:
    """Taking traffic back waits for nobody, and is said to be on its way until a gateway follows."""
    unaccepted = facts.unaccepted()
    return Finding(why.reason, f"{why.message} {unaccepted.message}") if unaccepted else why


def _at(facts: Facts, status: ModelRolloutStatus, step: Step, wish: Wish) -> ModelRolloutStatus:
    stage = StageStatus.model_validate({**recorded(step.place, step.exposure), "entered": facts.now})
    return changed(status, phase=step.phase, stage=stage, evidence=looks.with_step(status.evidence, wish, facts.now))


def _rejection(status: ModelRolloutStatus, wish: Wish) -> Finding:
    entry = statuses.rejection_of(status, wish.revision)
    if entry is None:
        return Finding("RolledBack", "The candidate was taken back.")
    return Finding(
        entry.reason, f"Version {entry.model.version} was taken back and is not tried again: {entry.message}"
    )


def _dropped(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Without a candidate that the spec no longer wishes for."""
    if (old := status.candidate) is None:
        return status
    # A verdict that only the route records was reached right before the process died, or before the spec was edited.
    if status.phase is not Phase.ROLLING_BACK and (noted := facts.rejection(old.revision)):
        status = statuses.rejected(status, noted, facts.now)
    if status.phase is Phase.ROLLING_BACK and (entry := statuses.rejection_of(status, old.revision)):
        return statuses.without_candidate(status, "RolledBack", Finding(entry.reason, entry.message), facts.now)
    version = old.model.version
    if status.stable is not None and status.stable.revision == wish.revision:
        why = Finding("Cancelled", f"The spec went back to the stable version; version {version} was given up.")
        return statuses.without_candidate(status, "Cancelled", why, facts.now)
    why = Finding("Superseded", f"Version {wish.model.version} took the place of version {version} before it was done.")
    return statuses.without_candidate(status, "Superseded", why, facts.now)


def _renamed(stable: Arm, wish: Wish) -> Arm:
    return Arm(**{**dict(stable), "model": wish.model})


def _serving_arm(facts: Facts, wish: Wish) -> Arm | None:
    """The arm that the route sends users to, for a status that does not name it, as after a restore from a backup."""
    arms = [(_arm_of(one), one["metadata"].get("creationTimestamp") or "") for one in facts.world.workloads]
    reached = facts.routing(wish.router, None)
    serving = [(arm, created) for arm, created in arms if reached.reaches(arm.workload)]

    def away(one: tuple[Arm, str]) -> tuple[int, str]:
        return facts.routing(wish.router, one[0]).exposure.weight, one[1]

    return min(serving, key=away)[0] if serving else None


def _arm_of(workload: Manifest) -> Arm:
    try:
        model = VersionInfo.model_validate_json(annotation(workload, MODEL) or "")
    except ValidationError:  # anybody may edit an annotation, and we must know who serves all the same
        model = VersionInfo(name="unknown", version="unknown")
    return Arm(revision=revision_of(workload), model=model, workload=workload["metadata"]["name"])
