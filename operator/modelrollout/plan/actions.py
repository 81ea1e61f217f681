"""What people ask for by hand: the annotation `modelrollout.dev/action` with a verb and a token. Pure.

An action records a decision in the status, once; all else follows from the status. Each text is handled once and
remembered: it may stay on the object, be applied again, or come from Git. A new verb is a function and a line in one of
the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelrollout.api.findings import Finding
from modelrollout.api.people import LastAction, Pause, Waiver, by
from modelrollout.api.status import CandidateArm, ModelRolloutStatus, Phase, StageStatus
from modelrollout.plan import statuses, undo
from modelrollout.plan.statuses import changed
from modelrollout.rollout.author import ACTION, ACTION_BY
from modelrollout.rollout.rollout import Wish
from modelrollout.stages.way import way
from modelrollout.trial import by_hand
from modelrollout.trial.facts import Facts
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD
from modelrollout.trial.steps import current

LONGEST = 100
"""Characters of an annotation that are looked at, and remembered."""
MOST_EARLIER = 9
NOTHING_TO_ABORT = "No release is under way, so nothing is aborted. To leave the version that serves: undo."
NOTHING_TO_DO, NOT_UNDERSTOOD, ACTION_REFUSED = "NothingToDo", "ActionNotUnderstood", "ActionRefused"

Done = tuple[ModelRolloutStatus, Finding]
"""The status after an action, and what was done or why not."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and the rollout as it stands. `revision`: the one that it names."""

    verb: str
    revision: str | None
    facts: Facts
    status: ModelRolloutStatus

    @property
    def by(self) -> str:
        return by(self.facts.rollout.action_by)

    @property
    def waiver(self) -> Waiver:
        return Waiver.model_validate({"verb": self.verb, "at": self.facts.now, "by": self.facts.rollout.action_by})

    def nothing(self, message: str) -> Done:
        """It is so already, or there is nothing to do it to."""
        return self.status, Finding(NOTHING_TO_DO, message)

    def refused(self, message: str) -> Done:
        """It makes no sense now."""
        return self.status, Finding(ACTION_REFUSED, message)


def with_action(facts: Facts, status: ModelRolloutStatus, wish: Wish | None) -> ModelRolloutStatus:
    """Does what is asked for and was not handled yet. `wish`: None while the spec cannot be carried out."""
    text = (facts.rollout.action or "")[:LONGEST]
    earlier = (*((status.last_action,) if status.last_action else ()), *status.earlier_actions)
    if not text:
        return status
    if text in {one.action for one in earlier}:
        return _seen_again(text, status)
    done = _done(text, facts, status, wish)
    if done is None:
        return status
    status, why = done
    author = facts.rollout.action_by if facts.rollout.status.phase else None  # nobody vets names at creation
    last = LastAction(action=text, at=facts.now, by=author, reason=why.reason, message=why.message)
    return changed(status, last_action=last, earlier_actions=earlier[:MOST_EARLIER])


def _seen_again(text: str, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """With that text as the last to be forgotten: self-heal brings Git's back after each other one."""
    last, earlier = status.last_action, status.earlier_actions
    if (last is not None and last.action == text) or earlier[0].action == text:
        return status
    of_it, others = ([one for one in earlier if (one.action == text) is same] for same in (True, False))
    return changed(status, earlier_actions=(*of_it, *others))


def _done(text: str, facts: Facts, status: ModelRolloutStatus, wish: Wish | None) -> Done | None:
    """None: not yet."""
    verb, *names, token = text.split("/") if "/" in text else (text, "")
    if verb not in (*AT_ANY_TIME, *BY_SPEC) or not token or len(names) > 1 or "" in names:
        return status, _not_understood(text)
    asked = Asked(verb, names[0] if names else None, facts, status)
    if facts.rollout.status.phase is None:
        return asked.nothing(f"The status is new, and nobody knows whether {text} was done before: ask by a new token.")
    if facts.rollout.vets_authors and facts.rollout.action_by is None:
        return asked.refused(f"Nobody says who asks: write {ACTION_BY} beside it (rbac.requireApprovers).")
    if wish is None and verb == "retry":
        return None
    if not _is_meant(asked, wish):
        return asked.refused(f"Revision {asked.revision} is not on its way, so there is no {verb}.")
    if verb in AT_ANY_TIME:
        return AT_ANY_TIME[verb](asked, wish)
    if wish is not None:
        return BY_SPEC[verb](asked, wish)
    return asked.refused(f"The spec cannot be carried out, so there is no {verb}: mend it.")


def _is_meant(asked: Asked, wish: Wish | None) -> bool:
    """Whoever names a revision means that one, and not the one that took its place."""
    if asked.revision is None or asked.verb == "undo":  # that looks by itself
        return True
    candidate = asked.status.candidate
    if candidate is not None and asked.revision == candidate.revision and asked.verb != "retry":
        return True
    if wish is None or asked.revision != wish.revision:
        return False
    return candidate is None or asked.verb == "retry" or _is_held(asked, wish)


def _is_held(asked: Asked, wish: Wish) -> bool:
    """Whether an abort may mean the wished revision beside a candidate whose place it has not taken yet."""
    return asked.verb == "abort" and statuses.is_to_take_over(asked.status, wish)


# At any time, however broken the spec is


def _abort(asked: Asked, wish: Wish | None) -> Done:
    """Rejects the candidate, or the revision that is about to become one."""
    status, candidate, now = asked.status, asked.status.candidate, asked.facts.now
    if wish is not None and (candidate is None or asked.revision == wish.revision != candidate.revision):
        if not statuses.is_to_take_over(status, wish):
            return asked.nothing(NOTHING_TO_ABORT)
        why = _aborted(asked, wish.model.version)
        return statuses.with_rejection(status, wish.revision, wish.model, why, now), why
    if candidate is None:
        return asked.nothing(NOTHING_TO_ABORT)
    version = candidate.model.version
    if status.phase is Phase.ROLLING_BACK:
        return asked.nothing(f"Version {version} is being taken back already.")
    if status.stable is None:
        return asked.refused(
            f"Version {version} is the first, so there is none to go back to: edit or delete the rollout."
        )
    why = _aborted(asked, version)
    return statuses.rejected(status, why, now), why


def _aborted(asked: Asked, version: str) -> Finding:
    return Finding("Aborted", f"Version {version} was aborted{asked.by}.")


def _pause(asked: Asked, _: Wish | None) -> Done:
    status = asked.status
    if (candidate := _candidate_ahead(status)) is None:
        return asked.nothing("No release is under way, so there is nothing to pause.")
    if (known := status.paused) is not None:
        return asked.nothing(f"It has been paused{by(known.by)} since {known.at:%Y-%m-%d %H:%M:%S} UTC.")
    paused = changed(status, paused=Pause(at=asked.facts.now, by=asked.facts.rollout.action_by))
    stays = "no step begins and no deadline runs until somebody asks for resume; metrics that fail still take it back"
    return paused, Finding(by_hand.PAUSED, f"Version {candidate.model.version} was paused{asked.by}: {stays}.")


def _resume(asked: Asked, _: Wish | None) -> Done:
    status = asked.status
    if status.paused is None:
        return asked.nothing("Nothing is paused.")
    lasted = by_hand.paused_for(status, asked.facts.now)
    resumed = changed(statuses.with_stage(status, paused_for=lasted), paused=None)
    return resumed, Finding("Resumed", f"The release goes on, as was asked for{asked.by}.")


# Of a spec that can be carried out


def _retry(asked: Asked, wish: Wish) -> Done | None:
    """Tries a rejected revision once more; None while it is still being taken back."""
    status, facts = asked.status, asked.facts
    entry = statuses.rejection_of(status, wish.revision)
    if entry is None:
        return asked.nothing(f"Version {wish.model.version} was not taken back, so nothing is retried.")
    if status.phase is not Phase.ROLLED_BACK:
        return None
    others = tuple(old for old in status.rejected if old.revision != wish.revision)
    begun = statuses.with_new_candidate(changed(status, rejected=others), facts.rollout, wish, facts.now)
    why = f"Version {wish.model.version} is tried once more. It was taken back before: {entry.message}"
    return statuses.with_candidate(begun, retried=facts.now), Finding("Retried", why)


def _approve(asked: Asked, wish: Wish) -> Done:
    stage = _own_step(asked)
    if not isinstance(stage, StageStatus):
        return stage
    if not current(way(wish), asked.status).needs_approval:
        return asked.nothing(f"{_named(stage)} waits for no approval.")
    if (known := stage.waived) is not None:
        return asked.nothing(f"{_named(stage)} has what it needs{by(known.by)} since {known.at:%H:%M:%S} UTC.")
    approved = statuses.with_stage(asked.status, waived=asked.waiver)
    return approved, Finding("Approved", f"{_named(stage)} was approved{asked.by}.")


def _promote(asked: Asked, _: Wish) -> Done:
    why = "its hold, its evidence and its approval are waited for no more; a metric that fails still takes it back"
    return _ended(asked, reason="StepPromoted", why=why)


def _skip(asked: Asked, _: Wish) -> Done:
    return _ended(
        asked,
        reason="StageSkipped",
        why="what is left of this stage is left out; a metric that fails still takes it back",
    )


def _ended(asked: Asked, *, reason: str, why: str) -> Done:
    """Ends the present step by hand; readiness and pods it still waits for."""
    stage = _own_step(asked)
    if not isinstance(stage, StageStatus):
        return stage
    if (refusal := _is_paused(asked)) is not None:
        return refusal
    if stage.waived is not None and stage.waived.verb == asked.verb:
        return asked.nothing(f"{_named(stage)} goes on as soon as it can already{by(stage.waived.by)}.")
    ended = statuses.with_stage(asked.status, waived=asked.waiver)
    return ended, Finding(reason, f"{_named(stage)}: {asked.verb}{asked.by}: {why}.")


def _is_paused(asked: Asked) -> Done | None:
    """A refusal while it is paused."""
    if (pause := asked.status.paused) is None:
        return None
    return asked.refused(f"It is paused{by(pause.by)}: resume first, or it would be unclear what goes on.")


def _promote_full(asked: Asked, _: Wish) -> Done:
    status, candidate = asked.status, _candidate_ahead(asked.status)
    if candidate is None or status.phase not in (Phase.PENDING, Phase.PROGRESSING):
        return asked.nothing("No version is on its way to all traffic, so none is promoted in full.")
    if (refusal := _is_paused(asked)) is not None:
        return refusal
    if candidate.waived is not None:
        return asked.nothing(f"Version {candidate.model.version} goes to all traffic already{by(candidate.waived.by)}.")
    why = "the other steps and their analysis are left out; it still has to be ready, with the pods for everybody"
    told = f"Version {candidate.model.version} goes to all traffic{asked.by}: {why}."
    return statuses.with_candidate(status, waived=asked.waiver), Finding("PromotedInFull", told)


def _undo(asked: Asked, _: Wish) -> Done | None:
    """Goes back to an older version whose pods are kept, although the present one was good; None while another one is
    still being taken back."""
    status, candidate = asked.status, asked.status.candidate
    if status.phase is Phase.ROLLING_BACK:
        return None
    if candidate is not None and undo.served_before(asked.facts, status, candidate.revision):
        version = candidate.model.version
        return asked.refused(
            f"Version {version}, which served before, is the candidate: promote-full goes back to it at once."
        )
    if candidate is not None:
        return asked.refused("A release is under way: abort takes it back.")
    found = undo.version_to_go_back_to(asked.facts, status, asked.revision)
    if isinstance(found, str) or status.stable is None:
        return asked.refused(found if isinstance(found, str) else "Nothing serves yet.")
    old, new = status.stable.model.version, found.model.version
    until = f"version {old} is not tried again until somebody asks for retry or the spec changes, whatever it says now"
    why = Finding(
        "Undone", f"Version {new} serves again instead of version {old}, as was asked for{asked.by}; {until}."
    )
    return statuses.undone(status, found, why, asked.facts.now), why


AT_ANY_TIME: Mapping[str, Callable[[Asked, Wish | None], Done]] = {
    "abort": _abort,
    "pause": _pause,
    "resume": _resume,
}
BY_SPEC: Mapping[str, Callable[[Asked, Wish], Done | None]] = {
    "approve": _approve,
    "promote": _promote,
    "promote-full": _promote_full,
    "retry": _retry,
    "skip": _skip,
    "undo": _undo,
}
VERBS = tuple(sorted((*AT_ANY_TIME, *BY_SPEC)))


def _candidate_ahead(status: ModelRolloutStatus) -> CandidateArm | None:
    """The candidate of a release that people can do something about; the first version ever is waited for."""
    return status.candidate if status.phase in HAS_CANDIDATE_AHEAD and status.stable is not None else None


def _own_step(asked: Asked) -> StageStatus | Done:
    """The step at which something is waited for; or why there is none."""
    status, stage = asked.status, asked.status.stage
    if _candidate_ahead(status) is None:
        return asked.nothing(f"No release is under way, so there is no {asked.verb}.")
    if stage is None or status.phase not in (Phase.PROGRESSING, Phase.BAKING):
        return asked.refused(f"The candidate is at no step that can end by {asked.verb}: it waits for pods and routes.")
    return stage


def _named(stage: StageStatus) -> str:
    return f"{stage.name} {stage.weight} %"


def _not_understood(asked: str) -> Finding:
    verbs = f"{', '.join(VERBS[:-1])} or {VERBS[-1]}"
    how = "For example write retry/<token>, with a new token each time; or retry/<revision>/<token>."
    return Finding(NOT_UNDERSTOOD, f"The annotation {ACTION} says {asked!r}: its verb is {verbs}. {how}")
