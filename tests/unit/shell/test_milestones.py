"""How long it took to see that a candidate is bad, and to take it back: from stored moments, each once."""

from __future__ import annotations

from datetime import timedelta

from modelrollout.api.status import CandidateArm, EvidenceStatus, ModelRolloutStatus, Outcome, Phase, Rejection
from modelrollout.api.status import VersionInfo as Version
from modelrollout.shell.milestones import Detection, Restoration, milestones
from tests.fakes.town import NOON

MODEL = Version(name="fraud", version="2")
CANDIDATE = CandidateArm(revision="new", model=MODEL, workload="fraud-new", since=NOON)
EXPOSED = ModelRolloutStatus(
    phase=Phase.PROGRESSING, candidate=CANDIDATE, evidence=EvidenceStatus(start=NOON, planned=60)
)
DECIDED, BACK = NOON + timedelta(seconds=90), NOON + timedelta(seconds=93)
REJECTED = Rejection(revision="new", model=MODEL, reason="MetricFailed", message="errors: too many.", at=DECIDED)
ROLLING_BACK = ModelRolloutStatus(**{**dict(EXPOSED), "phase": Phase.ROLLING_BACK, "rejected": (REJECTED,)})
ENDED = Outcome(revision="new", model=MODEL, outcome="RolledBack", reason="MetricFailed", message="so", at=BACK)
ROLLED_BACK = ModelRolloutStatus(phase=Phase.ROLLED_BACK, rejected=(REJECTED,), history=(ENDED,))


def test_detection_is_from_the_first_exposure_to_the_decision() -> None:
    assert [*milestones(EXPOSED, ROLLING_BACK)] == [Detection(90.0)]


def test_restoration_is_from_the_decision_until_stable_has_all_traffic() -> None:
    assert [*milestones(ROLLING_BACK, ROLLED_BACK)] == [ENDED, Restoration(3.0)]


def test_each_is_told_once() -> None:
    assert [*milestones(ROLLING_BACK, ROLLING_BACK), *milestones(ROLLED_BACK, ROLLED_BACK)] == []


def test_a_candidate_that_nobody_met_was_not_detected() -> None:
    unmet = ModelRolloutStatus(**{**dict(ROLLING_BACK), "evidence": None})
    assert [*milestones(ModelRolloutStatus(phase=Phase.PENDING, candidate=CANDIDATE), unmet)] == []


def test_a_decision_and_its_end_in_one_pass_are_both_told() -> None:
    assert [*milestones(EXPOSED, ROLLED_BACK)] == [Detection(90.0), ENDED, Restoration(3.0)]


def test_the_end_of_a_release_that_was_not_taken_back_restores_nothing() -> None:
    done = Outcome(revision="new", model=MODEL, outcome="Promoted", reason="Promoted", message="so", at=BACK)
    assert [*milestones(EXPOSED, ModelRolloutStatus(phase=Phase.HEALTHY, history=(done,)))] == [done]
