"""The step before the first of a stage: the operator itself asks the candidate, and nobody else meets it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from modelrollout.api.findings import Finding
from modelrollout.api.smoke import Smoked
from modelrollout.api.status import Phase
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.trial.checks import SEEN_WAITS
from modelrollout.trial.smoke import Smoke, last_attempt, next_attempt, still_open
from modelrollout.trial.trial import Place, Step, Trial


def steps(place: Place, smoked: Smoked, pods_for: Exposure) -> Iterator[Step]:
    """None where nothing is asked. `pods_for`: the exposure of the step that follows, so that no pods come between."""
    if not (requests := smoked.smoke):
        return
    count = f"{len(requests)} smoke requests" if len(requests) > 1 else "a smoke request"
    yield Step(
        place=place,
        phase=Phase.PROGRESSING,
        exposure=NOBODY,
        hold=timedelta(),
        begins=Finding("SmokeStarted", f"{place.stage}: the operator asks the candidate {count}; nobody else does."),
        waits=(*SEEN_WAITS, requests_are_open),
        fails=(answers_stayed_wrong,),
        is_judged=False,
        judged=frozenset(),
        pods_for=pods_for,
        smoke=Smoke(requests, smoked.smoke_deadline.timedelta),
    )


def fault(wish: Wish) -> Finding | None:
    """Why nothing could be asked."""
    stages = (stage for stage in wish.spec.stages if isinstance(stage.kind, Smoked) and stage.kind.smoke)
    if wish.spec.traffic.grpc is None or (stage := next(stages, None)) is None:
        return None
    return Finding("InvalidSpec", f"spec.stages[{stage.name}]: smoke asks by HTTP, not by gRPC: leave smoke out.")


def requests_are_open(trial: Trial) -> Finding | None:
    smoke, known = trial.step.smoke, trial.stage.smoke
    if smoke is None or not (still := still_open(smoke, trial.candidate.revision, known)):
        return None
    all_, where = len(smoke.requests), trial.stage.name
    passed = f"{where}: {all_ - len(still)} of {all_} smoke requests passed"
    if known is None or (trouble := known.trouble) is None:
        return Finding("SmokeRunning", f"{passed}; the next are on their way.")
    again = f"Asked again at {next_attempt(smoke, trouble, _lost(trial)):%H:%M:%S} UTC"
    until = last_attempt(smoke, trouble, _lost(trial))
    if until is None:
        return Finding("SmokeUnanswered", f"{passed}. {trouble.message} {again}.")
    rejected = f"rejected if it is no better from {until:%H:%M:%S} UTC on"
    return Finding("SmokeFailing", f"{passed}. {trouble.message} {again}; {rejected} (smokeDeadline).")


def answers_stayed_wrong(trial: Trial) -> Finding | None:
    """The last answer came after the deadline: so none is rejected for a time in which nobody asked."""
    smoke, known = trial.step.smoke, trial.stage.smoke if trial.status.stage else None
    if smoke is None or known is None or (trouble := known.trouble) is None:
        return None
    until = last_attempt(smoke, trouble, _lost(trial))
    if until is None or trouble.at < until or not still_open(smoke, trial.candidate.revision, known):
        return None
    return Finding(
        "SmokeFailed", f"{trial.stage.name}: smoke request {trouble.message} It was asked {_times(trouble.times)}."
    )


def _lost(trial: Trial) -> int:
    """Seconds of the step in which it was not asked."""
    return trial.candidate.waited + trial.stage.paused_for


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
