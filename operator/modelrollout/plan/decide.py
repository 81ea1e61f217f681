"""Decides the next status of a rollout, and says why. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from pydantic import ValidationError

from modelrollout.api.findings import Finding
from modelrollout.api.people import by
from modelrollout.api.status import Arm, ModelRolloutStatus, Phase, StageStatus, VersionInfo
from modelrollout.objects.manifests import MODEL, Manifest, annotation, revision_of
from modelrollout.plan import looks, statuses
from modelrollout.plan.actions import with_action
from modelrollout.plan.clocks import with_outage, with_readiness, with_step_clock
from modelrollout.plan.statuses import changed
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import after, way
from modelrollout.stages.way import fault as fault_of_stages
from modelrollout.traffic.drawing import remembered
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.router import Wanted
from modelrollout.trial import by_hand, capacity, checks, outage
from modelrollout.trial.facts import Facts, is_on_trial
from modelrollout.trial.hindrance import carried, hindrance
from modelrollout.trial.obstacles import fault as fault_of_pods
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD, SERVES_CANDIDATE, intended
from modelrollout.trial.steps import current, exposure_at, position, recorded
from modelrollout.trial.trial import Step, Trial, first


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status (conditions and message still to be set), and the one sentence that explains it.

    `is_held`: the wished revision has not begun, since the API server does not take its objects, or was not asked yet.
    """

    status: ModelRolloutStatus
    why: Finding
    is_held: bool = False


def mended(facts: Facts) -> ModelRolloutStatus:
    """The status as it was read, corrected by what the world shows. Works with any spec, however broken."""
    status = facts.rollout.status
    for mend in MENDS:
        status = mend(facts, status)
    return status


def decide(facts: Facts, status: ModelRolloutStatus) -> Decision:
    """One step of the machine, from a mended status; the next pass takes the next one."""
    wish = facts.rollout.wish
    fault = facts.rollout.fault or (_fault_of(facts, wish) if wish else None)
    status = changed(status, phase=intended(status), resumes=None)
    if fault is not None or wish is None:
        status = with_action(facts, status, None)  # an abort waits for no mend
        broken = changed(status, phase=Phase.INVALID, resumes=status.phase)
        return Decision(
            broken, _told_of_users(facts, status, fault or Finding("InvalidSpec", "The spec cannot be read."))
        )
    for mend in WISHED_MENDS:
        status = mend(facts, status, wish)
    return Decision(*moved(facts, status, wish), is_held=statuses.is_to_take_over(status, wish))


def _told_of_users(facts: Facts, status: ModelRolloutStatus, fault: Finding) -> Finding:
    """What is wrong with the spec; and where users wait for a stable version to come back, that they do."""
    is_back = status.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    held = outage.held(facts, status, fault) if is_back else None
    return Finding(fault.reason, held.message) if held else fault


def effective(facts: Facts, status: ModelRolloutStatus) -> Exposure:
    """The exposure that the route shall have now: the step's, while the candidate can carry it."""
    if not is_on_trial(status) or status.stage is None or status.candidate is None:
        return NOBODY
    if facts.rejection(status) is not None:  # also while the spec is broken, and decides nothing
        return NOBODY
    trial = trial_of(facts, status, facts.rollout.wish) if facts.rollout.wish else None
    copies_to = trial.step.copies_to(trial) if trial else None
    own = {status.candidate.workload} | ({copies_to.service} if copies_to else set())
    # Users of a version that the candidate takes the place of are none of its own.
    live = facts.live(status.stable) if any(map(facts.is_routed_to, own)) else NOBODY
    wanted = exposure_at(status.stage)
    pods_for = carried(facts, status, trial.step) if trial else wanted
    return wanted if wanted <= live or hindrance(facts, status, wanted, pods_for) is None else wanted & live


def trial_of(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Trial | None:
    """The candidate at its step; None where there is none."""
    if status.candidate is None:
        return None
    return Trial(facts, status, wish, status.candidate, current(way(wish), status))


def _fault_of(facts: Facts, wish: Wish) -> Finding | None:
    wanted: list[Wanted] = [(step.exposure, step.copied) for step in way(wish)]
    fault = facts.fault_of_routes(wanted) or fault_of_stages(wish) or fault_of_pods(wish)
    if fault is not None or facts.rollout.status.stage is not None:
        return fault  # a release that is on its way shows by itself whether the gateway follows
    return facts.fault_of_gateways(wanted)


def without_gone(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Drops retired revisions whose objects are gone, or the list would grow with every release."""
    there = {manifest["metadata"]["name"] for manifest in (*facts.world.workloads, *facts.world.services)}
    left = tuple(old for old in status.retired if facts.now < old.delete_after or old.workload in there)
    return status if left == status.retired else changed(status, retired=left)


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
        step = current(way(wish), status)
        return changed(status, evidence=looks.with_step(status.evidence, step, wish, status.stage.entered))
    if is_at_a_step or status.phase in (Phase.PENDING, Phase.ROLLING_BACK):
        return status
    was_rejected = statuses.rejection_of(status, candidate.revision) is not None
    return changed(status, phase=Phase.ROLLING_BACK if was_rejected else Phase.PENDING, stage=None, evidence=None)


def with_the_wished_candidate(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Takes the candidate that the spec asks for: the same, another, or none.

    One whose objects the API server does not take never takes the place of another: whatever goes on goes on.
    """
    if status.candidate is not None and status.candidate.revision == wish.revision:
        return status
    if statuses.is_passed_over(status, wish):
        return status
    if statuses.is_to_take_over(status, wish) and facts.world.objections != {}:
        return _going_on(status)
    status = _dropped(facts, status, wish)
    if status.stable is not None and status.stable.revision == wish.revision:
        return changed(status, phase=Phase.HEALTHY, stable=_renamed(status.stable, wish))
    if statuses.rejection_of(status, wish.revision) is not None:
        return changed(status, phase=Phase.ROLLED_BACK)
    return statuses.with_new_candidate(status, facts.rollout, wish, facts.now)


def _going_on(status: ModelRolloutStatus) -> ModelRolloutStatus:
    """The status without what is wished for. Where it lost its candidate, or was lost as a whole, stable serves."""
    if status.candidate is not None or status.phase in (Phase.HEALTHY, Phase.ROLLED_BACK):
        return status
    return changed(status, phase=Phase.HEALTHY, stage=None, evidence=None)


def without_an_idle_pause(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """A pause outlives its candidate where another takes its place, and ends with the release."""
    return status if status.paused is None or status.candidate is not None else changed(status, paused=None)


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
    with_step_clock,  # a step's time counts while its exposure is in force
    with_outage,  # without any ready pod of stable, other rules hold
    with_readiness,  # the candidate loses its traffic for want of it, whatever the spec says
)
"""Corrects a status by what the world shows."""

TAKES_OVER_FROM = (Phase.PENDING, Phase.PROGRESSING)
"""Later it has all traffic anyway."""

WISHED_MENDS: tuple[Callable[[Facts, ModelRolloutStatus, Wish], ModelRolloutStatus], ...] = (
    with_repaired_parts,  # a status can be lost, edited, or restored in parts
    with_action,  # a hand may end, hold or begin things before the spec is looked at
    with_the_wished_candidate,  # the spec may ask for another, or for none
    without_an_idle_pause,  # what was paused may be over
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
        return statuses.rejected(status, abort, facts.now), outage.held(facts, status, abort) or abort
    if trial is not None and (status.phase in TAKES_OVER_FROM) and outage.may_take_over(facts, status):
        return _taken_over(trial)
    match status.phase:
        case Phase.PENDING | Phase.PROGRESSING | Phase.PROMOTING | Phase.BAKING:
            if trial is None:
                raise ValueError(f"{status.phase} is a phase of a candidate")
            return _pending(trial) if status.phase is Phase.PENDING else _at_a_step(trial)
        case Phase.ROLLING_BACK:
            return _rolling_back(facts, status, wish)
        case Phase.ROLLED_BACK:
            why = _rejection(status, wish)
            return status, outage.held(facts, status, why) or _not_followed_yet(facts, why)
        case Phase.HEALTHY:
            stable = status.stable or wish  # another than the wished one, while that one cannot begin
            serving = Finding("Serving", f"Version {stable.model.version} serves everybody.")
            return status, facts.unaccepted() or serving
        case Phase.INVALID | None:
            raise ValueError(f"a spec that can be read leads to a phase, not to {status.phase}")
        case _:
            assert_never(status.phase)


def _taken_over(trial: Trial) -> tuple[ModelRolloutStatus, Finding]:
    """All traffic at once, and the bake: stable serves nobody, so no step is safer than this one."""
    facts, status, wish = trial.facts, trial.status, trial.wish
    step = next(step for step in way(wish) if step.phase is Phase.PROMOTING)
    out, since = status.stable, status.stable_out_since
    gone = f"Version {out.model.version} has had no ready pod since {since:%H:%M:%S} UTC" if out and since else ""
    why = Finding("StableIsGone", f"{gone}; version {trial.candidate.model.version} takes over and gets all traffic.")
    return statuses.with_candidate(_at(facts, status, step, wish), took_over=facts.now), why


def _is_new(facts: Facts, status: ModelRolloutStatus) -> bool:
    known, candidate = facts.rollout.status.candidate, status.candidate
    return candidate is not None and (known is None or known.revision != candidate.revision)


def _pending(trial: Trial) -> tuple[ModelRolloutStatus, Finding]:
    status, wish = trial.status, trial.wish
    if status.stable is None:
        if wait := checks.is_not_ready(trial):
            return status, first((checks.crash_loops, checks.ready_too_late), trial) or wait
        why = Finding("Installed", f"Version {trial.candidate.model.version} is the first; everybody is sent to it.")
        return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, trial.facts.now), why
    if wait := checks.wait(trial, checks.PENDING_WAITS):
        return status, wait
    step = next(filter(_is_promotion, way(wish))) if trial.candidate.waived else trial.step
    return _at(trial.facts, status, step, wish), _begins(trial, step)


def _at_a_step(trial: Trial) -> tuple[ModelRolloutStatus, Finding]:
    """The next step, once this one waits for nothing more. After the last step the candidate becomes stable."""
    status, wish, facts = trial.status, trial.wish, trial.facts
    if wait := checks.wait(trial, trial.step.waits):
        is_asked = wait.reason == by_hand.AWAITING_APPROVAL and trial.stage.asked_since is None
        return statuses.with_stage(status, asked_since=facts.now) if is_asked else status, wait
    if (step := _next(trial)) is not None:
        return _at(facts, status, step, wish), _begins(trial, step)
    why = _promoted(trial)
    return statuses.promoted(status, wish.spec.promotion.keep_old.timedelta, why, facts.now), why


def _next(trial: Trial) -> Step | None:
    """The step that follows; a person may have left some out."""
    asked, row, here = by_hand.waiver(trial), way(trial.wish), trial.step.place.index
    if asked is None or asked.verb not in ("skip", "promote-full"):
        return after(trial.step, trial.wish)
    later = (step for step in row if step.place.index > here)
    return next(later if asked.verb == "skip" else filter(_is_promotion, row), None)


def _is_promotion(step: Step) -> bool:
    return step.phase is Phase.PROMOTING


def _begins(trial: Trial, step: Step) -> Finding:
    """What is told of a step when it begins; with the pods that the candidate is given for it, and whose will it is."""
    facts, status, asked = trial.facts, trial.status, by_hand.waiver(trial)
    begins = step.begins.message
    if asked is not None and _is_promotion(step):  # it did not pass all stages
        begins = f"Version {trial.candidate.model.version} gets all traffic."
    by_whom = f"It was asked for{by(asked.by)} ({asked.verb})." if asked is not None else None
    told = (begins, by_whom, capacity.told(facts, status, carried(facts, status, step)))
    return Finding(step.begins.reason, " ".join(filter(None, told)))


def _promoted(trial: Trial) -> Finding:
    candidate, stable = trial.candidate, trial.status.stable
    serves = f"Version {candidate.model.version} serves everybody"
    if (asked := by_hand.waiver(trial)) is not None:
        return Finding("Promoted", f"{serves}. The bake was ended{by(asked.by)} ({asked.verb}).")
    if candidate.took_over is None or stable is None:
        return Finding("Promoted", f"{serves}.")
    why = f"it took over from version {stable.model.version}, which had no ready pod"
    return Finding("TookOver", f"{serves}; {why}, at {candidate.took_over:%Y-%m-%d %H:%M:%S} UTC.")


def _rolling_back(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> tuple[ModelRolloutStatus, Finding]:
    why = _rejection(status, wish)
    if intended(facts.rollout.status) is not Phase.ROLLING_BACK:  # begun in this pass: its beginning is told first
        begun = status.rejected[0] if status.rejected else why
        told = Finding(begun.reason, begun.message)
        return status, outage.held(facts, status, told) or told
    if facts.diverting_routers(status.stable):
        return status, outage.held(facts, status, why) or _not_followed_yet(facts, why)
    if capacity.is_owed_pods(facts, status):
        return status, why
    return changed(statuses.without_candidate(status, "RolledBack", why, facts.now), phase=Phase.ROLLED_BACK), why


def _not_followed_yet(facts: Facts, why: Finding) -> Finding:
    """Taking traffic back waits for nobody, and is said to be on its way until a gateway follows."""
    unaccepted = facts.unaccepted()
    return Finding(why.reason, f"{why.message} {unaccepted.message}") if unaccepted else why


def _at(facts: Facts, status: ModelRolloutStatus, step: Step, wish: Wish) -> ModelRolloutStatus:
    stage = StageStatus.model_validate({**recorded(step.place, step.exposure), "entered": facts.now})
    evidence = looks.with_step(status.evidence, step, wish, facts.now)
    begun = changed(status, phase=step.phase, stage=stage, evidence=evidence)
    most = None if wish.size is not None else capacity.stable_pods(facts, status)
    return statuses.with_candidate(begun, waited=0, stable_pods=most, drawn=_drawn(status, step))


def _drawn(status: ModelRolloutStatus, step: Step) -> tuple[int, ...]:
    """The shares of which users may have cookies from now on: written down before the route gives the first one."""
    known = status.candidate.drawn if status.candidate else ()
    return remembered(known, step.exposure.weight) if step.exposure.is_kept else known


def _rejection(status: ModelRolloutStatus, wish: Wish) -> Finding:
    entry = statuses.rejection_of(status, status.candidate.revision if status.candidate else wish.revision)
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
    if status.phase is not Phase.ROLLING_BACK and (noted := facts.rejection(status)):
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
