"""Stages of the kind shadow: the candidate is judged by copies of users' requests, and users never notice."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES
from tests import builders
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

POSTS = {"methods": ["POST"], "hold": "1m"}
GRPC = {"port": 8080, "grpc": {"parentRefs": [{"name": "g"}]}}


def shadowing(traffic: dict[str, Any] | None = None, **fields: Any) -> Town:
    """Version 2 was just applied; it gets copies first, and then a share of the traffic."""
    stages = [builders.shadow(**{**POSTS, **fields}), builders.canary(50, hold="1m")]
    return releasing(stages=stages, **({"traffic": traffic} if traffic else {}))


def rules(town: Town) -> list[Manifest]:
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    assert route is not None
    return route["spec"]["rules"]  # type: ignore[no-any-return]


def is_copied(town: Town) -> bool:
    return town.tried_by.get(town.new) == {"copies"}


def test_good_candidate_gets_copies_then_users() -> None:
    town = shadowing()
    Witness(town)
    town.run(until=is_copied, minutes=5)
    copied, everybody = rules(town)
    mirror = {"backendRef": {"name": f"fraud-{town.new}", "port": 80}}
    assert copied["matches"] == [{"method": "POST"}]
    assert copied["filters"] == [{"type": "RequestMirror", "requestMirror": mirror}]
    assert copied["backendRefs"] == everybody["backendRefs"]
    assert "filters" not in everybody
    assert town.share(town.new) == 0
    town.run(seconds=15)
    assert town.status.message.startswith("shadow a copy of 100 %: held until")  # type: ignore[union-attr]
    town.go(Phase.PROGRESSING, 50)
    assert len(rules(town)) == 1
    assert town.tried_by == {}
    town.go(Phase.HEALTHY)
    assert town.status.history[0].outcome == "Promoted"


def test_bad_candidate_is_taken_back_before_any_user_meets_it() -> None:
    town = shadowing()
    witness = Witness(town)
    town.metrics.bad = {"2": 0.2}
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert all(shares.get(town.new, 0) == 0 for shares in witness.history)
    assert town.tried_by == {}
    assert town.status.rejected[0].reason == "MetricFailed"


def test_copies_are_the_first_that_a_candidate_loses_with_its_pods() -> None:
    town = shadowing(hold="5m")
    Witness(town)
    town.run(until=is_copied, minutes=5)
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert town.tried_by == {}
    town.cluster.broken = set()
    town.run(until=is_copied, minutes=1)
    town.go(Phase.HEALTHY)


def test_part_of_the_requests_is_copied_as_finely_as_it_is_asked_for() -> None:
    town = shadowing(percent="0.5%")
    town.run(until=is_copied, minutes=5)
    (one,) = rules(town)[0]["filters"]
    assert one["requestMirror"]["fraction"] == {"numerator": 1, "denominator": 200}
    assert town.status.stage is not None
    assert town.status.stage.mirror == "0.5%"
    town.go(Phase.PROGRESSING, 50)


def test_methods_that_change_something_are_copied_only_where_it_is_said() -> None:
    stages = [{"name": "shadow", "shadow": {}}, builders.canary(50)]
    town = releasing(stages=stages)
    town.run(until=is_copied, minutes=5)
    assert [match["method"] for match in rules(town)[0]["matches"]] == ["GET", "HEAD", "OPTIONS"]


def test_all_requests_are_copied_by_the_rule_that_there_is() -> None:
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    town = shadowing(methods=methods)
    town.run(until=is_copied, minutes=5)
    assert len(rules(town)) == 1


def test_candidate_without_a_size_of_its_own_gets_the_pods_that_its_copies_need() -> None:
    template = builders.spec()["workload"]["template"]
    bare = {**template, "spec": {**template["spec"]}}
    del bare["spec"]["replicas"]
    stages = [builders.shadow(percent=50, **POSTS), builders.canary(50, hold="1m")]
    town = Town()
    town.old = town.wish("1", workload={"template": bare}, stages=stages)
    town.go(Phase.HEALTHY, minutes=2)
    stable = town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}")
    assert stable is not None
    town.cluster.put({**stable, "spec": {**stable["spec"], "replicas": 6}})
    town.run(seconds=10)
    town.new = town.wish("2", workload={"template": bare}, stages=stages)
    town.run(until=is_copied, minutes=5)
    assert town.pods(town.new) == 3


@pytest.mark.parametrize(
    ("traffic", "fields", "said"),
    [
        ({"port": 8080, "service": {}}, {}, "use traffic.gatewayAPI"),
        (GRPC, {"methods": ["GET"]}, "a gRPC call is a POST, whatever it does: write methods: [POST]"),
        (GRPC, {"paths": ["/a"]}, "leave paths out"),
        (
            {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}], "matches": [{"method": "GET"}]}},
            {},
            "none of spec.traffic.gatewayAPI.matches is for the requests that are to be copied (POST)",
        ),
    ],
    ids=["plain Services", "calls that read", "paths of calls", "requests of another method"],
)
def test_what_a_router_cannot_copy_is_said_before_anything_starts(traffic: Any, fields: Any, said: str) -> None:
    town = Town()
    town.wish("1", stages=[builders.shadow(**{**POSTS, **fields})], **({"traffic": traffic} if traffic else {}))
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert said in (town.status.message or "")


def test_calls_are_copied_where_that_is_said() -> None:
    town = shadowing(GRPC)
    town.run(until=lambda town: town.status.stage is not None and town.status.stage.since is not None, minutes=2)
    assert town.status.stage is not None
    assert town.status.stage.mirror == 100
