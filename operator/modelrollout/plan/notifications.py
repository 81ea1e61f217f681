"""The errands that tell people and programs of a transition. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from modelrollout.api.findings import Finding
from modelrollout.api.notifications import Topic
from modelrollout.api.status import Arm, Errand, ModelRolloutStatus, Verdict
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
    arm, stages = after.candidate or before.candidate or after.stable, (after.stage, before.stage)
    # A rollback begins with nobody at the candidate: before, it had its users.
    stage = next(filter(None, reversed(stages) if topic is Topic.ROLLING_BACK else stages), None)
    said = {
        "topic": topic.value,
        "reason": told.reason,
        "message": told.message,
        **(_of_arm(arm) if arm is not None else {}),
        "stable": after.stable.model.version if after.stable is not None else "",
        **({"stage": stage.name, "weight": f"{stage.weight}"} if stage is not None else {}),
        "evidence": _evidence(before, after, told),
    }
    return {name: _shortened(value) for name, value in said.items() if value}


def _of_arm(arm: Arm) -> dict[str, str]:
    return {"model": arm.model.name, "version": arm.model.version, "revision": arm.revision}


def _evidence(before: ModelRolloutStatus, after: ModelRolloutStatus, told: Finding) -> str:
    """What the metrics said last, failures first, as far as the message does not say it itself."""
    verdicts = sorted(after.verdicts or before.verdicts, key=lambda one: one.verdict is not Verdict.FAIL)
    return " ".join(one.message for one in verdicts if one.message not in told.message)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}…"
