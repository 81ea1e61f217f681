"""Rules of a route that anybody may have written: who they expose, how they are led back, and who asks by a header."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest, Owner, ref_of
from modelrollout.traffic.exposure import NOBODY, Exposure, Match
from modelrollout.traffic.gateway_api import ASKED
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.router import Backend, InForce, Notes, Routing

OWNER = Owner("ml", "fraud", "uid-fraud")
OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
PREVIEW = Match("x-preview", "1")


def rendered(exposure: Exposure, **gateway: Any) -> Manifest:
    traffic = Traffic.model_validate({"port": 80, "gatewayAPI": {"parentRefs": [{"name": "g"}], **gateway}})
    (write,) = HTTP_ROUTE.render(OWNER, traffic, Routing(OLD, NEW, exposure), {})
    return write.manifest


def ruled(rules: Any, exposure: Exposure = NOBODY) -> Manifest:
    """Our route with other rules."""
    route = copy.deepcopy(rendered(exposure))
    return {**route, "spec": {**route["spec"], "rules": rules}}


def in_force(route: Manifest) -> InForce:
    return HTTP_ROUTE.in_force(OWNER, {ref_of(route): route}, OLD)


def led_back(route: Manifest) -> Manifest:
    (write,) = HTTP_ROUTE.retreat(OWNER, {ref_of(route): route}, OLD, Notes())
    return write.manifest


# Any rules

TO_SERVICE: dict[str, st.SearchStrategy[Any]] = {"name": st.sampled_from(["fraud-old", "fraud-new", "theirs"])}
ELSEWHERE: dict[str, st.SearchStrategy[Any]] = {
    "namespace": st.sampled_from(["ml", "theirs"]),
    "group": st.sampled_from(["", "example.com"]),
    "kind": st.sampled_from(["Service", "Server"]),
}
REFS = st.fixed_dictionaries(TO_SERVICE, optional=ELSEWHERE)
COPIES = st.fixed_dictionaries({"backendRef": REFS}) | st.fixed_dictionaries(
    {"backendRef": REFS, "percent": st.integers(0, 100)}
)
FILTERS = st.lists(
    COPIES.map(lambda mirror: {"type": "RequestMirror", "requestMirror": mirror})
    | st.just({"type": "RequestMirror"})
    | st.just({"type": "RequestRedirect", "requestRedirect": {"hostname": "theirs.example"}})
    | st.just({"type": "ExtensionRef", "extensionRef": {"group": "x", "kind": "y", "name": "z"}}),
    max_size=3,
)
BACKENDS = st.lists(
    st.fixed_dictionaries(TO_SERVICE, optional={**ELSEWHERE, "weight": st.integers(0, 1000), "filters": FILTERS}),
    max_size=3,
)
MATCHES = st.lists(
    st.sampled_from(
        [{}, {"headers": [{"name": "X-Preview", "value": "1"}]}, {"headers": [{"name": "a", "value": "1"}]}]
    )
)
RULES = st.none() | st.lists(
    st.fixed_dictionaries(
        {}, optional={"matches": st.none() | MATCHES, "filters": st.none() | FILTERS, "backendRefs": BACKENDS}
    ),
    max_size=3,
)


@given(RULES, st.booleans())
def test_any_rules_can_be_read_and_led_back_to_stable_alone(rules: Any, says_who_asks: bool) -> None:
    route = ruled(rules, Exposure(asked=frozenset({PREVIEW})) if says_who_asks else NOBODY)
    before, back = copy.deepcopy(route), led_back(route)
    assert in_force(back).exposure == NOBODY
    assert in_force(back).services == {OLD.service}
    assert route == before


@given(RULES, st.booleans())
def test_nobody_is_exposed_where_nothing_but_stable_is_reached(rules: Any, says_who_asks: bool) -> None:
    found = in_force(ruled(rules, Exposure(asked=frozenset({PREVIEW})) if says_who_asks else NOBODY))
    assert found.services is not None
    assert not found.services <= {OLD.service} or found.exposure == NOBODY


@given(RULES)
def test_no_rule_that_was_led_back_redirects(rules: Any) -> None:
    """An API server refuses the whole route where a rule has both."""
    for rule in led_back(ruled(rules))["spec"]["rules"]:
        assert rule["backendRefs"]
        assert all(one["type"] != "RequestRedirect" for one in rule.get("filters", ()))


def copying(**mirror: Any) -> Manifest:
    ref = {"name": "fraud-new", "port": 80}
    return {"type": "RequestMirror", "requestMirror": {"backendRef": ref, **mirror}}


STABLE = {"name": "fraud-old", "port": 80}


@pytest.mark.parametrize(
    ("rule", "exposure"),
    [
        ({"backendRefs": [{**STABLE, "weight": 999}, {"name": "fraud-new", "weight": 1}]}, Exposure(1)),
        ({"backendRefs": [{**STABLE, "weight": 1}, {"name": "fraud-new", "weight": 999}]}, Exposure(99)),
        ({"backendRefs": [{**STABLE, "weight": 949}, {"name": "fraud-new", "weight": 51}]}, Exposure(6)),
        ({"backendRefs": [{**STABLE, "namespace": "ml"}]}, NOBODY),
        ({"backendRefs": [{**STABLE, "namespace": "theirs"}]}, Exposure(100)),
        ({"backendRefs": [{**STABLE, "kind": "Server", "group": "example.com"}]}, Exposure(100)),
        ({"backendRefs": [STABLE], "filters": [copying()]}, Exposure(mirror=100)),
        ({"backendRefs": [STABLE], "filters": [copying(percent=0)]}, NOBODY),
        (
            {"backendRefs": [STABLE], "filters": [copying(fraction={"numerator": 1, "denominator": 1000})]},
            Exposure(0, Fraction(1, 10)),
        ),
        ({"backendRefs": [STABLE], "filters": [copying(fraction={"numerator": 3})]}, Exposure(mirror=3)),
        ({"backendRefs": [{**STABLE, "filters": [copying(percent=5)]}]}, Exposure(mirror=5)),
    ],
)
def test_users_are_rounded_up_and_copies_are_exact(rule: Manifest, exposure: Exposure) -> None:
    assert in_force(ruled([rule])).exposure == exposure


# Who asks


def asking_for(match: Manifest, *asked: Match) -> list[Manifest]:
    """The matches of the rules of a route, the rule of those who ask first."""
    return [
        rule.get("matches") for rule in rendered(Exposure(asked=frozenset(asked)), matches=[match])["spec"]["rules"]
    ]


def headers(*pairs: tuple[str, str], type_: str = "Exact") -> list[Manifest]:
    return [{"type": type_, "name": name, "value": value} for name, value in pairs]


EVERY_PATH = {"type": "PathPrefix", "value": "/"}


def test_those_who_ask_are_among_those_whom_the_route_is_for() -> None:
    match = {"path": EVERY_PATH, "headers": headers(("X-Team", "risk"))}
    wanted = {"path": EVERY_PATH, "headers": headers(("X-Team", "risk"), ("x-preview", "1"))}
    assert asking_for(match, PREVIEW) == [[wanted], [match]]


def test_a_header_that_the_route_needs_anyway_is_not_asked_for_twice() -> None:
    """Of two entries for one header a gateway looks at the first alone: all who have it would get the candidate."""
    match = {"path": EVERY_PATH, "headers": headers(("X-Preview", "1"))}
    assert asking_for(match, PREVIEW) == [[match], [match]]


@pytest.mark.parametrize("type_", ["Exact", "RegularExpression"])
def test_nobody_asks_by_a_header_of_which_the_route_needs_another_value(type_: str) -> None:
    match = {"path": EVERY_PATH, "headers": headers(("X-Preview", "2"), type_=type_)}
    assert asking_for(match, PREVIEW) == [[match]]


@pytest.mark.parametrize(
    "header",
    [{"name": "x-preview", "value": "1"}, {"name": "X-Preview", "value": "1", "type": "Exact"}],
    ids=["as it was written", "in other letters"],
)
def test_those_who_ask_are_known_by_their_header_however_it_is_written(header: Manifest) -> None:
    asked = Exposure(asked=frozenset({PREVIEW}))
    rules = [{"matches": [{"headers": [header]}], "backendRefs": [{"name": "fraud-new"}]}, {"backendRefs": [STABLE]}]
    assert in_force(ruled(rules, asked)).exposure == asked


@pytest.mark.parametrize(
    "change",
    [
        {"matches": [{"headers": [{"name": "x-preview", "value": "1", "type": "RegularExpression"}]}]},
        {"matches": [{"headers": [{"name": "x-preview", "value": "2"}]}]},
        {"matches": [{"headers": [{"name": "x-preview", "value": "1"}]}, {}]},
        {"matches": None},
    ],
    ids=["as an expression", "another value", "others too", "all"],
)
def test_a_rule_that_others_come_to_counts_as_weight(change: Manifest) -> None:
    asked = Exposure(asked=frozenset({PREVIEW}))
    rules = [{"backendRefs": [{"name": "fraud-new"}], **change}, {"backendRefs": [STABLE]}]
    assert in_force(ruled(rules, asked)).exposure == Exposure(100)


def test_part_of_those_who_ask_counts_as_weight() -> None:
    matches = [{"headers": [{"name": "x-preview", "value": "1"}]}]
    route = ruled(
        [{"matches": matches, "backendRefs": [STABLE, {"name": "fraud-new"}]}], Exposure(asked=frozenset({PREVIEW}))
    )
    assert in_force(route).exposure == Exposure(50)


@pytest.mark.parametrize("text", ["", "x-preview", "\n", "x-preview: 1\nnonsense"])
def test_annotation_that_says_nothing_of_who_asks_makes_it_weight(text: str) -> None:
    rule = {"matches": [{"headers": [{"name": "x-preview", "value": "1"}]}], "backendRefs": [{"name": "fraud-new"}]}
    route = ruled([rule])
    route["metadata"]["annotations"][ASKED] = text
    assert in_force(route).exposure == Exposure(100)
