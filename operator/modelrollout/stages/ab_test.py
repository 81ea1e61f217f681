"""`abTest`: users stay with one of two versions until the goal is shown, or its time is over. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.analysis.evidence.look import Goal
from modelrollout.api.ab_test import AbTest, Asking
from modelrollout.api.findings import Finding
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import digest
from modelrollout.rollout.rollout import Wish
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import COOKIE, STICKY, Exposure, Match
from modelrollout.trial.checks import EXPOSED_WAITS, drawing_failed
from modelrollout.trial.trial import Patience, Place, Step, Trial


def steps(index: int, name: str, ab_test: AbTest, wish: Wish) -> Iterator[Step]:
    goal = Goal(ab_test.goal.metric, ab_test.goal.non_inferiority)
    until = f"until {goal} is shown, for {ab_test.min_duration} at least and {ab_test.max_duration} at most"
    who = f"{ab_test.percent} % of all users stay with the candidate" if ab_test.sticky else "who asks for it meets it"
    yield Step(
        place=Place(index, name, 0),
        phase=Phase.PROGRESSING,
        exposure=_exposure(ab_test),
        hold=ab_test.min_duration.timedelta,
        begins=Finding("StepStarted", f"{name}: {who}, {until}."),
        waits=EXPOSED_WAITS,
        fails=(drawing_failed,) if ab_test.sticky else (),
        part=ab_test.percent if ab_test.sticky else None,
        draw=lambda trial: _draw(ab_test, trial),
        goal=goal,
        patience=Patience(
            ab_test.max_duration.timedelta,
            ab_test.on_inconclusive,
            f"spec.stages[{name}].abTest.maxDuration",
            f"spec.stages[{name}].abTest.onInconclusive",
        ),
    )


def fault(name: str, ab_test: AbTest, wish: Wish) -> Finding | None:
    """What of it cannot be done, whatever the router is asked for."""
    where = f"spec.stages[{name}].abTest"
    if wish.router.splits_by_pods:
        why = (
            "a plain Service looks into no request, so it cannot keep users with the version that they met, and its "
            "sessionAffinity keeps addresses with pods"
        )
        return Finding("RouterCannot", f"{where}: {why}. Use traffic.gatewayAPI, or a canary instead.")
    wanted = ab_test.goal.metric
    metric = next((one for one in wish.spec.analysis.metrics if one.name == wanted), None)
    if metric is None:
        names = ", ".join(one.name for one in wish.spec.analysis.metrics) or "none"
        return Finding("InvalidSpec", f"{where}.goal.metric: there is no metric '{wanted}' in spec.analysis ({names}).")
    if (metric.ratio is None and metric.mean is None) or metric.tolerance is None:
        why = "a goal is shown by a ratio or a mean, with a tolerance, such as users who bought among users who came"
        return Finding("InvalidSpec", f"{where}.goal.metric: '{wanted}' is none. {why[:1].upper()}{why[1:]}.")
    return None


def _exposure(ab_test: AbTest) -> Exposure:
    sticky = ab_test.sticky
    if sticky is not None and sticky.cookie is not None:
        return Exposure(ab_test.percent, asked=frozenset({Match(STICKY, sticky.cookie.name)}))
    if sticky is not None and (buckets := sticky.bucket_header) is not None:
        return Exposure(asked=frozenset(Match(buckets.name, value) for value in buckets.first(ab_test.percent)))
    return Exposure(asked=frozenset(map(_asking, ab_test.audience or ())))


def _asking(one: Asking) -> Match:
    return Match(one.name, one.value) if one.name else Match(COOKIE, f"{one.cookie}={one.value}")


def _draw(ab_test: AbTest, trial: Trial) -> Draw | None:
    """The token is another one with each try: who was the candidate's in an earlier one is drawn anew."""
    if ab_test.sticky is None or (cookie := ab_test.sticky.cookie) is None:
        return None
    candidate = trial.candidate
    begun = [f"{moment:%Y%m%d%H%M%S}" for moment in (candidate.since, candidate.retried) if moment]
    token = digest([candidate.revision, *begun])
    return Draw(cookie.name, token, cookie.attributes(ab_test.max_duration.timedelta), candidate.drawn)
