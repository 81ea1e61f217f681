"""A route of the user's of which one rule is lent, on plain dictionaries and on both API servers."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.kube import Cluster, Conflict
from modelrollout.objects.manifests import Owner
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.router import Backend, InForce
from modelrollout.traffic.router_table import ROUTERS
from tests.contract.routers.tampering import OF_THE_USER, Hand
from tests.contract.routers.town_hall import NEW, THEIRS, Place, possible

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTER = ROUTERS["routeRef"]
HALF = Exposure(50)
KEYS = pytest.mark.parametrize("rule", ["predict", 1])
EVERY_EXPOSURE = pytest.mark.parametrize("exposure", possible(ROUTER), ids=str)


@pytest.fixture
def router() -> Any:
    return ROUTER


def lends(rule: str | int, name: str = "fraud") -> Traffic:
    return Traffic.model_validate({"port": 8080, "routeRef": {"name": name, "rule": rule}})


async def given_up(place: Place) -> None:
    (ref,) = ROUTER.refs(place.owner)
    await place.applied(ROUTER.given_up(place.owner, await place.there(), ref))


def bare(route: Any) -> Any:
    """What the user wrote, and the API server filled in."""
    annotations = {name: text for name, text in route["metadata"]["annotations"].items() if "modelrollout" not in name}
    return route["spec"], annotations, route["metadata"].get("labels"), route["metadata"].get("ownerReferences")


def others(route: Any) -> Any:
    return {rule["name"]: rule for rule in route["spec"]["rules"] if rule.get("name") in ("health", "rest")}


@KEYS
@EVERY_EXPOSURE
async def test_it_is_given_back_as_it_was_found(place: Place, rule: str | int, exposure: Exposure) -> None:
    before = bare(await place.route())
    await place.put(NOBODY, lends(rule))
    await place.put(exposure, lends(rule))
    await given_up(place)
    after = await place.route()
    assert bare(after) == before
    assert not [name for name in after["metadata"]["annotations"] if "modelrollout" in name]
    assert await place.in_force() == InForce()


@EVERY_EXPOSURE
async def test_all_other_rules_and_the_users_own_filters_stay(place: Place, exposure: Exposure) -> None:
    before = await place.route()
    await place.put(exposure, lends("predict"))
    after = await place.route()
    assert others(after) == others(before)
    assert {name: after["spec"][name] for name in ("hostnames", "parentRefs")} == {
        name: before["spec"][name] for name in ("hostnames", "parentRefs")
    }
    (lent,) = (rule for rule in after["spec"]["rules"] if rule.get("name") == "predict")
    theirs = before["spec"]["rules"][1]
    assert lent["matches"] == theirs["matches"]
    assert lent["filters"][:2] == theirs["filters"]


@KEYS
@pytest.mark.parametrize("exposure", [HALF, Exposure(5, 20, next(iter(possible(ROUTER)[-1:])).asked)], ids=str)
@pytest.mark.parametrize("edit", OF_THE_USER.values(), ids=OF_THE_USER)
async def test_users_edits_of_what_is_theirs_are_kept_and_no_drift(
    place: Place, rule: str | int, exposure: Exposure, edit: Any
) -> None:
    if isinstance(rule, int) and edit in (OF_THE_USER["rule in front"], OF_THE_USER["rules turned round"]):
        pytest.skip("whoever moves rules about changes which of them has a number")
    await place.put(HALF, lends(rule))
    await Hand("", edit).reaches_into(place)
    edited = await place.route()
    await place.put(exposure, lends(rule))
    assert (await place.in_force()).exposure == exposure
    assert await place.wanted(exposure, lends(rule)) == ()
    await place.put(HALF, lends(rule))
    assert (await place.route())["spec"] == edited["spec"]
    await place.retreat()
    assert (await place.in_force()).exposure == NOBODY
    await given_up(place)
    wanted = copy.deepcopy(edited["spec"])
    (lent,) = (one for one in wanted["rules"] if one.get("name") == "predict")
    found = (await place.route())["spec"]
    (given,) = (one for one in found["rules"] if one.get("name") == "predict")
    assert [ref["name"] for ref in given["backendRefs"]] == ["fraud", "fraud-v0"]
    assert {**lent, "backendRefs": ()} == {**given, "backendRefs": ()}
    assert [one for one in found["rules"] if one is not given] == [one for one in wanted["rules"] if one is not lent]


async def test_rule_that_was_renamed_is_led_back_and_given_back_all_the_same(place: Place) -> None:
    before = (await place.route())["spec"]["rules"]
    await place.put(HALF, lends("predict"))
    await Hand("", lambda route: route["spec"]["rules"][1].update(name="score")).reaches_into(place)
    why = ROUTER.fault(place.owner, lends("predict"), await place.there())
    assert why is not None
    assert why.message == (
        f"HTTPRoute '{place.owner.namespace}/fraud' has no rule 'predict': its rules are 'health', 'score', 'rest'."
    )
    assert (await place.in_force()).exposure == HALF
    await place.retreat(rejected="why")
    assert ((await place.in_force()).exposure, (await place.in_force()).rejected) == (NOBODY, "why")
    await given_up(place)
    assert (await place.route())["spec"]["rules"] == [before[0], {**before[1], "name": "score"}, before[2]]


async def test_candidate_is_found_and_led_back_where_somebody_took_the_notes_off(place: Place) -> None:
    """The Services are known by their labels as well."""
    await place.put(HALF, lends("predict"))
    await place.edited(metadata={"annotations": {place.noted_as("modelrollout.dev/lent-rule"): None}})
    await place.serve()
    assert (await place.in_force()).exposure == HALF
    await place.retreat()
    assert (await place.in_force()).exposure == NOBODY
    assert not (await place.in_force()).reaches(NEW.service)


async def test_another_rule_of_the_users_that_leads_to_the_candidate_is_led_to_stable(place: Place) -> None:
    await place.put(HALF, lends("predict"))
    mixed = {
        "name": "mixed",
        "backendRefs": [{"name": "site", "port": 80}, {"name": "fraud-new", "port": 80, "weight": 3}],
    }
    await Hand("", lambda route: route["spec"]["rules"].append(mixed)).reaches_into(place)
    assert (await place.in_force()).exposure == Exposure(75)
    await place.retreat()
    assert (await place.in_force()).exposure == NOBODY
    rule = (await place.route())["spec"]["rules"][-1]
    assert [(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] == [("site", 1), ("fraud-old", 3)]


async def test_backends_that_git_puts_back_are_seen_and_given_back_in_their_newest_form(place: Place) -> None:
    await place.put(HALF, lends("predict"))
    await Hand(
        "", lambda route: route["spec"]["rules"][1].update(backendRefs=[{"name": "fraud-v1", "port": 8080}])
    ).reaches_into(place)
    assert (await place.in_force()).exposure == Exposure(100)
    await place.retreat()
    assert (await place.in_force()).exposure == NOBODY
    await given_up(place)
    assert (await place.route())["spec"]["rules"][1]["backendRefs"][0]["name"] == "fraud-v1"


@KEYS
async def test_another_rule_in_the_spec_gives_the_first_one_back(place: Place, rule: str | int) -> None:
    before = (await place.route())["spec"]["rules"]
    await place.put(HALF, lends(rule))
    await place.put(HALF, lends("rest"))
    after = (await place.route())["spec"]["rules"]
    assert after[:2] == before[:2]
    assert [ref["name"] for ref in after[2]["backendRefs"]] == ["fraud-old", "fraud-new"]
    await given_up(place)
    assert (await place.route())["spec"]["rules"] == before


async def test_two_rollouts_share_a_route_and_no_rule(place: Place) -> None:
    before = bare(await place.route())
    asked = Exposure(5, asked=possible(ROUTER)[-1].asked)
    owner = Owner(place.owner.namespace, "churn", "uid-churn", ("fraud",))
    other = Place(place.cluster, ROUTER, owner, Backend("churn-1", "1", 80), Backend("churn-2", "2", 80))
    await place.put(asked, lends(1))
    taken = ROUTER.fault(other.owner, lends("predict"), await other.there())
    assert taken is not None
    assert taken.message == (
        f"ModelRollout 'fraud' splits rule 'predict' of HTTPRoute '{place.owner.namespace}/fraud' already: "
        "name another rule; if that rollout is gone, take the annotation modelrollout.dev/lent-rule.fraud off."
    )
    assert ROUTER.fault(other.owner, lends(2), await other.there()) is None
    assert await other.in_force() == InForce()
    await other.put(HALF, lends(2))
    assert (await place.in_force()).exposure == asked
    assert await place.wanted(asked, lends(1)) == ()
    await place.retreat()
    assert (await place.in_force()).exposure == NOBODY
    await given_up(place)
    assert ROUTER.fault(place.owner, lends("rest"), await place.there()) is not None
    await given_up(other)
    assert bare(await place.route()) == before


async def test_write_that_was_decided_on_an_older_version_is_refused(place: Place, cluster: Cluster) -> None:
    stale = await place.wanted(HALF, lends("predict"))
    there = await place.there()
    await place.edited(spec={"hostnames": ["b.example.com"]})
    with pytest.raises(Conflict):
        await place.applied(stale, there)
    assert (await place.route())["spec"]["hostnames"] == ["b.example.com"]
    assert await place.in_force() == InForce()


async def test_faults_name_the_route_and_the_mend(place: Place) -> None:
    route = f"HTTPRoute '{place.owner.namespace}/fraud'"

    async def told(rule: str | int = "predict", **patch: Any) -> str:
        await place.edited(**patch)
        why = ROUTER.fault(place.owner, lends(rule), await place.there())
        await place.edited(spec=THEIRS["spec"], metadata={"ownerReferences": None, "labels": None})
        return why.message if why is not None else ""

    assert await told("nobody") == f"{route} has no rule 'nobody': its rules are 'health', 'predict', 'rest'."
    assert "has no rule number 3 (counted from 0)" in await told(3)
    owner = {"apiVersion": "v1", "kind": "InferenceService", "name": "x", "uid": "uid-x", "controller": True}
    assert "belongs to InferenceService 'x', which may write" in await told(metadata={"ownerReferences": [owner]})
    assert "is the operator's own" in await told(metadata={"labels": {"modelrollout.dev/rollout": "fraud"}})
    unnamed = [{"backendRefs": [{"name": "fraud", "port": 80}]}]
    assert "none of its 1 rules has a name: name one" in await told(spec={"rules": unnamed})
    one = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a"]}}
    filtered = [{"name": "predict", "backendRefs": [{"name": "fraud", "port": 80, "filters": [one]}]}]
    assert "have filters: they would be lost" in await told(spec={"rules": filtered})
    gone = ROUTER.fault(place.owner, lends("predict"), {})
    assert (gone.reason, gone.message) == ("RouteNotFound", f"{route} does not exist: make it, or name another.")  # type: ignore[union-attr]
