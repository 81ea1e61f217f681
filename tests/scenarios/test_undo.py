"""Going back to the version before: after Git did, while nobody is served, while another is taken back."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.town import Town
from tests.scenarios.test_people import ask, asked, healthy


def test_undo_after_git_went_back_first_names_the_verb_that_does_it_at_once() -> None:
    town = healthy()
    town.wish("1")
    town.run(seconds=5)
    assert asked(town, "undo/1") == "ActionRefused"
    assert "promote-full" in town.status.last_action.message
    assert asked(town, "promote-full/2") == "PromotedInFull"
    town.run(until=lambda town: town.share(town.old) == 100, seconds=15)


def dropped(town: Town) -> None:
    """Git names version 2 again."""
    town.wish("2")


def aborted(town: Town) -> None:
    ask(town, "abort/1")


@pytest.mark.parametrize("end", [dropped, aborted])
def test_version_that_is_kept_stays_so_after_it_was_a_candidate_again(end: object) -> None:
    assert callable(end)
    town = healthy(keep_old="1h")
    promised = town.status.retired
    town.wish("1")
    town.run(seconds=5)
    assert town.status.candidate.revision == town.old
    end(town)
    town.run(minutes=5)
    assert (town.status.candidate, town.status.retired) == (None, promised)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is not None
    town.run(minutes=60)
    assert (town.status.retired, town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}")) == ((), None)


def test_undo_to_a_version_that_was_aborted_says_how_it_serves_again() -> None:
    town = healthy()
    town.wish("1")
    town.run(seconds=5)
    ask(town, "abort/1")
    town.run(seconds=10)
    assert asked(town, "undo/2") == "ActionRefused"
    told = "Version 1 is kept, but was taken back: put it into the spec and ask for retry."
    assert town.status.last_action.message == told
    assert asked(town, "retry/3") == "Retried"


def test_version_that_was_kept_and_serves_again_is_not_deleted() -> None:
    town = healthy()
    town.wish("1", stages=[builders.canary(50, hold="10s")])
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.old
    assert [old.revision for old in town.status.retired] == [town.new]
    town.run(minutes=90)
    assert town.share(town.old) == 100


def resized(town: Town, replicas: int) -> None:
    """Version 2 is given other numbers of pods; version 1 keeps its own."""
    metadata = town.manifest["spec"]["workload"]["template"]
    template = {**metadata, "spec": {**metadata["spec"], "replicas": replicas}}
    town.cluster.put({**town.manifest, "spec": {**town.manifest["spec"], "workload": {"template": template}}})
    town.run(seconds=20)


def test_undo_compares_with_the_pods_that_serve_and_not_with_those_that_are_wished_for() -> None:
    town = healthy()
    resized(town, 6)
    assert asked(town, "undo/1") == "ActionRefused"
    assert town.status.last_action.message.startswith("Version 1 has 4 pods, and everybody is served by 6 now: scale ")
    town.cluster.broken = {"2"}
    town.run(seconds=20)
    assert asked(town, "undo/2") == "Undone"
    town.run(seconds=10)
    assert town.share(town.old) == 100


def test_undo_waits_while_a_candidate_is_being_taken_back() -> None:
    town = healthy()
    town.wish("3")
    town.go(Phase.PROGRESSING)
    ask(town, "abort/1")
    town.go(Phase.ROLLING_BACK)
    ask(town, "undo/2")
    town.run(seconds=20)
    assert (town.status.last_action.action, town.status.last_action.reason) == ("undo/2", "Undone")
    assert town.share(town.old) == 100
