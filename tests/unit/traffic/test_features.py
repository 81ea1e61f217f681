"""What a GatewayClass says that it can do, held against what a release asks for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest, Ref
from modelrollout.objects.resources import GATEWAY_CLASSES, GATEWAYS
from modelrollout.traffic.exposure import EVERYBODY, STICKY, Exposure, Match
from modelrollout.traffic.features import gateways_of, lacking
from modelrollout.traffic.router import ALL_REQUESTS, Copied, Wanted

GATEWAY, CLASS = Ref(GATEWAYS, "infra", "public"), Ref(GATEWAY_CLASSES, "", "nginx")
COPIES = (Exposure(mirror=20), ALL_REQUESTS)
KEPT = (Exposure(20, asked=frozenset({Match(STICKY, "arm")})), ALL_REQUESTS)


def there(features: Any) -> dict[Ref, Manifest]:
    return {
        GATEWAY: {"spec": {"gatewayClassName": "nginx"}},
        CLASS: {"status": {"supportedFeatures": features}} if features is not None else {},
    }


def names(*features: str) -> list[Manifest]:
    return [{"name": name} for name in features]


@pytest.mark.parametrize(
    ("features", "wanted", "missing"),
    [
        (names("HTTPRoute"), COPIES, "HTTPRouteRequestMirror"),
        (names("HTTPRoute", "HTTPRouteRequestMirror"), COPIES, "HTTPRouteRequestPercentageMirror"),
        (names("HTTPRoute", "HTTPRouteRequestMirror"), (Exposure(mirror=100), ALL_REQUESTS), None),
        (
            names("HTTPRoute", "HTTPRouteRequestMirror"),
            (Exposure(mirror=Fraction(1, 2)), ALL_REQUESTS),
            "HTTPRouteRequestPercentageMirror",
        ),
        (
            names("HTTPRoute", "HTTPRouteRequestMirror"),
            (Exposure(mirror=100), Copied(("POST",))),
            "HTTPRouteMethodMatching",
        ),
        (["HTTPRoute"], COPIES, "HTTPRouteRequestMirror"),
        (names("HTTPRoute"), (EVERYBODY, ALL_REQUESTS), None),
        (names("HTTPRoute"), KEPT, "HTTPRouteResponseHeaderModification"),
        (
            names("HTTPRoute", "HTTPRouteResponseHeaderModification"),
            KEPT,
            "HTTPRouteBackendRequestHeaderModification",
        ),
        (
            names("HTTPRouteResponseHeaderModification", "HTTPRouteBackendRequestHeaderModification"),
            KEPT,
            None,
        ),
        (names("HTTPRoute"), (Exposure(5, asked=frozenset({Match("a", "b")})), ALL_REQUESTS), None),
        ([], COPIES, None),
        (None, COPIES, None),
    ],
)
def test_only_what_a_class_publishes_without_it_is_missing(features: Any, wanted: Wanted, missing: str | None) -> None:
    found = lacking([GATEWAY], there(features), [wanted])
    assert (found is None) is (missing is None)
    assert found is None or f"does not list {missing} in" in found.message


def test_the_refusal_names_class_and_gateway_and_feature_and_mend() -> None:
    found = lacking([GATEWAY], there(names("HTTPRoute")), [COPIES])
    assert found is not None
    assert found.message == (
        "GatewayClass 'nginx' of Gateway 'infra/public' does not list HTTPRouteRequestMirror in "
        "status.supportedFeatures, and a stage asks for a copy of 20 %: leave that stage out, or use a Gateway of "
        "another class."
    )


def test_what_may_not_be_read_is_unknown() -> None:
    assert lacking([GATEWAY], {}, [COPIES]) is None
    assert lacking([GATEWAY], {GATEWAY: {"spec": {"gatewayClassName": "nginx"}}}, [COPIES]) is None


def test_parents_that_are_no_gateways_have_no_class() -> None:
    parents = [
        {"name": "public", "namespace": "infra"},
        {"name": "public", "namespace": "infra", "sectionName": "https"},
        {"name": "here"},
        {"name": "fraud", "kind": "Service", "group": ""},
    ]
    assert gateways_of(parents, "ml") == (GATEWAY, Ref(GATEWAYS, "ml", "here"))
