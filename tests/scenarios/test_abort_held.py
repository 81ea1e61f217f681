"""A version that waits beside a candidate, since the API server refuses its objects, can be aborted on its own."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from tests import builders
from tests.fakes.answers import UNREACHABLE
from tests.fakes.town import Town, releasing
from tests.scenarios.test_people import ask, asked, at
from tests.scenarios.test_refusals import QUOTA, refusing


def waiting() -> tuple[Town, str]:
    """Version 2 has 25 %; version 3 is wished for, and has no room."""
    town = at(25)
    town.cluster.hook = refusing(Refused(403, QUOTA, "fraud"), "rehearse", "deployments")
    revision = town.wish("3")
    town.run(seconds=5)
    assert town.status.candidate.revision == town.new
    return town, revision


def test_abort_of_the_version_that_waits_lets_the_candidate_go_on_to_its_end() -> None:
    town, waits = waiting()
    assert asked(town, f"abort/{waits}/1") == "Aborted"
    assert [(one.revision, one.reason) for one in town.status.rejected] == [(waits, "Aborted")]
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 25)
    town.cluster.hook = lambda *_: None
    town.go(Phase.ROLLED_BACK)
    assert (town.status.stable.revision, town.share(town.new)) == (town.new, 100)
    assert town.status.history[0].message == "Version 2 serves everybody."
    town.run(minutes=5)
    assert (town.status.candidate, town.share(town.new)) == (None, 100)
    assert asked(town, f"retry/{waits}/2") == "Retried"


def test_candidate_that_goes_on_is_taken_back_by_a_metric_that_fails() -> None:
    town, waits = waiting()
    ask(town, f"abort/{waits}/1")
    town.run(seconds=5)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    assert [one.reason for one in town.status.rejected] == ["MetricFailed", "Aborted"]
    assert town.share(town.old) == 100


def test_abort_by_itself_still_means_the_candidate() -> None:
    town, _ = waiting()
    assert asked(town, "abort/1") == "Aborted"
    assert [one.revision for one in town.status.rejected] == [town.new]


@pytest.mark.parametrize("verb", ["pause", "promote", "promote-full", "skip"])
def test_whoever_names_the_version_that_waits_changes_nothing_about_the_candidate(verb: str) -> None:
    town, waits = waiting()
    assert asked(town, f"{verb}/{waits}/1") == "ActionRefused"
    assert town.status.last_action.message == f"Revision {waits} is not on its way, so there is no {verb}."


def test_candidate_that_goes_on_is_asked_the_smoke_requests_that_are_still_open() -> None:
    switch = [builders.blue_green(smoke=[builders.smoke("predicts", path="/predict")], hold="1m")]
    town = releasing(stages=switch)
    town.answers.says = {"2": UNREACHABLE}
    town.run(until=lambda town: "smoke requests" in (town.status.message or ""), minutes=2)
    town.cluster.hook = refusing(Refused(403, QUOTA, "fraud"), "rehearse", "deployments")
    waits = town.wish("3", stages=switch)
    town.run(seconds=5)
    assert asked(town, f"abort/{waits}/1") == "Aborted"
    town.answers.says = {}
    town.run(until=lambda town: town.share(town.new) == 100, minutes=5)
