"""Reading the world around a rollout: as a whole, or not at all."""

from __future__ import annotations

import pytest

from modelrollout.kube import LeftAlone, Refused, Unreachable
from modelrollout.objects.manifests import Owner
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.rollout.references import reads
from modelrollout.shell.observe import observed
from modelrollout.shell.reader import Direct
from modelrollout.traffic.router import Backend
from modelrollout.traffic.router_table import ROUTERS
from modelrollout.trial.world import World
from tests import builders
from tests.fakes.cluster import FakeCluster

OWNER = Owner("ml", "fraud", "uid-fraud")


async def observe(cluster: FakeCluster) -> World:
    objects = await Direct(cluster).read(("ml", "fraud"), reads(builders.rollout()))  # type: ignore[arg-type]
    return observed(objects, OWNER, {})


async def test_trouble_with_one_call_is_told_as_that_trouble_and_not_as_a_group() -> None:
    def unreachable(moment: str, verb: str, plural: str, name: str) -> None:
        raise Unreachable(f"{plural}: connection refused")

    with pytest.raises(Unreachable, match="connection refused"):
        await observe(FakeCluster(hook=unreachable))


async def test_a_mistake_of_our_own_is_not_taken_for_the_worlds_trouble() -> None:
    def broken(moment: str, verb: str, plural: str, name: str) -> None:
        raise ValueError(plural) if plural == "pods" else Unreachable(plural)

    with pytest.raises(ExceptionGroup) as found:
        await observe(FakeCluster(hook=broken))
    assert found.group_contains(ValueError)


async def test_a_cluster_without_the_gateway_api_has_no_routes() -> None:
    def unknown(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == HTTP_ROUTES.plural:
            raise Refused(404, "the API server does not know HTTPRoute; is the CRD installed?", "/apis")

    world = await observe(FakeCluster(hook=unknown))
    stable = Backend("fraud-1", "1", 8080)
    assert not ROUTERS["gatewayAPI"].in_force(OWNER, world.objects, stable).exists


async def test_an_operator_that_leaves_a_kind_alone_has_no_such_objects() -> None:
    def left_alone(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == HTTP_ROUTES.plural:
            raise LeftAlone("gatewayAPI", "/apis")

    world = await observe(FakeCluster(hook=left_alone))
    assert not ROUTERS["gatewayAPI"].in_force(OWNER, world.objects, Backend("fraud-1", "1", 8080)).exists


async def test_a_forbidden_read_stops_the_pass() -> None:
    def forbidden(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == HTTP_ROUTES.plural:
            raise Refused(403, "httproutes is forbidden", "/apis")

    with pytest.raises(Refused, match="forbidden"):
        await observe(FakeCluster(hook=forbidden))
