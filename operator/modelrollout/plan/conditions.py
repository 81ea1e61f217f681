"""Conditions by the rules of Kubernetes: each names its generation, and its time moves only with its status. Pure.

They are what `kubectl wait`, Argo CD and Flux (kstatus) read: Ready and Stalled in their sense, the rest ours.
docs/gitops.md says what each tool makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from modelrollout.analysis.copies import COPIES_COMPARED, SIZES_UNKNOWN
from modelrollout.api.findings import Finding
from modelrollout.api.status import QUERY_REJECTED, Condition, ModelRolloutStatus, Phase, Verdict
from modelrollout.plan import errands
from modelrollout.plan.decide import trial_of
from modelrollout.plan.edits_by_others import edits_by_others
from modelrollout.rollout import expansion, service_account, template
from modelrollout.traffic import router
from modelrollout.trial import by_hand, capacity, checks
from modelrollout.trial.checks import CRASH_LOOP, PROGRESS_DEADLINE_EXCEEDED, TRAFFIC_AS_INTENDED
from modelrollout.trial.facts import Facts
from modelrollout.trial.obstacles import SCALED_TO_ZERO, missing_because, obstacle
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD, SERVES_CANDIDATE

WAITING_FOR_PERSON = "WaitingForPerson"
"""The type of the condition that is there while nothing is wrong, and may stay so for ever unless somebody decides."""
EDITED = "Edited"
"""Somebody else edited a route or Service of ours. It goes as soon as that is put back."""
Truth = Literal["True", "False", "Unknown"]
SCALED_BY_OTHERS = "ScaledByOthers"
"""The type of the condition that is there while an autoscaler that nobody declared scales the version that serves."""
APPLIED = "Applied"
"""The type of the condition that is there, and False, while the API server refuses one of our writes."""
MAY_ARRIVE = (expansion.NOT_FOUND, template.NOT_FOUND, service_account.NOT_FOUND, router.NOT_FOUND)
"""Reasons of a spec that names an object which does not exist: with GitOps it may be on its way."""
_IN_MOTION = HAS_CANDIDATE_AHEAD | {Phase.ROLLING_BACK}
_NEVER_CAME_UP = (CRASH_LOOP, PROGRESS_DEADLINE_EXCEEDED)
"""Reasons why a first version does not serve. It is waited for, as there is none to go back to."""


def conditions(facts: Facts, status: ModelRolloutStatus, why: Finding) -> tuple[Condition, ...]:
    """All conditions of a new status; a type that is left out does not apply at present."""
    before = {condition.type: condition for condition in status.conditions}
    return tuple(
        _condition(before.get(type_), type_, truth, finding, facts.rollout.generation, facts.now)
        for type_, truth, finding in _applicable(facts, status, why)
    )


def unseen(status: ModelRolloutStatus, why: Finding, generation: int, now: datetime) -> tuple[Condition, ...]:
    """The conditions while what surrounds the rollout cannot be read: the others stay as they were known last."""
    before = {condition.type: condition for condition in status.conditions}
    ready = _condition(before.pop("Ready", None), "Ready", "Unknown", why, generation, now)
    return (ready, *before.values())


def _applicable(facts: Facts, status: ModelRolloutStatus, why: Finding) -> Iterator[tuple[str, Truth, Finding]]:
    phase, trouble = status.phase, facts.trouble
    serving = _serving(facts, status)
    way = _on_its_way(facts, status) if serving[0] == "True" else None
    is_done = phase is Phase.HEALTHY and serving[0] == "True" and trouble is None and way is None
    yield "Ready", "True" if is_done else "False", trouble or ((way or serving[1]) if phase is Phase.HEALTHY else why)
    yield "Progressing", "True" if phase in _IN_MOTION else "False", why
    yield "Healthy", *serving
    exceptional: tuple[tuple[str, Truth, Finding | None], ...] = (
        ("Stalled", "True", _stalled(facts, status, why)),
        (WAITING_FOR_PERSON, "True", _left_to_people(facts, status, serving[1], why)),
        (errands.DELIVERED, "False", errands.undelivered(facts, status)),
        (APPLIED, "False", trouble),
        (EDITED, "True", edits_by_others(facts)),
        *_told_by_counters(facts, status),
        (SCALED_BY_OTHERS, "True", capacity.scaled_by_others(facts, status)),
    )
    yield from ((type_, truth, found) for type_, truth, found in exceptional if found is not None)
    if phase in SERVES_CANDIDATE and status.verdicts:
        yield "AnalysisAvailable", *_analysis(status)
    if phase in HAS_CANDIDATE_AHEAD and (seen := sensitivity(status)) is not None:
        yield "Sensitive", *seen


def _stalled(facts: Facts, status: ModelRolloutStatus, why: Finding) -> Finding | None:
    """What a person has to mend before anything goes on."""
    if status.phase in (Phase.ROLLED_BACK, Phase.INVALID):
        return why if why.reason not in MAY_ARRIVE else None
    if status.phase not in HAS_CANDIDATE_AHEAD:
        return None
    if status.stable is None and why.reason in _NEVER_CAME_UP:
        return why
    return _blocked_for_long(facts, status) or _asks_wrongly(status)


def _asks_wrongly(status: ModelRolloutStatus) -> Finding | None:
    """The metrics whose queries Prometheus does not take: no evidence comes before they are edited."""
    wrong = [one.message for one in status.verdicts if one.reason == QUERY_REJECTED]
    return Finding(QUERY_REJECTED, " ".join(wrong)) if wrong and status.phase in SERVES_CANDIDATE else None


def _left_to_people(facts: Facts, status: ModelRolloutStatus, serving: Finding, why: Finding) -> Finding | None:
    """What a person has to decide, be it to leave everything as it is."""
    found = serving if status.phase is Phase.HEALTHY else why
    if found.reason in (SCALED_TO_ZERO, *by_hand.LEFT_TO_PEOPLE):
        return found
    return _lacks_evidence(facts, status, why)


def _lacks_evidence(facts: Facts, status: ModelRolloutStatus, why: Finding) -> Finding | None:
    """The evidence that a step still lacks after its deadline, where the spec has it wait on; as it was told first."""
    wish = facts.rollout.wish
    if why.reason not in checks.LACKING_EVIDENCE or wish is None:
        return None
    trial = trial_of(facts, status, wish)
    if trial is None or not checks.step_deadline_is_over(trial):
        return None
    told = facts.rollout.status.condition(WAITING_FOR_PERSON)
    if told is not None and told.reason in checks.LACKING_EVIDENCE:
        return Finding(told.reason, told.message)
    return None if facts.is_asking else why


def _blocked_for_long(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """What keeps the candidate's pods from coming, once that lasts for longer than they may take to become ready."""
    candidate, wish = status.candidate, facts.rollout.wish
    if candidate is None or wish is None or candidate.blocked_since is None:
        return None
    if facts.now < candidate.blocked_since + wish.spec.progress_deadline.timedelta:
        return None
    found = obstacle(facts, candidate)
    return found if found is not None and found.reason != SCALED_TO_ZERO else None


def _told_by_counters(facts: Facts, status: ModelRolloutStatus) -> Iterator[tuple[str, Truth, Finding | None]]:
    """What counters of requests say against the step."""
    traffic, compared = facts.traffic, facts.compared
    for type_, is_known, found in (
        (TRAFFIC_AS_INTENDED, traffic is not None, traffic.contradiction if traffic else None),
        (COPIES_COMPARED, compared is not None, compared.lacking if compared else None),
    ):
        told = _of_this_step(facts, status, type_, found, is_known=is_known)
        yield type_, "Unknown" if told is not None and told.reason == SIZES_UNKNOWN else "False", told


def _of_this_step(
    facts: Facts, status: ModelRolloutStatus, type_: str, found: Finding | None, *, is_known: bool
) -> Finding | None:
    """It as of the look that first said so: its numbers do not move. Between two looks it stays as it is told."""
    before = facts.rollout.status
    if status.phase is not Phase.PROGRESSING or before.stage is None or status.stage is None:
        return None
    if (before.stage.index, before.stage.step) != (status.stage.index, status.stage.step):
        return None
    known = before.condition(type_)
    told = Finding(known.reason, known.message) if known is not None else None
    if not is_known:
        return told if status.stage.since is not None else None
    return told if told is not None and found is not None and told.reason == found.reason else found


def _on_its_way(facts: Facts, status: ModelRolloutStatus) -> Finding | None:
    """Why users are not yet sent to the version that status promises: the route is written after the status, and
    a gateway follows after that."""
    has_route = facts.router is not None and facts.routing(facts.router, None).exists
    if has_route and not facts.diverting_routers(status.stable):
        return facts.unaccepted()
    return Finding("RouteNotInForce", "The route to the version that serves is about to be written.")


def _serving(facts: Facts, status: ModelRolloutStatus) -> tuple[Truth, Finding]:
    """Whether the stable version has its pods."""
    if status.stable is None:
        return "Unknown", Finding("NothingServesYet", "No version has become ready yet.")
    state, version = facts.workload(status.stable), status.stable.model.version
    if state is None:
        return "False", Finding("StableMissing", f"Version {version} serves, but its workload does not exist.")
    if state.replicas == 0:
        return "False", Finding("ScaledToZero", f"Version {version} is scaled to zero, so nobody is served.")
    if not state.can_serve:
        told = (f"Version {version} serves, but too few of its pods are ready.", missing_because(facts, status.stable))
        return "False", Finding("StableNotReady", " ".join(filter(None, told)))
    if (refusal := facts.refusal()) is not None:
        return "False", refusal
    return "True", Finding("Serving", f"Version {version} serves, and its pods are ready.")


def _analysis(status: ModelRolloutStatus) -> tuple[Truth, Finding]:
    """A Prometheus that is away may come back; a wrong query needs an edit. So the reasons differ."""
    away = [v for v in status.verdicts if v.verdict is Verdict.UNAVAILABLE or v.reason == QUERY_REJECTED]
    if not away:
        return "True", Finding("Answering", "Prometheus answers the queries of all metrics.")
    is_rejected = any(verdict.reason == QUERY_REJECTED for verdict in away)
    reason = QUERY_REJECTED if is_rejected else "PrometheusUnavailable"
    return "False", Finding(reason, " ".join(dict.fromkeys(verdict.message for verdict in away)))


def sensitivity(status: ModelRolloutStatus) -> tuple[Truth, Finding] | None:
    """What the plan can and cannot see at this traffic; None while stable's history is not known."""
    usual = status.evidence.usual if status.evidence else ()
    told = [" ".join(filter(None, (one.sees, one.note and f"({one.metric}: {one.note})"))) for one in usual]
    if not (message := "; ".join(filter(None, told))):
        return None
    if any(one.is_blind for one in usual):
        is_short = any(one.is_blind and one.sees for one in usual)  # else it is the history that is missing
        why = "Too little traffic or time to see a doubling. " if is_short else ""
        return "False", Finding("PlanSeesLittle", f"{why}{message}.")
    return "True", Finding("PlanSeesEnough", f"{message}.")


def _condition(
    before: Condition | None, type_: str, truth: Truth, finding: Finding, generation: int, now: datetime
) -> Condition:
    moved = before is None or before.status != truth
    return Condition(
        type=type_,
        status=truth,
        observed_generation=generation,
        last_transition_time=now if moved or before is None else before.last_transition_time,
        reason=finding.reason,
        message=finding.message,
    )
