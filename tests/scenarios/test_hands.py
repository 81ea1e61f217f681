"""What becomes of a release when people reach into its objects."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import MODEL, REJECTED, REVISION_LABEL, Manifest
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, MODEL_ROLLOUTS, SERVICES, Resource
from modelrollout.traffic.plain_service import WEIGHT
from tests.fakes.cluster import copied, merged
from tests.fakes.town import Town, releasing

PLAIN = {"port": 8080, "service": {}}


def edit(town: Town, resource: Resource, name: str, **patch: Manifest) -> None:
    found = town.cluster.get(resource, name)
    assert found is not None
    town.cluster.put(merged(found, patch))


def test_weights_edited_by_hand_are_set_right_and_the_step_starts_over() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=50)
    backends = [{"name": f"fraud-{town.old}", "port": 80, "weight": 10}, {"name": f"fraud-{town.new}", "weight": 90}]
    edit(town, HTTP_ROUTES, "fraud", spec={"rules": [{"backendRefs": backends}]})
    town.step()
    assert town.share(town.new) == 25
    edited = town.now
    town.go(Phase.PROGRESSING, 50)
    assert (town.now - edited).total_seconds() >= 59


def test_route_deleted_by_hand_comes_back_with_its_weights() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.cluster.remove(HTTP_ROUTES, "fraud")
    town.step()
    assert town.weights == {f"fraud-{town.old}": 75, f"fraud-{town.new}": 25}


def test_second_rule_in_the_route_is_seen_and_taken_back_while_the_spec_is_broken() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    town.wish("2", promotion={"bakee": "1m"})
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert (town.phase, town.share(town.new)) == (Phase.INVALID, 0)
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    rules = [*route["spec"]["rules"], {"backendRefs": [{"name": f"fraud-{town.new}", "port": 80}]}]
    edit(town, HTTP_ROUTES, "fraud", spec={"rules": rules})
    town.step()
    rules = town.cluster.get(HTTP_ROUTES, "fraud")["spec"]["rules"]
    names = {ref["name"] for rule in rules for ref in rule["backendRefs"]}
    assert names == {f"fraud-{town.old}"}


@pytest.mark.parametrize("lost", ["labels", "ownerReferences"])
@pytest.mark.parametrize("traffic", [{"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}]}}, PLAIN])
def test_traffic_is_taken_back_through_a_route_that_lost_its(lost: str, traffic: Manifest) -> None:
    town = releasing(traffic=traffic)
    town.go(Phase.PROGRESSING)
    town.run(seconds=5)
    assert town.share(town.new) > 0
    edit(town, SERVICES if traffic is PLAIN else HTTP_ROUTES, "fraud", metadata={lost: None})
    town.cluster.broken = {"2"}
    town.step()
    assert town.share(town.new) == 0


@pytest.mark.parametrize("text", ["", "ten", "-7", "0", "²", '{"revision": 1}'])
def test_weight_that_cannot_be_read_counts_as_all_and_is_written_anew(text: str) -> None:
    town = releasing(traffic=PLAIN)
    town.go(Phase.PROGRESSING)
    town.run(seconds=5)
    edit(town, SERVICES, "fraud", metadata={"annotations": {WEIGHT: text}})
    town.step()
    assert town.cluster.get(SERVICES, "fraud")["metadata"]["annotations"][WEIGHT] == "5"
    edit(town, SERVICES, "fraud", metadata={"annotations": {WEIGHT: text}})
    town.cluster.broken = {"2"}
    town.step()
    assert town.shares() == {"services": {town.old: 100}}


@pytest.mark.parametrize("text", ["", "{", "null", '{"revision": 1}'])
def test_who_serves_is_found_again_although_the_model_annotation_cannot_be_read(text: str) -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    edit(town, DEPLOYMENTS, f"fraud-{town.old}", metadata={"annotations": {MODEL: text}})
    del town.cluster.get(MODEL_ROLLOUTS, "fraud")["status"]
    town.step()
    assert (town.status.stable.revision, town.share(town.new)) == (town.old, 0)
    town.step()  # traffic is taken back before the API server is asked anything about the candidate
    assert town.status.candidate.revision == town.new
    assert town.share(town.new) == 0


@pytest.mark.parametrize("ports", [None, [], [{"name": "http", "port": 80, "targetPort": "http"}]])
def test_ports_of_a_service_edited_by_hand_do_not_stop_a_retreat(ports: list[Manifest] | None) -> None:
    town = releasing(traffic=PLAIN)
    town.go(Phase.PROGRESSING)
    town.run(seconds=5)
    edit(town, SERVICES, f"fraud-{town.old}", spec={"ports": ports})
    edit(town, SERVICES, "fraud", spec={"ports": ports})
    town.cluster.broken = {"2"}
    town.step()
    assert town.shares() == {"services": {town.old: 100}}


def test_service_of_the_stable_version_is_set_right_in_the_middle_of_a_release() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    before = copied(town.cluster.get(SERVICES, f"fraud-{town.old}")["spec"])
    edit(town, SERVICES, f"fraud-{town.old}", spec={"selector": {REVISION_LABEL: "another"}})
    town.step()
    assert town.cluster.get(SERVICES, f"fraud-{town.old}")["spec"] == before


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "NaN"])
def test_note_that_cannot_be_read_counts_against_the_candidate_and_says_what_to_do(text: str) -> None:
    town = releasing()
    edit(town, HTTP_ROUTES, "fraud", metadata={"annotations": {REJECTED: text}})
    town.go(Phase.ROLLED_BACK)
    assert REJECTED in town.status.message


def test_note_about_a_rejected_version_that_is_taken_off_the_route_is_put_back() -> None:
    town = releasing()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK)
    town.run(minutes=1)
    edit(town, HTTP_ROUTES, "fraud", metadata={"annotations": {REJECTED: None}})
    town.step()
    assert town.new in town.cluster.get(HTTP_ROUTES, "fraud")["metadata"]["annotations"][REJECTED]
