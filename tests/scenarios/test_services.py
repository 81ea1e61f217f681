"""Releases without any gateway: one Service in front, whose selector decides who serves."""

from __future__ import annotations

from datetime import timedelta

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import REVISION_LABEL, ROLLOUT_LABEL
from modelrollout.objects.resources import DEPLOYMENTS, PODS, SERVICES
from modelrollout.traffic.plain_service import WEIGHT
from tests.fakes.cluster import merged
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

PLAIN = {"port": 8080, "service": {}}
QUICK = {"bake": "0s", "keepOld": "20s"}


def selector(town: Town) -> dict[str, str]:
    return town.cluster.get(SERVICES, "fraud")["spec"]["selector"]


def replicas(town: Town, revision: str) -> int:
    return town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")["spec"]["replicas"]


def test_selector_is_exact_at_0_and_100_and_counts_pods_between() -> None:
    town = releasing(traffic=PLAIN)
    assert selector(town) == {ROLLOUT_LABEL: "fraud", REVISION_LABEL: town.old}
    seen = []
    for weight in (5, 25, 50):
        town.run(until=lambda town, weight=weight: town.status.stage and town.status.stage.weight == weight, minutes=5)
        town.run(seconds=10)
        assert selector(town) == {ROLLOUT_LABEL: "fraud"}
        seen.append((replicas(town, town.new), town.share(town.new)))
    assert seen == [(1, 20), (1, 20), (4, 50)]
    town.go(Phase.PROGRESSING, 100)
    assert selector(town) == {ROLLOUT_LABEL: "fraud", REVISION_LABEL: town.new}


def test_status_says_which_share_it_really_is() -> None:
    town = releasing(traffic=PLAIN)
    town.go(Phase.PROGRESSING)
    town.run(seconds=10)
    assert "5 % (as 1 of 5 pods)" in town.status.message


def test_switch_to_all_waits_for_all_pods_and_leaves_none_behind() -> None:
    town = releasing(traffic=PLAIN, stages=[{"name": "half", "canary": {"weights": [20], "hold": "10s"}}])
    town.go(Phase.PROGRESSING)
    town.run(seconds=5)
    town.cluster.slow = timedelta(seconds=90)
    town.run(until=lambda town: town.phase is Phase.PROMOTING, minutes=2)
    town.run(seconds=60)
    assert selector(town) == {ROLLOUT_LABEL: "fraud"}
    assert "1 of 4 are" in town.status.message
    town.go(Phase.BAKING, 100)
    assert town.pods(town.new) == 4


def test_pods_of_a_retired_version_are_gone_before_selectors_mix() -> None:
    town = releasing(traffic=PLAIN, promotion=QUICK, stages=[{"name": "c", "canary": {"weights": [50], "hold": "5s"}}])
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new
    Witness(town)  # says so if a pod of version 1 is ever mixed in
    town.wish("3", traffic=PLAIN, promotion=QUICK, stages=[{"name": "c", "canary": {"weights": [50], "hold": "5s"}}])
    town.run(until=lambda town: f"fraud-{town.old}" in (town.status.message or ""), minutes=1)
    assert "must be gone before traffic is split" in town.status.message
    town.go(Phase.HEALTHY)
    assert town.status.stable.model.version == "3"
    assert not [pod for pod in town.cluster.all(PODS) if pod["metadata"]["labels"][REVISION_LABEL] == town.old]


def test_first_step_of_100_need_not_wait_for_retired_pods() -> None:
    stages = [{"name": "all", "canary": {"weights": [100], "hold": "5s"}}]
    town = releasing(traffic=PLAIN, promotion={"bake": "0s", "keepOld": "1h"}, stages=stages)
    town.go(Phase.HEALTHY)
    town.new = town.wish("3", traffic=PLAIN, promotion={"bake": "0s", "keepOld": "1h"}, stages=stages)
    town.go(Phase.PROGRESSING, 100, minutes=2)


def test_candidate_with_a_pod_less_keeps_its_smaller_share_and_none_takes_it_back() -> None:
    town = releasing(traffic=PLAIN, stages=[{"name": "half", "canary": {"weights": [50], "hold": "10m"}}])
    town.go(Phase.PROGRESSING, 50)
    town.cluster.limping = {"2": 1}
    town.run(seconds=10)
    assert town.share(town.new) == 100 * 3 / 7
    town.cluster.limping = {"2": 4}
    town.step()
    assert selector(town) == {ROLLOUT_LABEL: "fraud", REVISION_LABEL: town.old}


def test_weight_that_somebody_made_unreadable_is_not_mistaken_for_the_switch_to_all() -> None:
    town = releasing(traffic=PLAIN, stages=[{"name": "c", "canary": {"weights": [20], "hold": "10s"}}])
    town.go(Phase.PROGRESSING)
    town.run(seconds=5)
    town.cluster.slow = timedelta(seconds=90)
    town.go(Phase.PROMOTING)
    front = town.cluster.get(SERVICES, "fraud")
    town.cluster.put(merged(front, {"metadata": {"annotations": {WEIGHT: "much"}}}))
    town.run(seconds=30)
    assert (town.phase, selector(town)) == (Phase.PROMOTING, {ROLLOUT_LABEL: "fraud"})
