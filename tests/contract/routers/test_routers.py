"""Every router, on plain dictionaries and on both API servers: a router that is added passes this unchanged."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import REJECTED
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.traffic.router import ALL_REQUESTS, InForce, Notes, Router
from tests.contract.routers.tampering import Hand, hands, said_by_a_gateway
from tests.contract.routers.town_hall import (
    ALL,
    EXPOSURES,
    GATEWAYS,
    NEW,
    OLD,
    Place,
    least,
    possible,
    reached,
    specs,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HALF = Exposure(50)

EVERY_ROUTER = pytest.mark.parametrize("router", ALL, ids=lambda router: router.field)
EVERY_GATEWAY = pytest.mark.parametrize("router", GATEWAYS, ids=lambda router: router.field)
EVERY_EXPOSURE = pytest.mark.parametrize(
    ("router", "exposure"),
    [pytest.param(router, one, id=f"{router.field}-{one}") for router in ALL for one in possible(router)],
)
EVERY_HAND = pytest.mark.parametrize(
    ("router", "hand"),
    [pytest.param(router, hand, id=f"{router.field}-{hand.name}") for router in ALL for hand in hands(router)],
)


# There and back


@EVERY_EXPOSURE
async def test_what_was_rendered_is_what_is_in_force(place: Place, exposure: Exposure) -> None:
    await place.put(exposure, since=NOON, rejected="why")
    found = await place.in_force()
    assert (found.exists, found.exposure, found.refusal) == (True, exposure, None)
    assert (found.reaches(OLD.service), found.reaches(NEW.service)) == reached(exposure)
    assert (found.since, found.rejected) == ("2026-01-01T12:00:00Z", "why")


@EVERY_ROUTER
async def test_every_weight_comes_back_as_it_was(place: Place) -> None:
    for weight in (0, *range(100, -1, -1)):
        await place.put(Exposure(weight))
        assert (await place.in_force()).exposure == Exposure(weight)


@EVERY_EXPOSURE
async def test_nothing_is_asked_again_of_what_is_in_force(place: Place, exposure: Exposure) -> None:
    for traffic in specs(place.router):
        await place.put(exposure, traffic, since=NOON)
        assert await place.wanted(exposure, traffic, since=NOON) == ()
        assert (await place.in_force()).exposure == exposure


@EVERY_ROUTER
async def test_every_way_from_one_exposure_to_another_takes_one_write(place: Place) -> None:
    for exposure in every_way(possible(place.router)):
        await place.put(exposure)
        assert await place.wanted(exposure) == ()
        assert (await place.in_force()).exposure == exposure


async def test_every_way_is_walked_once() -> None:
    walk = every_way("abcde")
    assert sorted(itertools.pairwise(walk)) == sorted(itertools.permutations("abcde", 2))


@EVERY_ROUTER
async def test_exposure_that_a_router_cannot_do_is_refused_with_a_mend(router: Router) -> None:
    for exposure in EXPOSURES:
        if (why := router.can(least(router.field), exposure, ALL_REQUESTS)) is not None:
            assert why.reason == "RouterCannot"
            assert f"traffic.{router.field}" in why.message
            assert str(exposure) in why.message
            assert ": use " in why.message
        else:
            assert exposure in possible(router)


@EVERY_ROUTER
async def test_no_route_sends_nobody_anywhere_and_there_is_nothing_to_take_back(place: Place) -> None:
    assert await place.in_force() == InForce()
    assert place.router.retreat(place.owner, {}, OLD, Notes(rejected="why")) == ()


# Retreat


@EVERY_EXPOSURE
async def test_retreat_leaves_all_on_stable_with_the_note(place: Place, exposure: Exposure) -> None:
    for traffic in specs(place.router):
        await place.put(exposure, traffic, since=NOON)
        await place.retreat(rejected="why")
        found = await place.in_force()
        assert (found.exposure, found.rejected, found.since) == (NOBODY, "why", None)
        assert not found.reaches(NEW.service)


@EVERY_EXPOSURE
async def test_retreat_keeps_an_earlier_note(place: Place, exposure: Exposure) -> None:
    await place.put(exposure, rejected="earlier")
    await place.retreat()
    assert (await place.in_force()).rejected == "earlier"


@EVERY_ROUTER
async def test_retreat_leads_to_the_route_that_has_no_candidate(place: Place) -> None:
    """Else every retreat from weights would be followed by a move of the route."""
    for traffic in specs(place.router):
        await place.put(NOBODY, traffic)
        before = (await place.route())["spec"]
        await place.put(HALF, traffic)
        await place.retreat()
        assert (await place.route())["spec"] == before


@EVERY_HAND
async def test_retreat_from_whatever_somebody_made_of_a_route(place: Place, hand: Hand) -> None:
    await place.put(HALF, since=NOON)
    await hand.reaches_into(place)
    before = await place.route()
    await place.retreat(rejected="why")
    found, after = await place.in_force(), await place.route()
    assert (found.exposure, found.rejected) == (NOBODY, "why")
    assert not found.reaches(NEW.service)
    assert after["metadata"].get("labels") == before["metadata"].get("labels")
    for kept in ("hostnames", "parentRefs"):
        assert after["spec"].get(kept) == before["spec"].get(kept)


# Hands


@EVERY_HAND
async def test_what_somebody_made_of_a_route_is_seen_and_mended_in_one_write(place: Place, hand: Hand) -> None:
    for traffic in specs(place.router):
        await place.put(HALF, traffic, since=NOON)
        before = await place.route()
        await hand.reaches_into(place)
        assert len(await place.wanted(HALF, traffic, since=NOON)) == 1
        await place.put(HALF, traffic, since=NOON)
        assert await place.wanted(HALF, traffic, since=NOON) == ()
        assert ((await place.in_force()).exposure, await spec_of(place)) == (HALF, settled(before["spec"]))


@EVERY_ROUTER
async def test_labels_and_annotations_of_others_are_kept_and_no_drift(place: Place) -> None:
    theirs: dict[str, Any] = {"labels": {"team": "risk"}, "annotations": {"argocd.argoproj.io/tracking-id": "x"}}
    await place.put(HALF)
    await place.edited(metadata=theirs)
    assert await place.wanted(HALF) == ()
    await place.put(Exposure(51))
    await place.retreat()
    await place.put(NOBODY)
    metadata = (await place.route())["metadata"]
    assert theirs["labels"].items() <= metadata["labels"].items()
    assert theirs["annotations"].items() <= metadata["annotations"].items()


@EVERY_ROUTER
async def test_words_of_the_spec_are_in_every_write(place: Place) -> None:
    for traffic in specs(place.router):
        for exposure in possible(place.router):
            await place.put(exposure, traffic)
            assert said(await place.route(), traffic)


@EVERY_ROUTER
@pytest.mark.parametrize("controller", [True, False], ids=["owned", "by name"])
async def test_route_of_somebody_else_is_neither_read_nor_taken_back(place: Place, controller: bool) -> None:
    await place.put(HALF)
    await place.taken_from_us(by_a_controller=controller)
    assert await place.in_force() == InForce()
    before = await place.route()
    await place.retreat(rejected="why")
    assert await place.route() == before


@EVERY_ROUTER
async def test_route_that_lost_its_owner_or_its_label_is_still_ours(place: Place) -> None:
    for lost in ("ownerReferences", "labels"):
        await place.put(HALF)
        await place.edited(metadata={lost: None})
        assert (await place.in_force()).exposure == HALF
        await place.retreat()
        assert (await place.in_force()).exposure == NOBODY


@EVERY_ROUTER
async def test_note_that_is_taken_off_is_put_back(place: Place) -> None:
    await place.put(NOBODY, rejected="why")
    await place.edited(metadata={"annotations": {REJECTED: None}})
    assert (await place.in_force()).rejected is None
    await place.put(NOBODY, rejected="why")
    assert (await place.in_force()).rejected == "why"


# What a gateway says


@EVERY_GATEWAY
@pytest.mark.parametrize(
    ("conditions", "refusal"),
    [
        ({"Accepted": "True", "ResolvedRefs": "True"}, None),
        ({"Accepted": "False", "ResolvedRefs": "True"}, "Gateway 'g' does not take the route: no listener (Said)."),
        ({"Accepted": "True", "ResolvedRefs": "False"}, "Gateway 'g' does not take the route: no listener (Said)."),
    ],
)
async def test_refusal_is_told_in_the_gateways_words(place: Place, conditions: Any, refusal: str | None) -> None:
    await place.put(HALF)
    route = await place.route()
    parents = said_by_a_gateway(conditions, route["metadata"].get("generation") or 0)
    await place.cluster.replace_status({**route, "status": {"parents": parents}})
    assert (await place.in_force()).refusal == refusal
    await place.put(Exposure(51))
    if "generation" in route["metadata"]:
        assert (await place.in_force()).refusal is None  # it speaks of the route as it was


@EVERY_ROUTER
async def test_route_is_awaited_until_whoever_follows_it_has_accepted_what_was_written_last(place: Place) -> None:
    """Plain Services are followed by every node, and nobody says so."""
    await place.put(HALF)
    assert is_awaited(await place.in_force()) is (place.router in GATEWAYS)
    await place.accepted()
    assert not is_awaited(await place.in_force())
    await place.put(Exposure(51))
    assert is_awaited(await place.in_force()) is (place.router in GATEWAYS)
    await place.accepted()
    await place.retreat(rejected="why")
    assert is_awaited(await place.in_force()) is (place.router in GATEWAYS)


@EVERY_GATEWAY
async def test_route_that_nobody_speaks_of_and_one_whose_gateway_lags_are_told_apart(place: Place) -> None:
    route = f"{place.router.refs(place.owner)[0].resource.kind} '{place.owner.namespace}/fraud'"
    gateway = f"Gateway '{place.owner.namespace}/g' has not accepted"
    await place.put(HALF)
    assert (await place.in_force()).awaited == (
        f"{gateway} {route}, and said nothing about it: does it exist, and does its class have a controller?"
    )
    await place.accepted()
    await place.put(Exposure(51))
    lags = f"{gateway} the latest change of {route} yet; is its controller running?"
    assert (await place.in_force()).awaited == lags


@EVERY_GATEWAY
async def test_notes_alone_need_no_acceptance(place: Place) -> None:
    """They decide nothing about users, and a gateway does not say again what it has said."""
    await place.put(HALF)
    await place.accepted()
    await place.put(HALF, since=NOON)
    assert not is_awaited(await place.in_force())


def every_way(places: Sequence[Any]) -> list[Any]:
    """One walk that takes each way from a place to another once, and ends where it began."""
    pairs = itertools.combinations(places, 2)
    return [*itertools.chain.from_iterable(pairs), places[0]]


def is_awaited(found: InForce) -> bool:
    return found.awaited is not None


def settled(spec: Any) -> Any:
    """Without what stands for nothing."""
    return {name: part for name, part in spec.items() if part}


async def spec_of(place: Place) -> Any:
    return settled((await place.route())["spec"])


def said(route: Any, traffic: Traffic) -> bool:
    """Whether a route says, in each of its rules, what the spec says."""
    (words,) = (part for part in traffic.to_wire().values() if isinstance(part, dict))
    if traffic.istio is not None:
        return said_by_istio(route, words)
    rules = route["spec"].get("rules") or ()
    return all(
        (route["spec"].get(name) or []) == words[name] for name in ("hostnames", "parentRefs") if name in words
    ) and all(
        all(one in rule["filters"] for one in words.get("filters", ()))
        and rule.get("timeouts") == words.get("timeouts")
        and all(
            any(match.items() <= within(one, match).items() for one in rule["matches"])
            for match in words.get("matches", ())
        )
        for rule in rules
    )


def said_by_istio(route: Any, words: Any) -> bool:
    """The same of a VirtualService."""
    named = all((route["spec"].get(name) or []) == words.get(name, []) for name in ("hosts", "gateways"))
    return named and all(
        all(rule.get(name) == words.get(name) for name in ("rewrite", "timeout", "retries"))
        and all(any(_includes(one, match) for one in rule["match"]) for match in words.get("matches", ()))
        for rule in route["spec"]["http"]
    )


def _includes(match: Any, wanted: Any) -> bool:
    return {**match, "headers": {**match.get("headers", {}), **wanted.get("headers", {})}} == {
        **wanted,
        "headers": match.get("headers", {}),
    }


def within(match: Any, wanted: Any) -> Any:
    """A match, with those of its headers alone that are wanted: a request that asks has one more."""
    headers = [header for header in match.get("headers") or () if header in (wanted.get("headers") or ())]
    return {**match, "headers": headers} if "headers" in match else match
