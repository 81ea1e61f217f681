"""The smoke requests that a pass makes of the candidate, and what the status keeps of the answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from modelrollout.api.smoke_status import SmokeStatus, SmokeTrouble
from modelrollout.api.status import ModelRolloutStatus, Phase, StageStatus
from modelrollout.comparer.answers import Reply
from modelrollout.objects.manifests import Ref
from modelrollout.objects.resources import SERVICES
from modelrollout.plan import statuses
from modelrollout.plan.statuses import changed
from modelrollout.stages.way import way
from modelrollout.traffic import revision_service
from modelrollout.trial.facts import Facts, is_on_trial
from modelrollout.trial.smoke import (
    MOST_AT_ONCE,
    Smoke,
    SmokeRound,
    basis,
    next_attempt,
    still_open,
    unmet,
)
from modelrollout.trial.steps import current


def due(facts: Facts, status: ModelRolloutStatus) -> SmokeRound | None:
    """The requests to be made now; None where nothing is open, or it is not yet time to ask again."""
    at, candidate, stage = next_at(facts, status), status.candidate, status.stage
    smoke, saved = _smoke(facts, status), facts.rollout.status.stage
    if at is None or at > facts.now or smoke is None or candidate is None or stage is None:
        return None
    if saved is None or saved.entered != stage.entered:  # a step that begins is saved before anybody is asked
        return None
    namespace, name = facts.rollout.owner.namespace, candidate.workload
    url = revision_service.url(namespace, name, facts.world.objects.get(Ref(SERVICES, namespace, name)))
    requests = still_open(smoke, candidate.revision, stage.smoke)[:MOST_AT_ONCE]
    return SmokeRound(candidate.revision, stage.entered, url, requests)


def next_at(facts: Facts, status: ModelRolloutStatus) -> datetime | None:
    """When requests are to be made next; None while none are."""
    smoke, candidate, stage = _smoke(facts, status), status.candidate, status.stage
    if smoke is None or candidate is None or stage is None or not still_open(smoke, candidate.revision, stage.smoke):
        return None
    if status.paused is not None:  # or wrong answers would add up while their deadline stands
        return None
    trouble = stage.smoke.trouble if stage.smoke is not None else None
    return next_attempt(smoke, trouble, candidate.waited + stage.paused_for) if trouble is not None else stage.entered


def _smoke(facts: Facts, status: ModelRolloutStatus) -> Smoke | None:
    """What is asked at the step of a status, of a candidate that is ready."""
    wish = facts.rollout.wish
    if wish is None or status.phase is not Phase.PROGRESSING or status.stage is None or not is_on_trial(status):
        return None
    is_wished = status.candidate is not None and status.candidate.revision == wish.revision
    return current(way(wish), status).smoke if is_wished or statuses.is_passed_over(status, wish) else None


def informed(facts: Facts, status: ModelRolloutStatus) -> ModelRolloutStatus:
    """Adds what the candidate answered, unless the rollout has moved on since it was asked."""
    asked, stage, candidate = facts.world.smoke, status.stage, status.candidate
    if asked is None or stage is None or candidate is None:
        return status
    if (candidate.revision, stage.entered) != (asked.revision, asked.entered):
        return status
    found = _with_replies(stage.smoke or SmokeStatus(), asked, facts.world.replies, facts.now)
    return changed(status, stage=StageStatus(**{**dict(stage), "smoke": found}))


def _with_replies(known: SmokeStatus, asked: SmokeRound, replies: Mapping[str, Reply], now: datetime) -> SmokeStatus:
    told = [(one, unmet(one, replies[one.name], asked.url)) for one in asked.requests if one.name in replies]
    passed = {one.name: basis(asked.revision, one) for one, why in told if why is None}
    # Of several troubles the first that is the candidate's own is told; it is what may reject it.
    wrong = sorted(((one, why) for one, why in told if why is not None), key=lambda pair: not pair[1].is_its_own)
    trouble = None
    if wrong:
        (request, why), before = wrong[0], known.trouble
        since = (before.since if before else None) or now
        trouble = SmokeTrouble(
            request=request.name,
            message=why.message,
            times=before.times + 1 if before else 1,
            at=now,
            since=since if why.is_its_own else None,
        )
    return SmokeStatus(passed={**known.passed, **passed}, trouble=trouble)
