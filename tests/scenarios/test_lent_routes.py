"""A route of the user's, of which one rule is lent to a rollout: adopted, split, taken back, and given back."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Conflict
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import HTTP_ROUTES, SERVICES
from modelrollout.traffic.lent_route import LENT, noted_as
from tests.fakes.cluster import FakeCluster, Killed, copied, merged
from tests.fakes.town import Town

NAME = "models"
THEIRS: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"namespace": "ml", "name": NAME, "labels": {"app.kubernetes.io/managed-by": "Helm"}},
    "spec": {
        "parentRefs": [{"name": "inference-gateway"}],
        "rules": [
            {
                "name": "churn",
                "matches": [{"path": {"type": "PathPrefix", "value": "/churn"}}],
                "backendRefs": [{"name": "churn", "port": 80}],
            },
            {
                "name": "fraud",
                "matches": [{"path": {"type": "PathPrefix", "value": "/fraud"}}],
                "backendRefs": [{"name": "fraud-by-hand", "port": 8080}],
            },
        ],
    },
}


FOUND = FakeCluster().put(THEIRS)
"""As the API server keeps it."""


def lending(rule: str | int = "fraud", name: str = NAME) -> Manifest:
    return {"port": 8080, "routeRef": {"name": name, "rule": rule}}


def adopting(rule: str | int = "fraud") -> Town:
    town = Town()
    town.cluster.put(THEIRS)
    town.old = town.wish("1", traffic=lending(rule))
    return town


def releasing(rule: str | int = "fraud") -> Town:
    town = adopting(rule)
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=1)
    town.new = town.wish("2", traffic=lending(rule))
    return town


def route(town: Town, name: str = NAME) -> Manifest:
    found = town.cluster.get(HTTP_ROUTES, name)
    assert found is not None
    return found


def split(town: Town, place: int = 1, name: str = NAME) -> dict[str, int]:
    """Weights in the lent rule, by Service."""
    return {ref["name"]: ref.get("weight", 1) for ref in route(town, name)["spec"]["rules"][place]["backendRefs"]}


def at_25(town: Town) -> None:
    town.run(until=lambda town: split(town).get(f"fraud-{town.new}") == 25, minutes=10)


def edit(town: Town, **patch: Any) -> None:
    town.cluster.put(merged(route(town), patch))


def writes(town: Town) -> int:
    return sum(plural == HTTP_ROUTES.plural and verb in ("patch", "apply") for verb, plural, _ in town.cluster.log)


def spec_and_metadata(manifest: Manifest) -> Any:
    return manifest["spec"], manifest["metadata"].get("labels"), manifest["metadata"].get("annotations") or {}


# Adoption


def test_the_users_backend_serves_until_ours_is_ready_and_is_replaced_once() -> None:
    town = adopting()
    town.cluster.broken = {"1"}
    town.run(minutes=2)
    assert (split(town), writes(town)) == ({"fraud-by-hand": 1}, 0)
    town.cluster.broken = set()
    town.go(Phase.HEALTHY, minutes=2)
    town.run(minutes=10)
    assert (split(town), writes(town)) == ({f"fraud-{town.old}": 100}, 1)
    assert town.condition("Ready") == "True"


def test_the_route_stays_the_users() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    found = route(town)
    assert found["metadata"]["labels"] == THEIRS["metadata"]["labels"]
    assert "ownerReferences" not in found["metadata"]
    assert found["spec"]["rules"][0] == FOUND["spec"]["rules"][0]
    assert split(town) == {f"fraud-{town.new}": 100}
    assert town.cluster.get(HTTP_ROUTES, "fraud") is None


@pytest.mark.parametrize("rule", ["fraud", 1])
def test_release_goes_through_its_steps_in_the_lent_rule(rule: str | int) -> None:
    town = releasing(rule)
    at_25(town)
    assert split(town) == {f"fraud-{town.old}": 75, f"fraud-{town.new}": 25}
    town.go(Phase.HEALTHY)
    assert split(town) == {f"fraud-{town.new}": 100}


def test_failing_candidate_is_taken_back_and_the_route_remembers_it() -> None:
    town = releasing()
    at_25(town)
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    assert split(town) == {f"fraud-{town.old}": 100}
    assert "modelrollout.dev/rejected.fraud" in route(town)["metadata"]["annotations"]


# What may be wrong


def test_route_that_is_yet_to_come_is_waited_for() -> None:
    town = Town()
    town.wish("1", traffic=lending())
    town.run(minutes=1)
    assert (town.phase, town.condition("Stalled")) == (Phase.INVALID, None)
    assert town.status.message == "HTTPRoute 'ml/models' does not exist: make it, or name another."
    town.cluster.put(THEIRS)
    town.go(Phase.HEALTHY, minutes=10)


def test_missing_rule_is_told_with_those_that_there_are() -> None:
    town = adopting("fruad")
    town.run(minutes=1)
    assert (town.phase, town.condition("Stalled")) == (Phase.INVALID, "True")
    assert town.status.message == "HTTPRoute 'ml/models' has no rule 'fruad': its rules are 'churn', 'fraud'."
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)


def test_candidate_loses_its_traffic_where_the_user_renamed_the_rule_in_the_middle_of_a_release() -> None:
    town = releasing()
    at_25(town)
    rules = copied(route(town)["spec"]["rules"])
    rules[1]["name"] = "score"
    edit(town, spec={"rules": rules})
    town.run(seconds=5)
    assert (town.phase, split(town)[f"fraud-{town.new}"]) == (Phase.INVALID, 25)
    town.cluster.broken = {"2"}
    town.run(seconds=5)
    assert split(town) == {f"fraud-{town.old}": 100}
    town.cluster.broken = set()
    town.wish("2", traffic=lending("score"))
    town.go(Phase.HEALTHY)
    assert split(town) == {f"fraud-{town.new}": 100}


def test_edit_of_the_lent_backends_is_told_and_put_back() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    rules = copied(route(town)["spec"]["rules"])
    rules[1]["backendRefs"] = [{"name": "fraud-by-hand", "port": 8080}]
    edit(town, spec={"rules": rules})
    town.step()
    assert split(town) == {f"fraud-{town.new}": 100}
    assert "EditedByOthers" in town.events


def test_sessions_that_the_gateway_pins_are_refused_where_weights_are_to_split() -> None:
    town = releasing()
    at_25(town)
    rules = copied(route(town)["spec"]["rules"])
    rules[1]["sessionPersistence"] = {"sessionName": "theirs"}
    edit(town, spec={"rules": rules})
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert "Rule 'fraud' of HTTPRoute 'ml/models' has sessionPersistence, which beats weights" in town.status.message
    del rules[1]["sessionPersistence"]
    edit(town, spec={"rules": rules})
    town.go(Phase.HEALTHY)
    assert split(town) == {f"fraud-{town.new}": 100}


def test_edits_of_all_else_are_let_be() -> None:
    town = releasing()
    at_25(town)
    rules = copied(route(town)["spec"]["rules"])
    rules[1]["timeouts"], rules[0]["backendRefs"] = {"request": "2s"}, [{"name": "churn-v2", "port": 80}]
    edit(town, spec={"rules": rules, "hostnames": ["a.example.com"]})
    edited = copied(route(town)["spec"])
    town.run(seconds=5)
    assert route(town)["spec"] == edited
    assert "EditedByOthers" not in town.events


def test_write_of_somebody_else_in_between_is_read_and_taking_back_tried_again_in_the_same_pass() -> None:
    town = releasing()
    at_25(town)
    refused: list[str] = []

    def somebody_writes_first(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "patch", HTTP_ROUTES.plural) and not refused:
            refused.append(name)
            edit(town, spec={"hostnames": ["b.example.com"]})
            raise Conflict(name)

    town.cluster.hook = somebody_writes_first
    town.cluster.broken = {"2"}
    town.run_controllers(seconds=1)
    town.pass_()
    assert refused == [NAME]
    assert (split(town), route(town)["spec"]["hostnames"]) == ({f"fraud-{town.old}": 100}, ["b.example.com"])


# The end


def test_deleting_the_rollout_gives_the_rule_back_before_any_pod_goes() -> None:
    town = releasing()
    at_25(town)
    town.delete()
    town.finalise()
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)
    assert town.slept == [2]


def test_deletion_gives_the_rule_back_although_the_spec_is_broken_and_somebody_writes_in_between() -> None:
    town = releasing()
    at_25(town)
    town.wish("2", traffic={"port": "x", "routeRef": {"name": NAME}})
    town.run(seconds=2)
    written: list[str] = []

    def somebody_writes_first(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "patch", HTTP_ROUTES.plural) and not written:
            written.append(name)
            edit(town, spec={"hostnames": ["b.example.com"]})

    town.cluster.hook = somebody_writes_first
    town.delete()
    town.finalise()
    assert route(town)["spec"] == {**FOUND["spec"], "hostnames": ["b.example.com"]}


def test_another_route_in_the_spec_gives_the_first_one_back_once_the_new_one_leads_to_us() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    town.cluster.put(merged(THEIRS, {"metadata": {"name": "others"}}))
    town.wish("2", traffic=lending("churn", "others"))
    town.run(minutes=1)
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)
    assert split(town, 0, "others") == {f"fraud-{town.new}": 100}
    assert town.status.lent == ("others",)


def test_route_of_our_own_in_the_spec_gives_the_lent_one_back() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.wish("2", traffic={"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "inference-gateway"}]}})
    town.run(minutes=1)
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)
    assert (town.weights, town.status.lent) == ({f"fraud-{town.new}": 100}, ())


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(4))
def test_operator_that_dies_at_any_write_of_the_route_ends_in_the_same_place(moment: str, number: int) -> None:
    town = adopting()
    seen: list[str] = []

    def dies(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == (moment, "patch", HTTP_ROUTES.plural):
            seen.append(name)
            if len(seen) == number + 1:
                raise Killed

    town.cluster.hook = dies
    town.go(Phase.HEALTHY, minutes=3)
    town.new = town.wish("2", traffic=lending())
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    assert split(town) == {f"fraud-{town.new}": 100}
    town.delete()
    town.finalise()
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_operator_that_dies_while_the_rule_is_given_back_gives_it_back_once_more(moment: str) -> None:
    town = releasing()
    at_25(town)
    town.delete()

    def dies(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == (moment, "patch", HTTP_ROUTES.plural):
            town.cluster.hook = lambda *_: None
            raise Killed

    town.cluster.hook = dies
    with pytest.raises(Killed):
        town.finalise()
    town.restart()
    town.finalise()
    assert spec_and_metadata(route(town)) == spec_and_metadata(FOUND)


def test_status_that_was_lost_is_found_again_by_the_route() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    town.run(minutes=1)
    town.cluster.put({**town.manifest, "status": {}})
    town.run(minutes=1)
    assert town.phase is Phase.HEALTHY
    assert split(town) == {f"fraud-{town.new}": 100}
    assert noted_as("fraud", LENT) in route(town)["metadata"]["annotations"]
    assert town.cluster.get(SERVICES, f"fraud-{town.new}") is not None
