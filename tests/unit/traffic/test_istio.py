"""A VirtualService: whom it sends where, which requests its rules take, and what Istio says of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from modelrollout.api.errors import spec_error
from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest, Owner, ref_of
from modelrollout.traffic import virtual_service
from modelrollout.traffic.drawing import Draw
from modelrollout.traffic.exposure import NOBODY, STICKY, Exposure, Match
from modelrollout.traffic.router import ALL_REQUESTS, Backend, Copied, Notes, Routing
from modelrollout.traffic.router_table import ROUTERS

OWNER = Owner("ml", "fraud", "uid-fraud")
OLD, NEW = Backend("fraud-old", "old", 8080), Backend("fraud-new", "new", 9090)
ISTIO = ROUTERS["istio"]
PREVIEW = Match("x-preview", "1")


def spec(**settings: Any) -> Traffic:
    return Traffic.model_validate({"port": 8080, "istio": {"hosts": ["fraud"], **settings}})


def rendered(exposure: Exposure, traffic: Traffic | None = None, **more: Any) -> Manifest:
    (write,) = ISTIO.render(OWNER, traffic or spec(), Routing(OLD, NEW, exposure, **more), {})
    found: Manifest = write.manifest  # type: ignore[union-attr]
    return {**found, "metadata": {**found["metadata"], "generation": 2}}


def http(exposure: Exposure, traffic: Traffic | None = None, **more: Any) -> Any:
    return rendered(exposure, traffic, **more)["spec"]["http"]


def exposed(*rules: Manifest, section: str = "http") -> Exposure:
    route = rendered(NOBODY)
    route["spec"] = {"hosts": ["fraud"], section: list(rules)}
    return ISTIO.in_force(OWNER, {ref_of(route): route}, OLD).exposure


def to(host: str, **more: Any) -> Manifest:
    return {"destination": {"host": host}, **more}


def test_weights_and_copies_are_in_one_rule_and_those_who_ask_come_before() -> None:
    candidate = {"host": "fraud-new", "port": {"number": 80}}
    assert http(Exposure(5, 20, frozenset({PREVIEW})), spec(matches=[{"uri": {"prefix": "/v1"}}])) == [
        {
            "match": [{"uri": {"prefix": "/v1"}, "headers": {"x-preview": {"exact": "1"}}}],
            "route": [{"destination": candidate, "weight": 100}],
        },
        {
            "match": [{"uri": {"prefix": "/v1"}}],
            "mirrors": [{"destination": candidate, "percentage": {"value": 20.0}}],
            "route": [
                {"destination": {"host": "fraud-old", "port": {"number": 80}}, "weight": 95},
                {"destination": candidate, "weight": 5},
            ],
        },
    ]


def test_users_are_kept_by_rules_in_front_and_each_destination_sets_its_own_cookie() -> None:
    kept = Exposure(50, asked=frozenset({Match(STICKY, "arm")}))
    rules = http(kept, spec(matches=[{"uri": {"prefix": "/v1"}}]), draw=Draw("arm", "b41c", "Path=/", (5, 50)))
    assert [[(to["destination"]["host"], to["weight"]) for to in rule["route"]] for rule in rules] == [
        [("fraud-new", 100)],
        [("fraud-old", 100)],
        [("fraud-old", 50), ("fraud-new", 45)],
        [("fraud-old", 50), ("fraud-new", 50)],
    ]
    cookie = {"cookie": {"regex": r"^(.*; *)?arm=b41c\.5-100(;.*)?$"}}
    assert rules[2]["match"] == [{"uri": {"prefix": "/v1"}, "headers": cookie}]
    assert rules[3]["match"] == [{"uri": {"prefix": "/v1"}}]
    assert [to.get("headers") for rule in rules for to in rule["route"]] == [
        None,
        None,
        *({"response": {"add": {"set-cookie": f"arm=b41c.{numbers}; Path=/"}}} for numbers in ("50-100", "5-50")),
        *({"response": {"add": {"set-cookie": f"arm=b41c.{numbers}; Path=/"}}} for numbers in ("50-100", "0-50")),
    ]


def test_some_requests_are_copied_by_a_rule_of_their_own() -> None:
    one, rest = http(
        Exposure(mirror=50), spec(matches=[{"uri": {"prefix": "/"}}]), copied=Copied(("POST",), ("/predict",))
    )
    assert one["match"] == [
        {"uri": {"exact": "/predict"}, "method": {"exact": "POST"}},
        {"uri": {"prefix": "/predict/"}, "method": {"exact": "POST"}},
    ]
    assert ("mirrors" in one, "mirrors" in rest) == (True, False)


@pytest.mark.parametrize(
    ("match", "of", "found"),
    [
        ({"uri": {"prefix": "/v1/"}}, Copied((), ("/v1",)), [{"uri": {"prefix": "/v1/"}}]),
        ({"uri": {"prefix": "/v1"}}, Copied((), ("/v1",)), [{"uri": {"exact": "/v1"}}, {"uri": {"prefix": "/v1/"}}]),
        ({"uri": {"exact": "/v1/a"}}, Copied((), ("/v1",)), [{"uri": {"exact": "/v1/a"}}]),
        ({"uri": {"exact": "/v10"}}, Copied((), ("/v1",)), []),
        ({"uri": {"regex": "/v1/.*"}}, Copied((), ("/v1",)), []),
        ({"method": {"exact": "GET"}}, Copied(("POST",)), []),
        ({"method": {"regex": "POST|GET"}}, Copied(("POST",)), []),
    ],
)
def test_no_more_is_copied_than_what_can_be_told(match: Manifest, of: Copied, found: list[Manifest]) -> None:
    assert virtual_service.copied([match], of) == found


@pytest.mark.parametrize(
    ("rule", "exposure"),
    [
        ({"route": [to("fraud-old", weight=0)]}, NOBODY),
        ({"route": [to("fraud-old.ml")]}, NOBODY),
        ({"route": [to("fraud-old.ml.svc.cluster.local")]}, NOBODY),
        ({"route": [to("fraud-old.theirs.svc.cluster.local")]}, Exposure(100)),
        ({"route": [to("fraud-old"), to("fraud-new", weight=3)]}, Exposure(100)),
        ({"route": [to("fraud-old", weight=1), to("fraud-new")]}, NOBODY),
        ({"route": [to("fraud-old", weight=999), to("fraud-new", weight=1)]}, Exposure(1)),
        ({"route": [to("fraud-old")], "mirror": {"host": "fraud-new"}}, Exposure(mirror=100)),
        (
            {"route": [to("fraud-old")], "mirror": {"host": "fraud-new"}, "mirrorPercentage": {"value": 0.5}},
            Exposure(mirror=Fraction(1, 2)),
        ),
        ({"route": [to("fraud-old")], "mirror": {"host": "fraud-new"}, "mirrorPercent": 7}, Exposure(mirror=7)),
        ({"route": [to("fraud-old")], "mirrors": [to("fraud-new", percentage={})]}, NOBODY),
        ({"delegate": {"name": "theirs"}}, Exposure(100)),
        ({"redirect": {"authority": "elsewhere"}}, NOBODY),
    ],
)
def test_destinations_are_read_as_istio_reads_them(rule: Manifest, exposure: Exposure) -> None:
    assert exposed(rule) == exposure


@pytest.mark.parametrize("section", ["tcp", "tls"])
def test_plain_connections_count_as_well(section: str) -> None:
    assert exposed({"route": [to("fraud-new")]}, section=section) == Exposure(100)


@pytest.mark.parametrize(
    ("settings", "exposure", "copied", "words"),
    [
        (
            {"matches": [{"headers": {"x-preview": {"exact": "2"}}}]},
            Exposure(asked=frozenset({PREVIEW})),
            ALL_REQUESTS,
            "choose another header",
        ),
        ({"rewrite": {"uri": "/p"}}, Exposure(mirror=10), Copied((), ("/v1",)), "leave paths out"),
        ({"matches": [{"uri": {"regex": ".*"}}]}, Exposure(mirror=10), Copied((), ("/v1",)), "without regex"),
    ],
)
def test_what_a_virtual_service_cannot_tell_apart_is_refused(
    settings: Any, exposure: Exposure, copied: Copied, words: str
) -> None:
    why = ISTIO.can(spec(**settings), exposure, copied)
    assert why is not None
    assert words in why.message


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ({}, None),
        ({"observedGeneration": 1, "validationMessages": [{"level": "ERROR", "type": {"code": "IST0101"}}]}, None),
        ({"observedGeneration": "2", "validationMessages": [{"level": "WARNING", "type": {"code": "IST0109"}}]}, None),
        (
            {
                "observedGeneration": "2",
                "validationMessages": [
                    {
                        "level": "ERROR",
                        "type": {"code": "IST0101", "name": "ReferencedResourceNotFound"},
                        "documentationUrl": "https://istio.io/IST0101",
                    }
                ],
            },
            "Istio finds VirtualService 'fraud' wrong, in its validationMessages: ReferencedResourceNotFound "
            "(IST0101): https://istio.io/IST0101.",
        ),
    ],
)
def test_what_istio_says_counts_and_what_it_does_not_say_is_not_awaited(status: Manifest, refusal: str | None) -> None:
    route = {**rendered(Exposure(50)), "status": status}
    found = ISTIO.in_force(OWNER, {ref_of(route): route}, OLD)
    assert (found.refusal, found.awaited) == (refusal, None)


def test_an_edit_is_told_with_the_field_that_keeps_it() -> None:
    route = rendered(Exposure(50), notes=Notes())
    edited = {**route, "spec": {**route["spec"], "http": [{**route["spec"]["http"][0], "timeout": "1s"}]}}
    told = ISTIO.edits(OWNER, spec(), Routing(OLD, NEW, Exposure(50)), {ref_of(route): edited})
    assert told is not None
    assert told.message == (
        "VirtualService 'ml/fraud' was edited by somebody else, and the operator puts it back: "
        'spec.http[0].timeout was "1s"; to keep it, put it in spec.traffic.istio.timeout.'
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hosts": ["Fraud"]}, "spec.istio.hosts[0]"),
        ({"matches": [{"headers": {"X-Team": {"exact": "a"}}}]}, "lower case"),
        ({"matches": [{"uri": {"exact": "/a", "prefix": "/b"}}]}, "compared in one way"),
        ({"timeout": "1d"}, "a duration such as 10s"),
        ({"gateways": ["a/b/c"]}, "not the name of a Gateway of Istio"),
    ],
)
def test_mistakes_in_the_spec_are_told(settings: Any, words: str) -> None:
    with pytest.raises(ValidationError) as error:
        spec(**settings)
    assert words in spec_error(error.value, of=Traffic)
