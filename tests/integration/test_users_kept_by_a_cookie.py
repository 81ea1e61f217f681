"""Three hundred users with cookies, through a real Envoy, while the router moves the share of the candidate."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from itertools import pairwise
from pathlib import Path

import pytest

from modelrollout.api.traffic import Traffic
from modelrollout.objects.manifests import Manifest, Owner, Ref
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.traffic.drawing import Draw, remembered
from modelrollout.traffic.exposure import COOKIE, NOBODY, STICKY, Exposure, Match
from modelrollout.traffic.http_route import HTTP_ROUTE
from modelrollout.traffic.router import Backend, Notes, Routing
from tests.integration.gateway_stage import Stage, service, two_models, until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("envoy") is None, reason="Envoy is not installed: pip install 'modelrollout[sandbox]'"
)
OWNER = Owner("ml", "digits", "uid-digits")
OLD, NEW = Backend("digits-old", "old", 8080), Backend("digits-new", "new", 8080)
ROUTE = Ref(HTTP_ROUTES, "ml", "digits")
GATEWAY = {"parentRefs": [{"name": "sandbox", "namespace": "default"}], "hostnames": ["digits.example"]}
TRAFFIC = Traffic.model_validate({"port": 8080, "gatewayAPI": GATEWAY})
KEPT = Match(STICKY, "digits-arm")
FIRST_TRY = Draw("digits-arm", "a1b2c3", "Path=/; Max-Age=3600; SameSite=Lax; HttpOnly")
USERS = 300


@dataclass
class User:
    """A browser with cookies of other programs before and after ours."""

    jar: dict[str, str] = field(default_factory=lambda: {"theme": "dark"})
    met: list[str] = field(default_factory=list)

    async def ask(self, stage: Stage) -> str:
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {"Host": "digits.example", "Cookie": cookies}
        async with stage.session.post(f"{stage.gateway.url}/predict", data=b"{}", headers=headers) as reply:
            for line in reply.headers.getall("Set-Cookie", []):
                self.jar |= {name: one.value for name, one in SimpleCookie(line).items()}
            self.jar.setdefault("zone", "eu")
            self.met.append(reply.headers.get("x-model-version", f"{reply.status}"))
            return self.met[-1]


@dataclass
class Town:
    """A rollout's route, and its users."""

    stage: Stage
    draw: Draw = FIRST_TRY
    users: list[User] = field(default_factory=lambda: [User() for _ in range(USERS)])

    async def share(self, percent: int) -> set[int]:
        """Moves the candidate to a share, has everybody ask twice, and tells who met it."""
        self.draw = Draw(self.draw.cookie, self.draw.token, self.draw.attributes, remembered(self.draw.shares, percent))
        await self.put(Routing(OLD, NEW, Exposure(percent, asked=frozenset({KEPT})), draw=self.draw))
        numbers = {f"{self.draw.token}.0-{percent}", f"{self.draw.token}.{percent}-100"}

        async def is_followed() -> bool:
            newcomer = User()
            await newcomer.ask(self.stage)
            return newcomer.jar.get("digits-arm") in numbers

        await until(is_followed)
        return await self.everybody_asks()

    async def put(self, routing: Routing) -> None:
        (write,) = HTTP_ROUTE.render(OWNER, TRAFFIC, routing, self.routes)
        self.stage.cluster.put(write.manifest)
        assert HTTP_ROUTE.in_force(OWNER, self.routes, OLD).exposure == routing.exposure

    @property
    def routes(self) -> dict[Ref, Manifest]:
        found = self.stage.cluster.objects
        return {ROUTE: found[HTTP_ROUTES, "ml", "digits"]} if (HTTP_ROUTES, "ml", "digits") in found else {}

    async def everybody_asks(self) -> set[int]:
        async def twice(user: User) -> str:
            first, second = await user.ask(self.stage), await user.ask(self.stage)
            assert first == second
            return second

        met: list[str] = []
        for begin in range(0, USERS, 50):
            met += await asyncio.gather(*map(twice, self.users[begin : begin + 50]))
        assert {*met} <= {"v1", "v2"}
        return {number for number, version in enumerate(met) if version == "v2"}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with two_models(tmp_path) as stage:
        for backend, version in ((OLD, "v1"), (NEW, "v2")):
            stage.cluster.put(service(backend.service, port=80, version=version))
        stage.cluster.delete(HTTP_ROUTES, "ml", "digits")
        yield Town(stage)


def is_about(found: set[int], percent: int) -> bool:
    """Within five standard deviations."""
    wanted, p = USERS * percent / 100, percent / 100
    return abs(len(found) - wanted) <= 5 * (USERS * p * (1 - p)) ** 0.5


async def test_a_rising_share_moves_nobody_out_and_a_retreat_moves_all_at_once(town: Town) -> None:
    shares = {percent: await town.share(percent) for percent in (5, 25, 50)}
    assert shares[5] <= shares[25] <= shares[50]
    assert all(is_about(found, percent) for percent, found in shares.items())
    moves = [sum(one != other for one, other in pairwise(user.met)) for user in town.users]
    assert max(moves) == 1
    (write,) = HTTP_ROUTE.retreat(OWNER, town.routes, OLD, Notes(rejected="why"))
    town.stage.cluster.put(write.manifest)
    assert HTTP_ROUTE.in_force(OWNER, town.routes, OLD).exposure == NOBODY
    marked = next(user for number, user in enumerate(town.users) if number in shares[5])

    async def is_back() -> bool:
        return await marked.ask(town.stage) == "v1"

    await until(is_back)
    assert await town.everybody_asks() == set()


async def test_a_lower_share_takes_nobody_in_and_another_try_draws_anew(town: Town) -> None:
    half = await town.share(50)
    fewer = await town.share(20)
    assert fewer <= half
    assert is_about(fewer, 20)
    town.draw = Draw("digits-arm", "ffffff")
    others = await town.share(50)
    assert is_about(others, 50)
    assert not fewer <= others  # by chance in one of 2**60 runs


async def test_an_audience_is_told_by_its_cookie(town: Town) -> None:
    town.users = [User({"theme": "dark", "plan": plan, "zone": "eu"}) for plan in ("beta", "betamax", "") * 100]
    await town.put(Routing(OLD, NEW, Exposure(asked=frozenset({Match(COOKIE, "plan=beta")}))))

    async def is_followed() -> bool:
        return await User({"plan": "beta"}).ask(town.stage) == "v2"

    await until(is_followed)
    assert await town.everybody_asks() == {number for number in range(USERS) if number % 3 == 0}
