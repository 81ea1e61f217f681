"""Gateways that never heard of a route, or have not followed its latest change: what is written is not in force yet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from tests import builders
from tests.fakes.cluster import Killed
from tests.fakes.town import Town, releasing

GATEWAY = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}}
PLAIN = {"port": 8080, "service": {}}
MISSING = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "no-such-gateway"}]}}
SILENT = "Gateway 'ml/no-such-gateway' has not accepted HTTPRoute 'ml/fraud', and said nothing about it"
MINUTES = 12
"""Longer than each of the release's own times: its holds, its bake, how long the old version is kept, its deadline."""
LATE = "Gateway 'ml/inference-gateway' has not accepted the latest change of HTTPRoute 'ml/fraud' yet"


def ready(town: Town) -> tuple[str, str, str]:
    (found,) = (condition for condition in town.status.conditions if condition.type == "Ready")
    return found.status, found.reason, found.message


def message(town: Town) -> str:
    return town.status.message or ""


def without_its_gateway(town: Town) -> Town:
    town.cluster.is_gateway_down = True
    return town


# A gateway that does not exist


def test_first_version_is_not_ready_before_a_gateway_serves_it() -> None:
    town = Town()
    town.cluster.missing_gateways = {"no-such-gateway"}
    town.wish("1", traffic=MISSING)
    town.run(minutes=10)
    assert ready(town)[:2] == ("False", "RouteNotAccepted")
    assert ready(town)[2].startswith(SILENT)
    assert message(town) == ready(town)[2]
    town.cluster.missing_gateways.clear()
    town.run(until=lambda town: ready(town)[0] == "True", seconds=5)
    assert message(town) == "Version 1 serves everybody."


def test_version_that_moves_to_a_missing_gateway_gets_no_further_and_the_old_one_stays() -> None:
    readiness_only = {"analysis": {"readinessOnly": True}, "promotion": {"bake": "0s", "keepOld": "0s"}}
    town = releasing(**readiness_only)
    town.cluster.missing_gateways = {"no-such-gateway"}
    assert town.wish("2", traffic=MISSING, **readiness_only) == town.new
    town.run(minutes=MINUTES)
    assert (town.phase, town.share(town.new)) == (Phase.PENDING, 0)
    assert message(town).startswith(SILENT)
    assert town.pods(town.old) == 4
    town.wish("2", traffic=GATEWAY, **readiness_only)
    town.go(Phase.HEALTHY)


def test_one_gateway_of_several_is_enough() -> None:
    both = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "no-such-gateway"}, {"name": "inference-gateway"}]}}
    town = Town()
    town.cluster.missing_gateways = {"no-such-gateway"}
    town.wish("1", traffic=both)
    town.run(until=lambda town: bool(town.status.conditions) and ready(town)[0] == "True", minutes=2)


def test_gateways_of_which_none_has_accepted_are_all_named() -> None:
    both = {"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "a"}, {"name": "b", "namespace": "infra"}]}}
    town = Town()
    town.cluster.missing_gateways = {"a", "b"}
    town.wish("1", traffic=both)
    town.run(minutes=1)
    assert "Gateway 'ml/a' and Gateway 'infra/b' have not accepted" in message(town)


# A gateway that does not follow


@pytest.mark.parametrize("weight", [5, 50])
def test_step_waits_for_the_gateway_and_its_clock_starts_then(weight: int) -> None:
    town = releasing()
    town.run(until=lambda town: town.status.stage is not None and town.status.stage.weight == weight, minutes=10)
    without_its_gateway(town)
    town.run(minutes=MINUTES)
    stage = town.status.stage
    assert stage is not None
    assert (stage.weight, stage.since) == (weight, None)
    assert LATE in message(town)
    assert f"Waiting since {stage.entered:%H:%M:%S} UTC." in message(town)
    writes = town.cluster.writes
    town.run(minutes=1)
    assert town.cluster.writes <= writes + 1  # verdicts are shown once a minute
    town.cluster.is_gateway_down = False
    accepted = town.now
    town.run(until=lambda town: town.status.stage is not None and town.status.stage.weight > weight, minutes=5)
    assert town.now - accepted >= timedelta(seconds=59)  # times are kept to the second
    assert town.status.stage is not None
    assert town.status.stage.entered - accepted < timedelta(minutes=1, seconds=20)


def test_time_without_acceptance_is_not_counted_by_an_operator_that_was_away_meanwhile() -> None:
    """It dies right after its write to the route, and nothing is saved after that."""
    town = releasing()

    def dies(moment: str, verb: str, plural: str, _: str) -> None:
        if (moment, verb, plural) == ("after", "apply", "httproutes"):
            town.cluster.hook = lambda *_: None
            without_its_gateway(town)
            raise Killed

    town.cluster.hook = dies
    town.run(until=lambda town: town.restarts == 1, minutes=5)
    town.run_controllers(seconds=600)
    town.cluster.is_gateway_down = False
    came_back = town.now
    town.go(Phase.PROGRESSING, 25)
    assert town.now - came_back >= timedelta(seconds=59)


def test_candidate_is_not_taken_back_for_evidence_that_no_gateway_let_it_give() -> None:
    town = releasing(
        analysis={"interval": "15s", "metrics": [builders.ERRORS], "onInconclusive": "rollback", "stepDeadline": "5m"}
    )
    town.run(until=lambda town: town.phase is Phase.PROGRESSING, minutes=5)
    without_its_gateway(town).metrics.is_silent = True
    town.run(minutes=MINUTES)
    assert town.phase is Phase.PROGRESSING
    town.cluster.is_gateway_down = town.metrics.is_silent = False
    town.go(Phase.PROGRESSING, 25)


@pytest.mark.parametrize("phase", [Phase.PROMOTING, Phase.BAKING])
def test_promotion_waits_for_the_gateway_and_the_old_version_stays_warm(phase: Phase) -> None:
    town = releasing(stages=[{"name": "c", "canary": {"weights": [50], "hold": "10s"}}])
    town.go(phase)
    without_its_gateway(town)
    if phase is Phase.BAKING:  # somebody's edit is mended, which is a change to be accepted
        other = {**GATEWAY, "gatewayAPI": {**GATEWAY["gatewayAPI"], "hostnames": ["a.example.com"]}}  # type: ignore[dict-item]
        town.wish("2", traffic=other, stages=[{"name": "c", "canary": {"weights": [50], "hold": "10s"}}])
    town.run(minutes=MINUTES)
    assert (town.phase, town.pods(town.old)) == (phase, 4)
    assert LATE in message(town)
    town.cluster.is_gateway_down = False
    town.go(Phase.HEALTHY)


def test_retreat_waits_for_no_gateway_and_says_that_none_has_followed() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    without_its_gateway(town).metrics.bad = {"2": 0.5}
    town.run(until=lambda town: town.weights == {f"fraud-{town.old}": 100}, minutes=2)
    town.run(minutes=5)
    assert (town.phase, ready(town)[0]) == (Phase.ROLLED_BACK, "False")
    assert LATE in message(town)
    assert town.pods(town.new) == 4, "users may still be sent to it"
    town.cluster.is_gateway_down = False
    town.run(minutes=1)
    assert LATE not in message(town)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is None


def test_pods_that_a_gateway_may_still_send_users_to_are_not_deleted() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    without_its_gateway(town)
    town.wish("1")
    town.run(minutes=10)
    assert town.phase is Phase.HEALTHY
    assert town.pods(town.new) == 4
    town.cluster.is_gateway_down = False
    town.run(minutes=1)
    assert town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is None


def test_plain_services_are_in_force_when_they_are_written() -> None:
    town = releasing(traffic=PLAIN)
    without_its_gateway(town)
    town.go(Phase.HEALTHY)
    assert ready(town)[0] == "True"


def test_old_service_goes_only_when_a_gateway_has_accepted_the_new_route() -> None:
    town = Town()
    town.wish("1", traffic=PLAIN)
    town.go(Phase.HEALTHY, minutes=2)
    town.cluster.missing_gateways = {"no-such-gateway"}
    town.wish("1", traffic=MISSING)
    town.run(minutes=5)
    assert town.cluster.get(SERVICES, "fraud") is not None
    town.cluster.missing_gateways.clear()
    town.run(minutes=1)
    assert (town.cluster.get(SERVICES, "fraud"), ready(town)[0]) == (None, "True")


def test_word_of_a_gateway_that_the_spec_no_longer_names_counts_for_nothing() -> None:
    town = Town()
    town.wish("1")
    town.go(Phase.HEALTHY, minutes=2)
    town.cluster.missing_gateways = {"no-such-gateway"}
    town.wish("1", traffic=MISSING)
    town.run(seconds=5)
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    assert route is not None
    (parent,) = route["status"]["parents"]
    said: list[Manifest] = [{**one, "observedGeneration": 99} for one in parent["conditions"]]
    town.cluster.put({**route, "status": {"parents": [{**parent, "conditions": said}]}})
    town.run(seconds=5)
    assert ready(town)[0] == "False"
