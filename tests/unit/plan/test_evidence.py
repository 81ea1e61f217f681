"""What the status keeps of the comparison."""

from __future__ import annotations

from datetime import timedelta

from modelrollout.api.status import EvidenceStatus, MetricEvidence, Phase
from modelrollout.objects.resources import MODEL_ROLLOUTS
from modelrollout.plan.looks import CHECKPOINT, checkpointed
from modelrollout.plan.planner import plan
from modelrollout.plan.statuses import changed
from tests import builders
from tests.fakes.town import Town, releasing


def at_work() -> Town:
    """Long enough at a step for a checkpoint."""
    town = releasing(stages=[{"name": "c", "canary": {"weights": [5], "hold": "1h"}}])
    town.go(Phase.PROGRESSING, 5)
    town.run(minutes=5)
    assert town.status.evidence is not None
    assert town.status.evidence.metrics
    return town


def asked_of_the_past(town: Town) -> set[str]:
    question = plan(town.rollout(), town.world(), town.now).questions
    return {query.metric for query in question.history} if question else set()


def test_the_past_is_looked_at_again_for_a_metric_that_is_edited_and_for_no_other() -> None:
    other = {**builders.ERRORS, "name": "other"}
    town = releasing(analysis={"metrics": [builders.ERRORS, other]})
    town.go(Phase.PROGRESSING, 25)
    before = town.status.evidence
    assert before is not None
    assert asked_of_the_past(town) == set()
    edited = {**builders.ERRORS, "tolerance": {"relative": "80%"}}
    town.wish("2", analysis={"metrics": [edited, other]})
    assert asked_of_the_past(town) == {"errors"}
    town.run(seconds=20)
    assert asked_of_the_past(town) == set()
    after = town.status.evidence
    assert after is not None
    assert (after.usual[1], after.at) == (before.usual[1], before.at)
    assert (after.usual[0].state, after.usual[0].mode) == (before.usual[0].state, before.usual[0].mode)
    assert after.usual[0].basis != before.usual[0].basis


def test_a_checkpoint_that_claims_to_be_of_far_ahead_stops_no_pass() -> None:
    town = at_work()
    manifest = town.cluster.get(MODEL_ROLLOUTS, "fraud")
    assert manifest is not None
    for one in manifest["status"]["evidence"]["metrics"]:
        one["ticks"] = 2**62
    town.cluster.put(manifest)
    town.run(seconds=30)
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert town.share(town.new) == 0


def test_a_checkpoint_is_due_by_the_tick_that_the_evidence_was_begun_with() -> None:
    town = at_work()
    known = town.status.evidence
    assert known is not None
    assert known.tick == "15000ms"
    status = changed(town.status, evidence=EvidenceStatus(**{**dict(known), "tick": "30000ms"}))
    ahead = CHECKPOINT // timedelta(seconds=30)
    for more, is_due in ((ahead - 1, False), (ahead, True)):
        fresh = tuple(MetricEvidence(**{**dict(one), "ticks": one.ticks + more}) for one in known.metrics)
        found = checkpointed(status, status, fresh, timedelta(seconds=1))
        assert found is not None
        assert (found.metrics == fresh) is is_due
