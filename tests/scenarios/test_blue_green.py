"""Stages of the kind blueGreen: a candidate of full size is looked at, gets everybody at once, and is taken back so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import REVISION_LABEL
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from tests import builders
from tests.fakes.town import Town, releasing
from tests.fakes.witness import Witness

PREVIEW = {"header": {"name": "X-Preview", "value": "1"}}
QUICK = {"previewHold": "1m", "hold": "1m"}
PLAIN = {"port": 8080, "service": {}}
LIMITED = {**builders.ERRORS, "max": "5%"}


def switching(traffic: dict[str, Any] | None = None, **fields: Any) -> Town:
    changes = {"traffic": traffic} if traffic else {}
    analysis = {"interval": "15s", "metrics": [LIMITED]}
    return releasing(stages=[builders.blue_green(**{**QUICK, **fields})], analysis=analysis, **changes)


def is_seen(town: Town) -> bool:
    return "asked" in town.tried_by.get(town.new, ())


def replicas(town: Town, revision: str) -> int:
    found = town.cluster.get(DEPLOYMENTS, f"fraud-{revision}")
    return found["spec"]["replicas"] if found else 0


def shares(witness: Witness, revision: str) -> list[float]:
    seen = [shares.get(revision, 0) for shares in witness.history]
    return [share for before, share in zip([None, *seen], seen, strict=False) if share != before]


WAYS = pytest.mark.parametrize(
    ("traffic", "preview"), [(None, PREVIEW), (PLAIN, {})], ids=["by a header", "by a Service"]
)


@WAYS
def test_good_candidate_is_previewed_at_full_size_and_gets_everybody_in_one_switch(traffic: Any, preview: Any) -> None:
    town = switching(traffic, preview=preview)
    witness = Witness(town)
    town.run(until=is_seen, minutes=5)
    assert (town.share(town.new), replicas(town, town.new), replicas(town, town.old)) == (0, 4, 4)
    town.go(Phase.PROGRESSING, 100)
    town.run(seconds=5)
    assert (town.tried_by, replicas(town, town.old)) == ({}, 4)
    town.go(Phase.HEALTHY)
    assert shares(witness, town.new) == [0, 100]
    assert town.cluster.get(SERVICES, "fraud-preview") is None
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.old}") is not None  # kept for promotion.keepOld


@WAYS
def test_bad_candidate_is_switched_back_in_one_write(traffic: Any, preview: Any) -> None:
    town = switching(traffic, preview=preview)
    witness = Witness(town)
    town.go(Phase.PROGRESSING, 100)
    town.metrics.bad = {"2": 0.2}
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert shares(witness, town.new) == [0, 100, 0]
    assert town.status.rejected[0].reason == "MetricFailed"
    assert town.share(town.old) == 100
    town.run(minutes=1)
    assert town.cluster.get(SERVICES, "fraud-preview") is None


def test_those_who_ask_by_the_header_are_among_those_whom_the_route_is_for() -> None:
    matches = [{"path": {"type": "PathPrefix", "value": "/v1"}}]
    town = switching({"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}], "matches": matches}}, preview=PREVIEW)
    town.run(until=is_seen, minutes=5)
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    assert route is not None
    asking, everybody = route["spec"]["rules"]
    assert asking["matches"] == [{**matches[0], "headers": [{"type": "Exact", "name": "x-preview", "value": "1"}]}]
    assert everybody["matches"] == matches


def test_preview_waits_for_all_pods_though_nobody_needs_them_yet() -> None:
    town = switching(PLAIN, preview={})
    town.cluster.slow = timedelta(seconds=45)
    town.run(seconds=30)
    assert replicas(town, town.new) == 4
    assert not is_seen(town)
    town.run(until=is_seen, minutes=2)


def test_preview_is_not_judged_since_its_users_may_try_what_fails() -> None:
    town = switching(preview=PREVIEW)
    town.metrics.bad = {"2": 0.5}
    town.run(until=is_seen, minutes=5)
    town.run(seconds=50)
    assert (town.phase, town.status.verdicts) == (Phase.PROGRESSING, ())
    town.metrics.bad = {}
    town.go(Phase.HEALTHY)


def test_preview_that_lasts_is_no_lack_of_evidence() -> None:
    strict = {"interval": "15s", "metrics": [LIMITED], "onInconclusive": "rollback", "stepDeadline": "2m"}
    stages = [builders.blue_green(preview=PREVIEW, **QUICK)]
    town = releasing(stages=stages, analysis=strict)
    town.run(until=is_seen, minutes=5)
    town.cluster.limping = {"1": 2}  # stable lacks pods, so the switch has to wait
    town.run(minutes=5)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 0)
    town.cluster.limping = {}
    town.go(Phase.PROGRESSING, 100)


def test_copies_before_the_switch_judge_the_candidate_before_any_user_meets_it() -> None:
    town = switching(preview=PREVIEW, mirror={"methods": ["POST"]})
    witness = Witness(town)
    town.run(until=is_seen, minutes=5)
    assert town.tried_by == {town.new: {"copies", "asked"}}
    town.metrics.bad = {"2": 0.2}
    town.go(Phase.ROLLED_BACK, minutes=10)
    assert shares(witness, town.new) == [0]
    assert town.tried_by == {}


def test_candidate_that_loses_its_pods_loses_its_preview() -> None:
    town = switching(PLAIN, preview={}, previewHold="10m")
    Witness(town)
    town.run(until=is_seen, minutes=5)
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    preview = town.cluster.get(SERVICES, "fraud-preview")
    assert preview is not None
    assert preview["spec"]["selector"][REVISION_LABEL] == town.old
    town.cluster.broken = set()
    town.run(until=is_seen, minutes=1)


def test_without_a_preview_the_switch_is_all_there_is() -> None:
    town = switching()
    witness = Witness(town)
    town.go(Phase.HEALTHY)
    assert shares(witness, town.new) == [100]


@pytest.mark.parametrize(
    ("traffic", "preview", "said"),
    [
        (PLAIN, PREVIEW, "leave preview.header out: it has a Service of its own"),
        (None, {}, "use a header for its preview"),
        (
            {
                "port": 8080,
                "gatewayAPI": {
                    "parentRefs": [{"name": "g"}],
                    "matches": [{"headers": [{"name": "x-preview", "value": "2"}]}],
                },
            },
            PREVIEW,
            "choose another header",
        ),
    ],
    ids=["a header without a gateway", "no header", "a header that the route needs otherwise"],
)
def test_preview_that_nobody_could_reach_is_refused(traffic: Any, preview: Any, said: str) -> None:
    town = Town()
    town.wish("1", stages=[builders.blue_green(preview=preview)], **({"traffic": traffic} if traffic else {}))
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert said in (town.status.message or "")


def test_name_of_a_preview_that_belongs_to_somebody_else_is_told_where_it_is_needed() -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "ml", "name": "fraud-preview"},
        "spec": {"selector": {"app": "theirs"}},
    }
    town = Town()
    town.cluster.put(theirs)
    town.wish("1", traffic=PLAIN, stages=[builders.canary(100, hold="1m")])
    town.go(Phase.HEALTHY, minutes=2)
    town.wish("2", traffic=PLAIN, stages=[builders.blue_green(preview={})])
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert "Service 'fraud-preview' exists and belongs to somebody else" in (town.status.message or "")


BY_HOST = {"host": "preview.example.com"}


def preview_route(town: Town) -> dict[str, Any]:
    found = town.cluster.get(HTTP_ROUTES, "fraud-preview")
    assert found is not None
    return found


def backends(route: dict[str, Any]) -> list[str]:
    return [ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]


def test_preview_by_a_host_name_is_a_route_of_its_own_until_the_release_is_over() -> None:
    town = switching(preview=BY_HOST)
    witness = Witness(town)
    town.run(until=lambda town: town.cluster.get(HTTP_ROUTES, "fraud-preview") is not None, minutes=5)
    route = preview_route(town)
    assert (route["spec"]["hostnames"], backends(route)) == (["preview.example.com"], [f"fraud-{town.new}"])
    assert town.share(town.old) == 100
    town.go(Phase.HEALTHY)
    town.run(seconds=10)
    assert shares(witness, town.new) == [0, 100]
    assert town.cluster.get(HTTP_ROUTES, "fraud-preview") is None


def test_preview_by_a_host_name_is_taken_back_with_its_candidate() -> None:
    town = switching(preview=BY_HOST, previewHold="10m")
    Witness(town)
    town.run(until=lambda town: town.cluster.get(HTTP_ROUTES, "fraud-preview") is not None, minutes=5)
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    assert backends(preview_route(town)) == [f"fraud-{town.old}"]
    town.cluster.broken = set()
    town.run(until=lambda town: backends(preview_route(town)) == [f"fraud-{town.new}"], minutes=1)
    town.cluster.crash(f"fraud-{town.new}", 5)
    town.go(Phase.ROLLED_BACK, minutes=3)
    town.run(seconds=10)
    assert town.cluster.get(HTTP_ROUTES, "fraud-preview") is None


def test_hand_that_gives_the_preview_all_hosts_is_taken_for_one_that_exposes_everybody() -> None:
    town = switching(preview=BY_HOST, previewHold="10m")
    town.run(until=lambda town: town.cluster.get(HTTP_ROUTES, "fraud-preview") is not None, minutes=5)
    route = preview_route(town)
    town.cluster.put({**route, "spec": {**route["spec"], "hostnames": []}})
    town.run(seconds=5)
    assert preview_route(town)["spec"]["hostnames"] == ["preview.example.com"]
    assert "Edited" in town.events or "EditedByOthers" in town.events


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        (
            {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}], "hostnames": ["preview.example.com"]}},
            "preview.example.com is one of spec.traffic.gatewayAPI.hostnames",
        ),
        ({"port": 8080, "istio": {"hosts": ["fraud"]}}, "use a header for its preview, or traffic.gatewayAPI"),
        (PLAIN, "use traffic.gatewayAPI"),
    ],
    ids=["a name of the users", "Istio", "plain Services"],
)
def test_host_name_that_cannot_be_a_preview_is_refused(traffic: Any, said: str) -> None:
    town = Town()
    town.wish("1", stages=[builders.blue_green(preview=BY_HOST)], traffic=traffic)
    town.run(seconds=5)
    assert town.phase is Phase.INVALID
    assert said in (town.status.message or "")
