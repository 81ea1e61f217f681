"""The errands that tell people and programs of a transition. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from modelrollout.api.findings import Finding
from modelrollout.api.notifications import Topic
from modelrollout.api.status import Errand, ModelRolloutStatus, Verdict
from modelrollout.objects.manifests import digest
from modelrollout.plan.errands import NOTIFICATION, targets
from modelrollout.plan.transitions import transitions
from modelrollout.trial.facts import Facts

LONGEST_FACT = 700
"""Characters of one fact: a status has a limit, and so have readers."""


def notifications(facts: Facts, status: ModelRolloutStatus, why: Finding) -> tuple[Errand, ...]:
    """One for each transition that somebody wants to be told of."""
    before, known = facts.rollout.status, targets(facts)
    if not known:
        return ()
    told = ((topic, finding, _to(known, topic)) for topic, finding in transitions(before, status, why))
    return tuple(_errand(facts, status, topic, finding, to) for topic, finding, to in told if to)


def _to(known: Mapping[str, Collection[Topic]], topic: Topic) -> tuple[str, ...]:
    return tuple(name for name, topics in known.items() if topic in topics)


def _errand(facts: Facts, status: ModelRolloutStatus, topic: Topic, told: Finding, to: tuple[str, ...]) -> Errand:
    """Its id is that of the transition, however often the pass that decided on it is made."""
    said = _said(topic, told, facts.rollout.status, status)
    transition = [topic, told.reason, said.get("revision", ""), facts.now.isoformat()]
    uid = facts.rollout.owner.uid
    return Errand(id=f"{uid}.{digest(transition)}", kind=NOTIFICATION, to=to, at=facts.now, facts=said)


def _said(topic: Topic, told: Finding, before: ModelRolloutStatus, after: ModelRolloutStatus) -> dict[str, str]:
    """What is known of the transition at the decision: by its delivery the status says something else."""
    said = {
        "topic": topic.value,
        "reason": told.reason,
        "message": told.message,
        **_of_version(topic, before, after),
        "stable": after.stable.model.version if after.stable is not None else "",
        **(_of_release(topic, told, before, after) if topic is not Topic.STARTED else {}),  # nothing is known of it yet
    }
    return {name: _shortened(value) for name, value in said.items() if value}


def _of_version(topic: Topic, before: ModelRolloutStatus, after: ModelRolloutStatus) -> dict[str, str]:
    """The version that it is about. One that is done may have a successor in the same pass."""
    is_done = topic in (Topic.PROMOTED, Topic.ROLLED_BACK)
    one = after.history[0] if is_done else after.candidate or before.candidate or after.stable
    if one is None:
        return {}
    return {"model": one.model.name, "version": one.model.version, "revision": one.revision}


def _of_release(topic: Topic, told: Finding, before: ModelRolloutStatus, after: ModelRolloutStatus) -> dict[str, str]:
    """The step, and what the metrics said last: failures first, as far as the message does not say it itself."""
    if before.candidate is None:
        return {}
    # When a rollback begins nobody is at the candidate any more: before, it had its users.
    stages = (before.stage, after.stage) if topic is Topic.ROLLING_BACK else (after.stage, before.stage)
    stage = next(filter(None, stages), None)
    verdicts = sorted(after.verdicts or before.verdicts, key=lambda one: one.verdict is not Verdict.FAIL)
    evidence = " ".join(one.message for one in verdicts if one.message not in told.message)
    return {**({"stage": stage.name, "weight": f"{stage.weight}"} if stage is not None else {}), "evidence": evidence}


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}…"
