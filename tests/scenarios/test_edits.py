"""A spec that is edited in the middle of a release."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, MODEL_ROLLOUTS, SERVICES
from tests import builders
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness


def canary(*weights: int, name: str = "canary") -> Manifest:
    return {"name": name, "canary": {"weights": list(weights), "hold": "1m"}}


def test_edit_that_takes_the_step_away_goes_back_to_the_last_lower_one_and_holds_it_anew() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=50)
    town.wish("2", stages=[canary(10, 60)])
    town.go(Phase.PROGRESSING, 10, minutes=1)
    began = town.now
    town.go(Phase.PROGRESSING, 60)
    assert town.now - began >= timedelta(seconds=59)


@pytest.mark.parametrize("stages", [[canary(1, name="small"), canary(5, 25, 50)], [canary(5, 25, 50, name="wide")]])
def test_edit_around_the_step_does_not_start_it_over(stages: list[Manifest]) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=30)
    began = town.status.stage.since
    town.wish("2", stages=stages)
    town.run(seconds=5)
    stage = town.status.stage
    assert (stage.since, stage.weight, stage.name) == (began, 25, stages[stage.index]["name"])


@pytest.mark.parametrize(
    "broken",
    [
        {"analysis": {"interval": "often", "metrics": [builders.ERRORS]}},
        {"analysis": {"interval": "0s", "metrics": [builders.ERRORS]}},
        {"analysis": {}},
        {"stages": []},
        {"stages": [canary(50, 5)]},
        {"traffic": {"port": 8080}},
        {"workload": {"template": {"spec": "none"}}},
        {"workload": {"template": {"kind": "DaemonSet", "spec": {"template": {"spec": {"containers": [{}]}}}}}},
        {"promotion": {"bakee": "1m"}},
        {"model": None},
    ],
)
@pytest.mark.parametrize("weight", [5, 50])
def test_broken_spec_moves_no_traffic_and_its_mending_goes_on_from_there(broken: dict[str, Any], weight: int) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, weight)
    witness = Witness(town)
    witness.look()
    town.wish("2", **broken)
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.INVALID, weight)
    assert town.condition("Ready") == "False"
    assert "spec" in town.status.message
    assert len(witness.history) == 1
    town.wish("2")
    town.go(Phase.HEALTHY)


def test_broken_spec_is_no_first_version() -> None:
    town = Town()
    town.wish("1", traffic={"port": 8080})
    town.run(minutes=10)
    assert town.phase is Phase.INVALID
    assert not town.cluster.all(DEPLOYMENTS)
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=1)


def test_rejected_version_is_not_tried_again_by_a_resync_but_its_mended_successor_is() -> None:
    town = releasing()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    town.metrics.bad = {}
    for version, phase in [("1", Phase.HEALTHY), ("2", Phase.ROLLED_BACK), ("1", Phase.HEALTHY)]:
        town.wish(version)
        town.run(minutes=3)
        assert (town.phase, town.share(town.old)) == (phase, 100)
    town.wish("3")
    town.go(Phase.PROGRESSING, 25)
    town.wish("2")
    town.run(minutes=3)
    assert (town.phase, town.share(town.old)) == (Phase.ROLLED_BACK, 100)


def test_going_back_while_baking_is_one_write_and_the_old_version_is_there() -> None:
    town = releasing()
    town.go(Phase.BAKING, 100)
    town.run(seconds=30)
    town.cluster.log.clear()
    town.wish("1")
    town.step()
    assert town.cluster.log[0] == ("apply", "httproutes", "fraud")
    assert town.share(town.old) == 100
    assert town.pods(town.old) == 4


def test_metrics_edited_in_the_middle_are_judged_anew() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    other = {**builders.ERRORS, "name": "failures"}
    town.wish("2", analysis={"interval": "15s", "metrics": [other, builders.ERRORS]})
    town.go(Phase.PROGRESSING, 50)
    assert [verdict.metric for verdict in town.status.verdicts] == ["failures", "errors"]


def test_ready_is_not_said_before_the_route_is_there() -> None:
    town = Town()
    town.wish("1")
    ready: list[bool] = []

    def note(verb: str, plural: str, name: str) -> None:
        if verb == "status" and town.condition("Ready") == "True":
            ready.append(bool(town.shares()))

    town.cluster.witnesses.append(note)
    town.go(Phase.HEALTHY, minutes=1)
    town.run(seconds=5)
    assert ready == [True]


def test_first_version_that_is_replaced_before_it_was_ready_leaves_nothing_behind() -> None:
    town = Town()
    town.cluster.broken = {"1"}
    town.wish("1")
    town.run(minutes=1)
    town.new = town.wish("2")
    town.go(Phase.HEALTHY, minutes=1)
    town.run(minutes=1)
    for resource in (DEPLOYMENTS, SERVICES):
        assert [m["metadata"]["name"] for m in town.cluster.all(resource)] == [f"fraud-{town.new}"]


def test_rollout_made_anew_does_not_serve_from_pods_that_go_with_the_old_one() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    old = list(town.cluster.objects.items())
    town.delete()
    town.finalise()
    for key, manifest in old:  # the garbage collector has not come to them yet
        if key[0] in ("deployments", "services"):
            manifest["metadata"]["ownerReferences"][0]["uid"] = "uid-of-the-old-one"
            town.cluster.objects[key] = manifest
    town.restart()
    town.new = town.wish("2")
    town.run(minutes=1)
    assert (town.phase, town.shares()) == (Phase.PENDING, {})
    assert "Only one reference can have Controller" in town.status.message
    for resource in (DEPLOYMENTS, SERVICES):
        for manifest in town.cluster.all(resource):
            town.cluster.remove(resource, manifest["metadata"]["name"])
    town.run(minutes=6)
    assert (town.phase, town.share(town.new)) == (Phase.HEALTHY, 100)
    assert town.cluster.get(MODEL_ROLLOUTS, "fraud") is not None
