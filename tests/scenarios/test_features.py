"""A stage that the class of a Gateway is known not to do."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Manifest
from tests import builders
from tests.fakes.town import Town
from tests.scenarios.test_lent_routes import THEIRS, lending

OWN: Manifest = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}
ROUTERS = pytest.mark.parametrize("traffic", [OWN, lending()], ids=["own", "lent"])
COPIES = [builders.shadow(methods=["POST"], hold="1m"), builders.canary(50, hold="1m")]
PLAIN = [builders.canary(50, hold="1m")]
ALL = ["HTTPRoute", "HTTPRouteRequestMirror", "HTTPRouteMethodMatching"]


def published(town: Town, *features: str) -> None:
    group = "gateway.networking.k8s.io/v1"
    town.cluster.put(
        {
            "apiVersion": group,
            "kind": "Gateway",
            "metadata": {"namespace": "ml", "name": "inference-gateway"},
            "spec": {"gatewayClassName": "nginx"},
        }
    )
    town.cluster.put(
        {
            "apiVersion": group,
            "kind": "GatewayClass",
            "metadata": {"name": "nginx"},
            "spec": {},
            "status": {"supportedFeatures": [{"name": name} for name in features]},
        }
    )


def serving(traffic: Manifest, *features: str) -> Town:
    town = Town()
    town.cluster.put(THEIRS)
    published(town, *features)
    town.old = town.wish("1", stages=PLAIN, traffic=traffic)
    town.go(Phase.HEALTHY, minutes=5)
    return town


@ROUTERS
def test_stage_is_refused_before_traffic_moves(traffic: Manifest) -> None:
    town = serving(traffic, "HTTPRoute")
    town.new = town.wish("2", stages=COPIES, traffic=traffic)
    town.run(minutes=1)
    assert town.phase is Phase.INVALID
    assert town.status.message is not None
    assert town.status.message.startswith(
        "GatewayClass 'nginx' of Gateway 'ml/inference-gateway' does not list HTTPRouteRequestMirror"
    )
    published(town, *ALL)
    town.go(Phase.HEALTHY)
    assert town.status.stable is not None
    assert town.status.stable.revision == town.new


@ROUTERS
def test_release_that_is_on_its_way_goes_on(traffic: Manifest) -> None:
    town = serving(traffic, *ALL)
    town.new = town.wish("2", stages=COPIES, traffic=traffic)
    town.go(Phase.PROGRESSING)
    published(town, "HTTPRoute")
    town.run(seconds=20)
    assert town.phase is Phase.PROGRESSING


def test_class_that_may_not_be_read_is_no_obstacle() -> None:
    town = serving(OWN, "HTTPRoute")

    def forbidden(moment: str, verb: str, plural: str, name: str) -> None:
        if plural in ("gateways", "gatewayclasses") and moment == "before" and verb == "get":
            raise Refused(403, f"{plural} is forbidden", name)

    town.cluster.hook = forbidden
    town.new = town.wish("2", stages=COPIES, traffic=OWN)
    town.go(Phase.HEALTHY)


def test_plain_weights_ask_for_no_gateway() -> None:
    town = serving(OWN, "HTTPRoute")
    assert not [plural for _, plural in town.cluster.requests if plural in ("gateways", "gatewayclasses")]


def test_copies_go_through_a_lent_route_and_leave_nothing_in_it() -> None:
    town = serving(lending(), *ALL)
    town.new = town.wish("2", stages=COPIES, traffic=lending())
    town.run(until=lambda town: len(rules(town)) == 3, minutes=5)
    assert [filter_["type"] for filter_ in rules(town)[1]["filters"]] == ["RequestMirror"]
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert [rule["name"] for rule in rules(town)] == ["churn", "fraud"]
    assert "filters" not in rules(town)[1]


def rules(town: Town) -> list[Manifest]:
    return next(one["spec"]["rules"] for key, one in town.cluster.objects.items() if key[2] == "models")
