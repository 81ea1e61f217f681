"""A route as the Gateway API's own schema sees it: what ours lets pass, it takes, and stores as we write it."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import pytest_asyncio
import yaml
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from localcluster.gateway import CRDS
from modelrollout.api.traffic import GatewayAPI, Traffic
from tests.broken_routes import ROUTE_BORDERS
from tests.builders import Spec, edited
from tests.contract.api_server.api_server_client import DEFINITIONS, Api
from tests.valid_routes import http_routes

pytestmark = pytest.mark.asyncio(loop_scope="session")

GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
HTTP_ROUTES = CRDS / "httproutes.yaml"
THOROUGH = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
_numbers = count(1)


@pytest_asyncio.fixture(loop_scope="session")
async def routes(api: Api, namespace: str) -> str:
    """Where the HTTPRoutes of a namespace are, on a server that has them."""
    if (await api.get(f"{GATEWAY_API}/httproutes")).status == 404:
        await api.made(DEFINITIONS, yaml.safe_load(HTTP_ROUTES.read_text()))
        await api.until(f"{GATEWAY_API}/httproutes", lambda answer: answer.status == 200)
    return f"{GATEWAY_API}/namespaces/{namespace}/httproutes"


def manifest(route: dict[str, Any]) -> dict[str, Any]:
    """An HTTPRoute of one rule, made of what a user wrote into the rollout."""
    rule = {field: route[field] for field in ("matches", "filters", "timeouts") if field in route}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"fraud-{next(_numbers)}"},
        "spec": {"parentRefs": route["parentRefs"], "hostnames": route["hostnames"], "rules": [rule]},
    }


def accepted(edits: dict[str, Any]) -> GatewayAPI | None:
    """The HTTPRoute of a spec; None where we refuse it, or it has none."""
    try:
        return Traffic.model_validate(edited(edits)["traffic"]).gateway_api
    except ValidationError:
        return None


ACCEPTED = [route for route in map(accepted, ROUTE_BORDERS) if route is not None]


@pytest.mark.parametrize("route", ACCEPTED, ids=range(len(ACCEPTED)))
async def test_a_route_that_is_just_valid_is_taken(api: Api, routes: str, route: GatewayAPI) -> None:
    answer = await api.post(routes, manifest(route.to_wire()), fieldValidation="Strict", dryRun="All")
    assert answer.status == 201, answer.body


@THOROUGH
@given(route=http_routes)
async def test_any_valid_route_is_taken_and_stored_as_it_is_written(api: Api, routes: str, route: Spec) -> None:
    wanted = manifest(GatewayAPI.model_validate(route).to_wire())
    answer = await api.post(routes, wanted, fieldValidation="Strict", dryRun="All")
    assert answer.status == 201, answer.body
    default = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}
    [rule] = wanted["spec"]["rules"]
    assert answer.body["spec"] == {**wanted["spec"], "rules": [{**default, **rule}]}
