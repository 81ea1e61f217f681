"""Kubernetes Events from the difference between the status before and after, and from nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.analysis.copies import COPIES_COMPARED
from modelrollout.api.findings import Finding
from modelrollout.api.people import by
from modelrollout.api.status import ModelRolloutStatus, Phase, Verdict
from modelrollout.plan.actions import ACTION_REFUSED, NOT_UNDERSTOOD
from modelrollout.plan.conditions import APPLIED, EDITED, sensitivity
from modelrollout.plan.plan import Event
from modelrollout.traffic.exposure import Exposure
from modelrollout.trial.by_hand import PAUSED
from modelrollout.trial.checks import TRAFFIC_AS_INTENDED
from modelrollout.trial.outage import TRAFFIC_HELD
from modelrollout.trial.phases import HAS_CANDIDATE_AHEAD, intended
from modelrollout.trial.steps import exposure_at
from modelrollout.trial.world import REFUSED

_WARNINGS = frozenset({Phase.ROLLING_BACK, Phase.INVALID})


def events(before: ModelRolloutStatus, after: ModelRolloutStatus, why: Finding) -> tuple[Event, ...]:
    return tuple(_differences(before, after, why))


def _differences(before: ModelRolloutStatus, after: ModelRolloutStatus, why: Finding) -> Iterator[Event]:
    yield from _of_candidates(before, after)
    if before.phase != after.phase or _step(before) != _step(after):
        yield from _of_phase(after, why)
    elif after.phase is Phase.INVALID and before.message != why.message:
        yield Event("Warning", why.reason, why.message)
    yield from _of_refusals(before, after)
    yield from _of_actions(before, after)
    yield from _of_readiness(before, after, why)
    yield from _of_prometheus(before, after)
    yield from _of_plan(before, after)
    yield from _of_edits(before, after)
    yield from _of_traffic(before, after)
    yield from _of_smoke(before, after, why)


def _of_candidates(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    old, new = before.candidate, after.candidate
    if after.history != before.history and after.history and after.history[0].outcome in ("Superseded", "Cancelled"):
        yield Event("Normal", after.history[0].reason, after.history[0].message)
    if new is not None and (old is None or old.revision != new.revision):
        yield Event("Normal", "NewRevision", f"Version {new.model.version} ({new.revision}) is the candidate.")


def _of_actions(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    if (done := after.last_action) is not None and done != before.last_action:
        who = f" Asked for{by(done.by)}." if done.by is not None and f"{done.by}" not in done.message else ""
        is_wrong = done.reason in (NOT_UNDERSTOOD, ACTION_REFUSED)
        yield Event("Warning" if is_wrong else "Normal", done.reason, f"{done.message}{who}")


def _of_phase(after: ModelRolloutStatus, why: Finding) -> Iterator[Event]:
    match after.phase:
        case Phase.PENDING:
            return  # told as NewRevision
        case Phase.ROLLING_BACK if why.reason == TRAFFIC_HELD:
            yield Event("Warning", why.reason, why.message)
        case Phase.ROLLING_BACK:
            yield Event("Warning", "RollingBack", f"All traffic goes back to the stable version: {why.message}")
        case Phase.ROLLED_BACK:
            yield Event("Warning", "RolledBack", why.message)
        case _:
            yield Event("Warning" if after.phase in _WARNINGS else "Normal", why.reason, why.message)


def _of_refusals(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    """Once for each thing that the API server says, however often it says it."""
    known, now = before.condition(APPLIED), after.condition(APPLIED)
    if now is not None and (known is None or known.message != now.message):
        yield Event("Warning", now.reason, now.message)


def _of_readiness(before: ModelRolloutStatus, after: ModelRolloutStatus, why: Finding) -> Iterator[Event]:
    old, new = before.candidate, after.candidate
    if old is None or new is None or old.revision != new.revision:
        return
    is_blocked = new.blocked_since is not None and old.blocked_since is None
    untold = (REFUSED, PAUSED)  # these have Events of their own
    if is_blocked and after.phase in HAS_CANDIDATE_AHEAD and why.reason not in untold:
        yield Event("Warning", why.reason, why.message)
    if intended(after) is Phase.PENDING or old.waited:  # told at the first loss of a step: there may be any number
        return
    version = new.model.version
    if new.unready_since is not None and old.unready_since is None:
        told = f"Version {version} is not ready any more and gets no traffic; further losses at this step are not told."
        yield Event("Warning", "TrafficWithheld", told)
    elif new.unready_since is None and old.unready_since is not None and intended(before) is not Phase.PENDING:
        yield Event("Normal", "TrafficRestored", f"Version {version} is ready again and gets its traffic back.")


def _of_prometheus(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    was, now = _unavailable(before), _unavailable(after)
    if now and not was:
        yield Event("Warning", "AnalysisUnavailable", f"The weight is held: {now}")
    elif was and not now and after.verdicts:
        yield Event("Normal", "AnalysisAvailable", "Prometheus answers again; the rollout goes on.")


def _of_plan(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    """Tells as early as possible what the plan cannot see, before anybody waits for it."""
    is_new = after.evidence is not None and after.evidence.at is not None
    was_known = before.evidence is not None and before.evidence.at is not None
    if is_new and not was_known and (seen := sensitivity(after)) is not None:
        yield Event("Normal" if seen[0] == "True" else "Warning", seen[1].reason, seen[1].message)


def _of_edits(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    """Tells what goes, before it goes: once, however long the mend may take."""
    was, now = before.condition(EDITED), after.condition(EDITED)
    if now is not None and (was is None or was.message != now.message):
        yield Event("Warning", now.reason, now.message)


def _of_traffic(before: ModelRolloutStatus, after: ModelRolloutStatus) -> Iterator[Event]:
    """Once for each way in which requests contradict the step, and once when they no longer do."""
    for type_, begins, mended in (
        (TRAFFIC_AS_INTENDED, "The step is held: ", "Requests reach the candidate in the intended share again."),
        (COPIES_COMPARED, "", "Copies of users' requests are compared again."),
    ):
        known, now = before.condition(type_), after.condition(type_)
        was_wrong = known is not None and known.status == "False"  # where nobody knew, nothing is mended
        if now is not None and (known is None or known.reason != now.reason):
            yield Event("Warning", now.reason, f"{begins}{now.message}")
        elif was_wrong and now is None and after.stage is not None and _step(before) == _step(after):
            yield Event("Normal", type_, mended)


def _of_smoke(before: ModelRolloutStatus, after: ModelRolloutStatus, why: Finding) -> Iterator[Event]:
    """Once for each time that answers turn from good or none to wrong ones, however often they are asked for again."""
    if _step(before) == _step(after) and _smoke_trouble(after) and not _smoke_trouble(before):
        yield Event("Warning", why.reason, why.message)


def _smoke_trouble(status: ModelRolloutStatus) -> bool:
    return status.stage is not None and status.stage.smoke is not None and status.stage.smoke.trouble is not None


def _unavailable(status: ModelRolloutStatus) -> str:
    return next((v.message for v in status.verdicts if v.verdict is Verdict.UNAVAILABLE), "")


def _step(status: ModelRolloutStatus) -> tuple[int, int, Exposure] | None:
    stage = status.stage
    return (stage.index, stage.step, exposure_at(stage)) if stage else None
