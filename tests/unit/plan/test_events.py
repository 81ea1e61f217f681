"""What is told as Events: each difference once, in words that a person can act on."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.status import (
    CandidateArm,
    MetricVerdict,
    ModelRolloutStatus,
    Outcome,
    Phase,
    StageStatus,
    Verdict,
)
from modelrollout.api.status import VersionInfo as Version
from modelrollout.plan.events import events
from tests.fakes.town import NOON

WHY = Finding("Because", "It is so.")
MODEL = Version(name="fraud", version="2")
AWAY = MetricVerdict(metric="errors", verdict=Verdict.UNAVAILABLE, message="errors: connection refused.")
FINE = MetricVerdict(metric="errors", verdict=Verdict.PASS, message="errors: fine.")


def candidate(revision: str = "new", *, is_ready: bool = True, **fields: Any) -> CandidateArm:
    unready = None if is_ready else NOON
    arm = {"revision": revision, "model": MODEL, "workload": "fraud-new", "since": NOON, "unready_since": unready}
    return CandidateArm(**{**arm, **fields})


def at(phase: Phase | None, weight: int | None = None, **parts: Any) -> ModelRolloutStatus:
    stage = weight and StageStatus(index=0, name="canary", step=0, weight=weight, entered=NOON, since=NOON)
    return ModelRolloutStatus(**{"phase": phase, "stage": stage or None, **parts})


def ended(outcome: str) -> tuple[Outcome, ...]:
    return (Outcome(revision="new", model=MODEL, outcome=outcome, reason=outcome, message=f"{outcome}!", at=NOON),)


P = Phase


@pytest.mark.parametrize(
    ("why", "before", "after", "told"),
    [
        ("nothing changed", at(P.HEALTHY), at(P.HEALTHY), []),
        ("only the clock of a step", at(P.PROGRESSING, 5), at(P.PROGRESSING, 5, message="x"), []),
        ("a candidate", at(P.HEALTHY), at(P.PENDING, candidate=candidate()), ["NewRevision"]),
        ("a step", at(P.PROGRESSING, 5), at(P.PROGRESSING, 25), ["Because"]),
        ("all traffic", at(P.PROGRESSING, 25), at(P.PROMOTING, 100), ["Because"]),
        ("a rollback", at(P.BAKING, 100), at(P.ROLLING_BACK, 100), ["RollingBack"]),
        ("the end of one", at(P.ROLLING_BACK), at(P.ROLLED_BACK), ["RolledBack"]),
        ("a broken spec", at(P.PROGRESSING, 5), at(P.INVALID, 5, resumes=P.PROGRESSING), ["Because"]),
        ("a spec broken otherwise", at(P.INVALID, message="old"), at(P.INVALID), ["Because"]),
        ("a spec that stays broken", at(P.INVALID, message=WHY.message), at(P.INVALID), []),
        (
            "a successor",
            at(P.PROGRESSING, 5, candidate=candidate("old")),
            at(P.PENDING, candidate=candidate(), history=ended("Superseded")),
            ["Superseded", "NewRevision"],
        ),
        (
            "a way back",
            at(P.PROGRESSING, 5, candidate=candidate()),
            at(P.HEALTHY, history=ended("Cancelled")),
            ["Cancelled", "Because"],
        ),
        (
            "readiness lost",
            at(P.PROGRESSING, 5, candidate=candidate()),
            at(P.PROGRESSING, 5, candidate=candidate(is_ready=False)),
            ["TrafficWithheld"],
        ),
        (
            "readiness lost once more at this step",
            at(P.PROGRESSING, 5, candidate=candidate(waited=7)),
            at(P.PROGRESSING, 5, candidate=candidate(is_ready=False, waited=7)),
            [],
        ),
        (
            "readiness found once more",
            at(P.PROGRESSING, 5, candidate=candidate(is_ready=False, waited=7)),
            at(P.PROGRESSING, 5, candidate=candidate(waited=9)),
            [],
        ),
        (
            "an obstacle",
            at(P.PENDING, candidate=candidate(is_ready=False)),
            at(P.PENDING, candidate=candidate(is_ready=False, blocked_since=NOON)),
            ["Because"],
        ),
        (
            "an obstacle that stays",
            at(P.PENDING, candidate=candidate(is_ready=False, blocked_since=NOON)),
            at(P.PENDING, candidate=candidate(is_ready=False, blocked_since=NOON)),
            [],
        ),
        (
            "readiness found",
            at(P.PROGRESSING, 5, candidate=candidate(is_ready=False)),
            at(P.PROGRESSING, 5, candidate=candidate()),
            ["TrafficRestored"],
        ),
        (
            "readiness lost while the spec is broken",
            at(P.INVALID, 5, resumes=P.PROGRESSING, candidate=candidate(), message=WHY.message),
            at(P.INVALID, 5, resumes=P.PROGRESSING, candidate=candidate(is_ready=False)),
            ["TrafficWithheld"],
        ),
        (
            "the first readiness",
            at(P.PENDING, candidate=candidate(is_ready=False)),
            at(P.PROGRESSING, 5, candidate=candidate()),
            ["Because"],
        ),
        ("Prometheus away", at(P.PROGRESSING, 5), at(P.PROGRESSING, 5, verdicts=[AWAY]), ["AnalysisUnavailable"]),
        (
            "Prometheus back",
            at(P.PROGRESSING, 5, verdicts=[AWAY]),
            at(P.PROGRESSING, 5, verdicts=[FINE]),
            ["AnalysisAvailable"],
        ),
        ("Prometheus still away", at(P.PROGRESSING, 5, verdicts=[AWAY]), at(P.PROGRESSING, 5, verdicts=[AWAY]), []),
    ],
)
def test_told_is(why: str, before: ModelRolloutStatus, after: ModelRolloutStatus, told: list[str]) -> None:
    assert [event.reason for event in events(before, after, WHY)] == told


def test_rollback_is_a_warning_that_says_why() -> None:
    (event,) = events(at(P.PROGRESSING, 5), at(P.ROLLING_BACK, 5), WHY)
    assert (event.type, WHY.message in event.message) == ("Warning", True)
