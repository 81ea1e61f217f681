"""What people ask for by hand: the annotation `modelrollout.dev/action` with a verb and a token. Pure.

Each text is handled once, and remembered in status.lastAction: it may stay on the object, be applied again, or come
from Git. A new verb is a function and a line in VERBS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelrollout.api.findings import Finding
from modelrollout.api.status import LastAction, ModelRolloutStatus, Phase
from modelrollout.plan import statuses
from modelrollout.plan.statuses import changed
from modelrollout.rollout.rollout import ACTION, Wish
from modelrollout.trial.facts import Facts

LONGEST = 100
"""Characters of an annotation that are looked at, and remembered."""

Done = tuple[ModelRolloutStatus, Finding]
"""The status after an action, and what was done or why not."""


def with_action(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> ModelRolloutStatus:
    """Does what is asked for and was not handled yet."""
    asked = (facts.rollout.action or "")[:LONGEST]
    if not asked or (status.last_action is not None and status.last_action.action == asked):
        return status
    verb, _, token = asked.partition("/")
    done = VERBS[verb](facts, status, wish) if verb in VERBS and token else (status, _not_understood(asked))
    if done is None:
        return status
    status, why = done
    return changed(status, last_action=LastAction(action=asked, at=facts.now, reason=why.reason, message=why.message))


def _retry(facts: Facts, status: ModelRolloutStatus, wish: Wish) -> Done | None:
    """Tries a rejected revision once more; None while it is still being taken back."""
    entry = statuses.rejection_of(status, wish.revision)
    if entry is None:
        return status, Finding(
            NOTHING_TO_DO, f"Version {wish.model.version} was not taken back, so nothing is retried."
        )
    if status.phase is not Phase.ROLLED_BACK:
        return None
    others = tuple(old for old in status.rejected if old.revision != wish.revision)
    begun = statuses.with_new_candidate(changed(status, rejected=others), facts.rollout, wish, facts.now)
    why = f"Version {wish.model.version} is tried once more. It was taken back before: {entry.message}"
    return statuses.with_candidate(begun, retried=facts.now), Finding("Retried", why)


NOTHING_TO_DO, NOT_UNDERSTOOD = "NothingToDo", "ActionNotUnderstood"
VERBS: Mapping[str, Callable[[Facts, ModelRolloutStatus, Wish], Done | None]] = {
    "retry": _retry,
}


def _not_understood(asked: str) -> Finding:
    known = " or ".join(f"{verb}/<token>" for verb in VERBS)
    return Finding(
        NOT_UNDERSTOOD, f"The annotation {ACTION} says {asked!r}: write {known}, with a new token each time."
    )
