"""How many pods a candidate is given where spec.replicas is left out, and whether its pods can carry its traffic."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS
from tests import builders
from tests.fakes.cluster import merged
from tests.fakes.town import Town


def autoscaled(version: str) -> dict[str, Manifest]:
    template = builders.spec(version)["workload"]["template"]
    del template["spec"]["replicas"]
    return {"workload": {"template": template}}


def size(town: Town, revision: str) -> int:
    deployment = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    assert deployment is not None
    return int(deployment["spec"]["replicas"])


def scale(town: Town, revision: str, replicas: int) -> None:
    """What an autoscaler does, or somebody with kubectl."""
    deployment = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    town.cluster.put(merged(deployment, {"spec": {"replicas": replicas}}))


def crowded(replicas: int = 10, **changes: Any) -> Town:
    """Version 1 has been scaled to so many pods, and version 2 has just been applied."""
    town = Town()
    town.old = town.wish("1", **autoscaled("1"), **changes)
    town.go(Phase.HEALTHY, minutes=2)
    scale(town, town.old, replicas)
    town.run(seconds=10)
    town.new = town.wish("2", **autoscaled("2"), **changes)
    return town


@pytest.mark.parametrize("replicas", [1, 3, 10, 40])
def test_candidate_has_the_pods_that_each_weight_needs_before_it_has_the_weight(replicas: int) -> None:
    town = crowded(replicas)
    seen: dict[float, int] = {}
    town.cluster.witnesses.append(lambda *_: seen.setdefault(town.share(town.new), town.pods(town.new)))
    town.go(Phase.HEALTHY)
    needed = {share: max(1, ceil(replicas * share / 100)) for share in (5, 25, 50, 100)}
    assert {share: seen[share] for share in needed} == needed
    assert size(town, town.new) == replicas


@pytest.mark.parametrize("sticky", [{"bucketHeader": {"name": "x-bucket", "count": 20}}, {"cookie": {"name": "arm"}}])
def test_candidate_has_the_pods_for_the_users_who_are_kept_with_it(sticky: Any) -> None:
    town = crowded(stages=[builders.ab_test(percent=40, sticky=sticky)])
    town.go(Phase.PROGRESSING)
    assert size(town, town.new) == 4


def test_weight_waits_for_pods_and_says_who_scales_what() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 5)
    town.cluster.slow = timedelta(minutes=3)
    town.run(minutes=2)
    assert (town.status.stage.weight, town.share(town.new), size(town, town.new)) == (25, 5, 3)
    assert (
        f"1 of 3 are. spec.workload.template.spec.replicas is left out and nothing scales Deployment fraud-{town.new} "
        "yet, so it is given 3 pods, as many as 25 % of stable's 10 need." in town.status.message
    )
    town.run(minutes=2)
    assert town.share(town.new) == 25


def test_autoscaler_that_shrinks_stable_meanwhile_does_not_make_the_candidate_smaller() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 50)
    scale(town, town.old, 4)
    town.go(Phase.HEALTHY)
    assert size(town, town.new) == 10


def test_stable_that_grew_meanwhile_makes_the_candidate_larger() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 25)
    scale(town, town.old, 20)
    town.go(Phase.PROGRESSING, 50)
    assert size(town, town.new) == 10
    scale(town, town.old, 5)
    town.go(Phase.HEALTHY)
    assert size(town, town.new) == 20


def test_pods_that_an_autoscaler_added_are_never_taken_away() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 5)
    scale(town, town.new, 12)
    town.go(Phase.HEALTHY)
    assert size(town, town.new) == 12


def test_autoscaler_that_takes_pods_away_again_is_let_be() -> None:
    """It measures the load itself, and two that fight over a number help nobody."""
    town = crowded()
    town.go(Phase.PROGRESSING, 50)
    scale(town, town.new, 2)
    town.run(seconds=30)
    assert (size(town, town.new), town.share(town.new)) == (2, 50)
    patches = sum(verb == "patch" for verb, *_ in town.cluster.log)
    town.run(until=lambda town: town.share(town.new) == 100, minutes=5)
    scale(town, town.new, 7)
    town.go(Phase.HEALTHY)
    assert size(town, town.new) == 7
    assert sum(verb == "patch" for verb, *_ in town.cluster.log) == patches + 1


def test_candidate_that_is_taken_to_zero_is_given_a_pod_once_and_then_waited_for() -> None:
    town = crowded()
    town.go(Phase.PROGRESSING, 5)
    scale(town, town.new, 0)
    town.run(seconds=5)
    assert size(town, town.new) == 1
    scale(town, town.new, 0)
    town.run(minutes=15)
    assert (town.phase, size(town, town.new), town.share(town.new)) == (Phase.PROGRESSING, 0, 0)
    assert f"Deployment 'fraud-{town.new}' is scaled to 0, so it has no pods." in str(town.status.message)
    scale(town, town.new, 1)
    town.go(Phase.PROGRESSING, 25)


def test_stable_has_its_pods_back_when_users_come_back_to_it() -> None:
    town = crowded(stages=[builders.canary(50, hold="10m")])
    town.go(Phase.PROGRESSING, 50)
    scale(town, town.old, 2)
    town.run(minutes=1)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    assert size(town, town.old) == 10


def test_operator_owns_no_number_of_pods_that_an_autoscaler_may_own() -> None:
    town = crowded()
    town.go(Phase.HEALTHY)
    for (plural, _, name), managers in town.cluster.applied.items():
        if plural == "deployments":
            assert all("replicas" not in manifest["spec"] for manifest in managers.values()), name


@pytest.mark.parametrize("traffic", [builders.spec()["traffic"], {"port": 8080, "service": {}}], ids=["gw", "svc"])
def test_size_of_the_spec_is_that_of_both_versions_where_it_has_one(traffic: dict[str, Any]) -> None:
    town = Town()
    town.old = town.wish("1", traffic=traffic)
    town.go(Phase.HEALTHY, minutes=2)
    town.new = town.wish("2", traffic=traffic)
    town.run(until=lambda town: town.share(town.new) == 100, minutes=30)
    assert (size(town, town.old), size(town, town.new)) == (4, 4)
    assert "is left out" not in str(town.status.message)
