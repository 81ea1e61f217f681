"""Matches, filters and timeouts of a route: they are written as the Gateway API stores them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from modelrollout.api.traffic import GRPC, GatewayAPI, Timeouts

PARENTS = {"parentRefs": [{"name": "inference"}]}


def http(**fields: Any) -> dict[str, Any]:
    return GatewayAPI.model_validate({**PARENTS, **fields}).to_wire()


def grpc(**fields: Any) -> dict[str, Any]:
    return GRPC.model_validate({**PARENTS, **fields}).to_wire()


def test_what_is_left_out_of_a_route_is_absent() -> None:
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "inference"}
    assert http() == grpc() == {"parentRefs": [parent], "hostnames": []}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {"path": {"type": "PathPrefix", "value": "/"}}),
        ({"path": {"value": "/v1"}}, {"path": {"type": "PathPrefix", "value": "/v1"}}),
        ({"path": {"type": "Exact"}, "method": "POST"}, {"path": {"type": "Exact", "value": "/"}, "method": "POST"}),
        (
            {"headers": [{"name": "X-Gateway-Model-Name", "value": "fraud"}]},
            {
                "path": {"type": "PathPrefix", "value": "/"},
                "headers": [{"type": "Exact", "name": "X-Gateway-Model-Name", "value": "fraud"}],
            },
        ),
        (
            {"queryParams": [{"name": "model", "value": "fraud.*", "type": "RegularExpression"}], "headers": []},
            {
                "path": {"type": "PathPrefix", "value": "/"},
                "queryParams": [{"type": "RegularExpression", "name": "model", "value": "fraud.*"}],
            },
        ),
    ],
)
def test_a_match_has_the_defaults_of_the_gateway_api(written: dict[str, Any], stored: dict[str, Any]) -> None:
    assert http(matches=[written])["matches"] == [stored]


def test_a_call_is_matched_by_service_method_and_metadata() -> None:
    match = {"method": {"service": "inference.GRPCInferenceService"}, "headers": [{"name": "model", "value": "fraud"}]}
    assert grpc(matches=[match, {}])["matches"] == [
        {
            "method": {"type": "Exact", "service": "inference.GRPCInferenceService"},
            "headers": [{"type": "Exact", "name": "model", "value": "fraud"}],
        },
        {},
    ]


FILTERS: list[dict[str, Any]] = [
    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-Model", "value": "fraud"}]}},
    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["Server"]}},
    {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "RateLimit", "name": "fair"}},
]
REWRITE: dict[str, Any] = {
    "type": "URLRewrite",
    "urlRewrite": {"hostname": "fraud", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
}


def test_filters_are_written_as_they_stand() -> None:
    assert http(filters=[*FILTERS, REWRITE])["filters"] == [*FILTERS, REWRITE]
    assert grpc(filters=FILTERS)["filters"] == FILTERS


@pytest.mark.parametrize("matches", [[], [{}], [{"path": {"value": "/fraud"}}], [{"method": "POST"}]])
def test_a_prefix_can_be_taken_from_one_path_by_prefix(matches: list[Any]) -> None:
    assert http(filters=[REWRITE], matches=matches)["filters"] == [REWRITE]


@pytest.mark.parametrize(
    ("request_", "backend"),
    [("10s", "10s"), ("10s", "10000ms"), ("0s", "1h"), ("10s", "0s"), (None, "1h"), ("1h", None)],
)
def test_a_try_may_take_as_long_as_the_request(request_: str | None, backend: str | None) -> None:
    timeouts = Timeouts.model_validate({"request": request_, "backendRequest": backend})
    assert timeouts.to_wire() == {
        name: value for name, value in {"request": request_, "backendRequest": backend}.items() if value
    }


def test_a_timeout_is_as_long_as_it_says() -> None:
    request = Timeouts.model_validate({"request": "1h1m1s1ms"}).request
    assert request is not None
    assert request.timedelta == timedelta(hours=1, minutes=1, seconds=1, milliseconds=1)


@pytest.mark.parametrize("text", ["1d", "1.5s", "100000s", "1h1m1s1ms1s", "10", "", "10s\n", "-1s"])
def test_a_timeout_that_the_gateway_api_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Timeouts.model_validate({"request": text})
