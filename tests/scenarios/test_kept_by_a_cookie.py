"""A/B tests whose users are drawn and kept by a cookie that the route sets, and audiences that are told by one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.objects.resources import HTTP_ROUTES
from modelrollout.rollout.author import ACTION
from tests import builders
from tests.fakes.cluster import merged
from tests.fakes.town import Town, releasing

LOSS = {"metric": "errors", "nonInferiority": {"absolute": "1%"}}
MANY = [{"path": {"value": f"/{number}"}} for number in range(12)]
COOKIE = {"cookie": {"name": "fraud-arm"}}


def kept(percent: int, name: str = "ab", **fields: Any) -> dict[str, Any]:
    return builders.ab_test(name, percent=percent, **{"sticky": COOKIE, "goal": LOSS, **fields})


@dataclass
class Users:
    """Browsers that follow the town's HTTPRoute as a gateway does."""

    town: Town
    jars: list[dict[str, str]] = field(default_factory=lambda: [{"theme": "dark"} for _ in range(400)])
    dice: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - the same in every run

    @property
    def on_candidate(self) -> set[int]:
        """Who meets another version than stable, asking once."""
        stable = self.town.status.stable
        assert stable is not None
        return {number for number, jar in enumerate(self.jars) if self._served(jar) != stable.workload}

    def _served(self, jar: dict[str, str]) -> str:
        route = self.town.cluster.get(HTTP_ROUTES, "fraud")
        assert route is not None
        header = "; ".join(f"{name}={value}" for name, value in jar.items())
        rule = next(rule for rule in route["spec"]["rules"] if _fits(rule, header))
        weights = [ref["weight"] for ref in rule["backendRefs"]]
        (ref,) = self.dice.choices(rule["backendRefs"], weights)
        for line in _cookies_set(ref):
            name, _, value = line.split(";")[0].partition("=")
            jar[name] = value
        return str(ref["name"])


def _fits(rule: dict[str, Any], header: str) -> bool:
    matches = rule.get("matches") or [{}]
    return any(all(re.fullmatch(one["value"], header) for one in match.get("headers", ())) for match in matches)


def _cookies_set(ref: dict[str, Any]) -> Iterator[str]:
    for one in ref.get("filters", ()):
        yield from (header["value"] for header in one["responseHeaderModifier"]["add"])


def experiment(*stages: dict[str, Any], **fields: Any) -> tuple[Town, Users]:
    town = releasing(stages=list(stages), **fields)
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    return town, Users(town)


def is_at(percent: int) -> Any:
    return lambda town: town.weights.get(f"fraud-{town.new}") == percent


def is_about(found: set[int], percent: int) -> bool:
    """Within four standard deviations."""
    p = percent / 100
    return bool(abs(len(found) - 400 * p) <= 4 * (400 * p * (1 - p)) ** 0.5)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_ramp_moves_nobody_out_and_nobody_twice_and_a_rollback_moves_all_at_once(is_restarted: bool) -> None:
    town, users = experiment(*(kept(percent, f"ab-{percent}") for percent in (5, 25, 50)))
    seen = [users.on_candidate]

    def is_at_half(town: Town) -> bool:
        seen.append(users.on_candidate)
        if is_restarted and not town.now.second % 7:
            town.restart()
        return bool(is_at(50)(town))

    town.run(until=is_at_half, minutes=90)
    seen.append(users.on_candidate)
    assert all(before <= after for before, after in pairwise(seen))
    assert is_about(seen[-1], 50)
    assert len({*map(len, seen)}) == 4  # nobody, and three shares: it moves with the share only
    town.metrics.bad = {"1": 0.05, "2": 0.5}
    town.run(until=lambda town: town.phase is Phase.ROLLING_BACK, minutes=5)
    assert users.on_candidate == set()


def test_a_share_that_an_edit_raises_moves_nobody_out_though_there_was_a_smaller_step_before() -> None:
    town, users = experiment(builders.canary(5, hold="1m"), kept(20, minDuration="10m"))
    town.run(until=is_at(20), minutes=30)
    before = users.on_candidate
    town.wish("2", stages=[builders.canary(5, hold="1m"), kept(60, minDuration="10m")])
    town.run(until=is_at(60), minutes=1)
    after = users.on_candidate
    assert before < after
    assert is_about(before, 20)
    assert is_about(after, 60)


def test_a_share_that_an_edit_lowers_moves_nobody_in() -> None:
    town, users = experiment(kept(50, minDuration="10m"))
    town.run(until=is_at(50), minutes=30)
    before = users.on_candidate
    town.wish("2", stages=[kept(20, minDuration="10m")])
    town.run(until=is_at(20), minutes=1)
    after = users.on_candidate
    assert after < before
    assert is_about(after, 20)
    assert town.status.stage is not None
    assert town.status.stage.weight == 20


def test_users_come_back_to_the_candidate_once_its_pods_do() -> None:
    town, users = experiment(kept(50, minDuration="10m"))
    town.run(until=is_at(50), minutes=30)
    before = users.on_candidate
    town.cluster.broken = {"2"}
    town.run(seconds=20)
    assert users.on_candidate == set()
    town.cluster.broken = set()
    town.run(until=is_at(50), minutes=5)
    assert users.on_candidate == before


def test_another_try_of_the_same_version_draws_users_anew() -> None:
    town, users = experiment(kept(50, minDuration="10m"))
    town.run(until=is_at(50), minutes=30)
    before = users.on_candidate
    town.metrics.bad = {"1": 0.05, "2": 0.5}
    town.go(Phase.ROLLED_BACK, minutes=10)
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: "retry/1"}}}))
    town.run(until=is_at(50), minutes=30)
    after = users.on_candidate
    assert is_about(after, 50)
    assert len(before & after) < 150  # by chance half of the half


def test_the_requests_of_kept_users_are_held_against_their_share() -> None:
    town, _ = experiment(kept(10, minDuration="10m"))
    town.metrics.candidates_part = 0.4
    town.run(until=is_at(10), minutes=5)
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert town.status.rejected[0].reason == "MoreThanIntended"


def test_an_audience_meets_the_candidate_by_its_cookie_alone() -> None:
    town, users = experiment(builders.ab_test(audience=[{"cookie": "plan", "value": "beta"}], goal=LOSS))
    users.jars = [{"x": "1", "plan": plan, "y": "2"} for plan in ("beta", "betamax", "alpha", "a.beta")]
    town.run(until=lambda _: bool(users.on_candidate), minutes=5)
    assert users.on_candidate == {0}


@pytest.mark.parametrize(
    ("traffic", "says"),
    [
        ({"service": {}}, "its sessionAffinity keeps addresses with pods"),
        ({"grpc": {"parentRefs": [{"name": "g"}]}}, "clients of gRPC keep no cookies"),
        (
            {
                "gatewayAPI": {
                    "parentRefs": [{"name": "g"}],
                    "matches": [{}, {"headers": [{"name": "Cookie", "value": "a=b"}]}],
                }
            },
            "asks for a cookie by itself",
        ),
        (
            {
                "gatewayAPI": {
                    "parentRefs": [{"name": "g"}],
                    "matches": [{"path": {"value": f"/{n}"}} for n in range(12)],
                }
            },
            "leave some matches out",
        ),
        ({"istio": {"hosts": ["a"], "matches": [{"headers": {"cookie": {"regex": ".*"}}}]}}, "asks for a cookie"),
    ],
)
def test_what_cannot_keep_users_is_refused_with_its_mend(traffic: dict[str, Any], says: str) -> None:
    town = Town()
    town.wish("1", traffic={"port": 8080, **traffic}, stages=[kept(50)])
    town.run(seconds=10)
    assert town.phase is Phase.INVALID
    assert says in (town.status.message or "")
